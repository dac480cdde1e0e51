//! A client's paging handler whose frames are the test's own memory, counted for each thread.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::PagingHandler;

thread_local! {
    static FRAMES: RefCell<BTreeMap<usize, Layout>> = const { RefCell::new(BTreeMap::new()) };
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Physical addresses are those of the process. A frame that is freed twice, or in parts, fails the test.
pub struct Frames;

impl Frames {
    /// The number of allocated blocks of frames.
    pub fn allocated() -> usize {
        FRAMES.with_borrow(BTreeMap::len)
    }

    /// The number of allocations that may still succeed.
    pub fn limit(left: usize) {
        LEFT.set(left);
    }
}

impl PagingHandler for Frames {
    fn alloc_frames(count: usize, align: usize) -> Option<PhysAddr> {
        LEFT.set(LEFT.get().checked_sub(1)?);
        let layout = Layout::from_size_align(count * 0x1000, align).ok()?;
        // SAFETY: the size is not 0.
        let start = unsafe { alloc(layout) } as usize;
        // What is in a new frame is arbitrary; nobody may rely on zeros.
        // SAFETY: just allocated.
        unsafe { (start as *mut u8).write_bytes(0xa5, layout.size()) };
        FRAMES.with_borrow_mut(|frames| frames.insert(start, layout));
        Some(start.into())
    }

    fn dealloc_frames(start: PhysAddr, count: usize) {
        let layout = FRAMES.with_borrow_mut(|frames| frames.remove(&start.as_usize())).expect("it is allocated");
        assert_eq!(layout.size(), count * 0x1000);
        // SAFETY: allocated with this layout.
        unsafe { dealloc(start.as_usize() as *mut u8, layout) };
    }

    fn phys_to_virt(address: PhysAddr) -> VirtAddr {
        address.as_usize().into()
    }
}
