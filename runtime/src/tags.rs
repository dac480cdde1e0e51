//! Tags for more spaces than there are tags.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::Tag;

/// The tags of a machine, given out in turn. When all have been used, a new generation begins, in which those of the one
/// before are void.
///
/// [`PageTable::renew_tag`](crate::PageTable::renew_tag) gives a table one when it needs one.
#[derive(Debug)]
pub struct Tags {
    first: u32,
    count: u64,
    /// How many were given out since the machine was started: the generation, and the place in it.
    taken: AtomicU64,
    /// The latest generation for which everything of those before has been invalidated; the first needs none.
    clean: AtomicU64,
}

impl Tags {
    /// Those from `first` to `last`, both included.
    pub const fn new(first: Tag, last: Tag) -> Self {
        let more = last.0.saturating_sub(first.0);
        Self { first: first.0, count: more as u64 + 1, taken: AtomicU64::new(0), clean: AtomicU64::new(1) }
    }

    /// The current generation, from 1 on.
    pub fn generation(&self) -> u64 {
        self.taken.load(Ordering::Acquire).saturating_sub(1) / self.count + 1
    }

    /// Whether a tag of this generation holds.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        generation == self.generation()
    }

    /// Whether nothing of the generations before `generation` is cached any more.
    pub(crate) fn is_clean(&self, generation: u64) -> bool {
        self.clean.load(Ordering::Acquire) >= generation
    }

    /// Everything of the generations before `generation` has been invalidated.
    pub(crate) fn cleaned(&self, generation: u64) {
        self.clean.fetch_max(generation, Ordering::AcqRel);
    }

    /// The next tag and its generation.
    pub(crate) fn take(&self) -> (Tag, u64) {
        let taken = self.taken.fetch_add(1, Ordering::AcqRel);
        let (before, place) = (taken / self.count, taken % self.count);
        (Tag(self.first + place as u32), before + 1)
    }
}
