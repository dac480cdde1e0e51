//! Visits every present entry of a set of tables.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::bound::{Bound, low_bits};
use crate::interpret::{Decoded, LeafEntry, TableEntry};
use crate::model::Facts;

/// log2 of the largest table, in bytes, that is visited.
const LARGEST_TABLE: u8 = 32;

/// Unreadable memory is skipped in blocks of this size, in bytes.
const BLOCK: u64 = 4096;

/// An entry, and the input addresses that it translates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visited {
    /// The first of the input addresses.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// The level of its table.
    pub level: u8,
    /// Its address.
    pub slot: u64,
    /// Its value; 0 if it cannot be read.
    pub raw: u64,
    /// What it is.
    pub finding: Finding,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It points to a table, whose entries follow.
    Table(TableEntry),
    /// It maps memory.
    Leaf {
        /// The leaf, with the rights that remain of all entries on the way.
        leaf: LeafEntry,
        /// Whether it is an item of a run whose other items say something else.
        broken_run: bool,
    },
    /// It is illegal; names the row, field, fix or run of the file that says so.
    Reserved(Arc<str>),
    /// It, and maybe some after it, cannot be read.
    Unreadable,
    /// It points to a table through which it was itself reached. The table is not visited again.
    Loop(TableEntry),
    /// It points to a table that was visited before, which is not visited again.
    Shared {
        /// What it points to.
        table: TableEntry,
        /// The first input address that the table translated at that visit.
        first: u64,
    },
}

/// The error for tables too large to be visited, with log2 of their size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge(pub u8);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tables of 2^{} bytes are too large to be listed", self.0)
    }
}

impl std::error::Error for TooLarge {}

/// The entries of tables that are present, in the order of the input addresses. Entries that are not present are left
/// out.
///
/// It ends on any tables: one that is reached through itself is not followed, and one that is reached twice is visited
/// once, so that there are never more steps than readable entries, times levels.
#[derive(Clone, Debug)]
pub struct Mappings<'a, R> {
    bound: &'a Bound,
    read: R,
    path: Vec<Table>,
    /// Where the tables visited so far begin, by address and level.
    visited: HashMap<(u64, u8), u64>,
}

/// A table that is being visited.
#[derive(Clone, Copy, Debug)]
struct Table {
    address: u64,
    level: u8,
    /// The first input address that it translates.
    base: u64,
    /// The rights that remain of all entries above.
    limit: Facts,
    /// The next entry.
    next: u64,
    /// The number of entries.
    entries: u64,
    /// The run being visited: its last item, and whether its items say the same.
    run: Option<(u64, bool)>,
}

impl Bound {
    /// The entries of the tables under `root`. `read` loads the 64 bits at an address, a multiple of eight, as a CPU does;
    /// `None` if it cannot.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if tables have more than 4 GiB.
    pub fn mappings<R: FnMut(u64) -> Option<u64>>(&self, root: u64, read: R) -> Result<Mappings<'_, R>, TooLarge> {
        let largest = self.geometry.root_bits();
        if largest > LARGEST_TABLE {
            return Err(TooLarge(largest));
        }
        let mut mappings = Mappings { bound: self, read, path: Vec::new(), visited: HashMap::new() };
        mappings.enter(&TableEntry { address: root, level: self.geometry.top(), limit: Facts::RIGHTS }, 0);
        Ok(mappings)
    }
}

impl<R: FnMut(u64) -> Option<u64>> Mappings<'_, R> {
    /// How many tables were visited so far.
    pub fn tables(&self) -> usize {
        self.visited.len()
    }

    fn enter(&mut self, table: &TableEntry, base: u64) {
        let TableEntry { address, level, limit } = *table;
        self.visited.insert((address, level), base);
        let entries = 1 << self.bound.geometry.level_index_bits(level);
        self.path.push(Table { address, level, base, limit, next: 0, entries, run: None });
    }

    /// Visits the next entry of the innermost table; `None` if it is not present.
    fn step(&mut self, table: &mut Table) -> Option<Visited> {
        let geometry = &self.bound.geometry;
        let index = table.next;
        let slot = table.address.wrapping_add(index << geometry.word_bits);
        let bits = geometry.entry_bits(table.level);
        let raw = self.load(slot);
        // Skips the part of this table that lies in the unreadable block.
        let count = if raw.is_some() {
            1
        } else {
            ((BLOCK - slot % BLOCK) >> geometry.word_bits).clamp(1, table.entries - index)
        };
        table.next += count;
        let first = table.base | shift_left(index, bits);
        let last = first + shift_left(count - 1, bits) + low_bits(u64::MAX, bits);
        let finding = match raw.map(|raw| self.bound.decode(table.level, raw)) {
            None => Finding::Unreadable,
            Some(Decoded::Invalid) => return None,
            Some(Decoded::Reserved(rule)) => Finding::Reserved(rule),
            Some(Decoded::Table(next)) => self.table(TableEntry { limit: next.limit & table.limit, ..next }),
            Some(Decoded::Leaf(leaf)) => {
                let broken_run = leaf.items > 1 && !self.is_whole(table, index, &leaf);
                let facts = leaf.facts & (table.limit | !Facts::RIGHTS);
                Finding::Leaf { leaf: LeafEntry { facts, ..leaf }, broken_run }
            }
        };
        let (first, last) = (geometry.extend(first), geometry.extend(last));
        Some(Visited { first, last, level: table.level, slot, raw: raw.unwrap_or(0), finding })
    }

    /// The value of the entry at `slot`.
    fn load(&mut self, slot: u64) -> Option<u64> {
        (self.read)(slot & !7).map(|word| self.bound.word.get(word, slot))
    }

    fn table(&self, next: TableEntry) -> Finding {
        let same_place = |table: &Table| table.address == next.address;
        match self.visited.get(&(next.address, next.level)) {
            _ if self.path.iter().any(same_place) => Finding::Loop(next),
            Some(&first) => Finding::Shared { table: next, first: self.bound.geometry.extend(first) },
            None => Finding::Table(next),
        }
    }

    /// Whether all items of the run to which the entry `index` of `table` belongs say the same.
    fn is_whole(&mut self, table: &mut Table, index: u64, leaf: &LeafEntry) -> bool {
        if let Some((last, whole)) = table.run
            && index <= last
        {
            return whole;
        }
        let start = index & !(leaf.items - 1);
        let bits = self.bound.geometry.entry_bits(table.level);
        let place = |item: &LeafEntry, index: u64| item.address | low_bits(index << bits, item.aligned);
        let begin = place(leaf, index).wrapping_sub((index - start) << bits);
        let whole = leaf.items <= table.entries
            && (start..start + leaf.items).all(|other| {
                let raw = self.load(table.address.wrapping_add(other << self.bound.geometry.word_bits));
                match raw.map(|raw| self.bound.decode(table.level, raw)) {
                    Some(Decoded::Leaf(item)) => {
                        item.size == leaf.size
                            && (item.facts ^ leaf.facts).intersection(Facts::RIGHTS).is_empty()
                            && (item.memory, item.options) == (leaf.memory, leaf.options)
                            && place(&item, other) == begin.wrapping_add((other - start) << bits)
                    }
                    _ => false,
                }
            });
        table.run = Some((start + leaf.items - 1, whole));
        whole
    }
}

impl<R: FnMut(u64) -> Option<u64>> Iterator for Mappings<'_, R> {
    type Item = Visited;

    fn next(&mut self) -> Option<Visited> {
        while let Some(&(mut table)) = self.path.last() {
            if table.next >= table.entries {
                self.path.pop();
                continue;
            }
            let base = table.base | shift_left(table.next, self.bound.geometry.entry_bits(table.level));
            let visited = self.step(&mut table);
            if let Some(last) = self.path.last_mut() {
                *last = table;
            }
            if let Some(visited) = visited {
                if let Finding::Table(next) = visited.finding {
                    self.enter(&next, base);
                }
                return Some(visited);
            }
        }
        None
    }
}

/// `value << by`, where `by` may be 64.
fn shift_left(value: u64, by: u8) -> u64 {
    value.checked_shl(by.into()).unwrap_or(0)
}
