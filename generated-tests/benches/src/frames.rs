//! The memory from which every contender takes its frames, and a count of the invalidations that they request.
//!
//! It is an arena of whole frames; the frame freed last is allocated first. Each thread has a stock of its own, as each
//! CPU of a hypervisor would. Physical addresses are virtual addresses of this process.

use std::{
    alloc::{Layout, alloc, handle_alloc_error},
    cell::Cell,
    ptr::NonNull,
};

use tablewright::{Format, Hal, HostPhysAddr, Invalidation, Tag};

/// The size of the arena: enough for the tables of 1 TiB of pages. Frames that are never touched take no memory.
const BYTES: usize = 5 << 30;
const FRAME_BITS: u8 = 12;
/// Frames of up to `1 << LARGEST` bytes; the larger ones are few: wide roots, and blocks.
const LARGEST: u8 = 21;
const FEW: usize = 64;

/// Free frames of one size: a stack.
#[derive(Clone, Copy)]
struct Stock {
    bottom: *mut u64,
    top: *mut u64,
    end: *mut u64,
}

impl Stock {
    const NONE: Self = Self { bottom: std::ptr::null_mut(), top: std::ptr::null_mut(), end: std::ptr::null_mut() };

    fn with_room(frames: usize) -> Self {
        let bottom = reserve(Layout::array::<u64>(frames).expect("a size that memory can have")).cast::<u64>().as_ptr();
        // SAFETY: the end of what was just allocated.
        Self { bottom, top: bottom, end: unsafe { bottom.add(frames) } }
    }

    fn put(&mut self, frame: u64) {
        assert!(self.top < self.end, "more frames are freed than there are");
        // SAFETY: below the end.
        unsafe {
            self.top.write(frame);
            self.top = self.top.add(1);
        }
    }

    fn take(&mut self) -> Option<u64> {
        if self.top == self.bottom {
            return None;
        }
        // SAFETY: above the bottom.
        unsafe {
            self.top = self.top.sub(1);
            Some(self.top.read())
        }
    }
}

thread_local! {
    static SMALL: Cell<Stock> = const { Cell::new(Stock::NONE) };
    static LARGE: Cell<[Stock; (LARGEST - FRAME_BITS) as usize]> =
        const { Cell::new([Stock::NONE; (LARGEST - FRAME_BITS) as usize]) };
    static INVALIDATIONS: Cell<u64> = const { Cell::new(0) };
}

fn reserve(layout: Layout) -> NonNull<u8> {
    // SAFETY: the size is not 0.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives this thread the arena, unless it has it. Every measurement starts here.
pub fn open() {
    if !SMALL.get().bottom.is_null() {
        return;
    }
    let layout = Layout::from_size_align(BYTES, 1 << LARGEST).expect("a size that memory can have");
    let mut next = reserve(layout).as_ptr() as usize;
    let end = next + BYTES;
    let mut large = LARGE.get();
    for (stock, size) in large.iter_mut().zip(FRAME_BITS + 1..) {
        *stock = Stock::with_room(FEW);
        for _ in 0..FEW {
            stock.put(next.next_multiple_of(1 << size) as u64);
            next = next.next_multiple_of(1 << size) + (1 << size);
        }
    }
    LARGE.set(large);
    let mut small = Stock::with_room(BYTES >> FRAME_BITS);
    // The lowest addresses are allocated first.
    (next..end).step_by(1 << FRAME_BITS).rev().for_each(|frame| small.put(frame as u64));
    SMALL.set(small);
}

/// Takes frames of 4 KiB out of this thread's stock, for another thread.
pub fn carve(count: usize) -> Vec<u64> {
    (0..count).map_while(|_| take(FRAME_BITS)).collect()
}

/// Gives this thread `frames`. A thread without a stock gets one with room for these.
pub fn stock(frames: &[u64]) {
    if SMALL.get().bottom.is_null() {
        SMALL.set(Stock::with_room(frames.len()));
    }
    frames.iter().rev().for_each(|&frame| give(frame, FRAME_BITS));
}

/// The number of free frames of 4 KiB that this thread has.
pub fn left() -> usize {
    let small = SMALL.get();
    // SAFETY: both are in the same allocation.
    unsafe { small.top.offset_from_unsigned(small.bottom) }
}

/// A frame of `1 << size` bytes with arbitrary content.
#[inline]
pub fn take(size: u8) -> Option<u64> {
    if size == FRAME_BITS {
        let mut small = SMALL.get();
        let frame = small.take();
        SMALL.set(small);
        return frame;
    }
    let mut large = LARGE.get();
    let frame = large.get_mut(usize::from(size.checked_sub(FRAME_BITS + 1)?))?.take();
    LARGE.set(large);
    frame
}

/// Frees a frame.
#[inline]
pub fn give(frame: u64, size: u8) {
    if size == FRAME_BITS {
        let mut small = SMALL.get();
        small.put(frame);
        SMALL.set(small);
        return;
    }
    let mut large = LARGE.get();
    large[usize::from(size - FRAME_BITS - 1)].put(frame);
    LARGE.set(large);
}

/// Counts a request for an invalidation. What one costs depends on the machine; software decides only how many there
/// are.
#[inline]
pub fn invalidate() {
    INVALIDATIONS.set(INVALIDATIONS.get() + 1);
}

/// The number of invalidations that this thread requested.
pub fn invalidations() -> u64 {
    INVALIDATIONS.get()
}

/// The HAL through which this library uses the arena.
#[derive(Clone, Copy, Debug)]
pub struct Arena;

// SAFETY: frames are given out once, naturally aligned, and are ordinary memory of this process; no MMU walks the tables.
unsafe impl Hal for Arena {
    #[inline]
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        take(size).map(|frame| HostPhysAddr::from_usize(frame as usize))
    }

    #[inline]
    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        give(frame.as_usize() as u64, size);
    }

    /// A large frame that is freed in parts becomes small frames.
    fn frees_parts(&self) -> bool {
        true
    }

    /// The frames are not zeroed, for any contender, as nobody reads them.
    #[inline]
    unsafe fn zero_frame(&self, _frame: HostPhysAddr, _size: u8) {}

    #[inline]
    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        // SAFETY: only addresses of the arena come here, which are those of this process, and not null.
        unsafe { NonNull::new_unchecked(address.as_usize() as *mut u8) }
    }

    #[inline]
    fn invalidate<F: Format>(&self, _format: &F, _root: HostPhysAddr, _tag: Tag, _set: &Invalidation) {
        invalidate();
    }
}
