//! `page-table-generic`: a table whose ranges are changed by recursion.

use page_table_generic::{FrameAllocator, MapConfig, PageTable, PageTableEntry, PhysAddr, TableMeta, VirtAddr};

use super::entry::Entry;
use crate::{
    frames,
    subject::{Balloon, Lazy, Linear, Populate, Protect, ProtectPage, Relax, Split, Subject},
    work::PAGE,
};

/// The arena.
#[derive(Clone, Copy)]
pub struct Arena;

impl FrameAllocator for Arena {
    fn alloc_frame(&self) -> Option<PhysAddr> {
        frames::take(12).map(|frame| PhysAddr::from_usize(frame as usize))
    }

    fn dealloc_frame(&self, frame: PhysAddr) {
        frames::give(frame.as_usize() as u64, 12);
    }

    fn phys_to_virt(&self, address: PhysAddr) -> *mut u8 {
        address.as_usize() as *mut u8
    }
}

/// The shape of the table.
#[derive(Clone, Copy)]
pub struct Shape;

impl TableMeta for Shape {
    type P = Entry;
    const PAGE_SIZE: usize = PAGE as usize;
    const LEVEL_BITS: &[usize] = &[9, 9, 9, 9];
    const MAX_BLOCK_LEVEL: usize = 3;

    fn flush(_address: Option<VirtAddr>) {
        frames::invalidate();
    }
}

impl PageTableEntry for Entry {
    /// Whether it may be written.
    type PteConfig = bool;

    fn new_page(oa: PhysAddr, write: bool, huge: bool) -> Self {
        Self::leaf(oa.as_usize(), write, huge)
    }

    fn new_table(address: PhysAddr) -> Self {
        Self::table(address.as_usize())
    }

    fn paddr(&self, _is_dir: bool) -> PhysAddr {
        PhysAddr::from_usize(self.address())
    }

    fn config(&self, _is_dir: bool) -> bool {
        self.may_write()
    }

    fn present(&self) -> bool {
        self.is_present()
    }

    fn huge(&self, is_dir: bool) -> bool {
        is_dir && self.is_block()
    }

    fn unused(&self) -> bool {
        *self == Self::EMPTY
    }

    fn clear(&mut self) {
        *self = Self::EMPTY;
    }
}

fn at(ia: u64) -> VirtAddr {
    VirtAddr::from_usize(ia as usize)
}

fn config(ia: u64, size: u64, oa: u64) -> MapConfig<bool> {
    let paddr = PhysAddr::from_usize(oa as usize);
    // No TLB holds an entry that was empty.
    MapConfig { vaddr: at(ia), paddr, size: size as usize, pte: true, allow_huge: true, flush: false }
}

/// Its [`PageTable`].
pub struct Generic(pub(super) PageTable<Shape, Arena>);

impl Subject for Generic {
    const NAME: &'static str = "page-table-generic";

    fn new() -> Self {
        Self(PageTable::new(Arena).expect("a root"))
    }
}

impl Linear for Generic {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        self.0.map(&config(ia, size, oa)).expect("nothing in the way");
    }

    fn unmap(&mut self, ia: u64, size: u64) {
        self.0.unmap(at(ia), size as usize).expect("whole leaves");
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        self.0.translate_phys(at(ia)).ok().map(|oa| oa.as_usize() as u64)
    }
}

impl Protect for Generic {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        self.0.protect_region(at(ia), size as usize, write).expect("frames");
    }
}

impl Split for Generic {
    fn protect_part(&mut self, ia: u64) {
        self.protect(ia, PAGE, false);
    }
}

impl ProtectPage for Generic {}

impl Populate for Generic {
    fn populate(&mut self, ia: u64, size: u64) {
        let frame = |_| frames::take(12).map(|frame| PhysAddr::from_usize(frame as usize)).expect("a frame");
        self.0.map_region(at(ia), frame, size as usize, true).expect("nothing in the way");
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        for ia in (ia..ia + size).step_by(PAGE as usize) {
            if let Ok((frame, ..)) = self.0.unmap_page(at(ia)) {
                frames::give(frame.as_usize() as u64, 12);
            }
        }
    }
}

impl Balloon for Generic {}

impl Lazy for Generic {
    fn lazy(&mut self, _ia: u64, _size: u64) {}

    fn fault(&mut self, ia: u64) -> bool {
        let frame = frames::take(12).expect("a frame");
        let mapped = self.0.map(&config(ia, PAGE, frame)).is_ok();
        if !mapped {
            frames::give(frame, 12);
        }
        mapped
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl Relax for Generic {
    fn relax(&mut self, ia: u64) {
        self.0.protect_page(at(ia), true).expect("a page");
    }
}
