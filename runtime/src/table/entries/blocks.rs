//! Many consecutive entries, as operations over ranges read and write them.

use core::{array::from_fn, ops::Range, sync::atomic::Ordering};

use super::Entries;
use crate::{EntryWord, Hal, Kinds, Rewrite, Strip, table::alike::Alike};

/// How many entries are looked at together.
pub(in crate::table) const BLOCK: usize = 32;

/// How many entries are held in registers together.
const FEW: usize = 8;

impl<W: EntryWord> Entries<W> {
    /// Reads the entries at `indices`, with the index of each; indices outside the table are skipped.
    #[inline]
    pub(in crate::table) fn iter(&self, indices: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
        let Range { start, end } = indices;
        // SAFETY: inside the table; see `entry`.
        let load = |index| unsafe { self.base.add(index).as_ref() }.load(Ordering::Acquire);
        (start..end.min(self.count())).map(move |index| (index, load(index)))
    }

    /// The bits that all of the [`BLOCK`] entries from `index` on have, and those that any has; `None` if the table has
    /// fewer entries.
    #[inline]
    pub(in crate::table) fn common(&self, index: usize) -> Option<[u64; 2]> {
        if index + BLOCK > self.count() {
            return None;
        }
        // SAFETY: inside the table, as just checked; see `entry`.
        let load = |item| unsafe { self.base.add(index + item).as_ref() }.load(Ordering::Relaxed);
        Some((0..BLOCK).map(load).fold([u64::MAX, 0], |[all, any], raw| [all & raw, any | raw]))
    }

    /// Whether one of the entries at `indices` has one of `bits`.
    pub(in crate::table) fn have_any(&self, indices: Range<usize>, bits: u64) -> bool {
        // Without a way out, this is one instruction for each.
        bits != 0 && self.iter(indices).fold(0, |any, (_, raw)| any | raw) & bits != 0
    }

    /// A bit for each of the [`BLOCK`] entries from `index` on with `raw & mask == value`; 0 if the table has fewer
    /// entries.
    // Not inlined: it has several callers.
    #[inline(never)]
    pub(in crate::table) fn which(&self, index: usize, mask: u64, value: u64) -> u32 {
        if index + BLOCK > self.count() {
            return 0;
        }
        // SAFETY: inside the table, as just checked; see `entry`.
        let load = |item| unsafe { self.base.add(index + item).as_ref() }.load(Ordering::Relaxed);
        // From the last to the first, so that each is added in the same place.
        let all = (0..BLOCK).rev();
        if mask.is_power_of_two() && value & !mask == 0 {
            // One bit need not be compared.
            let shift = mask.trailing_zeros();
            let set = all.fold(0, |which, item| which * 2 + (load(item) >> shift & 1) as u32);
            return if value == 0 { !set } else { set };
        }
        all.fold(0, |which, item| which * 2 + u32::from(load(item) & mask == value))
    }

    /// A bit for each of the [`BLOCK`] entries from `index` on that is a leaf; every bit if the table has fewer entries.
    pub(in crate::table) fn which_leaves(&self, index: usize, kinds: &Kinds) -> u32 {
        let absent = self.which(index, kinds.absent_mask, kinds.absent_value);
        let tables = if kinds.has_tables() { self.which(index, kinds.table_mask, kinds.table_value) } else { 0 };
        !(absent | tables)
    }

    /// Writes a strip over entries that are not present.
    pub(in crate::table) fn store_strip(&self, hal: &impl Hal, index: usize, strip: Strip) {
        let mut raw = strip.first;
        for item in 0..strip.items {
            self.entry(index + item).store(raw, Ordering::Release);
            raw = raw.wrapping_add(strip.step);
        }
        self.publish(hal, index, strip.items);
    }

    /// Writes those entries that are not absent over another table's, which is as large.
    pub(in crate::table) fn copy_to(&self, hal: &impl Hal, to: &Self, kinds: Kinds) {
        let count = self.count().min(to.count());
        for index in 0..count {
            // SAFETY: inside either table; see `entry`.
            let (old, new) = unsafe { (self.base.add(index).as_ref(), to.base.add(index).as_ref()) };
            let raw = old.load(Ordering::Relaxed);
            if !kinds.is_absent(raw) {
                new.store(raw, Ordering::Release);
            }
        }
        to.publish(hal, 0, count);
    }

    /// Takes entries out, leaving `empty`, and puts them into another table from `first` on, over entries that are not
    /// present. With `hardware`, the MMU may change all but the absent ones of these `kinds` up to that moment.
    pub(in crate::table) fn move_to(
        &self,
        hal: &impl Hal,
        indices: Range<usize>,
        to: &Self,
        first: usize,
        empty: u64,
        hardware: Option<Kinds>,
    ) {
        if let Some(kinds) = hardware {
            let is_there = |&(index, _): &(usize, usize)| !kinds.is_absent(self.load(index));
            let places = indices.zip(first..).filter(is_there);
            return places.for_each(|(index, there)| to.store(hal, there, self.swap(hal, index, empty)));
        }
        let (start, there) = (indices.start & self.mask(), first & to.mask());
        let items = indices.len().min(self.count() - start).min(to.count() - there);
        for item in 0..items {
            // SAFETY: inside either table; see `entry`.
            let (old, new) = unsafe { (self.base.add(start + item).as_ref(), to.base.add(there + item).as_ref()) };
            let raw = old.load(Ordering::Acquire);
            old.store(empty, Ordering::Release);
            new.store(raw, Ordering::Release);
        }
        self.publish(hal, indices.start, indices.len());
        to.publish(hal, first, indices.len());
    }

    /// Rewrites leaves among `indices` with plain stores, several at once, up to the first block that may hold something
    /// else but holes. Returns where that is, and the indices around all that changed. It does not publish them.
    #[inline(never)]
    pub(in crate::table) fn rewrite_blocks(
        &self,
        indices: Range<usize>,
        kinds: &Kinds,
        rewrite: Rewrite,
    ) -> (usize, Option<Range<usize>>) {
        let (keep, set) = (rewrite.keep, rewrite.set);
        let (mut index, end) = (indices.start, indices.end.min(self.count()));
        let mut changed: Option<Range<usize>> = None;
        while index + BLOCK <= end {
            // SAFETY: inside the table, as just checked; see `entry`.
            let entry = |item| unsafe { self.base.add(index + item).as_ref() };
            let load = |item| entry(item).load(Ordering::Relaxed);
            let common = (0..BLOCK).fold(u64::MAX, |common, item| common & load(item));
            let is_full = kinds.shows_leaves(common);
            if !is_full && kinds.has_tables() {
                break;
            }
            // With a choice of values instead of branches, which nobody could foresee.
            let new = |raw| if kinds.is_absent(raw) { raw } else { raw & keep | set };
            let changes = match is_full {
                true => common & !keep != set || (0..BLOCK).any(|item| load(item) & !keep != set),
                false => (0..BLOCK).any(|item| new(load(item)) != load(item)),
            };
            if changes {
                if !is_full {
                    (0..BLOCK).for_each(|item| entry(item).store(new(load(item)), Ordering::Relaxed));
                } else if common & set == set {
                    // Bits are only cleared, as by write protection: one instruction for each entry.
                    let left = keep | set;
                    (0..BLOCK).for_each(|item| entry(item).store(load(item) & left, Ordering::Relaxed));
                } else {
                    (0..BLOCK).for_each(|item| entry(item).store(load(item) & keep | set, Ordering::Relaxed));
                }
                let start = changed.map_or(index, |changed| changed.start);
                changed = Some(start..index + BLOCK);
            }
            index += BLOCK;
        }
        (index, changed)
    }

    /// Rewrites leaves from the start of `indices` on with plain stores, as long as a few together all match `which`, and
    /// returns how many. Each new value is made from the value that was read.
    #[inline]
    pub(in crate::table) fn rewrite_alike(
        &self,
        hal: &impl Hal,
        indices: Range<usize>,
        kinds: &Kinds,
        which: &Alike,
        rewrite: Rewrite,
    ) -> usize {
        let (start, end) = (indices.start, indices.end.min(self.count()));
        // SAFETY: inside the table, as is made sure before each use; see `entry`.
        let entry = |index| unsafe { self.base.add(index).as_ref() };
        let mut index = start;
        while index + FEW <= end {
            let few: [u64; FEW] = from_fn(|item| entry(index + item).load(Ordering::Acquire));
            let [all, any] = few.iter().fold([u64::MAX, 0], |[all, any], raw| [all & raw, any | raw]);
            if !kinds.shows_leaves(all) || !which.contains(all) || !which.contains(any) {
                break;
            }
            (0..FEW).for_each(|item| entry(index + item).store(rewrite.apply(few[item]), Ordering::Release));
            index += FEW;
        }
        if index > start {
            self.publish(hal, start, index - start);
        }
        index.saturating_sub(start)
    }

    /// Rewrites those of the [`BLOCK`] leaves from `index` on that `which` has a bit for, with plain stores, if they are
    /// `alike` at that moment. Returns the others of them.
    #[inline]
    pub(in crate::table) fn rewrite_some(
        &self,
        hal: &impl Hal,
        index: usize,
        which: u32,
        alike: &Alike,
        rewrite: Rewrite,
    ) -> u32 {
        if index + BLOCK > self.count() {
            return which;
        }
        let (mut left, mut others) = (which, 0);
        while left != 0 {
            let (item, rest) = (left.trailing_zeros(), left & (left - 1));
            // SAFETY: inside the table, as just checked; see `entry`.
            let entry = unsafe { self.base.add(index + item as usize).as_ref() };
            let raw = entry.load(Ordering::Acquire);
            if alike.contains(raw) {
                entry.store(rewrite.apply(raw), Ordering::Release);
            } else {
                others |= left ^ rest;
            }
            left = rest;
        }
        self.publish(hal, index, BLOCK);
        others
    }

    /// Rewrites entries from the start of `indices` on with plain stores, as long as `which` holds for each at that
    /// moment, and returns how many.
    #[inline]
    pub(in crate::table) fn rewrite_while(
        &self,
        hal: &impl Hal,
        indices: Range<usize>,
        which: impl Fn(u64) -> bool,
        rewrite: Rewrite,
    ) -> usize {
        let Range { start, end } = indices;
        let one = |index| {
            let entry = self.entry(index);
            let raw = entry.load(Ordering::Acquire);
            let is_one = which(raw);
            if is_one {
                entry.store(rewrite.apply(raw), Ordering::Release);
            }
            is_one
        };
        let stop = (start..end).find(|&index| !one(index)).unwrap_or(end);
        if stop > start {
            self.publish(hal, start, stop - start);
        }
        stop - start
    }
}
