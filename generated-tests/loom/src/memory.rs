//! Memory whose words are loom's atomics, and a HAL over it.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use loom::sync::atomic::AtomicU64;
use loom::sync::{Mutex as LoomMutex, MutexGuard as LoomMutexGuard};
use tablewright::{Format, Hal, HostPhysAddr, Invalidation, Tag};

/// log2 of the bytes between two frames, and of the largest frame.
const APART: usize = 13;

/// A frame of a table, as the library's `loom` form expects it: room for a link, then the words.
#[repr(C)]
struct Table {
    link: [u64; 8],
    words: [AtomicU64; 512],
}

/// A frame of data, as large as the largest.
type Data = [u64; (1 << APART) / 8];

#[derive(Clone, Copy)]
enum Frame {
    Table(NonNull<Table>),
    Data(NonNull<Data>),
}

/// Frames that are never allocated twice, so that a use after free is noticed.
#[derive(Clone, Default)]
pub struct Memory {
    frames: Arc<Mutex<Frames>>,
    /// Held by the MMU, if there is one, while it walks, as an invalidation waits for walks that began before it.
    walks: Option<Arc<LoomMutex<()>>>,
}

#[derive(Default)]
struct Frames {
    /// Frame `n` is at address `(n + 1) << APART`.
    all: Vec<Frame>,
    freed: Vec<u64>,
}

// SAFETY: the frames are atomics, or used only by whoever allocated them.
unsafe impl Send for Frames {}

impl Frames {
    fn add(&mut self, frame: Frame) -> HostPhysAddr {
        self.all.push(frame);
        HostPhysAddr::from_usize(self.all.len() << APART)
    }

    /// The frame around `address`, if there is one.
    fn at(&self, address: u64) -> Option<Frame> {
        assert!(!self.freed.contains(&(address >> APART << APART)), "{address:#x} is used after it was freed");
        self.all.get(((address >> APART) as usize).checked_sub(1)?).copied()
    }
}

impl Memory {
    /// Memory that an MMU uses as well.
    pub fn with_mmu() -> Self {
        Self { walks: Some(Arc::new(LoomMutex::new(()))), ..Self::default() }
    }

    /// The number of frames in use.
    pub fn used(&self) -> usize {
        let frames = self.frames.lock().unwrap();
        frames.all.len() - frames.freed.len()
    }

    /// A frame of guest memory.
    pub fn data(&self) -> HostPhysAddr {
        let data: Box<Data> = Box::new([0; _]);
        self.frames.lock().unwrap().add(Frame::Data(NonNull::from(Box::leak(data))))
    }

    /// Until this is dropped, no invalidation is complete.
    pub(crate) fn walking(&self) -> Option<LoomMutexGuard<'_, ()>> {
        self.walks.as_ref().map(|walks| walks.lock().unwrap())
    }

    /// The word of a table at `address`.
    pub(crate) fn word(&self, address: u64) -> &AtomicU64 {
        let Some(Frame::Table(table)) = self.frames.lock().unwrap().at(address) else { panic!("no table") };
        // SAFETY: it lives as long as the memory.
        unsafe { &table.as_ref().words[(address as usize & 0xfff) / 8] }
    }

    /// The word of data at `address`; `None` if there is none.
    pub fn datum(&self, address: u64) -> Option<NonNull<u64>> {
        let Some(Frame::Data(data)) = self.frames.lock().unwrap().at(address) else { return None };
        // SAFETY: inside the frame.
        Some(unsafe { data.cast::<u64>().add((address as usize & ((1 << APART) - 1)) / 8) })
    }
}

// SAFETY: each frame is allocated once and lives as long as the memory. If there is an MMU, an invalidation waits for
// its walk; it caches nothing between walks.
unsafe impl Hal for Memory {
    /// A table, or a frame of data, which are larger.
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        if usize::from(size) == APART {
            return Some(self.data());
        }
        let table = Table { link: [0; 8], words: std::array::from_fn(|_| AtomicU64::new(!0)) };
        Some(self.frames.lock().unwrap().add(Frame::Table(NonNull::from(Box::leak(Box::new(table))))))
    }

    unsafe fn free(&self, frame: HostPhysAddr, _: u8) {
        let mut frames = self.frames.lock().unwrap();
        let frame = frame.as_usize() as u64;
        assert!(!frames.freed.contains(&frame), "{frame:#x} was freed twice");
        frames.freed.push(frame);
    }

    fn frees_parts(&self) -> bool {
        true
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        let address = address.as_usize();
        let frame = match self.frames.lock().unwrap().at(address as u64).expect("a frame") {
            Frame::Table(table) => table.cast::<u8>(),
            Frame::Data(data) => data.cast(),
        };
        // SAFETY: inside the frame.
        unsafe { frame.add(address & ((1 << APART) - 1)) }
    }

    fn invalidate<F: Format>(&self, _: &F, _: HostPhysAddr, _: Tag, _: &Invalidation) {
        drop(self.walking());
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        for frame in &self.all {
            // SAFETY: leaked when it was allocated, and the memory is no longer used.
            unsafe {
                match frame {
                    Frame::Table(table) => drop(Box::from_raw(table.as_ptr())),
                    Frame::Data(data) => drop(Box::from_raw(data.as_ptr())),
                }
            }
        }
    }
}
