//! A leaf, its place in the tree, and what it says.

use super::{
    PageTable,
    build::End,
    entries::{Entries, EntriesOf},
    layout::size_mask,
    slots::slots,
    walk::{Met, Walk},
};
use crate::{Attributes, ClosedRange, Entry, Format, Hal, Level};

/// A leaf of this tree.
#[derive(Clone, Copy)]
pub(super) struct Located<F: Format> {
    pub(super) entries: EntriesOf<F>,
    pub(super) level: Level,
    /// The index of its first item.
    pub(super) index: usize,
    /// The input addresses it translates.
    pub(super) range: ClosedRange,
    /// The first of its output addresses.
    pub(super) address: u64,
    /// log2 of its size.
    pub(super) size: u8,
}

impl<F: Format> Located<F> {
    /// The part of `range` beyond this leaf, which translates one of its ends.
    pub(super) fn remainder_of(&self, range: ClosedRange) -> Option<ClosedRange> {
        if self.range.contains(range.start()) {
            ClosedRange::new(self.range.last().checked_add(1)?, range.last())
        } else {
            ClosedRange::new(range.start(), self.range.start().checked_sub(1)?)
        }
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// How many items a leaf has.
    #[inline]
    pub(super) const fn items(leaf: &Located<F>) -> usize {
        if F::HAS_RUNS { 1 << (leaf.size - Self::entry_bits(leaf.level)) } else { 1 }
    }

    /// The leaf at `index`, with all items of its run.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn locate(&self, entries: Entries<F::Word>, ia: u64, raw: u64) -> Located<F> {
        let level = entries.level();
        let size = self.format.leaf_bits(level, raw);
        let range = ClosedRange::block(ia, size);
        Located {
            entries,
            level,
            index: Self::index(level, range.start()),
            range,
            address: ClosedRange::block(self.format.output(level, raw), size).start(),
            size,
        }
    }

    /// The leaf that maps `ia`.
    pub(super) fn find(&self, ia: u64) -> Option<Located<F>> {
        self.leaf_at(ia, self.descend(ia))
    }

    /// The leaf at which a way down to `ia` ended.
    pub(super) fn leaf_at(&self, ia: u64, end: End<F>) -> Option<Located<F>> {
        let End { level, entry, raw, is_leaf } = end;
        is_leaf.then(|| self.locate(self.entries_around(level, entry), ia, raw))
    }

    /// Where the way to `ia`, a 64-bit address, ends.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn end_at(&self, ia: u64) -> Option<End<F>> {
        Some(self.end(self.way_to(ia)?))
    }

    /// Whether a way down ends at a leaf of one entry.
    pub(super) fn is_single(&self, end: &End<F>) -> bool {
        end.is_leaf && !self.format.kinds(end.level).is_item(end.raw)
    }

    /// The table that translates all of `range`, in 64 bits, by pages, if nothing is mapped there.
    // Not inlined: it has two callers.
    #[inline(never)]
    pub(super) fn missing_pages(&self, range: ClosedRange) -> Option<Entries<F::Word>> {
        let is_whole = (range.start() | !range.last()) & size_mask(F::PAGE_BITS) == 0;
        // The root may be narrower than others.
        if !is_whole || self.geometry.top() == 0 || !Self::span(0, range.start()).covers(&range) {
            return None;
        }
        let page = self.end_at(range.start())?;
        if page.level > 0 || page.is_leaf {
            return None;
        }
        let entries = self.entries_around(0, page.entry);
        self.is_hole(entries, slots::<F>(0, entries.count(), range)).then_some(entries)
    }

    /// Whether a leaf at `level` maps something in `range`.
    pub(super) fn has_leaf_at(&self, level: Level, range: ClosedRange) -> bool {
        let mut walk = Walk::new(self, Some(range));
        while let Some(met) = walk.next() {
            match met {
                Met::Leaf(leaf) if leaf.level == level => return true,
                // Nothing in it can be at `level`.
                Met::Table { level: below, range, .. } if below < level => walk.advance(range.last()),
                Met::Leaf(_) | Met::Table { .. } => {}
            }
        }
        false
    }

    /// The first entry of a leaf, and its attributes, with the states of all its items.
    pub(super) fn attributes(&self, leaf: &Located<F>) -> Option<(u64, Attributes)> {
        let raw = leaf.entries.load(leaf.index);
        let Entry::Leaf(decoded) = self.format.decode(leaf.level, raw) else { return None };
        let states = self.format.accessed_dirty(leaf.level);
        let mut attributes = decoded.attributes;
        for item in 1..Self::items(leaf) {
            let raw = leaf.entries.load(leaf.index + item);
            attributes.accessed |= states.is_accessed(raw);
            attributes.dirty |= states.is_dirty(raw);
        }
        Some((raw, attributes))
    }
}
