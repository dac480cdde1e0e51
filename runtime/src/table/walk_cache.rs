//! A walk cache: walks begin at the lowest table that leads to all addresses walked to so far.
//!
//! MMUs have such a cache, too. Tables are taken out only through `&mut self`, and all operations that may do so
//! [clear](PageTable::exclusive) this cache first. So a table that is found here is in use, however many CPUs put tables
//! here at the same time.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{
    PageTable,
    build::Way,
    entries::{AtomicU64, Entries},
};
use crate::{ClosedRange, EntryWord, Format, Hal, HostPhysAddr, Level};

/// A table on the way to an address. The address is the first that was asked for, and never changes; so whichever table
/// is read together with it is on the way to it.
#[derive(Debug)]
pub(super) struct WalkCache {
    address: AtomicU64,
    /// The address of the table, and in the low bits, which are zero in it: log2 of what one of its entries spans and,
    /// from [`LEVEL`] on, its level. 0 if there is none yet.
    table: AtomicU64,
}

/// No address is kept yet; a kept address is even.
const NOWHERE: u64 = 1;

const BITS: u64 = 0x3f;
const LEVEL: u32 = 6;
/// The bits of [`WalkCache::table`] that are not part of the address: any frame for a table is aligned to more than
/// these.
const NOTES: u64 = 0x3ff;

impl Default for WalkCache {
    fn default() -> Self {
        Self { address: AtomicU64::new(NOWHERE), table: AtomicU64::new(0) }
    }
}

impl WalkCache {
    /// The first address that was asked for: `ia`, if there was none.
    fn first(&self, ia: u64) -> u64 {
        match self.address.load(Relaxed) {
            NOWHERE => match self.address.compare_exchange(NOWHERE, ia & !NOWHERE, Relaxed, Relaxed) {
                Ok(_) => ia,
                Err(first) => first,
            },
            // From the second time on, this only reads.
            first => first,
        }
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Goes down towards `ia`, a 64-bit address, as far as there are tables, while others may do so, too; `None` if this
    /// table cannot translate it.
    #[inline(always)]
    pub(super) fn way_to(&self, ia: u64) -> Option<Way<F>> {
        let WalkCache { address, table } = &self.walk_cache;
        let (table, apart) = (table.load(Acquire), ia ^ address.load(Relaxed));
        // A closure: where all levels are alike, the level is not needed before it is known that there is a table.
        let level = || (table >> LEVEL & 0xf) as Level;
        let is_near = table != 0 && apart >> (table & BITS) < Self::count(level()) as u64;
        let (start, bits) = if is_near {
            let address = HostPhysAddr::from_usize((table & !NOTES) as usize);
            let level = level();
            ((level, Self::count(level) - 1, address), (table & BITS) as u8)
        } else {
            let common = self.common_table(ia)?;
            let level = common.level();
            ((level, common.count() - 1, common.address()), Self::entry_bits(level))
        };
        Some(self.go_down(start, bits, ia))
    }

    /// The lowest table, above those of pages, that leads to `ia` and to all addresses that were asked for before; it is
    /// kept.
    #[cold]
    #[inline(never)]
    fn common_table(&self, ia: u64) -> Option<Entries<F::Word>> {
        let inside = self.reduce(ia)?;
        let first = self.walk_cache.first(ia) & self.start.input;
        let above_pages = ClosedRange::around(inside, Self::entry_bits(1) + 1);
        let both = ClosedRange::clamp(first.min(inside), first.max(inside)).hull(&above_pages);
        let common = self.table_around(both);
        let (level, index) = (common.level(), Self::index(common.level(), inside));
        // Of a wide root, only the part around `ia` that is as large as the tables below it. A narrow root has as much
        // room as they have, and the rest of that room is empty.
        let part = (index & (common.count() - 1)) >> Self::index_bits(level);
        let table = common.address().as_usize() as u64 + ((part as u64) << (Self::index_bits(level) + F::Word::SIZE));
        let is_common = || (first ^ inside) >> self.start.entry_bits < Self::count(level) as u64;
        if (level < self.geometry.top() || self.start.is_plain && is_common())
            // At an absent entry, a lower table on this way may come into being.
            && !self.format.kinds(level).is_absent(common.load(index))
            // A part may be smaller, and less aligned, than any frame.
            && table & NOTES == 0
        {
            let notes = u64::from(level) << LEVEL | u64::from(Self::entry_bits(level));
            self.walk_cache.table.store(table | notes, Release);
        }
        Some(common)
    }
}
