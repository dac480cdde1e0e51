//! Memory: frames for guests and tables, and a heap for the few things that need one.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{NonNull, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicBool, Ordering};

use tablewright::{Format, Hal, HostPhysAddr, Invalidation, Tag};

const FRAME: usize = 0x1000;
const FRAMES: usize = 256;

/// The memory that frames come from. It starts at a multiple of its size, so that any frame in it can be aligned.
#[repr(C, align(0x10_0000))]
struct Pool(UnsafeCell<[u8; FRAME * FRAMES]>);

// SAFETY: it is accessed only through frames, each of which is given out once.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([0; FRAME * FRAMES]));
static TAKEN: [AtomicBool; FRAMES] = [const { AtomicBool::new(false) }; FRAMES];

fn pool() -> NonNull<u8> {
    NonNull::from(&POOL.0).cast()
}

/// Takes `count` consecutive frames, aligned to their total size.
fn take(count: usize) -> Option<NonNull<u8>> {
    let first = (0..FRAMES).step_by(count.max(1)).find(|&first| {
        let Some(frames) = TAKEN.get(first..first + count) else { return false };
        let taken = frames.iter().take_while(|frame| !frame.swap(true, Ordering::Acquire)).count();
        if taken < count {
            // The next one is in use: free those just taken.
            frames.iter().take(taken).for_each(|frame| frame.store(false, Ordering::Release));
        }
        taken == count
    })?;
    // SAFETY: the frames are inside the pool.
    Some(unsafe { pool().add(first * FRAME) })
}

fn give_back(start: NonNull<u8>, count: usize) {
    let first = (start.addr().get() - pool().addr().get()) / FRAME;
    for frame in TAKEN.iter().skip(first).take(count) {
        frame.store(false, Ordering::Release);
    }
}

/// The HAL: physical and virtual addresses are the same, one CPU runs the guest.
#[derive(Clone, Copy, Debug)]
pub struct FrameHal;

// SAFETY: the pool is memory that nobody else uses, each frame of it is given out once, and it is mapped one to one. Only
// this CPU runs the guest, and it executes the invalidation itself.
unsafe impl Hal for FrameHal {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        let count = 1_usize.checked_shl(u32::from(size))? / FRAME;
        take(count).map(|frame| HostPhysAddr::from_usize(frame.expose_provenance().get()))
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        give_back(self.phys_to_virt(frame), (1 << size) / FRAME);
    }

    fn frees_parts(&self) -> bool {
        true
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        NonNull::new(with_exposed_provenance_mut(address.as_usize())).unwrap_or(pool())
    }

    fn invalidate<F: Format>(&self, format: &F, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        // SAFETY: this runs at the privilege level of a hypervisor, with this guest's registers loaded.
        let executed = unsafe { format.invalidate(root, tag, set) };
        debug_assert!(executed, "the format of another architecture");
    }
}

/// A heap of whole frames: wasteful, and enough for the list of a few areas.
pub struct Heap;

// SAFETY: what is given out is frames taken from the pool, large enough and aligned to their number of pages.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let count = layout.size().max(layout.align()).div_ceil(FRAME).next_power_of_two();
        take(count).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        let count = layout.size().max(layout.align()).div_ceil(FRAME).next_power_of_two();
        if let Some(start) = NonNull::new(start) {
            give_back(start, count);
        }
    }
}
