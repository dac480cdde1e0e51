//! Changes of a space: what they have in common, and how much work they are.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::Ordering::Relaxed;

use super::{AddrSpace, Backend};
use crate::{ChangeCounts, Format, Gather, Hal, PageTable};

/// The gather of a space, borrowed for one operation, which leaves nothing in it. The first operation makes it; making
/// one each time would take longer than most operations do.
pub(super) struct Gathering<'a, F: Format, H: Hal>(&'a mut Gather<F, H>);

impl<'a, F: Format, H: Hal> Gathering<'a, F, H> {
    /// The gather of the space with this table.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn new(gather: &'a mut Option<Gather<F, H>>, table: &PageTable<F, H>) -> Self {
        Self(gather.get_or_insert_with(|| table.gather()))
    }
}

impl<F: Format, H: Hal> Deref for Gathering<'_, F, H> {
    type Target = Gather<F, H>;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl<F: Format, H: Hal> DerefMut for Gathering<'_, F, H> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0
    }
}

impl<F: Format, H: Hal> Drop for Gathering<'_, F, H> {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Counts of what changes took since the space was made. Faults handled with `&self` are not included, so that CPUs
    /// share no counter there: see [`FaultCounts`](super::FaultCounts).
    pub fn change_counts(&self) -> ChangeCounts {
        let gathered = self.gather.as_ref().map_or(0, Gather::invalidations);
        let invalidations = gathered.saturating_add(self.harvests.load(Relaxed));
        self.table.change_counts() + ChangeCounts { splits: 0, invalidations }
    }
}
