//! A copy of the live tables as they were seen last, by which edits of entries are judged.

extern crate std;

use std::collections::{BTreeSet, HashMap};
use std::vec::Vec;

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::interpret::{Decoded, Edit};

use super::guest::Guest;
use super::{Machine, Violation};
use crate::{HostPhysAddr, Level, Tag};

/// log2 of the smallest table.
const FRAME: u8 = 12;

/// A table by its guest and address.
type Key = (Tag, u64);

/// The live tables as last seen.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    /// The level and entries of each.
    tables: HashMap<Key, (Level, Vec<u64>)>,
    /// Frames in which entries were written since.
    written: BTreeSet<u64>,
}

impl Shadow {
    /// Notes that entries in `length` bytes from `start` on were written.
    pub(super) fn note(&mut self, start: HostPhysAddr, length: usize) {
        let (first, last) = (start.as_usize() >> FRAME, (start.as_usize() + length.max(1) - 1) >> FRAME);
        self.written.extend((first..=last).map(|frame| (frame << FRAME) as u64));
    }

    /// Forgets a guest's tables.
    pub(super) fn forget(&mut self, tag: Tag) {
        self.tables.retain(|&(owner, _), _| owner != tag);
    }

    /// Compares all live tables with how they were seen last: the edits that needed a break.
    pub(super) fn compare_all(&mut self, machine: &Machine, guests: &[Guest]) -> Vec<Violation> {
        let mut now = Self::default();
        for guest in guests {
            now.collect(machine, guest, guest.root, guest.bound.geometry.top());
        }
        let mut found = Vec::new();
        for (key, (level, before)) in &self.tables {
            if let Some((_, now)) = now.tables.get(key).filter(|(now, _)| now == level)
                && let Some(guest) = guests.iter().find(|guest| guest.tag == key.0)
            {
                found.extend(unbroken(guest, *level, before, now));
            }
        }
        *self = now;
        found
    }

    /// As [`Self::compare_all`], only for the tables that were written to since, and those below them: comparing all
    /// tables each time would take forever in large spaces.
    pub(super) fn compare_written(&mut self, machine: &Machine, guests: &[Guest]) -> Vec<Violation> {
        if guests.iter().any(|guest| !self.tables.contains_key(&(guest.tag, guest.root))) {
            // One was loaded since.
            return self.compare_all(machine, guests);
        }
        let mut found = Vec::new();
        for frame in core::mem::take(&mut self.written) {
            for guest in guests {
                let Some((key, level, before)) = self.table_of(guest, frame) else { continue };
                let now = entries(machine, guest, key.1, level);
                found.extend(unbroken(guest, level, &before, &now));
                for (&old, &new) in before.iter().zip(&now).filter(|(old, new)| old != new) {
                    if let Decoded::Table(next) = guest.bound.decode(level, old) {
                        self.forget_below(guest, next.address);
                    }
                    if let Decoded::Table(next) = guest.bound.decode(level, new) {
                        self.collect(machine, guest, next.address, next.level);
                    }
                }
                self.tables.insert(key, (level, now));
            }
        }
        found
    }

    /// The guest's live table that `frame` is part of: which it is, its level, and what it held.
    fn table_of(&self, guest: &Guest, frame: u64) -> Option<(Key, Level, Vec<u64>)> {
        let geometry = &guest.bound.geometry;
        // Tables of some levels may be larger than those of others.
        (0..=geometry.top()).rev().find_map(|of| {
            let size = (geometry.level_index_bits(of) + geometry.word_bits).max(FRAME);
            let key = (guest.tag, frame >> size << size);
            let (level, entries) = self.tables.get(&key)?;
            (*level == of).then(|| (key, of, entries.clone()))
        })
    }

    /// Takes up a table and all below it, with their entries.
    fn collect(&mut self, machine: &Machine, guest: &Guest, table: u64, level: Level) {
        let entries = entries(machine, guest, table, level);
        for &raw in &entries {
            if let Decoded::Table(next) = guest.bound.decode(level, raw) {
                self.collect(machine, guest, next.address, next.level);
            }
        }
        self.tables.insert((guest.tag, table), (level, entries));
    }

    /// Takes a table that was unlinked, and all below it, out again.
    fn forget_below(&mut self, guest: &Guest, table: u64) {
        let Some((level, entries)) = self.tables.remove(&(guest.tag, table)) else { return };
        for raw in entries {
            if let Decoded::Table(next) = guest.bound.decode(level, raw) {
                self.forget_below(guest, next.address);
            }
        }
    }
}

/// What a table holds.
fn entries(machine: &Machine, guest: &Guest, table: u64, level: Level) -> Vec<u64> {
    let Bound { geometry, word, .. } = &guest.bound;
    let slots = (0..1_u64 << geometry.level_index_bits(level)).map(|index| table + (index << geometry.word_bits));
    slots.map_while(|slot| Some(word.get(machine.read_word(slot & !7)?, slot))).collect()
}

/// The edits of live entries that needed a break, and had none.
fn unbroken(guest: &Guest, level: Level, before: &[u64], now: &[u64]) -> Vec<Violation> {
    let changed = before.iter().zip(now).filter(|(old, new)| old != new);
    let broken = changed.filter(|&(&old, &new)| guest.bound.edit(level, old, new) == Edit::BreakBeforeMake);
    broken.map(|(&old, &new)| Violation::NoBreak { level, old, new }).collect()
}
