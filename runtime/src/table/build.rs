//! Going down a tree, and building subtrees that are complete before anybody can see them.

use core::ops::Range;

use super::{
    PageTable,
    entries::{BLOCK, Entries, EntryOf, EntryRef, Fresh},
    frames::Frames,
    layout::{Layout, Leaves, Pieces, Placed},
    slots::slots,
};
use crate::{ClosedRange, Format, Hal, HostPhysAddr, Level, Next, Strip};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// The entries of a table of this tree below the root.
    #[inline]
    pub(super) fn entries(&self, level: Level, address: HostPhysAddr) -> Entries<F::Word> {
        // SAFETY: callers take addresses from table entries of this tree, or of a part of it that is detached or not yet
        // linked. Its tables stay allocated until they are unlinked, and are freed only through `&mut self`, or by a
        // gather once nobody walks them any more. Below the root, all tables of a level have these index bits.
        unsafe { Entries::new(&self.hal, level, Self::index_bits(level), address) }
    }

    /// The entries of the root.
    pub(super) fn root_entries(&self) -> Entries<F::Word> {
        // SAFETY: it is allocated as long as the table lives.
        unsafe { Entries::new(&self.hal, self.geometry.top(), self.start.index_bits, self.root) }
    }

    /// The entry at `index`, and what it is.
    pub(super) fn visit(&self, entries: Entries<F::Word>, index: usize) -> (u64, Found<F>) {
        let raw = entries.load(index);
        (raw, self.found(entries.level(), raw))
    }

    /// Whether all entries at `indices` are absent.
    pub(super) fn is_hole(&self, entries: Entries<F::Word>, indices: Range<usize>) -> bool {
        let kinds = self.format.kinds(entries.level());
        let Range { start: mut index, end } = indices;
        // Most ranges that are no holes have an entry at the start.
        if index < end && !kinds.is_absent(entries.load(index)) {
            return false;
        }
        while index + BLOCK <= end
            && let Some(common) = entries.common(index)
        {
            // The bits that all have, and those that any has: if both values are absent, so are all entries.
            if !common.into_iter().all(|raw| kinds.is_absent(raw)) {
                return false;
            }
            index += BLOCK;
        }
        (index..end).all(|index| kinds.is_absent(entries.load(index)))
    }

    /// Goes down towards `ia`, in input bits, as far as there are tables.
    pub(super) fn descend(&self, ia: u64) -> End<F> {
        self.end(self.go_down((self.geometry.top(), self.start.mask, self.root), self.start.entry_bits, ia))
    }

    /// As [`Self::descend`], from a table of this tree on the way to `ia`.
    pub(super) fn descend_from(&self, entries: Entries<F::Word>, ia: u64) -> End<F> {
        let level = entries.level();
        self.end(self.go_down((level, entries.count() - 1, entries.address()), Self::entry_bits(level), ia))
    }

    /// Goes down towards `ia` from a table of this tree, given by its level, greatest index and address. `bits` is log2
    /// of what one of its entries spans.
    #[inline(always)]
    pub(super) fn go_down(&self, start: (Level, usize, HostPhysAddr), bits: u8, ia: u64) -> Way<F> {
        let (mut level, mask, address) = start;
        let link = self.format.links();
        // The index into this table is in the lowest bits now (the mask cuts it off); those into the tables below are in
        // the highest bits, one after the other.
        let mut rest = ia.rotate_right(bits.into());
        // SAFETY: as in `root_entries` and `entries`; the index is cut.
        let mut entry = unsafe { EntryRef::new(&self.hal, address, rest as usize & mask) };
        let mut raw = entry.load();
        while level > 0
            && let Some(below) = link(level, raw)
        {
            let bits = Self::index_bits(level - 1);
            let index = rest >> (64 - bits);
            rest <<= bits;
            // SAFETY: as in `entries`; the index has no more bits than there are.
            entry = unsafe { EntryRef::new(&self.hal, HostPhysAddr::from_usize(below as usize), index as usize) };
            raw = entry.load();
            level -= 1;
        }
        Way { level, entry, raw }
    }

    /// The end of a way, and whether there is a leaf.
    #[inline(always)]
    pub(super) fn end(&self, way: Way<F>) -> End<F> {
        let Way { level, entry, raw } = way;
        End { level, entry, raw, is_leaf: !self.format.kinds(level).is_absent(raw) }
    }

    /// The table that an entry of this tree at `level` is in.
    pub(super) fn entries_around(&self, level: Level, entry: EntryRef<F::Word>) -> Entries<F::Word> {
        let bits = if level == self.geometry.top() { self.start.index_bits } else { Self::index_bits(level) };
        // SAFETY: as in `root_entries` and `entries`.
        unsafe { Entries::new(&self.hal, level, bits, entry.table(bits)) }
    }

    /// The lowest table that translates all of `range` and of which no single entry translates exactly `range`. An
    /// operation that unlinks no table may begin there.
    pub(super) fn table_around(&self, range: ClosedRange) -> Entries<F::Word> {
        // The low bits in which addresses of the range differ; one more if they take all values.
        let varying = range.start() ^ range.last();
        let least = 64 - varying.saturating_add((range.start() & varying == 0).into()).leading_zeros() as u8;
        let link = self.format.links();
        let (mut level, mut table) = (self.geometry.top(), self.root);
        let (mut bits, mut mask) = (self.start.entry_bits, self.start.mask);
        while level > 0
            && bits >= least
            // SAFETY: as in `root_entries` and `entries`; the index is cut.
            && let entry = unsafe { EntryRef::<F::Word>::new(&self.hal, table, (range.start() >> bits) as usize & mask) }
            && let Some(below) = link(level, entry.load())
        {
            level -= 1;
            table = HostPhysAddr::from_usize(below as usize);
            bits -= Self::index_bits(level);
            mask = Self::count(level) - 1;
        }
        if level == self.geometry.top() { self.root_entries() } else { self.entries(level, table) }
    }

    /// What an entry of this tree is.
    pub(super) fn found(&self, level: Level, raw: u64) -> Found<F> {
        match (self.format.next(level, raw), level.checked_sub(1)) {
            (Next::Leaf, _) => Found::Leaf,
            (Next::Table(address), Some(below)) => {
                Found::Table(self.entries(below, HostPhysAddr::from_usize(address as usize)))
            }
            (Next::Absent, _) | (Next::Table(_), None) => Found::Absent,
        }
    }

    /// `items` empty entries.
    pub(super) fn empty_strip(&self, level: Level, items: usize) -> Strip {
        Strip { first: self.format.empty(level), step: 0, items }
    }

    /// Builds the table at `level` that translates `range`, with everything below it that `pieces` need, and returns the
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
                    let slots = slots::<F>(level, Self::count(level), range);
                    table.fill(slots.start, self.empty_strip(level, slots.len()));
                }
                Placed::Leaves(leaves) => self.fill_leaves(&mut table, &leaves),
                Placed::Table(slot) => {
                    let first = self.build(level.checked_sub(1)?, slot, pieces, reserve)?;
                    table.write(Self::index_below(level, slot.start()), first);
                }
            }
        }
        self.link_entry(level + 1, table.publish(&self.hal)).ok()
    }

    /// Writes leaves into a table that is being made.
    pub(super) fn fill_leaves(&self, table: &mut Fresh<F::Word>, leaves: &Leaves) {
        for (index, strip) in leaves.strips(&self.format, Self::count(leaves.prototype.level)) {
            table.fill(index, strip);
        }
    }

    /// Writes leaves into a table that is in use.
    pub(super) fn store_leaves(&self, entries: Entries<F::Word>, leaves: &Leaves) {
        for (index, strip) in leaves.strips(&self.format, entries.count()) {
            entries.store_strip(&self.hal, index, strip);
        }
    }

    /// A table in a reserved frame.
    pub(super) fn fresh(&self, reserve: &mut Frames<'_, H>) -> Option<Fresh<F::Word>> {
        let (frame, size) = reserve.take()?;
        // SAFETY: the frame was reserved with this size and is nobody else's.
        Some(unsafe { Fresh::new(&self.hal, frame, size) })
    }
}

/// The end of a way down a tree, before it is known what is there: see [`End`].
#[derive(Clone, Copy)]
pub(super) struct Way<F: Format> {
    pub(super) level: Level,
    pub(super) entry: EntryOf<F>,
    pub(super) raw: u64,
}

/// The end of a way down a tree: a leaf, or an absent entry.
#[derive(Clone, Copy)]
pub(super) struct End<F: Format> {
    pub(super) level: Level,
    /// The entry, and what it was.
    pub(super) entry: EntryOf<F>,
    pub(super) raw: u64,
    pub(super) is_leaf: bool,
}

/// What an entry of this tree is.
pub(super) enum Found<F: Format> {
    /// Nothing.
    Absent,
    /// A leaf.
    Leaf,
    /// A table.
    Table(Entries<F::Word>),
}
