//! Counting how much work changes of a space are.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::Relaxed;

use super::{AddrSpace, Backend};
use crate::{ChangeCounts, Format, Gather, Hal, PageTable};

/// A gather whose invalidations are counted when it is dropped.
pub(super) struct Counted<'a, F: Format, H: Hal> {
    gather: Gather<F, H>,
    invalidations: &'a mut u64,
}

impl<'a, F: Format, H: Hal> Counted<'a, F, H> {
    /// One for operations on `table`.
    pub(super) fn new(table: &PageTable<F, H>, invalidations: &'a mut u64) -> Self {
        Self { gather: table.gather(), invalidations }
    }
}

impl<F: Format, H: Hal> Deref for Counted<'_, F, H> {
    type Target = Gather<F, H>;

    fn deref(&self) -> &Self::Target {
        &self.gather
    }
}

impl<F: Format, H: Hal> DerefMut for Counted<'_, F, H> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.gather
    }
}

impl<F: Format, H: Hal> Drop for Counted<'_, F, H> {
    fn drop(&mut self) {
        self.gather.flush();
        *self.invalidations = self.invalidations.saturating_add(self.gather.invalidations());
    }
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// How much work changes were since the space was made. What faults take that are dealt with while others use the
    /// space, is not among it, so that CPUs share nothing there: [`FaultCounts`](super::FaultCounts) has their numbers.
    pub fn change_counts(&self) -> ChangeCounts {
        let gathered = ChangeCounts { splits: 0, invalidations: self.invalidations.load(Relaxed) };
        self.table.change_counts() + gathered
    }
}
