//! Changing what a range allows, in place.

use super::{
    Error, Gather, PageTable,
    build::Found,
    entries::Entries,
    layout::{parts, sizes_of},
    reserve::Frames,
    split::{Fate, Located},
};
use crate::{
    Change, ClosedRange, Edit, Format, Geometry, Hal, HostPhysAddr, Level, Next, PageBitmap, Prototype, Rewrite, Strip,
};

/// How to rewrite the leaves of each level; `None` where the format refuses, and the plan found no leaf.
type Rewrites = [Option<Rewrite>; Geometry::MAX_LEVELS];

/// Who wants to know which pages were dirty and cannot say so any more.
pub(super) type Forgotten<'a, 'b> = Option<&'a mut PageBitmap<'b>>;

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Changes the attributes of everything mapped in `range`; holes are skipped. Larger leaves that it covers in
    /// part are split, unless they say so already. All or nothing.
    ///
    /// Accessed and dirty states are kept, unless the format has no leaf with the new rights that could say them, as
    /// where only what is writable can be dirty: [`Gather::forgotten`] then tells where that happened, and
    /// [`PageTable::protect_and_harvest`] which pages it were.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::Refused`] if the format cannot express the change;
    /// [`Error::NoMemory`] or [`Error::Partial`] if a leaf is not split; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn protect(&mut self, range: ClosedRange, change: &Change, gather: &mut Gather<F, H>) -> Result<(), Error> {
        self.change(range, change, &mut None, gather)
    }

    /// As [`PageTable::protect`], and inserts the pages that were dirty and cannot say so any more into `pages`; those
    /// outside its range are left out.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::protect`]; [`Error::Misaligned`] if `pages` has pages of another size.
    pub fn protect_and_harvest(
        &mut self,
        range: ClosedRange,
        change: &Change,
        pages: &mut PageBitmap<'_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        if !pages.fits(&self.geometry) {
            return Err(Error::Misaligned { address: pages.range().start(), size: self.geometry.page_bits });
        }
        self.change(range, change, &mut Some(pages), gather)
    }

    fn change(
        &mut self,
        range: ClosedRange,
        change: &Change,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let range = self.exclusive(range, gather)?;
        let rewrites = self.rewrites(range, change)?;
        let mut edges = self.edges(range, Fate::Changed(change))?;

        let tables = self.reserve_tables(self.tables_for_splits(&edges, range))?;
        let mut reserve = Frames::of(&self.hal, tables);
        for split in edges.iter_mut().flatten() {
            let done = self.commit_split(split, range, &mut reserve, gather);
            debug_assert!(done.is_some(), "the plan counted too few tables");
        }
        let mut broken = Broken::default();
        self.rewrite(self.geometry.top(), &self.root_entries(), range, &rewrites, &mut broken, pages, gather);
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
        broken: &mut Broken,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) {
        let rewrite = rewrites.get(usize::from(level)).copied().flatten();
        let states = self.format.accessed_dirty(level);
        let mut changed: Option<ClosedRange> = None;
        for (index, part) in parts(&self.geometry, level, range) {
            match (self.visit(level, entries, index), rewrite) {
                ((raw, Found::Table { entries: below, level: lower, .. }), _) => {
                    let whole = self.geometry.slot(level, part.start()) == part;
                    if whole && self.takes_break(lower, &below, part, rewrites) {
                        entries.store(&self.hal, index, self.format.empty(level));
                        broken.push(raw, part);
                    } else {
                        self.make(level, entries, broken, rewrites, pages, gather);
                        self.rewrite(lower, &below, part, rewrites, broken, pages, gather);
                    }
                }
                ((raw, Found::Leaf), Some(rewrite)) if rewrite.apply(raw) != raw => {
                    let new = rewrite.apply(raw);
                    if self.format.edit(level, raw, new) == Edit::BreakBeforeMake {
                        let leaf = self.locate(level, entries, part.start(), raw);
                        if leaf.items > 1 {
                            self.remake(&leaf, &rewrite, pages, gather);
                        } else {
                            broken.push(entries.swap(&self.hal, index, self.format.empty(level)), part);
                        }
                    } else {
                        let mut old = raw;
                        if states.hardware {
                            old = entries.update(&self.hal, index, |raw| Some(rewrite.apply(raw))).unwrap_or(raw);
                        } else {
                            entries.store(&self.hal, index, new);
                        }
                        self.account(level, part, old, rewrite.apply(old), pages, gather);
                        changed = Some(changed.map_or(part, |changed| changed.hull(&part)));
                    }
                }
                ((_, Found::Leaf), _) | ((_, Found::Absent), _) => {}
            }
            if broken.is_full() {
                self.make(level, entries, broken, rewrites, pages, gather);
            }
        }
        self.make(level, entries, broken, rewrites, pages, gather);
        if let Some(changed) = changed {
            gather.record(changed, true, self.geometry.entry_bits(level));
        }
    }

    /// Whether a leaf below must not change while it is in use: then it is cheaper to take the whole table away once.
    fn takes_break(&self, level: Level, entries: &Entries, range: ClosedRange, rewrites: &Rewrites) -> bool {
        let rewrite = rewrites.get(usize::from(level)).copied().flatten();
        parts(&self.geometry, level, range).any(|(index, part)| match (self.visit(level, entries, index), rewrite) {
            ((_, Found::Table { entries, level, .. }), _) => self.takes_break(level, &entries, part, rewrites),
            ((raw, Found::Leaf), Some(rewrite)) => {
                self.format.edit(level, raw, rewrite.apply(raw)) == Edit::BreakBeforeMake
            }
            _ => false,
        })
    }

    /// Makes what was broken, after one invalidation for all of it. Tables come back as they were, with new leaves.
    fn make(
        &self,
        level: Level,
        entries: &Entries,
        broken: &mut Broken,
        rewrites: &Rewrites,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) {
        let Some(range) = broken.range.take() else { return };
        // The smallest translation that may be cached of what was broken.
        let tables = broken.items().any(|&(raw, _)| matches!(self.format.next(level, raw), Next::Table(_)));
        self.invalidate(range, if tables { 0 } else { level }, !tables);
        for &(raw, start) in broken.items() {
            let slot = self.geometry.slot(level, start);
            let mut made = raw;
            if let (Next::Table(address), Some(below)) = (self.format.next(level, raw), level.checked_sub(1)) {
                let table = self.entries(below, HostPhysAddr::from_usize(address as usize));
                self.rewrite_unseen(below, &table, slot, rewrites, pages, gather);
            } else if let Some(rewrite) = rewrites.get(usize::from(level)).copied().flatten() {
                made = rewrite.apply(raw);
                self.account(level, slot, raw, made, pages, gather);
            }
            entries.store(&self.hal, self.geometry.index(level, start), made);
        }
        self.made(range, !tables, gather);
        broken.count = 0;
    }

    /// Rewrites all leaves of a table that no MMU can see.
    fn rewrite_unseen(
        &self,
        level: Level,
        entries: &Entries,
        range: ClosedRange,
        rewrites: &Rewrites,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) {
        let rewrite = rewrites.get(usize::from(level)).copied().flatten();
        for (index, part) in parts(&self.geometry, level, range) {
            match (self.visit(level, entries, index), rewrite) {
                ((_, Found::Table { entries, level, .. }), _) => {
                    self.rewrite_unseen(level, &entries, part, rewrites, pages, gather);
                }
                ((raw, Found::Leaf), Some(rewrite)) => {
                    let new = rewrite.apply(raw);
                    entries.store(&self.hal, index, new);
                    self.account(level, part, raw, new, pages, gather);
                }
                _ => {}
            }
        }
    }

    /// Tells of a leaf that was dirty and cannot say so any more.
    fn account(
        &self,
        level: Level,
        slot: ClosedRange,
        old: u64,
        new: u64,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) {
        let states = self.format.accessed_dirty(level);
        if !states.is_dirty(old) || states.is_dirty(new) {
            return;
        }
        // Of a run, all pages are as dirty as one of its items.
        let leaf = ClosedRange::around(slot.start(), self.format.leaf_bits(level, old)).hull(&slot);
        match pages {
            Some(pages) => pages.insert(self.extend(leaf)),
            None => gather.forget(leaf),
        }
    }

    /// Rewrites a whole run that must not change while it is in use: all items are broken before one is made.
    pub(super) fn remake(
        &self,
        leaf: &Located,
        rewrite: &Rewrite,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) {
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
        let made = rewrite.apply(first);
        entries.store_strip(&self.hal, leaf.index, Strip { first: made, ..strip });
        self.account(level, leaf.range, first, made, pages, gather);
        self.made(leaf.range, true, gather);
    }
}

/// Entries of one table that are taken away at the same time, so that one invalidation is enough for all of them.
struct Broken {
    /// What they were, and the first address that each translates.
    entries: [(u64, u64); Self::MOST],
    count: usize,
    range: Option<ClosedRange>,
}

impl Broken {
    const MOST: usize = 32;

    fn push(&mut self, raw: u64, part: ClosedRange) {
        if let Some(entry) = self.entries.get_mut(self.count) {
            *entry = (raw, part.start());
            self.count += 1;
            self.range = Some(self.range.map_or(part, |range| range.hull(&part)));
        }
    }

    fn is_full(&self) -> bool {
        self.count == Self::MOST
    }

    fn items(&self) -> impl Iterator<Item = &(u64, u64)> {
        self.entries.iter().take(self.count)
    }
}

impl Default for Broken {
    fn default() -> Self {
        Self { entries: [(0, 0); Self::MOST], count: 0, range: None }
    }
}
