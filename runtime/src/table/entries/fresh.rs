//! Tables that are still being filled.

use core::{ops::Range, ptr::NonNull};

use super::words;
use crate::{EntryWord, Hal, HostPhysAddr, Strip};

/// A table that nobody else can see yet.
pub(in crate::table) struct Fresh<W> {
    base: NonNull<W>,
    address: HostPhysAddr,
    words: usize,
}

impl<W: EntryWord> Fresh<W> {
    /// A table in a frame of `1 << size` bytes, with arbitrary content.
    ///
    /// # Safety
    ///
    /// The frame is allocated from `hal`, and nobody else uses it while the value lives.
    pub(in crate::table) unsafe fn new(hal: &impl Hal, address: HostPhysAddr, size: u8) -> Self {
        Self { base: words(hal, address), address, words: 1 << (size - W::SIZE) }
    }

    /// Where the table is.
    pub(in crate::table) const fn address(&self) -> HostPhysAddr {
        self.address
    }

    /// Writes one entry, which is inside the table.
    pub(in crate::table) fn write(&mut self, index: usize, raw: u64) {
        // SAFETY: the masked index is inside the frame, which is ours alone and has a power of two of words.
        unsafe { W::write(self.base.add(index & (self.words - 1)), raw) };
    }

    /// Writes a strip; what would be outside the table is skipped.
    pub(in crate::table) fn fill(&mut self, mut index: usize, strip: Strip) {
        let (mut raw, end) = (strip.first, self.words.min(index + strip.items));
        // Not a loop over a range: like this, it becomes several words at once.
        while index < end {
            // SAFETY: inside the frame, which is ours alone.
            unsafe { W::write(self.base.add(index), raw) };
            raw = raw.wrapping_add(strip.step);
            index += 1;
        }
    }

    /// Writes what `next` returns at those of `indices` that are `wanted`, as long as it returns something, and returns
    /// the index after that.
    #[inline]
    pub(in crate::table) fn write_while(
        &mut self,
        indices: Range<usize>,
        wanted: impl Fn(usize) -> bool,
        mut next: impl FnMut() -> Option<u64>,
    ) -> usize {
        let (mut index, end) = (indices.start, indices.end.min(self.words));
        while index < end {
            if wanted(index) {
                let Some(raw) = next() else { break };
                // SAFETY: inside the frame, which is ours alone.
                unsafe { W::write(self.base.add(index), raw) };
            }
            index += 1;
        }
        index
    }

    /// Fills all of it with one value.
    pub(in crate::table) fn clear(&mut self, raw: u64) {
        self.fill(0, Strip { first: raw, step: 0, items: self.words });
    }

    /// Makes the content ready for MMUs; it may then be linked, or used through [`Entries`](super::Entries).
    pub(in crate::table) fn publish(self, hal: &impl Hal) -> HostPhysAddr {
        hal.publish_table(self.address, self.words << W::SIZE);
        self.address
    }
}
