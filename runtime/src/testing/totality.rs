//! Law 6: every value means something, and what is made is made as hardware wants it.

use crate::{Entry, Level, Options};
use std::prelude::rust_2024::*;
use tablewright_archdefs::bound::Shape;
use tablewright_archdefs::model::FixClass;

use super::samples::{below, foreign_entries, levels, own_entries};
use super::{Case, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    for level in levels(case.subject) {
        for raw in foreign_entries(case, level) {
            sound(case, level, raw)?;
        }
        for raw in own_entries(case, level) {
            let entry = sound(case, level, raw)?;
            ensure!(!matches!(entry, Entry::Reserved(_)), "level {level}: {raw:#x} was made, and is reserved");
            fixed_bits(case, level, raw)?;
        }
    }
    Ok(())
}

/// What the value means makes sense.
fn sound(case: &Case<'_>, level: Level, raw: u64) -> Result<Entry, String> {
    let subject = case.subject;
    let geometry = subject.geometry();
    let entry = subject.decode(level, raw);
    match entry {
        Entry::Leaf(leaf) => {
            let offered = subject.page_sizes(level).contains(leaf.size) || leaf.size > geometry.input_bits;
            ensure!(offered, "level {level}: {raw:#x} is a leaf of 2^{} bytes, which is not offered", leaf.size);
            let items = 1 << (leaf.size - geometry.entry_bits(level));
            ensure!(leaf.items == items, "level {level}: {raw:#x} is one of {} items, not {items}", leaf.items);
            let fits = leaf.address & below(geometry.entry_bits(level)) == 0
                && leaf.address <= below(case.reference.0.geometry.decode_bits);
            ensure!(fits, "level {level}: {raw:#x} maps to {:#x}", leaf.address);
        }
        Entry::Table(table) => {
            ensure!(table.level < level, "level {level}: {raw:#x} leads up to level {}", table.level);
            let fits =
                table.address <= geometry.last_output() && table.address & below(case.reference.0.word.size) == 0;
            ensure!(fits, "level {level}: {raw:#x} leads to {:#x}", table.address);
        }
        Entry::Invalid | Entry::Reserved(_) => {}
    }
    Ok(entry)
}

/// Bits that fault if they are wrong do so, and bits that hardware ignores change nothing.
fn fixed_bits(case: &Case<'_>, level: Level, raw: u64) -> Verdict {
    let subject = case.subject;
    let entry = subject.decode(level, raw);
    let Some(shape) = shape(case, level, entry) else {
        return Ok(());
    };
    for fix in &shape.fixes {
        for bit in (0..64).filter(|bit| fix.mask >> bit & 1 == 1) {
            let is_one = raw >> bit & 1 == 1;
            let flipped = subject.decode(level, raw ^ 1 << bit);
            let mut same = entry;
            if let (Entry::Leaf(leaf), true) = (&mut same, fix.is == FixClass::Software) {
                leaf.attributes.options = Options::from_bits(leaf.attributes.options.bits() ^ 1 << bit);
            }
            let (right, wanted) = match fix.is {
                FixClass::MustBeZero => (!is_one, Entry::Reserved("")),
                FixClass::MustBeOne => (is_one, Entry::Reserved("")),
                FixClass::WriteZero | FixClass::Ignored | FixClass::Software | FixClass::Hardware => (!is_one, same),
                FixClass::WriteOne => (is_one, same),
            };
            ensure!(right, "level {level}: bit {bit} of {raw:#x} is wrong for `{}`", fix.id);
            ensure!(
                flipped == wanted,
                "level {level}: {raw:#x} with bit {bit} flipped is {flipped:x?}, not {wanted:x?}"
            );
        }
    }
    Ok(())
}

/// Whose bits are whose in such an entry, by the file.
fn shape<'a>(case: &Case<'a>, level: Level, entry: Entry) -> Option<&'a Shape> {
    let level = case.reference.0.level(level)?;
    match entry {
        Entry::Table(_) => level.table.as_ref(),
        Entry::Leaf(leaf) if leaf.items == 1 => level.leaf.as_ref(),
        Entry::Leaf(leaf) => level.runs.iter().find(|run| run.run_bits == leaf.size).map(|run| &run.shape),
        Entry::Invalid | Entry::Reserved(_) => None,
    }
}
