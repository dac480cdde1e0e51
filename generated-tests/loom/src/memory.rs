//! Memory whose words are loom's atomics, and a HAL over it.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use loom::sync::atomic::AtomicU64;
use tablewright::{Format, Hal, HostPhysAddr, Invalidation, Tag};

/// A frame as the library's `loom` form expects it: room for a link, then the words.
#[repr(C)]
struct Frame {
    link: [u64; 8],
    words: [AtomicU64; 512],
}

/// Frames that are never given out twice, so that whoever uses one too late is seen.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Frames>>);

#[derive(Default)]
struct Frames {
    /// Frame `n` is at address `(n + 1) << 12`.
    all: Vec<NonNull<Frame>>,
    freed: Vec<HostPhysAddr>,
}

// SAFETY: the frames are atomics, or used by whoever was given them.
unsafe impl Send for Frames {}

impl Memory {
    /// How many frames were given out and not given back.
    pub fn used(&self) -> usize {
        let frames = self.0.lock().unwrap();
        frames.all.len() - frames.freed.len()
    }
}

// SAFETY: each frame is given out once and lives as long as the memory. There is no MMU.
unsafe impl Hal for Memory {
    fn allocate(&self, _: u8) -> Option<HostPhysAddr> {
        let frame = Frame { link: [0; 8], words: std::array::from_fn(|_| AtomicU64::new(!0)) };
        let mut frames = self.0.lock().unwrap();
        frames.all.push(NonNull::from(Box::leak(Box::new(frame))));
        Some(HostPhysAddr::from_usize(frames.all.len() << 12))
    }

    unsafe fn free(&self, frame: HostPhysAddr, _: u8) {
        let mut frames = self.0.lock().unwrap();
        assert!(!frames.freed.contains(&frame), "{frame:?} was freed twice");
        frames.freed.push(frame);
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        let frames = self.0.lock().unwrap();
        assert!(!frames.freed.contains(&address), "{address:?} is used after it was freed");
        frames.all[(address.as_usize() >> 12) - 1].cast()
    }

    fn invalidate<F: Format>(&self, _: &F, _: HostPhysAddr, _: Tag, _: &Invalidation) {}
}

impl Drop for Frames {
    fn drop(&mut self) {
        for frame in &self.all {
            // SAFETY: leaked by `allocate`, and nobody has the memory any more.
            drop(unsafe { Box::from_raw(frame.as_ptr()) });
        }
    }
}
