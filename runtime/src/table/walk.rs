//! Going through a tree in ascending order, without recursion.

use super::{PageTable, build::Found, entries::Entries, located::Located};
use crate::{ClosedRange, Format, Geometry, Hal, HostPhysAddr, Level};

/// Something that a walk meets.
pub(super) enum Met<F: Format> {
    /// A table below the root, before what is in it.
    Table { level: Level, address: HostPhysAddr, range: ClosedRange },
    /// A leaf.
    Leaf(Located<F>),
}

/// A walk over the part of a tree that translates a range.
pub(super) struct Walk<'a, F: Format, H: Hal> {
    pub(super) table: &'a PageTable<F, H>,
    /// The tables on the way to the current one, by level.
    pub(super) path: [Entries<F::Word>; Geometry::MAX_LEVELS],
    pub(super) level: Level,
    pub(super) next: Option<u64>,
    pub(super) last: u64,
}

impl<'a, F: Format, H: Hal> Walk<'a, F, H> {
    /// A walk over `range`, in input bits; over nothing if that is `None`.
    pub(super) fn new(table: &'a PageTable<F, H>, range: Option<ClosedRange>) -> Self {
        Self {
            table,
            path: [table.root_entries(); Geometry::MAX_LEVELS],
            level: table.geometry.top(),
            next: range.map(|range| range.start()),
            last: range.map_or(0, |range| range.last()),
        }
    }

    /// Continues after `last`, in the table that translates the next address.
    pub(super) fn advance(&mut self, last: u64) {
        self.next = last.checked_add(1).filter(|&next| next <= self.last);
        let Some(next) = self.next else { return };
        let geometry = &self.table.geometry;
        while self.level < geometry.top() && !geometry.slot(self.level + 1, last).contains(next) {
            self.level += 1;
        }
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// The leaves in `range`, in ascending order; those at its ends are not clipped.
    pub(super) fn leaves(&self, range: ClosedRange) -> impl Iterator<Item = Located<F>> {
        Walk::new(self, Some(range)).filter_map(|met| match met {
            Met::Leaf(leaf) => Some(leaf),
            Met::Table { .. } => None,
        })
    }
}

impl<F: Format, H: Hal> Iterator for Walk<'_, F, H> {
    type Item = Met<F>;

    fn next(&mut self) -> Option<Met<F>> {
        loop {
            let (ia, level) = (self.next?, self.level);
            let entries = *self.path.get(usize::from(level))?;
            let slot = PageTable::<F, H>::slot(level, ia);
            match self.table.visit(entries, PageTable::<F, H>::index(level, ia)) {
                (_, Found::Absent) => self.advance(slot.last()),
                (raw, Found::Leaf) => {
                    let leaf = self.table.locate(entries, ia, raw);
                    self.advance(leaf.range.last());
                    return Some(Met::Leaf(leaf));
                }
                (_, Found::Table(entries)) => {
                    let (level, address) = (entries.level(), entries.address());
                    *self.path.get_mut(usize::from(level))? = entries;
                    self.level = level;
                    return Some(Met::Table { level, address, range: slot });
                }
            }
        }
    }
}
