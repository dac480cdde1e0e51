//! `x86_64`: the tables of that architecture itself, which have EPT's shape. Each call changes one leaf.

use ::x86_64::{
    PhysAddr, VirtAddr,
    structures::paging::{
        FrameAllocator, FrameDeallocator, MappedPageTable, Mapper, Page, PageSize, PageTable, PageTableFlags,
        PhysFrame, Size1GiB, Size2MiB, Size4KiB, Translate as _,
        mapper::{CleanUp as _, PageTableFrameMapping},
    },
};

use crate::{
    frames,
    subject::{Balloon, Lazy, Linear, Populate, Protect, ProtectPage, Relax, Subject},
    work::PAGE,
};

/// The arena.
struct Arena;

// SAFETY: frames are given out once.
unsafe impl FrameAllocator<Size4KiB> for Arena {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        frames::take(12).map(|frame| PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

impl FrameDeallocator<Size4KiB> for Arena {
    unsafe fn deallocate_frame(&mut self, frame: PhysFrame) {
        frames::give(frame.start_address().as_u64(), 12);
    }
}

// SAFETY: physical addresses are those of this process.
unsafe impl PageTableFrameMapping for Arena {
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        frame.start_address().as_u64() as *mut PageTable
    }
}

fn flags(write: bool) -> PageTableFlags {
    let all = PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::USER_ACCESSIBLE;
    if write { all } else { all - PageTableFlags::WRITABLE }
}

fn page<S: PageSize>(ia: u64) -> Page<S> {
    Page::containing_address(VirtAddr::new(ia))
}

fn pages(ia: u64, size: u64) -> impl Iterator<Item = u64> {
    (ia..ia + size).step_by(PAGE as usize)
}

/// Its [`MappedPageTable`].
pub struct X86(MappedPageTable<'static, Arena>);

impl X86 {
    fn map_one<S: PageSize>(&mut self, ia: u64, oa: u64) -> bool
    where
        MappedPageTable<'static, Arena>: Mapper<S>,
    {
        let frame = PhysFrame::containing_address(PhysAddr::new(oa));
        // SAFETY: no MMU translates through the table.
        let mapped = unsafe { self.0.map_to(page::<S>(ia), frame, flags(true), &mut Arena) };
        // No TLB holds an entry that was empty.
        mapped.map(|flush| flush.ignore()).is_ok()
    }

    fn unmap_one(&mut self, ia: u64) -> Option<u64> {
        let (frame, flush) = self.0.unmap(page::<Size4KiB>(ia)).ok()?;
        flush.ignore();
        frames::invalidate();
        Some(frame.start_address().as_u64())
    }

    fn free_tables(&mut self, ia: u64, size: u64) {
        let range = Page::range_inclusive(page(ia), page(ia + size - 1));
        // SAFETY: no MMU translates through the table.
        unsafe { self.0.clean_up_addr_range(range, &mut Arena) };
    }
}

impl Subject for X86 {
    const NAME: &'static str = "x86_64";

    fn new() -> Self {
        let root = frames::take(12).expect("a frame") as *mut PageTable;
        // SAFETY: a frame that nobody else has, as large as a table and aligned as one.
        let root = unsafe {
            root.write(PageTable::new());
            &mut *root
        };
        // SAFETY: a valid root, and the arena's addresses are those of this process.
        Self(unsafe { MappedPageTable::new(root, Arena) })
    }
}

impl Drop for X86 {
    /// The library frees only tables that are empty.
    fn drop(&mut self) {
        free(self.0.level_4_table_mut(), 3);
    }
}

fn free(table: &PageTable, level: u8) {
    if level > 0 {
        for entry in table.iter().filter(|entry| !entry.is_unused()) {
            if !entry.flags().contains(PageTableFlags::HUGE_PAGE) {
                // SAFETY: not a leaf, so a table of this process.
                free(unsafe { &*(entry.addr().as_u64() as *const PageTable) }, level - 1);
            }
        }
    }
    frames::give(std::ptr::from_ref(table) as u64, 12);
}

impl Linear for X86 {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        let mut done = 0;
        while done < size {
            let (at, to, left) = (ia + done, oa + done, size - done);
            let fits = |leaf: u64| (at | to) & (leaf - 1) == 0 && leaf <= left;
            let (mapped, leaf) = if fits(Size1GiB::SIZE) {
                (self.map_one::<Size1GiB>(at, to), Size1GiB::SIZE)
            } else if fits(Size2MiB::SIZE) {
                (self.map_one::<Size2MiB>(at, to), Size2MiB::SIZE)
            } else {
                (self.map_one::<Size4KiB>(at, to), Size4KiB::SIZE)
            };
            assert!(mapped, "something is in the way");
            done += leaf;
        }
    }

    /// Pages only, as no job asks for more.
    fn unmap(&mut self, ia: u64, size: u64) {
        for page in pages(ia, size) {
            self.unmap_one(page).expect("a page");
        }
        self.free_tables(ia, size);
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        self.0.translate_addr(VirtAddr::new(ia)).map(PhysAddr::as_u64)
    }
}

/// Pages only: it does not [split](crate::subject::Split) blocks.
impl Protect for X86 {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        for ia in pages(ia, size) {
            // SAFETY: no MMU translates through the table.
            let changed = unsafe { self.0.update_flags(page::<Size4KiB>(ia), flags(write)) };
            changed.expect("a page").ignore();
            frames::invalidate();
        }
    }
}

impl ProtectPage for X86 {}

impl Populate for X86 {
    fn populate(&mut self, ia: u64, size: u64) {
        for ia in pages(ia, size) {
            let frame = frames::take(12).expect("a frame");
            assert!(self.map_one::<Size4KiB>(ia, frame), "something is in the way");
        }
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        for ia in pages(ia, size) {
            if let Some(frame) = self.unmap_one(ia) {
                frames::give(frame, 12);
            }
        }
        self.free_tables(ia, size);
    }
}

impl Balloon for X86 {}

impl Lazy for X86 {
    fn lazy(&mut self, _ia: u64, _size: u64) {}

    fn fault(&mut self, ia: u64) -> bool {
        let frame = frames::take(12).expect("a frame");
        let mapped = self.map_one::<Size4KiB>(ia, frame);
        if !mapped {
            frames::give(frame, 12);
        }
        mapped
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl Relax for X86 {
    fn relax(&mut self, ia: u64) {
        self.protect(ia, PAGE, true);
    }
}
