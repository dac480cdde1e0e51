//! One entry, such as the one at which a way down a tree ends.

use core::{ptr::NonNull, sync::atomic::Ordering};

use super::words;
use crate::{EntryWord, Hal, HostPhysAddr};

/// One entry of a table that may be in use.
pub(in crate::table) struct EntryRef<W> {
    pub(super) word: NonNull<W>,
    pub(super) address: HostPhysAddr,
}

impl<W> Clone for EntryRef<W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for EntryRef<W> {}

/// The physical address of the entry at `index` of the table at `table`.
#[inline]
pub(super) fn address_of<W: EntryWord>(table: HostPhysAddr, index: usize) -> HostPhysAddr {
    HostPhysAddr::from_usize(table.as_usize() + (index << W::SIZE))
}

impl<W: EntryWord> EntryRef<W> {
    /// The entry at `index` of the table at `table`.
    ///
    /// # Safety
    ///
    /// As for [`Entries::new`](super::Entries::new); and `index` is inside the table.
    #[inline]
    pub(in crate::table) unsafe fn new(hal: &impl Hal, table: HostPhysAddr, index: usize) -> Self {
        // SAFETY: inside the table, as the caller promises.
        Self { word: unsafe { words(hal, table).add(index) }, address: address_of::<W>(table, index) }
    }

    /// Where its table is, which has `1 << bits` entries.
    #[inline]
    pub(in crate::table) const fn table(self, bits: u8) -> HostPhysAddr {
        HostPhysAddr::from_usize(self.address.as_usize() & !((1 << (bits + W::SIZE)) - 1))
    }

    #[inline]
    fn word(&self) -> &W {
        // SAFETY: inside a table, which is allocated and aligned; everybody accesses it through atomics.
        unsafe { self.word.as_ref() }
    }

    /// Reads it; what it points to was written before it.
    #[inline]
    pub(in crate::table) fn load(self) -> u64 {
        self.word().load(Ordering::Acquire)
    }

    /// Replaces it; what the new one points to is visible before it.
    #[inline]
    pub(super) fn store(self, hal: &impl Hal, raw: u64) {
        self.word().store(raw, Ordering::Release);
        self.publish(hal);
    }

    /// Replaces it, whatever others exchange it for at this moment.
    #[inline]
    pub(in crate::table) fn overwrite(self, hal: &impl Hal, raw: u64) {
        if cfg!(loom) {
            // A store comes either before or after an exchange by another thread. loom does not know that: if the store
            // did not see the exchange, it leaves open which came last.
            self.swap(hal, raw);
        } else {
            self.store(hal, raw);
        }
    }

    /// Replaces it and returns what it was up to that moment.
    #[inline]
    pub(in crate::table) fn swap(self, hal: &impl Hal, raw: u64) -> u64 {
        let old = self.word().swap(raw, Ordering::AcqRel);
        self.publish(hal);
        old
    }

    /// Replaces it if it is `old`.
    ///
    /// # Errors
    ///
    /// What it is instead.
    #[inline]
    pub(in crate::table) fn exchange(self, hal: &impl Hal, old: u64, new: u64) -> Result<(), u64> {
        self.word().compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)?;
        self.publish(hal);
        Ok(())
    }

    #[inline]
    fn publish(self, hal: &impl Hal) {
        hal.publish_table(self.address, 1 << W::SIZE);
    }
}
