//! Unmapping, and giving back the frames that were mapped.

use core::ops::Range;

use arrayvec::ArrayVec;

use super::{
    Error, Gather, PageTable,
    build::{End, Found},
    entries::{BLOCK, Entries},
    gather::{Extent, Held},
    located::Located,
    slots::slots,
    split::Fate,
};
use crate::{ClosedRange, Format, Hal};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Unmaps `range`; holes in it are fine. Larger leaves that it covers in part are split. The memory still belongs to
    /// its owner, who may reuse it once `gather` has been flushed. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::NoMemory`], [`Error::Refused`] or [`Error::Partial`] if a
    /// leaf is not split; [`Error::NeedsBreak`]; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn unmap(&mut self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<(), Error> {
        self.remove(range, false, gather)
    }

    /// Unmaps `range` as [`PageTable::unmap`] does, and gives the frames mapped there back to the HAL once the
    /// invalidation is complete. If they are many, and in no order, they are listed in a frame from the HAL until then;
    /// if it has none, there are more invalidations.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::unmap`]; [`Error::PartialFrame`] if `range` covers a part of a leaf and the HAL does not
    /// free parts.
    ///
    /// # Safety
    ///
    /// Every leaf in `range` maps a frame that was allocated from this table's HAL, of the leaf's size, or a part of one
    /// if the HAL frees parts; and nobody uses what is freed.
    pub unsafe fn depopulate(&mut self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<(), Error> {
        self.remove(range, true, gather)
    }

    /// With `free`, the caller makes the promise of [`PageTable::depopulate`].
    fn remove(&mut self, range: ClosedRange, free: bool, gather: &mut Gather<F, H>) -> Result<(), Error> {
        if let Some(was_last) = self.remove_leaf(range, free, gather) {
            if was_last {
                let range = ok!(self.exclusive(range, gather));
                self.prune(range, gather);
            }
            return Ok(());
        }
        let range = ok!(self.exclusive(range, gather));
        let mut rest = range;
        let mut entries = self.table_around(range);
        let cut = self.cut_leaves(entries, range);
        if !matches!(cut, [None, None]) {
            let fate = if free { Fate::Freed } else { Fate::Gone };
            let Some(left) = ok!(self.change_edges(&cut, range, fate, &mut None, gather)) else { return Ok(()) };
            entries = self.table_around(left);
            rest = left;
        }
        if self.clear(entries, rest, free, false, gather) {
            self.prune(range, gather);
        }
        Ok(())
    }

    /// Takes out the leaf that `range` is (the usual case), or is a part of, if that is known to take no more than one
    /// store. Returns whether its table, if not the root, is empty then; or changes nothing and returns `None` if it is
    /// not as simple as that.
    fn remove_leaf(&mut self, range: ClosedRange, free: bool, gather: &mut Gather<F, H>) -> Option<bool> {
        let leaf = self.end_at(range.start())?;
        if !self.is_single(&leaf) || !gather.follows(self) {
            return None;
        }
        let End { level, entry, raw, .. } = leaf;
        if Self::slot(level, range.start()) != range {
            return if free { None } else { self.split_again(leaf, range, None, gather).map(|_| false) };
        }
        let size = Self::entry_bits(level);
        entry.overwrite(&self.hal, self.format.empty(level));
        gather.record(range, true, size);
        if free {
            gather.hold(Held::Frames(Extent { first: self.format.output(level, raw), size, count: 1 }));
        }
        Some(self.is_left_empty(self.entries_around(level, entry), range))
    }

    /// Whether a table that is not the root, and has lost its entries at `range`, is empty.
    fn is_left_empty(&self, entries: Entries<F::Word>, range: ClosedRange) -> bool {
        let (level, count) = (entries.level(), entries.count());
        let kinds = self.format.kinds(level);
        let Range { start, end } = slots::<F>(level, count, range);
        // If something is left, it is most often right beside the range, in whichever direction the caller unmaps; else
        // not far.
        let is_absent = |index| kinds.is_absent(entries.load(index));
        let near = start & !(BLOCK - 1);
        level < self.geometry.top()
            && is_absent(end)
            && is_absent(start.wrapping_sub(1))
            && self.is_hole(entries, near..count)
            && self.is_hole(entries, 0..near)
    }

    /// The part of a leaf's frame that `part` maps, in pages.
    pub(super) fn part_of_frame(&self, leaf: &Located<F>, part: ClosedRange) -> Held {
        let size = F::PAGE_BITS;
        let first = leaf.address + (part.start() - leaf.range.start());
        Held::Frames(Extent { first, size, count: (part.span() >> size) + 1 })
    }

    /// Unlinks tables in `range` that are empty, after what was mapped there is gone.
    pub(super) fn prune(&self, range: ClosedRange, gather: &mut Gather<F, H>) {
        self.clear(self.root_entries(), range, false, true, gather);
    }

    /// Empties the part of this table that translates `range`, which covers every leaf there as a whole. Returns whether
    /// the table has lost entries, now or before (`lost`), and has none left; the root stays.
    fn clear(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        free: bool,
        mut lost: bool,
        gather: &mut Gather<F, H>,
    ) -> bool {
        let level = entries.level();
        let bits = Self::entry_bits(level);
        let mut left = false;
        if range.span() >> bits > BLOCK as u64
            && let Some((some, tables)) = self.take_leaves(entries, range, free, gather)
        {
            lost |= some;
            if !tables {
                return lost && self.is_left_empty(entries, range);
            }
        }
        for (index, part) in Self::parts(level, range) {
            match self.visit(entries, index) {
                (_, Found::Absent) => continue,
                (raw, Found::Leaf) => {
                    entries.store(&self.hal, index, self.format.empty(level));
                    gather.record(part, true, bits);
                    // A run is one frame, which is free when its last item is gone.
                    let items = 1 << self.format.run_bits(level, raw);
                    if free && (index + 1).is_multiple_of(items) {
                        let leaf = self.locate(entries, part.start(), raw);
                        gather.hold(Held::Frames(Extent { first: leaf.address, size: leaf.size, count: 1 }));
                    }
                }
                (_, Found::Table(below)) => {
                    let whole = Self::slot(level, part.start()) == part;
                    if !whole && !self.clear(below, part, free, lost, gather) {
                        left = true;
                        continue;
                    }
                    entries.store(&self.hal, index, self.format.empty(level));
                    gather.record(part, false, F::PAGE_BITS);
                    gather.hold(Held::Tree { table: below.address(), level: below.level(), frames: free && whole });
                }
            }
            lost = true;
        }
        lost && !left && self.is_left_empty(entries, range)
    }

    /// Takes out all leaves in the part of this table that translates `range`, and returns whether there were some, and
    /// whether there are tables beside them. With `free`, `gather` holds their frames: if they are in such an order that
    /// it has no room for them, listed in a frame of their own. Changes nothing and returns `None` if the HAL has none.
    #[inline(never)]
    fn take_leaves(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        free: bool,
        gather: &mut Gather<F, H>,
    ) -> Option<(bool, bool)> {
        let (level, slots) = (entries.level(), slots::<F>(entries.level(), entries.count(), range));
        let (mut extents, mut listed) = (ArrayVec::new(), None);
        if free {
            match self.extents(entries, slots.clone(), gather.room()) {
                Some(few) => extents = few,
                None => listed = Some(self.list(entries, slots.clone())?),
            }
        }
        let (kinds, bits) = (self.format.kinds(level), Self::entry_bits(level));
        let (mut index, mut start) = (slots.start, Self::slot(level, range.start()).start());
        let (mut some, mut tables) = (false, false);
        while index < slots.end {
            let leaves = entries.iter(index..slots.end).take_while(|&(_, raw)| kinds.is_leaf(raw)).count();
            if leaves > 0 {
                some = true;
                entries.store_strip(&self.hal, index, self.empty_strip(level, leaves));
                let last = start.wrapping_add(((leaves as u64) << bits).wrapping_sub(1));
                gather.record(ClosedRange::clamp(start, last), true, bits);
            } else {
                tables |= kinds.is_table(entries.load(index));
            }
            index += leaves.max(1);
            start = start.wrapping_add((leaves.max(1) as u64) << bits);
        }
        // Only what has been recorded may be held.
        extents.into_iter().map(Held::Frames).chain(listed).for_each(|held| gather.hold(held));
        Some((some, tables))
    }
}
