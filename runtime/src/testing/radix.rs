//! Law 1: every bit of an input address is decoded exactly once, and none is left over.

use std::collections::BTreeMap;
use std::prelude::rust_2024::*;

use crate::{Entry, Level, Table};

use super::samples::{below, few_addresses, levels, some_attributes};
use super::{Case, Verdict, ensure};

pub(super) fn check(case: &Case<'_>) -> Verdict {
    indices(case)?;
    for level in levels(case.subject) {
        for size in case.subject.page_sizes(level).iter() {
            path(case, level, size)?;
        }
    }
    Ok(())
}

/// Each bit of an address moves the index at one level, or the offset in the page.
fn indices(case: &Case<'_>) -> Verdict {
    let subject = case.subject;
    let geometry = subject.geometry();
    let declared = &case.reference.0.params;
    ensure!(i64::from(geometry.levels) == declared.levels(), "{} levels, not {}", geometry.levels, declared.levels());
    let input_bits = declared.input_bits();
    ensure!(i64::from(geometry.input_bits) == input_bits, "{} input bits, not {input_bits}", geometry.input_bits);
    for ia in few_addresses(0, 64) {
        for bit in 0..64 {
            let moves = |level: &Level| subject.index(*level, ia) != subject.index(*level, ia ^ 1 << bit);
            let moved: Vec<Level> = levels(subject).filter(moves).collect();
            let once = if (geometry.page_bits..geometry.input_bits).contains(&bit) { 1 } else { 0 };
            ensure!(moved.len() == once, "bit {bit} of an input address moves the index at levels {moved:?}");
        }
    }
    for level in levels(subject) {
        let (last, entries) = (subject.index(level, below(geometry.input_bits)), geometry.entries(level) as u64);
        ensure!(last + 1 == entries, "the last index at level {level} is {last}, of {entries} entries");
    }
    Ok(())
}

/// Tables that map one leaf translate the addresses of that leaf, and no other.
fn path(case: &Case<'_>, level: Level, size: u8) -> Verdict {
    let subject = case.subject;
    let geometry = subject.geometry();
    let Some(attributes) = some_attributes(subject, level, size).first().copied() else {
        return Err(format!("no leaf of 2^{size} bytes at level {level} can be made"));
    };
    for (start, oa) in
        few_addresses(size, geometry.input_bits).into_iter().zip(few_addresses(size, geometry.output_bits))
    {
        let mut memory = BTreeMap::new();
        for above in level + 1..=geometry.top() {
            let entry = subject.table(above, table_at(above - 1)).map_err(|refusal| refusal.to_string())?;
            memory.insert(slot(case, above, table_at(above), start), entry);
        }
        let items = subject.leaf(level, size, oa, &attributes).map_err(|refusal| refusal.to_string())?;
        let first = slot(case, level, table_at(level), start);
        memory.extend((first..).step_by(1 << case.reference.0.word.size).zip(items));
        for ia in [start, start | below(size)] {
            let found = walk(case, &memory, ia);
            ensure!(found == Some(oa | ia & below(size)), "{ia:#x}, mapped to {oa:#x}, translates to {found:#x?}");
            for bit in size..geometry.input_bits {
                let found = walk(case, &memory, ia ^ 1 << bit);
                ensure!(found.is_none(), "{ia:#x} is mapped, and so is {:#x}: to {found:#x?}", ia ^ 1 << bit);
            }
        }
    }
    Ok(())
}

/// Where the table of a level is. None is at 0: there, a format may keep the table that stands for nothing.
fn table_at(level: Level) -> u64 {
    (u64::from(level) + 1) << 20
}

/// Where the entry is that translates `ia`.
fn slot(case: &Case<'_>, level: Level, table: u64, ia: u64) -> u64 {
    table + (case.subject.index(level, ia) << case.reference.0.word.size)
}

fn walk(case: &Case<'_>, memory: &BTreeMap<u64, u64>, ia: u64) -> Option<u64> {
    let subject = case.subject;
    let mut level = subject.geometry().top();
    let mut table = table_at(level);
    loop {
        let raw = memory.get(&slot(case, level, table, ia)).copied().unwrap_or(subject.empty(level));
        match subject.decode(level, raw) {
            Entry::Table(Table { address, level: next, .. }) if next < level => (table, level) = (address, next),
            Entry::Leaf(leaf) => return Some(leaf.address & !below(leaf.size) | ia & below(leaf.size)),
            _ => return None,
        }
    }
}
