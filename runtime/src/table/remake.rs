//! Break-before-make: leaves that must not change while they are in use are taken away, invalidated, and put back
//! changed.

use arrayvec::ArrayVec;

use super::{Gather, PageTable, build::Found, entries::Entries, located::Located};
use crate::{ClosedRange, Format, Geometry, Hal, HostPhysAddr, Level, Next, PageBitmap, Prototype, Rewrite, Strip};

/// How to rewrite the leaves of each level; `None` where the format refuses, but the plan found no leaf.
#[derive(Clone, Copy, Default)]
pub(super) struct Rewrites(pub(super) [Option<Rewrite>; Geometry::MAX_LEVELS]);

impl Rewrites {
    /// How to rewrite the leaves at `level`.
    #[inline]
    pub(super) fn at(&self, level: Level) -> Option<Rewrite> {
        self.0.get(usize::from(level)).copied().flatten()
    }
}

/// Where to note which pages were dirty and can no longer record it, if anybody wants to know.
pub(super) type Forgotten<'a, 'b> = Option<&'a mut PageBitmap<'b>>;

/// One change of all leaves in a range.
pub(super) struct Pass<'p, 'a, 'b, F: Format, H: Hal> {
    pub(super) rewrites: &'p Rewrites,
    pub(super) broken: Broken,
    pub(super) pages: &'p mut Forgotten<'a, 'b>,
    pub(super) gather: &'p mut Gather<F, H>,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Puts back what was broken, after one invalidation for all of it. Tables come back as they were, with new leaves.
    pub(super) fn make(&self, entries: Entries<F::Word>, pass: &mut Pass<'_, '_, '_, F, H>) {
        let level = entries.level();
        let Some(range) = pass.broken.range.take() else { return };
        // The smallest translation that may be cached of what was broken.
        let tables = pass.broken.entries.iter().any(|&(raw, _)| matches!(self.format.next(level, raw), Next::Table(_)));
        self.invalidate(range, if tables { 0 } else { level }, !tables);
        for (raw, start) in core::mem::take(&mut pass.broken.entries) {
            let slot = Self::slot(level, start);
            let mut made = raw;
            if let (Next::Table(address), Some(below)) = (self.format.next(level, raw), level.checked_sub(1)) {
                let table = self.entries(below, HostPhysAddr::from_usize(address as usize));
                self.rewrite_unseen(table, slot, pass);
            } else if let Some(rewrite) = pass.rewrites.at(level) {
                made = rewrite.apply(raw);
                self.account(level, slot, [raw, made], pass.pages, pass.gather);
            }
            entries.store(&self.hal, Self::index(level, start), made);
        }
        self.made(range, !tables, pass.gather);
    }

    /// Rewrites all leaves of a table that no MMU can see.
    fn rewrite_unseen(&self, entries: Entries<F::Word>, range: ClosedRange, pass: &mut Pass<'_, '_, '_, F, H>) {
        let level = entries.level();
        let rewrite = pass.rewrites.at(level);
        for (index, part) in Self::parts(level, range) {
            match (self.visit(entries, index), rewrite) {
                ((_, Found::Table(entries)), _) => {
                    self.rewrite_unseen(entries, part, pass);
                }
                ((raw, Found::Leaf), Some(rewrite)) => {
                    let new = rewrite.apply(raw);
                    entries.store(&self.hal, index, new);
                    self.account(level, part, [raw, new], pass.pages, pass.gather);
                }
                _ => {}
            }
        }
    }

    /// Notes the leaf around `slot`, if it was dirty and can no longer record it.
    pub(super) fn account(
        &self,
        level: Level,
        slot: ClosedRange,
        [old, new]: [u64; 2],
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) {
        let states = self.format.accessed_dirty(level);
        if states.is_dirty(old) && !states.is_dirty(new) {
            // If one item of a run is dirty, all its pages are.
            let leaf = ClosedRange::block(slot.start(), self.format.leaf_bits(level, old));
            self.tell(leaf, pages, gather);
        }
    }

    /// Notes pages that were dirty and can no longer record it.
    pub(super) fn tell(&self, range: ClosedRange, pages: &mut Forgotten<'_, '_>, gather: &mut Gather<F, H>) {
        match pages {
            Some(pages) => pages.insert(self.extend(range)),
            None => gather.forget(range),
        }
    }

    /// Rewrites a whole run that must not change while it is in use: all items are broken before one is made.
    pub(super) fn remake(
        &self,
        leaf: &Located<F>,
        rewrite: &Rewrite,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) {
        let (level, entries) = (leaf.level, leaf.entries);
        let first = self.take_away(leaf);
        // The step of the address from item to item is the same for all leaves of this size.
        let bare = Prototype { bits: 0, level, size: leaf.size };
        let strip = self.format.strip(bare, leaf.address, Self::items(leaf));
        let made = rewrite.apply(first);
        entries.store_strip(&self.hal, leaf.index, Strip { first: made, ..strip });
        self.account(level, leaf.range, [first, made], pages, gather);
        self.made(leaf.range, true, gather);
    }

    /// Takes all items of a leaf away from the MMU, and returns the first as it was, with the states of all.
    pub(super) fn take_away(&self, leaf: &Located<F>) -> u64 {
        let states = self.format.accessed_dirty(leaf.level);
        let take = |item| leaf.entries.swap(&self.hal, leaf.index + item, self.format.empty(leaf.level));
        let first = (1..Self::items(leaf)).fold(take(0), |first, item| states.join(first, take(item)));
        self.invalidate(leaf.range, leaf.level, true);
        first
    }
}

/// Entries of one table that are taken away at the same time, so that one invalidation is enough for all of them.
#[derive(Default)]
pub(super) struct Broken {
    /// Their former values, and the first address that each translates.
    entries: ArrayVec<(u64, u64), 32>,
    range: Option<ClosedRange>,
}

impl Broken {
    pub(super) fn push(&mut self, raw: u64, part: ClosedRange) {
        if self.entries.try_push((raw, part.start())).is_ok() {
            self.range = Some(self.range.map_or(part, |range| range.hull(&part)));
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.is_full()
    }
}
