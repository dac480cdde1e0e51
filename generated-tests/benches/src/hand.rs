//! The hand-written loops: each does exactly one job, for one format whose constants it knows, and checks nothing.
//!
//! Tables that nobody sees yet are filled by plain stores; live entries are relaxed atomics, as `AtomicU64` must be on
//! any machine, and locked read-modify-writes where hardware sets flags.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
};

use crate::{
    frames,
    machine::Machine,
    subject::{Areas, Find, Harvest, Lazy, Linear, Populate, Protect, Relax, Shared, Split, Subject},
};

/// A page table made by hand.
pub struct Hand<M: Machine> {
    root: u64,
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

/// Fills entries of a table that nobody sees yet.
fn fill(table: u64, index: u64, count: u64, first: u64, step: u64) {
    let mut raw = first;
    for index in index..index + count {
        // SAFETY: the table is a frame in use, with room for all of them.
        unsafe { ((table + 8 * index) as *mut u64).write(raw) };
        raw = raw.wrapping_add(step);
    }
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

    /// The table at `level` on the way to `ia`, which is made if it is missing.
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

    /// Maps leaves of one level, where no table of that level is yet.
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
                fill(table, index, here, M::leaf(level, oa), Self::step(level));
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

    /// Gives back a table and all below it, and the frames that it maps, if asked to.
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

    fn is_empty(table: u64, level: u8) -> bool {
        let count = if level == TOP { 1 << M::ROOT_BITS } else { 512 };
        (0..count).all(|index| M::is_absent(entry(table, index).load(Relaxed)))
    }

    /// Unmaps whole tables, and what leads to nothing else.
    fn unmap_tables(&mut self, ia: u64, size: u64, pages: bool) {
        let mut detached = Vec::new();
        Self::detach(self.root, TOP, ia, ia + size, &mut detached);
        frames::invalidate();
        for (table, level) in detached {
            Self::free(table, level, pages);
        }
    }

    /// Takes out of a table what leads into the range, which cuts no leaf.
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

    /// Unmaps one page, and unlinks the tables that are empty then.
    fn unmap_page(&mut self, ia: u64) {
        let mut tables = [self.root; 4];
        for level in (1..=TOP).rev() {
            let raw = entry(tables[usize::from(level)], Self::index(level, ia)).load(Acquire);
            tables[usize::from(level) - 1] = M::address(raw);
        }
        entry(tables[0], Self::index(0, ia)).store(0, Release);
        let mut empty = 0;
        while empty < TOP && Self::is_empty(tables[usize::from(empty)], empty) {
            empty += 1;
            entry(tables[usize::from(empty)], Self::index(empty, ia)).store(0, Release);
        }
        frames::invalidate();
        tables[..usize::from(empty)].iter().for_each(|&table| frames::give(table, 12));
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

impl<M: Machine> Linear for Hand<M> {
    fn map(&mut self, ia: u64, size: u64, oa: u64, largest: u8) {
        // Up to the next larger leaf, as long as there is one, and down again.
        let (mut at, end) = (ia, ia + size);
        for level in 0..3 {
            let goal = if entry_bits(level + 1) <= largest && level < 2 {
                at.next_multiple_of(1 << entry_bits(level + 1)).min(end)
            } else {
                end >> entry_bits(level) << entry_bits(level)
            };
            if goal > at {
                self.map_level(level, at, goal - at, at - ia + oa);
                at = goal;
            }
        }
        for level in (0..2).rev() {
            let goal = end >> entry_bits(level) << entry_bits(level);
            if goal > at {
                self.map_level(level, at, goal - at, at - ia + oa);
                at = goal;
            }
        }
    }

    fn unmap(&mut self, ia: u64, size: u64) {
        self.unmap_tables(ia, size, false);
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        let (mut table, mut level) = (self.root, TOP);
        loop {
            let raw = entry(table, Self::index(level, ia)).load(Acquire);
            if M::is_absent(raw) {
                return None;
            }
            if M::is_leaf(level, raw) {
                return Some(M::address(raw) | ia & ((1 << entry_bits(level)) - 1));
            }
            table = M::address(raw);
            level -= 1;
        }
    }
}

impl<M: Machine> Protect for Hand<M> {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        for ia in (ia..ia + size).step_by(2 << 20) {
            let table = self.table(0, ia);
            for index in 0..512.min(size >> 12) {
                let entry = entry(table, index);
                if write {
                    entry.store(entry.load(Relaxed) | M::WRITE, Relaxed);
                } else if M::HARDWARE {
                    entry.fetch_and(!M::WRITE, AcqRel);
                } else {
                    entry.store(entry.load(Relaxed) & !M::WRITE, Relaxed);
                }
            }
        }
        frames::invalidate();
    }
}

impl<M: Machine> Split for Hand<M> {
    fn protect_part(&mut self, ia: u64) {
        let block = entry(self.table(1, ia), Self::index(1, ia));
        let raw = block.load(Relaxed);
        let table = frames::take(12).expect("a frame");
        fill(table, 0, 512, M::leaf(0, M::address(raw)), Self::step(0));
        let page = entry(table, Self::index(0, ia));
        page.store(page.load(Relaxed) & !M::WRITE, Relaxed);
        if M::HARDWARE {
            let _ = block.compare_exchange(raw, M::table(table), AcqRel, Acquire);
        } else {
            block.store(M::table(table), Release);
        }
        frames::invalidate();
    }
}

impl<M: Machine> Populate for Hand<M> {
    fn populate(&mut self, ia: u64, size: u64) {
        for ia in (ia..ia + size).step_by(2 << 20) {
            let parent = entry(self.table_or_new(1, ia), Self::index(1, ia));
            let table = frames::take(12).expect("a frame");
            for index in 0..512 {
                let frame = frames::take(12).expect("a frame");
                fill(table, index, 1, M::leaf(0, frame), 0);
            }
            parent.store(M::table(table), Release);
        }
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        self.unmap_tables(ia, size, true);
    }
}

impl<M: Machine> Lazy for Hand<M> {
    fn lazy(&mut self, ia: u64, size: u64) {
        self.areas.insert(ia, (ia + size - 1, 0));
    }

    fn fault(&mut self, ia: u64) -> bool {
        self.fault_shared(ia)
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unmap_tables(ia, size, true);
    }
}

impl<M: Machine> Shared for Hand<M> {
    fn fault_shared(&self, ia: u64) -> bool {
        if self.covering(ia).is_none() {
            return false;
        }
        let mut table = self.root;
        for level in (1..=TOP).rev() {
            let entry = entry(table, Self::index(level, ia));
            let raw = entry.load(Acquire);
            table = if M::is_absent(raw) {
                let below = frames::take(12).expect("a frame");
                fill(below, 0, 512, 0, 0);
                match entry.compare_exchange(raw, M::table(below), AcqRel, Acquire) {
                    Ok(_) => below,
                    Err(other) => {
                        frames::give(below, 12);
                        M::address(other)
                    }
                }
            } else {
                M::address(raw)
            };
        }
        let page = entry(table, Self::index(0, ia));
        let raw = page.load(Acquire);
        if !M::is_absent(raw) {
            return false;
        }
        let frame = frames::take(12).expect("a frame");
        let done = page.compare_exchange(raw, M::leaf(0, frame), AcqRel, Acquire).is_ok();
        if !done {
            frames::give(frame, 12);
        }
        done
    }
}

impl<M: Machine> Relax for Hand<M> {
    fn relax(&mut self, ia: u64) {
        let page = entry(self.table(0, ia), Self::index(0, ia));
        if M::HARDWARE {
            page.fetch_or(M::WRITE | M::DIRTY, AcqRel);
        } else {
            page.store(page.load(Relaxed) | M::WRITE | M::DIRTY, Relaxed);
        }
        frames::invalidate();
    }
}

impl<M: Machine> Harvest for Hand<M> {
    fn harvest(&mut self, ia: u64, size: u64, pages: &mut [u64]) {
        let dirty = if M::DIRTY == 0 { M::WRITE } else { M::DIRTY };
        for (ia, words) in (ia..ia + size).step_by(2 << 20).zip(pages.chunks_mut(8)) {
            let table = self.table(0, ia);
            for (first, word) in (0..).step_by(64).zip(words) {
                for bit in 0..64 {
                    let entry = entry(table, first + bit);
                    let raw = entry.load(Relaxed);
                    if raw & dirty == 0 {
                        continue;
                    }
                    if M::HARDWARE {
                        entry.fetch_and(!dirty, AcqRel);
                    } else {
                        entry.store(raw & !dirty, Relaxed);
                    }
                    *word |= 1 << bit;
                }
            }
        }
        frames::invalidate();
    }
}

impl<M: Machine> Areas for Hand<M> {
    fn add(&mut self, ia: u64, size: u64, oa: u64) {
        let last = ia + size - 1;
        assert!(self.covering(last).is_none_or(|(end, _)| end < ia), "an overlap");
        self.map_level(0, ia, size, oa);
        self.areas.insert(ia, (last, oa));
    }

    fn remove(&mut self, ia: u64, _size: u64) {
        self.areas.remove(&ia);
        self.unmap_page(ia);
    }
}

impl<M: Machine> Find for Hand<M> {
    fn find(&self, ia: u64) -> bool {
        self.covering(ia).is_some()
    }
}
