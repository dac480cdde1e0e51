//! A walk, as an MMU does it.

use std::sync::Arc;

use super::Decoded;
use crate::bound::{Bound, low_bits, shift_right};
use crate::model::{Facts, MemoryType};

/// The end of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// It translates.
    Translated(Translation),
    /// Nothing is mapped there: the entry at this level is not present.
    NotMapped {
        /// The level of the entry.
        level: u8,
    },
    /// An illegal entry.
    Reserved {
        /// The level of the entry.
        level: u8,
        /// The row, field, fix or run of the file that says so.
        rule: Arc<str>,
    },
    /// The input address is wider than the format's.
    InputTooWide,
    /// A table cannot be read.
    ReadFailed {
        /// The level of the table.
        level: u8,
        /// The address of the entry.
        address: u64,
    },
}

/// A translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Where the input address maps to.
    pub address: u64,
    /// The level of the leaf.
    pub level: u8,
    /// log2 of the leaf's size, run included.
    pub size: u8,
    /// The rights that remain of all entries on the way; the states of the leaf.
    pub facts: Facts,
    /// The memory type; `None` if it is legal but has no name.
    pub memory: Option<MemoryType>,
    /// The leaf's option and software bits that differ from the format's defaults.
    pub options: u64,
}

/// Where a walk starts: at the root, or at a table that a paging-structure cache remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The table's address.
    pub table: u64,
    /// The table's level.
    pub level: u8,
    /// The rights that remain of all entries above.
    pub limit: Facts,
}

/// One entry read on a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The level.
    pub level: u8,
    /// The table's address.
    pub table: u64,
    /// The entry's index in the table.
    pub index: u64,
    /// The entry's address.
    pub slot: u64,
    /// The entry.
    pub raw: u64,
    /// What it means.
    pub decoded: Decoded,
}

impl Bound {
    /// Translates `ia` with the tables under `root`. `read` loads the 64 bits at an address, a multiple of eight, as a CPU
    /// does; `None` if it cannot.
    pub fn walk(&self, root: u64, ia: u64, read: impl FnMut(u64) -> Option<u64>) -> Walk {
        self.walk_from(self.start(root), ia, read, |_| {})
    }

    /// The start of a walk at the root.
    pub fn start(&self, root: u64) -> Start {
        Start { table: root, level: self.geometry.top(), limit: Facts::RIGHTS }
    }

    /// Translates `ia`, beginning at the table `from`, and passes each entry that it reads to `see`.
    ///
    /// Each table is at a lower level than the one before: a walk cannot loop.
    pub fn walk_from(
        &self,
        start: Start,
        ia: u64,
        mut read: impl FnMut(u64) -> Option<u64>,
        mut see: impl FnMut(&Step),
    ) -> Walk {
        if !self.geometry.accepts(ia) {
            return Walk::InputTooWide;
        }
        let Start { mut table, mut level, mut limit } = start;
        loop {
            let index = self.geometry.index(level, ia);
            let slot = table.wrapping_add(index << self.word.size);
            let Some(word) = read(slot & !7) else {
                return Walk::ReadFailed { level, address: slot };
            };
            let raw = self.word.get(word, slot);
            let decoded = self.decode(level, raw);
            let step = Step { level, table, index, slot, raw, decoded };
            see(&step);
            match step.decoded {
                Decoded::Invalid => return Walk::NotMapped { level },
                Decoded::Reserved(rule) => return Walk::Reserved { level, rule },
                Decoded::Leaf(leaf) => {
                    return Walk::Translated(Translation {
                        address: leaf.address | low_bits(ia, leaf.aligned),
                        level,
                        size: leaf.size,
                        facts: leaf.facts & (limit | !Facts::RIGHTS),
                        memory: leaf.memory,
                        options: leaf.options,
                    });
                }
                Decoded::Table(next) => {
                    if self.skipped_bits(level, next.level, ia) != 0 {
                        return Walk::NotMapped { level };
                    }
                    limit &= next.limit;
                    table = next.address;
                    level = next.level;
                }
            }
        }
    }

    /// The index bits of the levels between `from` and `to`, which a table that skips them leaves untranslated: they
    /// must be zero.
    fn skipped_bits(&self, from: u8, to: u8, ia: u64) -> u64 {
        let first = self.geometry.entry_bits(to + 1);
        shift_right(low_bits(ia, self.geometry.entry_bits(from)), first)
    }
}
