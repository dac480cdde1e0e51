//! The hand-written loops: each does exactly one job, for a format whose constants are known when it is compiled, and
//! checks nothing.
//!
//! Tables that are not linked yet are filled by plain stores. Live entries are accessed by relaxed atomics, and by
//! atomic read-modify-writes if hardware sets flags.

mod jobs;

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use crate::{frames, machine::Machine, subject::Subject};

/// A page table that is changed by hand-written loops.
pub struct Hand<M: Machine> {
    root: u64,
    /// The last address of each, and the first output address, whose lowest bit says whether the memory may be written.
    areas: BTreeMap<u64, (u64, u64)>,
    machine: PhantomData<fn() -> M>,
}

const fn entry_bits(level: u8) -> u8 {
    12 + 9 * level
}

const TOP: u8 = 3;

fn entry<'a>(table: u64, index: u64) -> &'a AtomicU64 {
    // SAFETY: the callers' tables are frames in use, and the index is below 512 (or the root's size).
    unsafe { &*((table + 8 * index) as *const AtomicU64) }
}

/// Fills entries of a table that is not linked yet.
fn fill(table: u64, index: u64, count: u64, first: u64, step: u64) {
    let mut raw = first;
    for index in index..index + count {
        // SAFETY: the table is a frame in use, with room for all of them.
        unsafe { ((table + 8 * index) as *mut u64).write(raw) };
        raw = raw.wrapping_add(step);
    }
}

/// The same for leaves with consecutive addresses. Not inlined: in some builds the inlined loop is half as fast.
#[inline(never)]
fn fill_leaves(table: u64, index: u64, count: u64, first: u64, step: u64) {
    fill(table, index, count, first, step);
}

impl<M: Machine> Hand<M> {
    fn index(level: u8, ia: u64) -> u64 {
        let bits = if level == TOP { M::ROOT_BITS } else { 9 };
        ia >> entry_bits(level) & ((1 << bits) - 1)
    }

    fn step(level: u8) -> u64 {
        M::leaf(level, 1 << entry_bits(level)) - M::leaf(level, 0)
    }

    /// The table at `level` on the way to `ia`.
    fn table(&self, level: u8, ia: u64) -> u64 {
        let mut table = self.root;
        for level in (level + 1..=TOP).rev() {
            table = M::address(entry(table, Self::index(level, ia)).load(Acquire));
        }
        table
    }

    /// The table at `level` on the way to `ia`, which is created if it is missing.
    fn table_or_new(&self, level: u8, ia: u64) -> u64 {
        let mut table = self.root;
        for level in (level + 1..=TOP).rev() {
            let entry = entry(table, Self::index(level, ia));
            let raw = entry.load(Acquire);
            table = if M::is_absent(raw) {
                let below = frames::take(12).expect("a frame");
                fill(below, 0, 512, 0, 0);
                entry.store(M::table(below), Release);
                below
            } else {
                M::address(raw)
            };
        }
        table
    }

    /// Maps leaves of one level, where there is no table of that level yet.
    fn map_level(&self, level: u8, mut ia: u64, size: u64, mut oa: u64) {
        let mut count = size >> entry_bits(level);
        while count > 0 {
            let index = Self::index(level, ia);
            let here = count.min(512 - index);
            let parent = entry(self.table_or_new(level + 1, ia), Self::index(level + 1, ia));
            let raw = parent.load(Acquire);
            if M::is_absent(raw) {
                let table = frames::take(12).expect("a frame");
                fill(table, 0, index, 0, 0);
                fill_leaves(table, index, here, M::leaf(level, oa), Self::step(level));
                fill(table, index + here, 512 - index - here, 0, 0);
                parent.store(M::table(table), Release);
            } else {
                let (table, mut raw) = (M::address(raw), M::leaf(level, oa));
                for index in index..index + here {
                    entry(table, index).store(raw, Release);
                    raw = raw.wrapping_add(Self::step(level));
                }
            }
            count -= here;
            ia += here << entry_bits(level);
            oa += here << entry_bits(level);
        }
    }

    /// Frees a table and all below it, and also the frames that it maps if asked to.
    fn free(table: u64, level: u8, pages: bool) {
        if level > 0 || pages {
            for index in 0..512 {
                let raw = entry(table, index).load(Acquire);
                if M::is_absent(raw) {
                } else if M::is_leaf(level, raw) {
                    if pages {
                        frames::give(M::address(raw), 12);
                    }
                } else {
                    Self::free(M::address(raw), level - 1, pages);
                }
            }
        }
        frames::give(table, 12);
    }

    /// Allows or forbids writing to a page.
    fn allow(page: &AtomicU64, write: bool) {
        if M::HARDWARE {
            if write {
                page.fetch_or(M::WRITE, AcqRel)
            } else {
                page.fetch_and(!M::WRITE, AcqRel)
            };
        } else {
            let raw = page.load(Relaxed);
            page.store(if write { raw | M::WRITE } else { raw & !M::WRITE }, Relaxed);
        }
    }

    fn is_empty(table: u64, level: u8) -> bool {
        let count = if level == TOP { 1 << M::ROOT_BITS } else { 512 };
        (0..count).all(|index| M::is_absent(entry(table, index).load(Relaxed)))
    }

    /// Unmaps whole tables, and unlinks tables above that become empty.
    fn unmap_tables(&mut self, ia: u64, size: u64, pages: bool) {
        let mut detached = Vec::new();
        Self::detach(self.root, TOP, ia, ia + size, &mut detached);
        frames::invalidate();
        for (table, level) in detached {
            Self::free(table, level, pages);
        }
    }

    /// Removes from a table the entries that translate the range, which splits no leaf.
    fn detach(table: u64, level: u8, ia: u64, end: u64, detached: &mut Vec<(u64, u8)>) {
        let slot = 1 << entry_bits(level);
        let mut at = ia;
        while at < end {
            let next = (at + 1).next_multiple_of(slot).min(end);
            let entry = entry(table, Self::index(level, at));
            let raw = entry.load(Relaxed);
            if M::is_absent(raw) || M::is_leaf(level, raw) {
                entry.store(0, Release);
            } else {
                let below = M::address(raw);
                let whole = next - at == slot;
                if !whole {
                    Self::detach(below, level - 1, at, next, detached);
                }
                if whole || Self::is_empty(below, level - 1) {
                    entry.store(0, Release);
                    detached.push((below, level - 1));
                }
            }
            at = next;
        }
    }

    /// Unmaps one page, and unlinks tables that become empty. Returns the page's old entry.
    fn unmap_page(&mut self, ia: u64) -> u64 {
        let mut tables = [self.root; 4];
        for level in (1..=TOP).rev() {
            let raw = entry(tables[usize::from(level)], Self::index(level, ia)).load(Acquire);
            tables[usize::from(level) - 1] = M::address(raw);
        }
        let page = entry(tables[0], Self::index(0, ia));
        let raw = page.load(Relaxed);
        page.store(0, Release);
        let mut empty = 0;
        while empty < TOP && Self::is_empty(tables[usize::from(empty)], empty) {
            empty += 1;
            entry(tables[usize::from(empty)], Self::index(empty, ia)).store(0, Release);
        }
        frames::invalidate();
        tables[..usize::from(empty)].iter().for_each(|&table| frames::give(table, 12));
        raw
    }

    fn covering(&self, ia: u64) -> Option<(u64, u64)> {
        let (_, &(last, oa)) = self.areas.range(..=ia).next_back()?;
        (ia <= last).then_some((last, oa))
    }
}

impl<M: Machine> Subject for Hand<M> {
    const NAME: &'static str = "by hand";

    fn new() -> Self {
        let bits = M::ROOT_BITS + 3;
        let root = frames::take(bits).expect("a frame");
        fill(root, 0, 1 << M::ROOT_BITS, 0, 0);
        Self { root, areas: BTreeMap::new(), machine: PhantomData }
    }
}

impl<M: Machine> Drop for Hand<M> {
    fn drop(&mut self) {
        frames::invalidate();
        for index in 0..1 << M::ROOT_BITS {
            let raw = entry(self.root, index).load(Acquire);
            if !M::is_absent(raw) {
                Self::free(M::address(raw), TOP - 1, false);
            }
        }
        frames::give(self.root, M::ROOT_BITS + 3);
    }
}
