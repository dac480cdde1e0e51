//! Reads the text of a file into the model, and reports every mistake.

mod behaviour;
mod context;
mod entries;
mod examples;
mod files;
mod geometry;
mod outline;
mod section;
mod tree;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::grammar::scope::{Scope, Type};
use crate::model::{At, Choices, EntryWord, Facts, Format};
use crate::schema::FILE;
use crate::source::{File, Sources, Span};
use context::{Context, Scopes};
use files::Files;
pub use outline::{Outline, outline};
use section::Section;
use std::cell::RefCell;
use tree::Table;

/// Reads a format from the text of its file.
///
/// `path` is what messages call the file. `load` reads the files that it `extends`; it gets a path relative to the same
/// directory as `path`, and returns the text or why there is none. The sources list every file read.
///
/// # Errors
/// Every mistake found, each with its place.
pub fn read(
    path: &str,
    text: &str,
    load: &dyn Fn(&str) -> Result<String, String>,
) -> (Sources, Result<Format, Diagnostics>) {
    read_file(File { path: path.to_owned(), text: text.to_owned(), built_in: false }, load)
}

/// Reads one of the built-in formats; `None` if there is none of this name.
#[must_use]
pub fn read_builtin(name: &str) -> Option<(Sources, Result<Format, Diagnostics>)> {
    let text = crate::builtin(name)?.to_owned();
    let file = File { path: format!("<built-in>/{name}.toml"), text, built_in: true };
    Some(read_file(file, &|_| Err("a built-in format extends built-in formats only".to_owned())))
}

fn read_file(file: File, load: &dyn Fn(&str) -> Result<String, String>) -> (Sources, Result<Format, Diagnostics>) {
    let (sources, format, problems) = read_anyway(file, load);
    match format {
        Some(format) if problems.is_empty() => (sources, Ok(format)),
        _ => (sources, Err(problems)),
    }
}

/// As [`read_file`], but returns a model even if there are mistakes, with placeholders in their place.
fn read_anyway(file: File, load: &dyn Fn(&str) -> Result<String, String>) -> (Sources, Option<Format>, Diagnostics) {
    let mut files = Files::new(load);
    let tree = files.tree(file);
    let incomplete = !files.problems.is_empty() || !files.syntax_errors.is_empty();
    let context = Context {
        sources: &files.sources,
        scopes: scopes(&tree, &files.removed, incomplete),
        problems: RefCell::new(files.problems),
        syntax_errors: files.syntax_errors,
        incomplete,
    };
    let header = tree.get("format").map_or(Span::default(), |header| header.span);
    let format = format(&Section::new(&context, "this file".to_owned(), header, &tree, FILE));
    let problems = context.finish();
    (files.sources, format, problems)
}

/// The names that expressions may use. Parameters are looked up in the tree, so that a mistake in one does not make
/// its name unknown.
fn scopes(tree: &Table, removed: &[(String, Span)], open: bool) -> Scopes {
    let params: Vec<_> =
        tree.get("params").and_then(|params| params.table()).map_or(&[][..], |params| &params.0).into();
    let named = |build_only: bool| {
        let names = params.iter().filter_map(|param| {
            let table = param.value.table()?;
            // A wrong type is reported where it is declared. Taken as a truth value, the parameter may stand anywhere,
            // so that no further errors follow.
            let kind = match table.text("type") {
                Some("int") => Type::Number,
                Some("word") => Type::Word,
                _ => Type::Truth,
            };
            (!build_only || table.text("bind") == Some("build")).then(|| (param.key.clone(), kind))
        });
        Scope::new(names, open).without(removed.to_vec())
    };
    let params = named(false);
    let settable = params.with(["levels", "input_bits"]);
    let space = settable.with(["page_bits", "index_bits"]);
    let entry = space.with(["level", "leaf_bits"]);
    Scopes { nothing: Scope::default(), build: named(true), params, settable, space, entry }
}

/// The whole file.
fn format(file: &Section<'_>) -> Option<Format> {
    let header = file.section("format", header);
    let params = file.named("params", geometry::param);
    let levels = file.section("levels", geometry::levels);
    let roots = file.rows("root", geometry::root, |root| &root.id);
    let kinds = file.rows("kind", entries::kind, |kind| &kind.id);
    let empty = file.section("empty", |empty| {
        ["value", "table"].map(|key| empty.choices(key, &empty.scopes().entry, |c| c.expression()))
    });
    let [empty, empty_table] = empty?;
    let fields = file.named("fields", entries::field);
    let runs = file.rows("run", entries::run, |run| &run.id);
    let fixes = file.rows("fix", entries::fix, |fix| &fix.id);
    let live = file.section("live", behaviour::live);
    let fallbacks = file.section("memory", behaviour::fallbacks).unwrap_or_default();
    let tlb = file.rows("tlb", behaviour::tlb_op, |op| &op.id);
    let completions = file.rows("completion", behaviour::completion, |completion| &completion.id);
    let registers = file.named("registers", behaviour::register);
    let capabilities = file.section("capabilities", behaviour::capabilities);
    let fault = file.section("fault", behaviour::fault);
    let translated = file.section("translated", behaviour::translated);
    let access = file.section("access", |access| behaviour::access(access, &params, &fields));
    let raise = behaviour::raise(file, &fields, fault.as_ref(), access.as_ref());
    let builds = file.rows("build", |build| examples::build(build, &params), |build| &build.name);
    let configs = file.rows("config", |config| examples::config(config, &params), |config| &config.id);
    let named = examples::Named { params: &params, configs: &configs, registers: &registers, tlb: &tlb };
    let examples = file.section("example", |s| examples::examples(s, &named)).unwrap_or_default();
    let header = header?;
    Some(Format {
        name: header.name,
        title: header.title,
        architecture: header.architecture,
        execute_feature: header.execute_feature,
        word: header.word,
        stage: header.stage,
        cite: header.cite,
        implies: header.implies,
        params,
        levels: levels?,
        roots,
        kinds,
        empty,
        empty_table,
        fields,
        runs,
        fixes,
        live: live?,
        fallbacks,
        tlb,
        completions,
        registers,
        capabilities,
        fault,
        translated,
        access,
        raise,
        builds,
        configs,
        examples,
    })
}

/// `[format]`.
struct Header {
    name: At<String>,
    title: String,
    architecture: String,
    execute_feature: Option<At<String>>,
    word: EntryWord,
    stage: u8,
    cite: String,
    implies: Choices<Facts>,
}

fn header(section: &Section<'_>) -> Header {
    let nothing = &section.scopes().nothing;
    let entry_size = section.optional("entry_bits", nothing, |cursor| {
        let bits = cursor.placed(|cursor| cursor.number())?;
        match bits.value {
            32 => Ok(2),
            64 => Ok(3),
            _ => Err(Diagnostic::new("an entry has 32 or 64 bits", bits.span, "no such entry")),
        }
    });
    Header {
        name: section.id("name", '_'),
        title: section.text("title"),
        architecture: section.text("architecture"),
        execute_feature: section.optional_placed_text("execute_feature"),
        word: EntryWord { size: entry_size.unwrap_or(3), order: section.word("byte_order") },
        stage: section.parse("stage", nothing, |cursor| {
            let stage = cursor.placed(|cursor| cursor.number())?;
            match stage.value {
                1 => Ok(1),
                2 => Ok(2),
                _ => Err(Diagnostic::new("a stage is 1 or 2", stage.span, "no stage")),
            }
        }),
        cite: section.text("cite"),
        implies: section.choices("implies", &section.scopes().space, |cursor| cursor.facts()),
    }
}
