//! The hypervisor's memory: frames for guests and for page tables, and a heap for the few things that need one.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};

use buddy_system_allocator::LockedHeap;
use tablewright::{Format, Hal, HostPhysAddr, Invalidation, Tag};

/// log2 of the size of a frame.
const FRAME_BITS: u8 = 12;

#[global_allocator]
static HEAP: LockedHeap<32> = LockedHeap::empty();
static HEAP_MEMORY: HeapMemory = HeapMemory(core::cell::UnsafeCell::new([0; 64 << 10]));
static FRAMES: LockedHeap<32> = LockedHeap::empty();
static FRAMES_IN_USE: AtomicUsize = AtomicUsize::new(0);

#[repr(align(4096))]
struct HeapMemory(core::cell::UnsafeCell<[u8; 64 << 10]>);

// SAFETY: only the heap's allocator uses it.
unsafe impl Sync for HeapMemory {}

// Symbols of the linker script.
unsafe extern "C" {
    static __program: u8;
    static __program_end: u8;
    static __frames: u8;
    static __frames_end: u8;
}

/// Hands all free memory to the allocators.
///
/// # Safety
///
/// Called once, before anything is allocated.
pub unsafe fn init() {
    let heap = HEAP_MEMORY.0.get();
    // SAFETY: nobody else uses this memory, and this happens once.
    unsafe { HEAP.lock().init(heap.expose_provenance(), size_of_val(&HEAP_MEMORY)) };
    let (start, end) = ((&raw const __frames).expose_provenance(), (&raw const __frames_end).expose_provenance());
    // SAFETY: the linker keeps this memory free.
    unsafe { FRAMES.lock().init(start, end - start) };
}

/// The code and constants of this image. Guests execute them, too.
pub fn program() -> &'static [u8] {
    let (start, end) = (&raw const __program, &raw const __program_end);
    // SAFETY: the linker places only immutable data there.
    unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) }
}

/// The number of frames of 4 KiB in use.
pub fn frames_in_use() -> usize {
    FRAMES_IN_USE.load(Ordering::Relaxed)
}

/// The HAL: physical and virtual addresses are the same, and one CPU runs all guests.
#[derive(Clone, Copy, Debug)]
pub struct FrameHal;

/// A frame of `1 << size` bytes, and its size in frames of the smallest size.
fn frame(size: u8) -> Option<(Layout, usize)> {
    let bytes = 1_usize.checked_shl(size.into())?;
    Some((Layout::from_size_align(bytes, bytes).ok()?, bytes >> FRAME_BITS))
}

// SAFETY: the frames are memory that nobody else uses, each is given out once, aligned to its size, and mapped one to
// one. There is one CPU, and it executes the invalidation itself.
unsafe impl Hal for FrameHal {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        let (layout, count) = frame(size)?;
        let start = FRAMES.lock().alloc(layout).ok()?;
        FRAMES_IN_USE.fetch_add(count, Ordering::Relaxed);
        Some(HostPhysAddr::from_usize(start.as_ptr().expose_provenance()))
    }

    unsafe fn free(&self, start: HostPhysAddr, size: u8) {
        if let Some((layout, count)) = frame(size) {
            // SAFETY: as the caller promises; the parts of a block may go back to it one by one.
            unsafe { FRAMES.lock().dealloc(self.phys_to_virt(start), layout) };
            FRAMES_IN_USE.fetch_sub(count, Ordering::Relaxed);
        }
    }

    fn frees_parts(&self) -> bool {
        true
    }

    fn frees_joined(&self) -> bool {
        true
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        // No frame is at address 0.
        NonNull::new(core::ptr::with_exposed_provenance_mut(address.as_usize())).unwrap_or(NonNull::dangling())
    }

    fn invalidate<F: Format>(&self, format: &F, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        // On this machine, entering the guest invalidates.
        #[cfg(target_arch = "x86_64")]
        if let Some(told) = format.at_entry(tag, set) {
            return crate::machine::at_entry(tag, &told);
        }
        // SAFETY: this is a hypervisor, and it changes a guest's space only while the guest's registers are loaded.
        let executed = unsafe { format.invalidate(root, tag, set) };
        debug_assert!(executed, "the format of another architecture");
    }
}
