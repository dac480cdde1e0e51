//! Reads `[params]`, `[levels]`, `[[root]]`.

use super::section::Section;
use crate::diagnostics::Diagnostic;
use crate::grammar::{Cursor, Parsed};
use crate::model::{At, Domain, LevelSet, Levels, Param, Root};
use crate::words::Word;

/// `type = ".."` of a parameter.
#[derive(Clone, Copy, PartialEq)]
enum ParamType {
    Bool,
    Int,
    Word,
}

impl Word for ParamType {
    const WHAT: &'static str = "types";
    const WORDS: &'static [(&'static str, Self)] = &[("bool", Self::Bool), ("int", Self::Int), ("word", Self::Word)];
}

/// The names that expressions may use without declaring a parameter.
const BUILT_IN: [&str; 12] = [
    "levels",
    "input_bits",
    "page_bits",
    "index_bits",
    "level",
    "leaf_bits",
    "run_bits",
    "root",
    "tag",
    "ia",
    "address",
    "data",
];

pub(super) fn param(section: &Section<'_>, name: At<String>) -> Param {
    if BUILT_IN.contains(&name.value.as_str()) {
        let message = format!("`{}` is a built-in name", name.value);
        section.context.report(Diagnostic::new(message, name.span, "this parameter"));
    }
    let nothing = &section.scopes().nothing;
    let domain = match section.word("type") {
        ParamType::Bool => Domain::Bool,
        ParamType::Int => Domain::Int(section.parse("values", nothing, Cursor::set)),
        ParamType::Word => Domain::Word,
    };
    let default = section.optional("default", nothing, |cursor| match domain {
        Domain::Word => cursor.placed(Cursor::content),
        _ => cursor.placed(Cursor::number_or_truth),
    });
    let first = match &domain {
        Domain::Bool | Domain::Word => 0,
        Domain::Int(values) => values.first().copied().unwrap_or(0),
    };
    if let Some(default) = &default {
        check_value(section, &name, &domain, default);
    }
    Param {
        name,
        default: default.map_or(first, |default| default.value),
        domain,
        bind: section.word("bind"),
        when: section.when(&section.scopes().params),
        doc: section.text("doc"),
        cite: section.cite(),
    }
}

/// Refuses a value that a parameter cannot have.
pub(super) fn check_value(section: &Section<'_>, name: &At<String>, domain: &Domain, value: &At<i64>) {
    let (legal, values) = match domain {
        Domain::Bool => (matches!(value.value, 0 | 1), "`true` and `false`".to_owned()),
        // It is empty only if the values could not be read.
        Domain::Int(values) if values.is_empty() => return,
        Domain::Word => return,
        Domain::Int(values) => {
            let list = values.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
            (values.contains(&value.value), list)
        }
    };
    if !legal {
        let message = format!("`{}` cannot be {}", name.value, value.value);
        let problem = Diagnostic::new(message, value.span, "no such value").and(name.span, "its values are given here");
        section.context.report(problem.help(format!("values: {values}")));
    }
}

pub(super) fn levels(section: &Section<'_>) -> Levels {
    let scopes = section.scopes();
    Levels {
        page_bits: section.expression("page_bits", &scopes.build),
        index_bits: section.choices("index_bits", &scopes.build.with(["page_bits", "level"]), |c| c.expression()),
        blocks: section.list("blocks", &scopes.space, |cursor| cursor.choice(blocks)),
        label: section.expression("label", &scopes.entry),
        input: section.choices("input", &scopes.space, Cursor::word),
        output_bits: section.expression("output_bits", &scopes.space),
        decode_bits: section.optional("decode_bits", &scopes.space, |cursor| cursor.placed(Cursor::expression)),
        requires: section.list("requires", &scopes.space, |cursor| cursor.placed(Cursor::condition)),
    }
}

/// Levels that may hold blocks.
fn blocks(cursor: &mut Cursor<'_>) -> Parsed<LevelSet> {
    let set = cursor.level_set()?;
    if set.surely_has(0) {
        return Err(Diagnostic::new("a leaf at level 0 is a page, not a block", set.span, "level 0 is one of these"));
    }
    Ok(set)
}

pub(super) fn root(section: &Section<'_>) -> Root {
    let scopes = section.scopes();
    Root {
        id: section.id("id", '-'),
        levels: section.placed("levels", &scopes.nothing, Cursor::set),
        index_bits: section.placed("index_bits", &scopes.nothing, Cursor::set),
        when: section.when(&scopes.space),
    }
}
