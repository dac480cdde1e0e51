//! Subtrees that are complete before anybody can see them.

use super::{
    PageTable,
    entries::{Entries, Fresh},
    layout::{Layout, Pieces, Placed, slots},
    reserve::Frames,
};
use crate::{ClosedRange, Format, Hal, HostPhysAddr, Level, Next, Strip};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// The entries of a table of this tree.
    #[inline]
    pub(super) fn entries(&self, level: Level, address: HostPhysAddr) -> Entries {
        // SAFETY: the callers' addresses are the root's or come from table entries of this tree (or of a detached or
        // not yet linked part of it), whose tables are allocated until they have been unlinked, and freed only through
        // `&mut self` or by a gather that nobody walks any more.
        unsafe { Entries::new(&self.hal, &self.geometry, level, address) }
    }

    /// The entries of the root.
    #[inline]
    pub(super) fn root_entries(&self) -> Entries {
        self.entries(self.geometry.top(), self.root)
    }

    /// What the entry at `index` is; a table as its entries.
    #[inline]
    pub(super) fn visit(&self, level: Level, entries: &Entries, index: usize) -> (u64, Found) {
        let raw = entries.load(index);
        (raw, self.found(level, raw))
    }

    /// Goes down towards `ia` as far as there are tables.
    #[inline]
    pub(super) fn descend(&self, ia: u64) -> End {
        let mut end = End { level: self.geometry.top(), entries: self.root_entries(), raw: 0, is_leaf: false };
        let mut bits = self.geometry.entry_bits(end.level);
        loop {
            // `Entries` cuts the index to its table.
            end.raw = end.entries.load((ia >> bits) as usize);
            match (self.format.next(end.level, end.raw), end.level.checked_sub(1)) {
                (Next::Table(address), Some(below)) => {
                    end.entries = self.entries_below_root(HostPhysAddr::from_usize(address as usize));
                    end.level = below;
                    bits -= self.geometry.index_bits;
                }
                (next, _) => {
                    end.is_leaf = next == Next::Leaf;
                    return end;
                }
            }
        }
    }

    /// The entries of a table of this tree other than the root.
    #[inline]
    fn entries_below_root(&self, address: HostPhysAddr) -> Entries {
        // SAFETY: as in `entries`.
        unsafe { Entries::with_bits(&self.hal, self.geometry.index_bits, address) }
    }

    /// What an entry of this tree is.
    #[inline]
    pub(super) fn found(&self, level: Level, raw: u64) -> Found {
        match (self.format.next(level, raw), level.checked_sub(1)) {
            (Next::Leaf, _) => Found::Leaf,
            (Next::Table(address), Some(below)) => {
                let address = HostPhysAddr::from_usize(address as usize);
                Found::Table { entries: self.entries(below, address), level: below, address }
            }
            (Next::Absent, _) | (Next::Table(_), None) => Found::Absent,
        }
    }

    /// `count` empty entries.
    pub(super) fn empty_strip(&self, level: Level, items: usize) -> Strip {
        Strip { first: self.format.empty(level), step: 0, items }
    }

    /// A table with only empty entries, in a reserved frame.
    pub(super) fn build_empty(&self, level: Level, reserve: &mut Frames<'_, H>) -> Option<HostPhysAddr> {
        let mut table = self.fresh(reserve)?;
        table.clear(self.format.empty(level));
        Some(table.publish(&self.hal))
    }

    /// Builds the table at `level` that translates `range`, with all that `pieces` need below it, and returns the
    /// entry that leads to it. `None` only if the reserve is short, which the plan excludes.
    pub(super) fn build(
        &self,
        level: Level,
        range: ClosedRange,
        pieces: &Pieces<'_>,
        reserve: &mut Frames<'_, H>,
    ) -> Option<u64> {
        let mut table = self.fresh(reserve)?;
        for placed in Layout::new(&self.geometry, level, range, pieces) {
            match placed {
                Placed::Nothing(range) => {
                    let items = slots(&self.geometry, level, range);
                    table.fill(self.geometry.index(level, range.start()), self.empty_strip(level, items));
                }
                Placed::Leaves(leaves) => {
                    for (index, strip) in leaves.strips(&self.format, &self.geometry) {
                        table.fill(index, strip);
                    }
                }
                Placed::Table(slot) => {
                    let first = self.build(level.checked_sub(1)?, slot, pieces, reserve)?;
                    table.fill(self.geometry.index(level, slot.start()), Strip { first, step: 0, items: 1 });
                }
            }
        }
        self.link_entry(level + 1, table.publish(&self.hal)).ok()
    }

    /// Takes a built subtree, which was never linked, apart again. `entry` at `level` leads to it.
    pub(super) fn unbuild(&self, level: Level, entry: u64, reserve: &mut Frames<'_, H>) {
        let (Next::Table(address), Some(below)) = (self.format.next(level, entry), level.checked_sub(1)) else {
            return;
        };
        let address = HostPhysAddr::from_usize(address as usize);
        let entries = self.entries(below, address);
        for index in 0..self.geometry.entries(below) {
            self.unbuild(below, entries.load(index), reserve);
        }
        reserve.put(address, self.geometry.table_bits(below));
    }

    fn fresh(&self, reserve: &mut Frames<'_, H>) -> Option<Fresh> {
        let (frame, size) = reserve.take()?;
        // SAFETY: the frame was reserved with this size and is nobody else's.
        Some(unsafe { Fresh::new(&self.hal, frame, size) })
    }
}

/// Where a way down a tree ends: at a leaf, or at an entry that stands for nothing.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) level: Level,
    /// The table that the entry is in.
    pub(super) entries: Entries,
    pub(super) raw: u64,
    pub(super) is_leaf: bool,
}

/// What an entry of this tree is.
pub(super) enum Found {
    /// Nothing.
    Absent,
    /// A leaf.
    Leaf,
    /// A table.
    Table { entries: Entries, level: Level, address: HostPhysAddr },
}
