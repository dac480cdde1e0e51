//! Writes mappings as JSON, for programs.

use std::io::{self, Write};

use serde_json::{Value, json};
use tablewright_archdefs::mappings::{Change, Content, Extent};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

/// An array that is written value by value, each on a line of its own.
#[derive(Default)]
pub(super) struct Array {
    begun: bool,
}

impl Array {
    pub(super) fn push(&mut self, value: &Value, out: &mut dyn Write) -> io::Result<()> {
        let before = if std::mem::replace(&mut self.begun, true) { ",\n " } else { "[\n " };
        write!(out, "{before}{value}")
    }

    pub(super) fn end(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", if self.begun { "\n]" } else { "[]" })
    }
}

/// Numbers as text: many JSON readers cannot hold numbers of 64 bits.
fn address(value: u64) -> Value {
    format!("{value:#x}").into()
}

pub(super) fn extent(extent: &Extent) -> Value {
    let mut value = content(&extent.content);
    value["first"] = address(extent.first);
    value["last"] = address(extent.last);
    value
}

pub(super) fn change(change: &Change) -> Value {
    let side = |side: &Option<Content>| side.as_ref().map(content);
    json!({
        "first": address(change.first),
        "last": address(change.last),
        "old": side(&change.old),
        "new": side(&change.new),
    })
}

fn content(content: &Content) -> Value {
    match content {
        Content::Mapped(to) => {
            let pages =
                to.sizes.iter().map(|(size, bytes)| json!({ "size": address(1 << size), "bytes": address(*bytes) }));
            json!({
                "kind": "mapped",
                "output": address(to.output),
                "rights": show::facts(to.facts),
                "memory": to.memory.map(Word::word),
                "options": to.options,
                "pages": pages.collect::<Vec<_>>(),
                "broken_run": to.broken_run,
            })
        }
        Content::Reserved { level, rule, slot, raw } => json!({
            "kind": "reserved", "level": level, "rule": &**rule, "entry": address(*slot), "raw": address(*raw),
        }),
        Content::Unreadable { level, slot } => json!({ "kind": "unreadable", "level": level, "entry": address(*slot) }),
        Content::Loop { level, slot, table } => json!({
            "kind": "loop", "level": level, "entry": address(*slot), "table": address(*table),
        }),
        Content::Shared { level, table, first } => json!({
            "kind": "shared", "level": level, "table": address(*table), "as_from": address(*first),
        }),
    }
}
