//! Frames taken before anything is changed, kept in lists that run through the frames themselves.

use core::ptr::NonNull;

use super::{Error, PageTable};
use crate::{Format, Hal, HostPhysAddr, Level, Refusal};

/// What stands in the first bytes of a frame that waits in a list.
#[derive(Clone, Copy)]
struct Link {
    next: Option<HostPhysAddr>,
    size: u8,
}

fn link(hal: &impl Hal, frame: HostPhysAddr) -> NonNull<Link> {
    hal.phys_to_virt(frame).cast()
}

/// Frames in the order in which they were taken. What is left when it is dropped goes back to the HAL.
pub(super) struct Frames<'a, H: Hal> {
    hal: &'a H,
    first: Option<HostPhysAddr>,
    last: Option<HostPhysAddr>,
}

impl<'a, H: Hal> Frames<'a, H> {
    pub(super) fn new(hal: &'a H) -> Self {
        Self { hal, first: None, last: None }
    }

    /// Takes a frame of `1 << size` bytes from the HAL; `None` if there is none.
    pub(super) fn allocate(&mut self, size: u8) -> Option<HostPhysAddr> {
        let frame = self.hal.allocate(size)?;
        self.put(frame, size);
        Some(frame)
    }

    /// Appends a frame that was allocated with this size and that nobody uses.
    pub(super) fn put(&mut self, frame: HostPhysAddr, size: u8) {
        // SAFETY: the frames in the list are ours alone, and large and aligned enough for a link.
        unsafe {
            link(self.hal, frame).write(Link { next: None, size });
            if let Some(last) = self.last {
                (*link(self.hal, last).as_ptr()).next = Some(frame);
            }
        }
        self.first = self.first.or(Some(frame));
        self.last = Some(frame);
    }

    /// log2 of the size of the first frame.
    pub(super) fn next_size(&self) -> Option<u8> {
        // SAFETY: as in `put`; `put` wrote the link.
        self.first.map(|frame| unsafe { link(self.hal, frame).read() }.size)
    }

    /// Takes the first frame and its size out.
    pub(super) fn take(&mut self) -> Option<(HostPhysAddr, u8)> {
        let frame = self.first?;
        // SAFETY: as in `put`; `put` wrote the link.
        let Link { next, size } = unsafe { link(self.hal, frame).read() };
        self.first = next;
        if next.is_none() {
            self.last = None;
        }
        Some((frame, size))
    }
}

impl<H: Hal> Drop for Frames<'_, H> {
    fn drop(&mut self) {
        while let Some((frame, size)) = self.take() {
            // SAFETY: it was allocated with this size, and nobody used it.
            unsafe { self.hal.free(frame, size) };
        }
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Takes frames for `count` tables below the root.
    pub(super) fn reserve(&self, count: usize) -> Result<Frames<'_, H>, Error> {
        let mut frames = Frames::new(&self.hal);
        for _ in 0..count {
            self.reserve_table(&mut frames)?;
        }
        Ok(frames)
    }

    /// Takes one more frame for a table below the root.
    pub(super) fn reserve_table(&self, frames: &mut Frames<'_, H>) -> Result<(), Error> {
        let size = self.geometry.table_bits(0);
        let frame = frames.allocate(size).ok_or(Error::NoMemory { size })?;
        (1..self.geometry.levels).try_for_each(|level| self.link_entry(level, frame).map(|_| ()))
    }

    /// The entry at `level` that leads to the table at `frame`.
    pub(super) fn link_entry(&self, level: Level, frame: HostPhysAddr) -> Result<u64, Error> {
        let entry: Result<u64, Refusal> = self.format.table(level, frame.as_usize() as u64);
        entry.map_err(|refusal| Error::Refused { level, refusal })
    }
}
