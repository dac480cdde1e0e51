//! Frames that nobody uses yet, in lists whose links are in the frames themselves.

use core::{marker::PhantomData, ptr::NonNull};

use crate::{Hal, HostPhysAddr};

/// The first bytes of a frame that waits in a list: the next frame, and the note of the list's owner.
#[derive(Clone, Copy)]
struct Link<T> {
    next: Option<HostPhysAddr>,
    note: T,
}

fn link<T>(hal: &impl Hal, frame: HostPhysAddr) -> NonNull<Link<T>> {
    hal.phys_to_virt(frame).cast()
}

/// Frames in the order in which they were put in, each with a note, by default log2 of its size. The owner of a list has
/// to give its frames back.
#[derive(Debug)]
pub(super) struct List<T = u8> {
    first: Option<HostPhysAddr>,
    last: Option<HostPhysAddr>,
    count: usize,
    notes: PhantomData<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { first: None, last: None, count: 0, notes: PhantomData }
    }
}

impl<T: Copy> List<T> {
    /// Appends a frame that was allocated from `hal` and that nobody uses.
    pub(super) fn put(&mut self, hal: &impl Hal, frame: HostPhysAddr, note: T) {
        // SAFETY: the frames in the list are ours alone, and large and aligned enough for a link.
        unsafe {
            link(hal, frame).write(Link { next: None, note });
            if let Some(last) = self.last {
                (*link::<T>(hal, last).as_ptr()).next = Some(frame);
            }
        }
        self.first = self.first.or(Some(frame));
        self.last = Some(frame);
        self.count += 1;
    }

    /// Takes the first frame and its note out.
    pub(super) fn take(&mut self, hal: &impl Hal) -> Option<(HostPhysAddr, T)> {
        let frame = self.first?;
        // SAFETY: as in `put`, which wrote the link.
        let Link { next, note } = unsafe { link(hal, frame).read() };
        self.first = next;
        if next.is_none() {
            self.last = None;
        }
        self.count -= 1;
        Some((frame, note))
    }

    /// Number of frames.
    pub(super) fn len(&self) -> usize {
        self.count
    }
}

impl List {
    /// Gives back all frames but `count`.
    #[inline]
    pub(super) fn shrink(&mut self, hal: &impl Hal, count: usize) {
        if self.count > count {
            self.give_back(hal, count);
        }
    }

    #[inline(never)]
    fn give_back(&mut self, hal: &impl Hal, count: usize) {
        while self.count > count
            && let Some((frame, size)) = self.take(hal)
        {
            // SAFETY: it was allocated with this size, and nobody used it.
            unsafe { hal.free(frame, size) };
        }
    }
}

/// The list of one operation. Frames that are left when it is dropped go back to the HAL.
pub(super) struct Frames<'a, H: Hal> {
    hal: &'a H,
    list: List,
}

impl<'a, H: Hal> Frames<'a, H> {
    pub(super) fn new(hal: &'a H) -> Self {
        Self { hal, list: List::default() }
    }

    /// The list of an operation, with frames that were allocated from `hal`.
    pub(super) fn of(hal: &'a H, list: List) -> Self {
        Self { hal, list }
    }

    /// The frames that are left, as a list for the caller to own.
    pub(super) fn into_list(mut self) -> List {
        core::mem::take(&mut self.list)
    }

    /// Appends a frame that was allocated with this size and that nobody uses.
    pub(super) fn put(&mut self, frame: HostPhysAddr, size: u8) {
        self.list.put(self.hal, frame, size);
    }

    /// Number of frames.
    pub(super) fn len(&self) -> usize {
        self.list.count
    }

    /// Gives back all frames but `count`.
    pub(super) fn shrink(&mut self, count: usize) {
        self.list.shrink(self.hal, count);
    }

    /// Takes the first frame and its size out.
    pub(super) fn take(&mut self) -> Option<(HostPhysAddr, u8)> {
        self.list.take(self.hal)
    }
}

impl<H: Hal> Drop for Frames<'_, H> {
    fn drop(&mut self) {
        self.list.shrink(self.hal, 0);
    }
}
