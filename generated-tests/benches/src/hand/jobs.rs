//! The jobs as hand-written loops.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::{Hand, TOP, entry, entry_bits, fill};
use crate::{
    frames,
    machine::Machine,
    subject::{
        Areas, Balloon, CopyOut, Enlarge, Find, Harvest, Lazy, Linear, Move, Populate, Protect, ProtectAreas,
        ProtectPage, Read, Relax, Shared, Split,
    },
};

impl<M: Machine> Linear for Hand<M> {
    fn map(&mut self, ia: u64, size: u64, oa: u64, largest: u8) {
        // Larger and larger leaves as long as they fit, then smaller ones again.
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

impl<M: Machine> ProtectPage for Hand<M> {
    fn protect_page(&mut self, ia: u64, write: bool) {
        Self::allow(entry(self.table(0, ia), Self::index(0, ia)), write);
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

impl<M: Machine> Move for Hand<M> {
    fn move_range(&mut self, ia: u64, size: u64, to: u64) {
        // Whole tables where possible, else their pages.
        let level = if (to - ia).is_multiple_of(1 << entry_bits(1)) { 1 } else { 0 };
        let slot = 1 << entry_bits(level);
        let (mut at, end) = (ia, ia + size);
        while at < end {
            // Up to the end of either table.
            let (from, here) = (Self::index(level, at), Self::index(level, at - ia + to));
            let count = ((end - at) / slot).min(512 - from).min(512 - here);
            let (old, new) = (self.table(level, at), self.table_or_new(level, at - ia + to));
            for index in 0..count {
                let old = entry(old, from + index);
                let raw = if M::HARDWARE { old.swap(0, AcqRel) } else { old.load(Relaxed) };
                if !M::HARDWARE {
                    old.store(0, Relaxed);
                }
                entry(new, here + index).store(raw, Release);
            }
            at += count * slot;
        }
        self.unmap_tables(ia, size, false);
    }
}

impl<M: Machine> Enlarge for Hand<M> {
    fn populate_small(&mut self, ia: u64, size: u64) {
        self.populate(ia, size);
    }

    fn enlarge(&mut self, ia: u64, size: u64) {
        for ia in (ia..ia + size).step_by(2 << 20) {
            let block = entry(self.table(1, ia), Self::index(1, ia));
            let (table, frame) = (M::address(block.load(Relaxed)), frames::take(21).expect("a frame"));
            block.store(0, Release);
            frames::invalidate();
            for index in 0..512 {
                let page = M::address(entry(table, index).load(Relaxed));
                // SAFETY: both are frames in use, and the new one is nobody else's.
                unsafe { ((frame + (index << 12)) as *mut [u64; 512]).write(*(page as *const [u64; 512])) };
                frames::give(page, 12);
            }
            frames::give(table, 12);
            block.store(M::leaf(1, frame), Release);
        }
    }

    fn unpopulate_large(&mut self, ia: u64, size: u64) {
        for ia in (ia..ia + size).step_by(2 << 20) {
            frames::give(M::address(entry(self.table(1, ia), Self::index(1, ia)).load(Relaxed)), 21);
        }
        self.unmap_tables(ia, size, false);
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
        self.areas.insert(ia, (ia + size - 1, 0));
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        self.unmap_tables(ia, size, true);
    }
}

impl<M: Machine> Balloon for Hand<M> {
    fn take_page(&mut self, ia: u64) {
        frames::give(M::address(self.unmap_page(ia)), 12);
    }

    fn give_page(&mut self, ia: u64) {
        let frame = frames::take(12).expect("a frame");
        entry(self.table_or_new(0, ia), Self::index(0, ia)).store(M::leaf(0, frame), Release);
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
        self.areas.insert(ia, (last, oa | 1));
    }

    fn remove(&mut self, ia: u64, _size: u64) {
        self.areas.remove(&ia);
        self.unmap_page(ia);
    }

    fn remove_all(&mut self, ia: u64, size: u64) {
        let mut inside = self.areas.split_off(&ia);
        self.areas.append(&mut inside.split_off(&(ia + size)));
        self.unmap_tables(ia, size, false);
    }
}

impl<M: Machine> ProtectAreas for Hand<M> {
    fn protect_all(&mut self, ia: u64, size: u64, write: bool) {
        let (mut at, end) = (ia, ia + size);
        self.areas.range_mut(ia..end).for_each(|(_, (_, oa))| *oa = *oa & !1 | u64::from(write));
        while at < end {
            let next = (at + 1).next_multiple_of(2 << 20).min(end);
            let table = self.table(0, at);
            for index in Self::index(0, at)..=Self::index(0, next - 1) {
                let page = entry(table, index);
                if !M::is_absent(page.load(Relaxed)) {
                    Self::allow(page, write);
                }
            }
            at = next;
        }
        frames::invalidate();
    }
}

impl<M: Machine> Find for Hand<M> {
    fn find(&self, ia: u64) -> bool {
        self.covering(ia).is_some()
    }
}

impl<M: Machine> Read for Hand<M> {
    fn read(&self, ia: u64) -> u64 {
        self.covering(ia).expect("an area");
        entry(self.translate(ia).expect("a page"), 0).load(Relaxed)
    }
}

impl<M: Machine> CopyOut for Hand<M> {
    fn copy(&self, ia: u64, buffer: &mut [u8]) {
        self.covering(ia).expect("an area");
        let mut ia = ia;
        let mut rest = buffer;
        while !rest.is_empty() {
            let here = (0x1000 - (ia & 0xfff)).min(rest.len() as u64);
            let (piece, after) = rest.split_at_mut(here as usize);
            let page = self.translate(ia).expect("a page");
            for (index, word) in piece.as_chunks_mut().0.iter_mut().enumerate() {
                *word = entry(page, index as u64).load(Relaxed).to_ne_bytes();
            }
            (ia, rest) = (ia + here, after);
        }
    }
}
