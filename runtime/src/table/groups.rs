//! Going through leaves in blocks: those that stay as they are, and holes, take one look at many of them.

use core::ops::Range;

use super::{
    Error, PageTable,
    alike::{Alike, Judge, Latest, Seen},
    build::Found,
    entries::{BLOCK, Entries},
    slots::slots,
};
use crate::{ClosedRange, EntryWord, Format, Hal, Kinds, Level};

/// What a block of entries is at a glance.
enum Block<'a> {
    /// Nothing.
    Empty,
    /// Leaves that stay as they are, and holes.
    Idle,
    /// Leaves, of which those with a bit are of one group, and change one by one; the others stay as they are.
    Busy(&'a Alike, u32),
    /// Anything else, or fewer entries than a block: a bit for each entry that has to be looked at.
    Mixed(u32),
}

impl<'a> Block<'a> {
    /// The block of entries at the start of `indices`, at a level with these `kinds`.
    #[inline(always)]
    fn at<W: EntryWord>(entries: Entries<W>, indices: Range<usize>, kinds: &Kinds, latest: &'a Latest) -> Self {
        let every = Self::Mixed(u32::MAX);
        if indices.len() < BLOCK {
            return Self::Mixed(!(u32::MAX << indices.len()));
        }
        let start = indices.start;
        let Some(common @ [all, any]) = entries.common(start) else { return every };
        let found = latest.find(common);
        let mut left = u32::MAX;
        if kinds.shows_leaves(all) {
            match found {
                Some(alike) if alike.rewrite.is_none() => return Self::Idle,
                Some(alike) if alike.is_plain() => return Self::Busy(alike, u32::MAX),
                Some(_) => return every,
                None => {}
            }
            if let Some((alike, [mask, value])) = latest.find_either(common) {
                return match entries.which(start, mask, value) {
                    // Somebody else has changed them all since.
                    0 => Self::Idle,
                    which => Self::Busy(alike, which),
                };
            }
        } else if all == any && kinds.is_absent(all) {
            return Self::Empty;
        } else if kinds.has_tables() {
            return every;
        } else if found.is_some_and(|alike| alike.rewrite.is_none()) {
            // They would stay as they are even if all were leaves.
            return Self::Idle;
        } else {
            left = entries.which_leaves(start, kinds);
        }
        // Those that stay as they are need no look.
        for alike in latest.iter().filter(|alike| alike.rewrite.is_none()) {
            left &= !alike.which(&entries, start);
        }
        if left == 0 { Self::Idle } else { Self::Mixed(left) }
    }
}

/// Leaves that are alike and change: neighbours in one table, or some of a block.
pub(super) struct Group<'a, F: Format> {
    pub(super) alike: &'a Alike,
    pub(super) level: Level,
    pub(super) entries: Entries<F::Word>,
    pub(super) index: usize,
    /// How many entries they are among. A run that changes as a whole comes item by item.
    pub(super) items: usize,
    /// Which of these entries they are; `u32::MAX`: all.
    pub(super) which: u32,
    /// Up to which index more of them may follow: those that the range covers.
    pub(super) end: usize,
    /// What these entries translate: the whole run, for an item of one.
    pub(super) range: ClosedRange,
    /// The first of them as it was.
    pub(super) raw: u64,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Calls `act` for each group of leaves in `range` that change, block by block in ascending order. `act` returns how
    /// many entries it dealt with, at least those of the group: if they are all alike, it may go on up to the group's
    /// `end`. `judge` decides about leaves that are unlike those met before.
    pub(super) fn for_all_groups(
        &self,
        range: ClosedRange,
        judge: &dyn Judge,
        act: &mut dyn FnMut(&Group<'_, F>) -> usize,
    ) -> Result<(), Error> {
        self.for_groups(self.table_around(range), range, &mut Seen::default(), judge, act)
    }

    /// As [`Self::for_all_groups`], for the part of `range` that this table translates.
    fn for_groups(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        seen: &mut Seen,
        judge: &dyn Judge,
        act: &mut dyn FnMut(&Group<'_, F>) -> usize,
    ) -> Result<(), Error> {
        let level = entries.level();
        let kinds = self.format.kinds(level);
        let bits = Self::entry_bits(level);
        let Range { start: first, end } = slots::<F>(level, entries.count(), range);
        let start = Self::slot(level, range.start()).start();
        let slot = |index: usize| ClosedRange::block(start + (((index - first) as u64) << bits), bits);
        let covered = if slot(end - 1).last() > range.last() { end - 1 } else { end };
        let mut index = first;
        while index < end {
            let mut left = match Block::at(entries, index..end, &kinds, seen.at(level)) {
                Block::Empty | Block::Idle => {
                    index += BLOCK;
                    continue;
                }
                Block::Busy(alike, which) => {
                    let (items, raw) = (BLOCK, entries.load(index + which.trailing_zeros() as usize));
                    let range = slot(index).hull(&slot(index + items - 1));
                    index += act(&Group { alike, level, entries, index, items, which, end: covered, range, raw });
                    continue;
                }
                Block::Mixed(left) => left,
            };
            let block = index;
            index = end.min(index + BLOCK);
            // First those that are like what has been met, adjacent or not.
            for alike in seen.at(level).iter().filter(|alike| alike.is_plain()) {
                if left.count_ones() <= 1 || block + BLOCK > covered {
                    break;
                }
                let mut which = left & alike.which(&entries, block);
                if which != 0 && kinds.has_tables() {
                    // Otherwise, only leaves are left.
                    which &= entries.which_leaves(block, &kinds);
                }
                if which != 0 {
                    let (items, end, raw) =
                        (BLOCK, block + BLOCK, entries.load(block + which.trailing_zeros() as usize));
                    let range = slot(block).hull(&slot(end - 1));
                    act(&Group { alike, level, entries, index: block, items, which, end, range, raw });
                    left &= !which;
                }
            }
            // Then the others, one by one.
            while left != 0 {
                let index = block + left.trailing_zeros() as usize;
                left &= left - 1;
                let raw = entries.load(index);
                let slot = slot(index);
                if kinds.is_leaf(raw) {
                    let alike = &ok!(seen.judge(level, slot.start(), raw, judge));
                    if alike.rewrite.is_some() {
                        let range = ClosedRange::block(slot.start(), self.format.leaf_bits(level, raw));
                        let (items, which, end) = (1, u32::MAX, index + 1);
                        act(&Group { alike, level, entries, index, items, which, end, range, raw });
                    }
                } else if let Found::Table(entries) = self.found(level, raw)
                    && let Some(part) = slot.intersection(&range)
                {
                    ok!(self.for_groups(entries, part, seen, judge, act));
                }
            }
        }
        Ok(())
    }

    /// How many entries from the start of `indices` on are of the same kind as `first`, tables or leaves of one entry,
    /// as far as whole blocks tell.
    pub(super) fn entries_like(&self, entries: Entries<F::Word>, first: u64, indices: Range<usize>) -> usize {
        let kinds = self.format.kinds(entries.level());
        let are_leaves = kinds.is_leaf(first);
        let telling = if !are_leaves { kinds.absent_mask | kinds.table_mask } else { kinds.single_mask };
        let mut index = indices.start;
        // The last block overlaps the one before.
        while index < indices.end
            && let Some(start) = indices.end.checked_sub(BLOCK).map(|last| last.min(index))
            && let Some([all, any]) = entries.common(start)
            && (!are_leaves || kinds.shows_leaves(all))
            && (all ^ first | any ^ first) & telling == 0
        {
            index = start + BLOCK;
        }
        index - indices.start
    }
}
