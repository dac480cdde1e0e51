//! One entry in memory, in the order of bytes in which an MMU reads it.

use core::{marker::PhantomData, ptr::NonNull, sync::atomic::Ordering};

use super::AtomicU64;
use crate::ByteOrder;

/// One entry in memory. Its methods are those of an atomic, with values.
#[repr(transparent)]
pub(super) struct Word<O>(AtomicU64, PhantomData<O>);

impl<O: ByteOrder> Word<O> {
    #[inline]
    pub(super) fn load(&self, order: Ordering) -> u64 {
        O::reorder(self.0.load(order))
    }

    #[inline]
    pub(super) fn store(&self, raw: u64, order: Ordering) {
        self.0.store(O::reorder(raw), order);
    }

    #[inline]
    pub(super) fn swap(&self, raw: u64, order: Ordering) -> u64 {
        O::reorder(self.0.swap(O::reorder(raw), order))
    }

    #[inline]
    pub(super) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let done = self.0.compare_exchange(O::reorder(old), O::reorder(new), success, failure);
        done.map(O::reorder).map_err(O::reorder)
    }

    #[inline]
    pub(super) fn fetch_and(&self, mask: u64, order: Ordering) {
        self.0.fetch_and(O::reorder(mask), order);
    }

    /// Writes it plainly, whatever it holds.
    ///
    /// # Safety
    ///
    /// It is inside an allocated frame, and nobody else uses it.
    #[cfg(not(loom))]
    #[inline]
    pub(super) unsafe fn write(word: NonNull<Self>, raw: u64) {
        // SAFETY: as the caller promises; an atomic is a word in memory.
        unsafe { word.cast().write(O::reorder(raw)) };
    }

    /// The same, while loom watches that nobody else does.
    ///
    /// # Safety
    ///
    /// As above.
    #[cfg(loom)]
    pub(super) unsafe fn write(mut word: NonNull<Self>, raw: u64) {
        // SAFETY: as the caller promises; the model's frames hold atomics.
        unsafe { word.as_mut() }.0.with_mut(|word| *word = O::reorder(raw));
    }
}
