//! Changing what a range allows, in place.

use super::{
    Error, Gather, PageTable,
    build::Found,
    entries::Entries,
    layout::{parts, sizes_of},
    reserve::Frames,
    split::{Fate, Located},
};
use crate::{Change, ClosedRange, Edit, Format, Geometry, Hal, Level, Prototype, Rewrite};

/// How to rewrite the leaves of each level; `None` where the format refuses, and the plan found no leaf.
type Rewrites = [Option<Rewrite>; Geometry::MAX_LEVELS];

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Changes the attributes of everything mapped in `range`; holes are skipped. Larger leaves that it covers in
    /// part are split, unless they say so already. Accessed and dirty states are kept, unless the format has no leaf with the new rights that could say them:
    /// look first at what is dirty where only what is writable can be. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::Refused`] if the format cannot express the change;
    /// [`Error::NoMemory`] if a leaf cannot be split; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn protect(&mut self, range: ClosedRange, change: &Change, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let range = self.exclusive(range, gather)?;
        let rewrites = self.rewrites(range, change)?;
        let mut edges = self.edges(range, Fate::Changed(change))?;

        let tables = self.reserve_tables(self.tables_for_splits(&edges, range))?;
        let mut reserve = Frames::of(&self.hal, tables);
        for split in edges.iter_mut().flatten() {
            let done = self.commit_split(split, range, &mut reserve, gather);
            debug_assert!(done.is_some(), "the plan counted too few tables");
        }
        self.rewrite(self.geometry.top(), &self.root_entries(), range, &rewrites, gather);
        Ok(())
    }

    /// How to rewrite the leaves in `range`.
    fn rewrites(&self, range: ClosedRange, change: &Change) -> Result<Rewrites, Error> {
        let mut rewrites = [None; Geometry::MAX_LEVELS];
        for (level, slot) in (0..self.geometry.levels).zip(&mut rewrites) {
            if sizes_of(&self.geometry, level, self.format.page_sizes(level)).0 == 0 {
                continue;
            }
            match self.format.rewrite(level, change) {
                Ok(rewrite) => *slot = Some(rewrite),
                Err(refusal) => {
                    if self.has_leaf(level, self.geometry.top(), &self.root_entries(), range) {
                        return Err(Error::Refused { level, refusal });
                    }
                }
            }
        }
        Ok(rewrites)
    }

    /// Whether there is a leaf at level `wanted` in the part of `range` that this table translates.
    fn has_leaf(&self, wanted: Level, level: Level, entries: &Entries, range: ClosedRange) -> bool {
        parts(&self.geometry, level, range).any(|(index, part)| match self.visit(level, entries, index) {
            (_, Found::Leaf) => level == wanted,
            (_, Found::Table { entries, level, .. }) => level >= wanted && self.has_leaf(wanted, level, &entries, part),
            (_, Found::Absent) => false,
        })
    }

    /// Rewrites every leaf in the part of `range` that this table translates. A leaf that is not covered whole says
    /// already what it should.
    fn rewrite(
        &self,
        level: Level,
        entries: &Entries,
        range: ClosedRange,
        rewrites: &Rewrites,
        gather: &mut Gather<F, H>,
    ) {
        let rewrite = rewrites.get(usize::from(level)).copied().flatten();
        let hardware = self.format.accessed_dirty(level).hardware;
        let mut changed: Option<ClosedRange> = None;
        for (index, part) in parts(&self.geometry, level, range) {
            match (self.visit(level, entries, index), rewrite) {
                ((_, Found::Table { entries, level, .. }), _) => self.rewrite(level, &entries, part, rewrites, gather),
                ((raw, Found::Leaf), Some(rewrite)) if rewrite.apply(raw) != raw => {
                    let new = rewrite.apply(raw);
                    if self.format.edit(level, raw, new) == Edit::BreakBeforeMake {
                        self.remake(&self.locate(level, entries, part.start(), raw), &rewrite, gather);
                        continue;
                    }
                    if hardware {
                        entries.update(&self.hal, index, |raw| Some(rewrite.apply(raw)));
                    } else {
                        entries.store(&self.hal, index, new);
                    }
                    changed = Some(changed.map_or(part, |changed| changed.hull(&part)));
                }
                ((_, Found::Leaf), _) | ((_, Found::Absent), _) => {}
            }
        }
        if let Some(changed) = changed {
            gather.record(changed, true, self.geometry.entry_bits(level));
        }
    }

    /// Rewrites a whole leaf that must not change while it is in use: all items are broken before one is made.
    pub(super) fn remake(&self, leaf: &Located, rewrite: &Rewrite, gather: &mut Gather<F, H>) {
        let (level, entries) = (leaf.level, leaf.entries);
        let states = self.format.accessed_dirty(level);
        let empty = self.format.empty(level);
        let mut first = entries.swap(&self.hal, leaf.index, empty);
        for item in 1..leaf.items {
            first = states.join(first, entries.swap(&self.hal, leaf.index + item, empty));
        }
        self.invalidate(leaf.range, level, true);
        // How the address goes on from item to item, which is the same for all leaves of this size.
        let bare = Prototype { bits: 0, level, size: leaf.size };
        let strip = self.format.strip(bare, leaf.address, leaf.items);
        entries.store_strip(&self.hal, leaf.index, crate::Strip { first: rewrite.apply(first), ..strip });
        self.made(leaf.range, true, gather);
    }
}
