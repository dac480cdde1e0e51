//! Reads `[[kind]]`, `[fields.*]`, `[[run]]`, `[[fix]]`: what the bits of an entry are.

use super::section::Section;
use super::tree::Kind as TreeKind;
use crate::diagnostics::Diagnostic;
use crate::grammar::scope::Scope as Names;
use crate::grammar::{Cursor, Parsed};
use crate::model::{At, Field, Fix, Kind, Match, Meaning, MemoryType, Other, Row, Rows, Run, Test, TestValue};

pub(super) fn kind(section: &Section<'_>) -> Kind {
    let is_else =
        section.get("match").is_some_and(|value| matches!(&value.kind, TreeKind::Text(text) if text.trim() == "else"));
    Kind {
        id: section.id("id", '-'),
        is: section.word("is"),
        level: section.level(),
        matches: (!is_else).then(|| section.choices("match", &section.scopes().entry, Cursor::matching)),
        when: section.when(&section.scopes().entry),
        cite: section.cite(),
    }
}

pub(super) fn field(section: &Section<'_>, name: At<String>) -> Field {
    Field {
        name,
        classes: section.classes(),
        level: section.level(),
        when: section.when(&section.scopes().entry),
        bits: section.choices("bits", &section.scopes().entry, Cursor::bit_map),
        meaning: meaning(section),
        doc: section.doc(),
        cite: section.cite(),
    }
}

/// What a field means. Exactly one of these keys must be there.
fn meaning(section: &Section<'_>) -> Meaning {
    let (present, all) = section.one_of();
    if let [(first, value), (second, other), ..] = present[..] {
        section.context.report(
            Diagnostic::new("a field means one thing", other.span, format!("`{second}` says what it means"))
                .and(value.span, format!("`{first}` does so, too")),
        );
    }
    let scopes = section.scopes();
    match present.first().map(|(key, _)| *key) {
        Some("address") => {
            if section.second_of_two("address") {
                Meaning::Table
            } else {
                Meaning::Output
            }
        }
        Some("next") => Meaning::NextLevel(section.parse("next", &scopes.nothing, Cursor::signed)),
        Some("rights") => Meaning::Rights(rows(section, "rights", Cursor::facts)),
        Some("memory") => Meaning::Memory(memory(section)),
        Some("option") => {
            let rows = rows(section, "option", |cursor| Ok(cursor.kebab("the option's name")?.value.to_owned()));
            report_same_options(section, &rows);
            let default = default_option(section, &rows);
            Meaning::Option(rows, default)
        }
        Some("value") => Meaning::Fixed(section.choices("value", &scopes.entry, Cursor::expression)),
        Some(_) => {
            section.flag("software");
            Meaning::Software
        }
        None => {
            section.context.report_missing(
                Diagnostic::new("the field has no meaning", section.span, "this field")
                    .help(format!("one key says what a field means: `{}`", all.join("`, `"))),
            );
            Meaning::Software
        }
    }
}

/// The value rows under a key, and `other`.
fn rows<'c, T>(section: &'c Section<'_>, key: &'static str, meaning: impl Fn(&mut Cursor<'c>) -> Parsed<T>) -> Rows<T> {
    let rows = section.list(key, &section.scopes().entry, |cursor| cursor.value_row(&meaning));
    for (index, row) in rows.iter().enumerate() {
        if let Some(earlier) = rows[..index].iter().find(|earlier| excludes(earlier, row)) {
            section.context.report(
                Diagnostic::new(format!("the value {:#b} has two rows", row.value), row.span, "again")
                    .and(earlier.span, "first"),
            );
        }
    }
    Rows { rows, other: section.optional_word("other").unwrap_or(Other::None), through: None }
}

/// The rows of memory types, for the field's own value or for the byte of a register that it selects.
fn memory(section: &Section<'_>) -> Rows<MemoryType> {
    let mut rows = rows(section, "memory", Cursor::word);
    let scope = &section.scopes().space;
    rows.through = section.optional("through", scope, |cursor| cursor.placed(Cursor::expression));
    let Some(register) = &rows.through else { return rows };
    if rows.other != Other::None {
        let problem = Diagnostic::new("a byte without a row is never illegal", register.span, "picks bytes");
        section.context.report(problem.help("leave `other` out: such a byte has no name here"));
    }
    for row in rows.rows.iter().filter(|row| row.value > 0xff) {
        let problem = Diagnostic::new(format!("{:#x} is no byte", row.value), row.span, "a row");
        section.context.report(problem.and(register.span, "the rows are of bytes of this"));
    }
    rows
}

/// Whether `earlier` is for the same value and exists wherever `row` does. The checker finds other overlaps.
fn excludes<T>(earlier: &Row<T>, row: &Row<T>) -> bool {
    let text = |row: &Row<T>| row.when.as_ref().map(ToString::to_string);
    earlier.value == row.value && (earlier.when.is_none() || text(earlier) == text(row))
}

/// Refuses an option with two values of one name, as the name would not say which is meant.
fn report_same_options(section: &Section<'_>, rows: &Rows<String>) {
    for (index, row) in rows.rows.iter().enumerate().filter(|(_, row)| !row.decode_only) {
        let same = |earlier: &&Row<String>| earlier.meaning == row.meaning && !earlier.decode_only;
        let meets = |earlier: &&Row<String>| earlier.when.is_none() || row.when.is_none();
        if let Some(earlier) = rows.rows[..index].iter().filter(same).find(meets) {
            let problem = Diagnostic::new(format!("the option `{}` has two values", row.meaning), row.span, "again");
            section.context.report(problem.and(earlier.span, "first"));
        }
    }
}

/// `default` of an option: the first row's value if not given.
fn default_option(section: &Section<'_>, rows: &Rows<String>) -> u64 {
    let first = rows.rows.first().map_or(0, |row| row.value);
    let default = section.optional("default", &section.scopes().nothing, |cursor| cursor.placed(Cursor::number));
    let Some(default) = default else { return first };
    if !rows.rows.is_empty() && !rows.rows.iter().any(|row| row.value == default.value) {
        section.context.report(Diagnostic::new("the default has no row", default.span, "this value"));
    }
    default.value
}

pub(super) fn run(section: &Section<'_>) -> Run {
    let scopes = section.scopes();
    let test = scopes.entry.with(["run_bits"]);
    Run {
        id: section.id("id", '-'),
        level: section.level(),
        items: section.placed("items", &scopes.nothing, |cursor| {
            let items = cursor.placed(Cursor::set)?;
            match items.value.iter().find(|items| **items < 2 || !items.unsigned_abs().is_power_of_two()) {
                Some(bad) => {
                    let message = format!("a run has a power of two of items, not {bad}");
                    Err(Diagnostic::new(message, items.span, "these numbers of items"))
                }
                None => Ok(items.value),
            }
        }),
        when: section.when(&scopes.entry),
        mark: one_value(section, "mark", &test),
        single: one_value(section, "single", &test),
        shared: section.second_of_two("addresses"),
        cite: section.cite(),
    }
}

/// Reads tests that determine the value of every bit that they test.
fn one_value(section: &Section<'_>, key: &'static str, scope: &Names) -> Match {
    let tests: Match = section.parse(key, scope, Cursor::matching);
    let is_vague = |test: &&Test| !matches!(test.values[..], [TestValue::Value(_) | TestValue::Ones]) || test.negated;
    for test in tests.0.iter().filter(is_vague) {
        let message = format!("`{key}` tests each bit for one value");
        let problem = Diagnostic::new(message, test.span, "several values may pass this test");
        section.context.report(problem.help("test for one value with `==`"));
    }
    tests
}

pub(super) fn fix(section: &Section<'_>) -> Fix {
    let scopes = section.scopes();
    Fix {
        id: section.id("id", '-'),
        classes: section.classes(),
        level: section.level(),
        when: section.when(&scopes.entry),
        bits: section.choices("bits", &scopes.entry, Cursor::bit_map),
        is: section.choices("is", &scopes.entry, Cursor::word),
        cite: section.cite(),
    }
}
