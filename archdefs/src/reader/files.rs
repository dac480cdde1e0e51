//! Reads a file and those it extends, and merges them into one tree.

use super::tree::{Entry, Kind, SyntaxError, Table, Value, parse};
use crate::builtin;
use crate::diagnostics::Diagnostic;
use crate::source::{File, Sources, Span};
use crate::suggest::advice;
use std::path::Path;

/// The files being read.
pub(super) struct Files<'a> {
    pub(super) sources: Sources,
    /// Mistakes found while files are merged.
    pub(super) problems: Vec<Diagnostic>,
    pub(super) syntax_errors: Vec<SyntaxError>,
    /// The parameters of parents that are removed, and where.
    pub(super) removed: Vec<(String, Span)>,
    load: &'a dyn Fn(&str) -> Result<String, String>,
}

impl<'a> Files<'a> {
    pub(super) fn new(load: &'a dyn Fn(&str) -> Result<String, String>) -> Self {
        Self { sources: Sources::default(), problems: Vec::new(), syntax_errors: Vec::new(), removed: Vec::new(), load }
    }

    /// The tree of a file, with everything that it inherits.
    pub(super) fn tree(&mut self, file: File) -> Table {
        let text = file.text.clone();
        let number = self.sources.add(file);
        let (mut tree, syntax_errors) = parse(&text, number);
        self.syntax_errors.extend(syntax_errors);
        let Some(format) = tree.get_mut("format") else { return tree };
        let Kind::Table(format) = &mut format.kind else { return tree };
        let extends = take(format, "extends");
        let remove = take(format, "remove");
        let Some(extends) = extends else {
            if let Some(remove) = remove {
                self.problems.push(Diagnostic::new(
                    "`remove` without `extends`",
                    remove.key_span,
                    "there is nothing to remove from",
                ));
            }
            return tree;
        };
        let Some(parent) = self.parent(&extends.value, number) else { return tree };
        let mut merged = self.tree(parent);
        if let Some(remove) = remove {
            self.remove(&remove.value, &mut merged);
        }
        merge(&mut merged, tree, true);
        merged
    }

    /// The file that `extends` names: a built-in format, or a path relative to the file it stands in.
    fn parent(&mut self, extends: &Value, child: u16) -> Option<File> {
        let fail = |message: String| Some(Diagnostic::new(message, extends.span, "this parent"));
        let problem = match &extends.kind {
            Kind::Text(name) if !name.ends_with(".toml") => match builtin(name) {
                Some(text) => {
                    let path = format!("<built-in>/{name}.toml");
                    return self.new_file(File { path, text: text.to_owned(), built_in: true }, extends.span);
                }
                None => fail(format!("`{name}` is no built-in format")).map(|problem| {
                    let names: Vec<&str> = crate::BUILTINS.iter().map(|(name, _)| *name).collect();
                    problem.help(advice(name, "built-in formats (a path ends with `.toml`)", &names))
                }),
            },
            Kind::Text(path) => {
                let folder =
                    self.sources.files().get(usize::from(child)).and_then(|file| Path::new(&file.path).parent());
                let path =
                    folder.map_or_else(|| path.into(), |folder| folder.join(path)).to_string_lossy().into_owned();
                match (self.load)(&path) {
                    Ok(text) => return self.new_file(File { path, text, built_in: false }, extends.span),
                    Err(reason) => fail(format!("cannot read `{path}`: {reason}")),
                }
            }
            _ => fail(format!("expected a string, found {}", extends.what())),
        };
        self.problems.extend(problem);
        None
    }

    /// Refuses a file that was read before: the chain of parents would never end. As one file may have many paths,
    /// files are compared by their text.
    fn new_file(&mut self, file: File, span: Span) -> Option<File> {
        if self.sources.files().iter().any(|known| known.text == file.text) {
            self.problems.push(Diagnostic::new("the format extends itself", span, "this parent was read before"));
            return None;
        }
        Some(file)
    }

    /// `remove = ["fields.x", "example"]`.
    fn remove(&mut self, list: &Value, tree: &mut Table) {
        let Some(items) = list.array() else {
            let message = format!("expected a list of strings, found {}", list.what());
            self.problems.push(Diagnostic::new(message, list.span, "not a list"));
            return;
        };
        for item in items {
            let Kind::Text(path) = &item.kind else {
                let message = format!("expected a string, found {}", item.what());
                self.problems.push(Diagnostic::new(message, item.span, "not a string"));
                continue;
            };
            if remove_path(tree, path) {
                self.removed.extend(path.strip_prefix("params.").map(|name| (name.to_owned(), item.span)));
            } else {
                let paths = removable(tree);
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                self.problems.push(
                    Diagnostic::new(format!("the parent has no `{path}`"), item.span, "nothing to remove")
                        .help(advice(path, "what it has", &paths)),
                );
            }
        }
    }
}

fn take(table: &mut Table, key: &str) -> Option<Entry> {
    let index = table.0.iter().position(|entry| entry.key == key)?;
    Some(table.0.remove(index))
}

/// Removes a section, or one of its entries or rows. Returns whether it was there.
fn remove_path(tree: &mut Table, path: &str) -> bool {
    let Some((section, name)) = path.split_once('.') else { return take(tree, path).is_some() };
    match section {
        "config" => remove_examples(tree, name),
        "params" => remove_capabilities(tree, name),
        _ => {}
    }
    match tree.get_mut(section).map(|value| &mut value.kind) {
        Some(Kind::Table(table)) => take(table, name).is_some(),
        Some(Kind::Array(rows)) => {
            let before = rows.len();
            rows.retain(|row| row_id(row) != Some(name));
            rows.len() < before
        }
        _ => false,
    }
}

/// Removes the examples of a configuration.
fn remove_examples(tree: &mut Table, config: &str) {
    let Some(Kind::Table(kinds)) = tree.get_mut("example").map(|value| &mut value.kind) else { return };
    for kind in &mut kinds.0 {
        if let Kind::Array(rows) = &mut kind.value.kind {
            rows.retain(|row| row.table().is_none_or(|row| row.text("config") != Some(config)));
        }
    }
}

/// Removes the rows of `[capabilities]` that give a parameter its value.
fn remove_capabilities(tree: &mut Table, param: &str) {
    let Some(Kind::Table(capabilities)) = tree.get_mut("capabilities").map(|value| &mut value.kind) else { return };
    if let Some(Kind::Array(values)) = capabilities.get_mut("values").map(|value| &mut value.kind) {
        let of = |text: &str| text.split_once('=').is_some_and(|(name, _)| name.trim() == param);
        values.retain(|value| !matches!(&value.kind, Kind::Text(text) if of(text)));
    }
}

/// The entries and rows that [`remove_path`] can remove, as paths.
fn removable(tree: &Table) -> Vec<String> {
    let mut paths = Vec::new();
    for section in &tree.0 {
        let names: Vec<&str> = match &section.value.kind {
            Kind::Table(table) => table.0.iter().map(|entry| entry.key.as_str()).collect(),
            Kind::Array(rows) => rows.iter().filter_map(row_id).collect(),
            _ => Vec::new(),
        };
        paths.extend(names.into_iter().map(|name| format!("{}.{name}", section.key)));
    }
    paths
}

/// The `id` or `name` that identifies a row of `[[kind]]` and the like.
fn row_id(row: &Value) -> Option<&str> {
    let table = row.table()?;
    table.text("id").or_else(|| table.text("name"))
}

/// Puts a child over its parent: sections merge entry by entry, lists of rows by id, everything else is replaced.
fn merge(parent: &mut Table, child: Table, sections: bool) {
    for entry in child.0 {
        let Some(old) = parent.0.iter_mut().find(|old| old.key == entry.key) else {
            parent.0.push(entry);
            continue;
        };
        match (&mut old.value.kind, entry.value) {
            (Kind::Table(old_table), Value { kind: Kind::Table(table), span }) if sections => {
                merge(old_table, table, false);
                old.value.span = span;
            }
            (Kind::Array(old_rows), Value { kind: Kind::Array(rows), .. })
                if rows.iter().all(|row| row.table().is_some()) && !rows.is_empty() =>
            {
                merge_rows(old_rows, rows);
            }
            (_, value) => *old = Entry { value, ..entry },
        }
    }
}

/// A child's row takes the place of its parent's row with the same id; other rows follow at the end. If two rows of the
/// child have one id, both stay and are reported later.
fn merge_rows(rows: &mut Vec<Value>, child: Vec<Value>) {
    for row in child {
        let replaces = |old: &Value| old.span.file != row.span.file && row_id(old) == row_id(&row);
        match row_id(&row).and_then(|_| rows.iter().position(replaces)) {
            Some(place) => rows[place] = row,
            None => rows.push(row),
        }
    }
}
