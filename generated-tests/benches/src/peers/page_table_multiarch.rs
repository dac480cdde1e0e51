//! `page_table_multiarch`: a table whose calls walk from the root for each leaf.

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{GenericPTE, MappingFlags, PageSize, PageTable64, PagingHandler, PagingMetaData};

use super::entry::Entry;
use crate::{
    frames,
    subject::{Balloon, Lazy, Linear, Populate, Protect, ProtectPage, Relax, Subject},
    work::PAGE,
};

/// The shape of the table.
pub struct Shape;

impl PagingMetaData for Shape {
    const LEVELS: usize = 4;
    const PA_MAX_BITS: usize = 48;
    const VA_MAX_BITS: usize = 48;
    type VirtAddr = VirtAddr;

    fn flush_tlb(_address: Option<VirtAddr>) {
        frames::invalidate();
    }
}

/// The arena.
pub struct Arena;

impl PagingHandler for Arena {
    fn alloc_frames(count: usize, _align: usize) -> Option<PhysAddr> {
        assert_eq!(count, 1, "tables have one size");
        frames::take(12).map(|frame| PhysAddr::from(frame as usize))
    }

    fn dealloc_frames(frame: PhysAddr, _count: usize) {
        frames::give(frame.as_usize() as u64, 12);
    }

    fn phys_to_virt(address: PhysAddr) -> VirtAddr {
        address.as_usize().into()
    }
}

impl GenericPTE for Entry {
    fn new_page(oa: PhysAddr, flags: MappingFlags, huge: bool) -> Self {
        Self::leaf(oa.as_usize(), flags.contains(MappingFlags::WRITE), huge)
    }

    fn new_table(address: PhysAddr) -> Self {
        Self::table(address.as_usize())
    }

    fn paddr(&self) -> PhysAddr {
        self.address().into()
    }

    fn flags(&self) -> MappingFlags {
        flags(self.may_write())
    }

    fn set_paddr(&mut self, oa: PhysAddr) {
        *self = self.with_address(oa.as_usize());
    }

    fn set_flags(&mut self, flags: MappingFlags, huge: bool) {
        *self = Self::new_page(self.paddr(), flags, huge);
    }

    fn bits(self) -> usize {
        self.raw() as usize
    }

    fn is_unused(&self) -> bool {
        *self == Self::EMPTY
    }

    fn is_present(&self) -> bool {
        Self::is_present(*self)
    }

    fn is_huge(&self) -> bool {
        self.is_block()
    }

    fn clear(&mut self) {
        *self = Self::EMPTY;
    }
}

fn flags(write: bool) -> MappingFlags {
    let all = MappingFlags::READ | MappingFlags::WRITE | MappingFlags::EXECUTE;
    if write { all } else { all - MappingFlags::WRITE }
}

fn at(ia: u64) -> VirtAddr {
    (ia as usize).into()
}

/// Its [`PageTable64`].
pub struct Multiarch(pub(super) PageTable64<Shape, Entry, Arena>);

impl Subject for Multiarch {
    const NAME: &'static str = "page_table_multiarch";

    fn new() -> Self {
        Self(PageTable64::try_new().expect("a root"))
    }
}

impl Linear for Multiarch {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        let to = |va: VirtAddr| PhysAddr::from(va.as_usize() - ia as usize + oa as usize);
        self.0.cursor().map_region(at(ia), to, size as usize, flags(true), true).expect("nothing in the way");
    }

    /// Keeps the tables.
    fn unmap(&mut self, ia: u64, size: u64) {
        self.0.cursor().unmap_region(at(ia), size as usize).expect("all is mapped");
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        self.0.query(at(ia)).ok().map(|(oa, ..)| oa.as_usize() as u64)
    }
}

/// A block that is larger than the range makes it panic, so it cannot [split](crate::subject::Split).
impl Protect for Multiarch {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        self.0.cursor().protect_region(at(ia), size as usize, flags(write)).expect("no larger leaf");
    }
}

impl ProtectPage for Multiarch {}

impl Populate for Multiarch {
    fn populate(&mut self, ia: u64, size: u64) {
        let mut cursor = self.0.cursor();
        for ia in (ia..ia + size).step_by(PAGE as usize) {
            let frame = frames::take(12).expect("a frame");
            cursor
                .map(at(ia), PhysAddr::from(frame as usize), PageSize::Size4K, flags(true))
                .expect("nothing in the way");
        }
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        for ia in (ia..ia + size).step_by(PAGE as usize) {
            // The cursor flushes before the frame is free.
            let unmapped = self.0.cursor().unmap(at(ia));
            if let Ok((frame, ..)) = unmapped {
                frames::give(frame.as_usize() as u64, 12);
            }
        }
    }
}

impl Balloon for Multiarch {}

impl Lazy for Multiarch {
    fn lazy(&mut self, _ia: u64, _size: u64) {}

    fn fault(&mut self, ia: u64) -> bool {
        let frame = frames::take(12).expect("a frame");
        let mapped = self.0.cursor().map(at(ia), PhysAddr::from(frame as usize), PageSize::Size4K, flags(true)).is_ok();
        if !mapped {
            frames::give(frame, 12);
        }
        mapped
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl Relax for Multiarch {
    fn relax(&mut self, ia: u64) {
        self.0.cursor().protect(at(ia), flags(true)).expect("a page");
    }
}
