//! The one place where entries are read and written.
//!
//! An entry that an MMU or another CPU may see is touched only through a transient reference to an atomic (an
//! [`EntryWord`], of [`Entries`]). Plain writes are only for a table that is not linked yet ([`Fresh`]). Linking a table
//! takes a Release store, descending an Acquire load.
//!
//! In the `loom` form (`--cfg loom`, for `generated-tests/loom` only), an entry is loom's atomic, which is larger than a
//! word: then a frame at `Hal::phys_to_virt` has [`PREFIX`] bytes, followed by one atomic for each word.

mod blocks;
mod entry;
mod fresh;

use core::{ptr::NonNull, sync::atomic::Ordering};

#[cfg(not(loom))]
pub(super) use core::sync::atomic::AtomicU64;
#[cfg(loom)]
pub(super) use loom::sync::atomic::AtomicU64;

pub(super) use blocks::BLOCK;
pub(super) use entry::EntryRef;
pub(super) use fresh::Fresh;

use crate::{EntryWord, Format, Hal, HostPhysAddr, Level, Rewrite};
use entry::address_of;

/// The entries of a table that may be in use. It has two words, so that it is passed in registers.
pub(super) struct Entries<W> {
    base: NonNull<W>,
    /// The address of the table, and in the low bits, which are zero in it: the level and, from [`BITS`] on, log2 of the
    /// number of entries.
    place: u64,
}

impl<W> Clone for Entries<W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Entries<W> {}

/// The entries of a format's tables, and one of them, as aliases for derives: if these saw a format's word, they would
/// ask it to be `Copy`.
pub(super) type EntriesOf<F> = Entries<<F as Format>::Word>;
pub(super) type EntryOf<F> = EntryRef<<F as Format>::Word>;

/// Where log2 of the number of entries is in [`Entries::place`].
const BITS: u32 = 4;

/// The bits of [`Entries::place`] that are not part of the address: any frame for a table is aligned to more than these.
const NOTES: u64 = 0x3ff;

/// Where the entries begin in a frame. In the `loom` form, the link of a list of frames is before them: loom's atomics
/// cannot hold it.
const PREFIX: usize = if cfg!(loom) { 64 } else { 0 };

/// The words of the frame at `address`.
fn words<W>(hal: &impl Hal, address: HostPhysAddr) -> NonNull<W> {
    // SAFETY: the prefix is part of the frame.
    unsafe { hal.phys_to_virt(address).add(PREFIX) }.cast()
}

// Addresses are held as `u64` in entries and as `usize` in `HostPhysAddr`.
const _: () = assert!(size_of::<usize>() == 8, "page tables need 64-bit addresses");

impl<W: EntryWord> Entries<W> {
    /// The table with `1 << bits` entries at `address`, at `level`.
    ///
    /// # Safety
    ///
    /// The table has at least that many entries, was allocated from `hal`, and stays allocated while the value is used.
    pub(super) unsafe fn new(hal: &impl Hal, level: Level, bits: u8, address: HostPhysAddr) -> Self {
        let place = address.as_usize() as u64 | u64::from(bits) << BITS | u64::from(level);
        Self { base: words(hal, address), place }
    }

    /// The level of the table.
    pub(super) const fn level(self) -> Level {
        self.place as Level & 0xf
    }

    /// Where the table is.
    pub(super) const fn address(self) -> HostPhysAddr {
        HostPhysAddr::from_usize((self.place & !NOTES) as usize)
    }

    /// Number of entries.
    pub(super) const fn count(self) -> usize {
        1 << (self.place >> BITS & 63)
    }

    /// Number of entries, a power of two, less one.
    const fn mask(self) -> usize {
        self.count() - 1
    }

    fn entry(&self, index: usize) -> &W {
        // SAFETY: the masked index is inside the table, which is allocated and aligned; everybody accesses it through
        // atomics.
        unsafe { self.base.add(index & self.mask()).as_ref() }
    }

    /// The entry at `index`.
    fn at(&self, index: usize) -> EntryRef<W> {
        let index = index & self.mask();
        // SAFETY: the masked index is inside the table, which is allocated as long as this value is used.
        EntryRef { word: unsafe { self.base.add(index) }, address: address_of::<W>(self.address(), index) }
    }

    /// Reads an entry; what it points to was written before it.
    pub(super) fn load(&self, index: usize) -> u64 {
        self.at(index).load()
    }

    /// Replaces an entry; what the new one points to is visible before it.
    pub(super) fn store(&self, hal: &impl Hal, index: usize, raw: u64) {
        self.at(index).store(hal, raw);
    }

    /// Replaces an entry and returns what it was up to that moment.
    pub(super) fn swap(&self, hal: &impl Hal, index: usize, raw: u64) -> u64 {
        self.at(index).swap(hal, raw)
    }

    /// Replaces an entry if it is `old`.
    ///
    /// # Errors
    ///
    /// What it is instead.
    pub(super) fn exchange(&self, hal: &impl Hal, index: usize, old: u64, new: u64) -> Result<(), u64> {
        self.at(index).exchange(hal, old, new)
    }

    /// Replaces an entry by what `change` makes of it, while the MMU or other CPUs may change it, too, and returns what
    /// was replaced. If `change` returns `None`, the entry stays.
    pub(super) fn update(&self, hal: &impl Hal, index: usize, change: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        self.update_from(hal, index, self.load(index), change)
    }

    /// As [`Self::update`], for an entry that was `raw` when it was last read.
    pub(super) fn update_from(
        &self,
        hal: &impl Hal,
        index: usize,
        mut raw: u64,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Option<u64> {
        loop {
            let new = change(raw)?;
            match self.exchange(hal, index, raw, new) {
                Ok(()) => return Some(raw),
                Err(now) => raw = now,
            }
        }
    }

    /// Rewrites a leaf that was `raw` when it was last read, while the MMU may mark it; the rewrite does not change the
    /// marks.
    pub(super) fn rewrite(&self, hal: &impl Hal, index: usize, raw: u64, rewrite: Rewrite) {
        if raw & rewrite.set == rewrite.set {
            // Bits are only cleared, as by write protection: that is one instruction, where the machine has it.
            self.entry(index).fetch_and(rewrite.keep | rewrite.set, Ordering::AcqRel);
            self.publish(hal, index, 1);
        } else {
            self.update_from(hal, index, raw, |raw| Some(rewrite.apply(raw)));
        }
    }

    /// Makes entries that were changed by plain stores visible to MMUs that do not snoop caches.
    pub(super) fn publish(&self, hal: &impl Hal, index: usize, items: usize) {
        hal.publish_table(address_of::<W>(self.address(), index & self.mask()), items << W::SIZE);
    }
}
