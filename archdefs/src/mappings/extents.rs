//! Joins neighbouring entries that say the same.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use super::{Finding, Visited};
use crate::bound::{Bound, low_bits};
use crate::interpret::LeafEntry;
use crate::model::{Facts, MemoryType};

/// A range of input addresses about which tables say one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first of them.
    pub first: u64,
    /// The last of them.
    pub last: u64,
    /// What the tables say about them.
    pub content: Content,
}

/// What tables say of an [`Extent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is mapped.
    Mapped(Mapped),
    /// Entries at this level are illegal; the row, field, fix or run of the file that says so.
    Reserved {
        /// The level.
        level: u8,
        /// What makes them illegal.
        rule: Arc<str>,
        /// The address of the first entry.
        slot: u64,
        /// Its value.
        raw: u64,
    },
    /// Entries at this level cannot be read.
    Unreadable {
        /// The level.
        level: u8,
        /// The address of the first entry.
        slot: u64,
    },
    /// Entries at this level point to a table through which they were reached.
    Loop {
        /// The level.
        level: u8,
        /// The address of the first entry.
        slot: u64,
        /// The table's address.
        table: u64,
    },
    /// Entries at this level point to a table that was visited before.
    Shared {
        /// The level.
        level: u8,
        /// The table's address.
        table: u64,
        /// The first input address that it translated at that visit.
        first: u64,
    },
}

/// A range of input addresses that maps to a range of output addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The first output address.
    pub output: u64,
    /// The rights, and the states if they were asked for.
    pub facts: Facts,
    /// The memory type; `None` if it is legal but has no name.
    pub memory: Option<MemoryType>,
    /// The options that differ from the format's defaults, in the words of its file.
    pub options: Vec<String>,
    /// For each page size (its log2), how many bytes are mapped in such pages.
    pub sizes: BTreeMap<u8, u64>,
    /// Whether some of it is part of a run whose items do not say the same.
    pub broken_run: bool,
}

impl Mapped {
    /// Whether `next`, which begins `length` bytes later, continues this mapping; page sizes may differ.
    fn continues(&self, length: u64, next: &Self) -> bool {
        self.output.wrapping_add(length) == next.output && self.says_as(next)
    }

    fn says_as(&self, other: &Self) -> bool {
        let said = |this: &Self| (this.facts, this.memory, this.broken_run);
        said(self) == said(other) && self.options == other.options
    }
}

impl Content {
    /// Whether this is a defect of the tables: a reserved entry, a loop, a table that cannot be read, a broken run.
    pub fn is_defect(&self) -> bool {
        match self {
            Self::Mapped(mapped) => mapped.broken_run,
            Self::Reserved { .. } | Self::Unreadable { .. } | Self::Loop { .. } => true,
            Self::Shared { .. } => false,
        }
    }

    /// What an extent says `by` input addresses after its start.
    #[must_use]
    pub fn advanced(&self, by: u64) -> Self {
        let mut later = self.clone();
        if let Self::Mapped(mapped) = &mut later {
            mapped.output = mapped.output.wrapping_add(by);
        }
        later
    }

    /// Whether `next`, which begins `length` input addresses later, says the same.
    pub(super) fn continues(&self, length: u64, next: &Self) -> bool {
        match (self, next) {
            (Self::Mapped(mapped), Self::Mapped(next)) => mapped.continues(length, next),
            (Self::Reserved { level, rule, .. }, Self::Reserved { level: next_level, rule: next_rule, .. }) => {
                (level, rule) == (next_level, next_rule)
            }
            (Self::Unreadable { level, .. }, Self::Unreadable { level: next, .. }) => level == next,
            (Self::Loop { level, table, .. }, Self::Loop { level: next, table: next_table, .. })
            | (Self::Shared { level, table, .. }, Self::Shared { level: next, table: next_table, .. }) => {
                (level, table) == (next, next_table)
            }
            _ => false,
        }
    }
}

impl Extent {
    /// What one entry says; `None` if it points to a table, whose own entries follow. Without `states`, accessed and
    /// dirty are left out.
    pub fn of(bound: &Bound, visited: &Visited, states: bool) -> Option<Self> {
        let (level, slot) = (visited.level, visited.slot);
        let content = match &visited.finding {
            Finding::Table(_) => return None,
            Finding::Leaf { leaf, broken_run } => Content::Mapped(mapped(bound, visited, leaf, *broken_run, states)),
            Finding::Reserved(rule) => Content::Reserved { level, rule: rule.clone(), slot, raw: visited.raw },
            Finding::Unreadable => Content::Unreadable { level, slot },
            Finding::Loop(table) => Content::Loop { level, slot, table: table.address },
            Finding::Shared { table, first } => Content::Shared { level, table: table.address, first: *first },
        };
        Some(Self { first: visited.first, last: visited.last, content })
    }

    /// Joins `next` to this if it follows directly and says the same. Returns whether it did.
    pub fn join(&mut self, next: &Self) -> bool {
        let length = next.first.wrapping_sub(self.first);
        let follows = self.last.checked_add(1) == Some(next.first);
        if !follows || !self.content.continues(length, &next.content) {
            return false;
        }
        if let (Content::Mapped(mapped), Content::Mapped(next)) = (&mut self.content, &next.content) {
            for (&size, &bytes) in &next.sizes {
                let sum = mapped.sizes.entry(size).or_default();
                *sum = sum.saturating_add(bytes);
            }
        }
        self.last = next.last;
        true
    }
}

fn mapped(bound: &Bound, visited: &Visited, leaf: &LeafEntry, broken_run: bool, states: bool) -> Mapped {
    let bytes = (visited.last - visited.first).saturating_add(1);
    let options = if leaf.options == 0 { Vec::new() } else { bound.options(visited.level, visited.raw) };
    Mapped {
        output: leaf.address | low_bits(visited.first, leaf.aligned),
        facts: if states { leaf.facts } else { leaf.facts & Facts::RIGHTS },
        memory: leaf.memory,
        options,
        sizes: BTreeMap::from([(leaf.size, bytes)]),
        broken_run,
    }
}

/// Extents of which neighbours that say the same have been joined.
pub struct Extents<I: Iterator<Item = Extent>> {
    extents: Peekable<I>,
}

impl<I: Iterator<Item = Extent>> Extents<I> {
    /// Joins neighbours of `extents`, which come in the order of input addresses.
    pub fn new(extents: I) -> Self {
        Self { extents: extents.peekable() }
    }
}

impl<I: Iterator<Item = Extent>> Iterator for Extents<I> {
    type Item = Extent;

    fn next(&mut self) -> Option<Extent> {
        let mut extent = self.extents.next()?;
        while self.extents.next_if(|next| extent.join(next)).is_some() {}
        Some(extent)
    }
}
