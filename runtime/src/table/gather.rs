//! The collected duty to invalidate, with everything that may be freed only afterwards.

use crate::{Format, Hal, HostPhysAddr, Tag};

/// The duty to invalidate what operations on a page table changed, with the tables and frames that they took out of it.
///
/// Nothing is freed before the invalidation that covers it is complete. Dropping a gather performs the invalidation;
/// forgetting one leaks what rides in it. It never allocates: when its buffer is full, it invalidates early.
#[must_use = "dropping it invalidates; keep it to collect the changes of several operations"]
pub struct Gather<F: Format, H: Hal> {
    format: F,
    hal: H,
    root: HostPhysAddr,
    tag: Tag,
}

impl<F: Format, H: Hal> Gather<F, H> {
    pub(super) fn new(format: F, hal: H, root: HostPhysAddr, tag: Tag) -> Self {
        Self { format, hal, root, tag }
    }

    /// Whether nothing is due.
    pub fn is_empty(&self) -> bool {
        let _ = (&self.format, &self.hal, self.root, self.tag);
        todo!()
    }

    /// Invalidates what is due, then releases what rides here.
    pub fn flush(&mut self) {
        todo!()
    }
}
