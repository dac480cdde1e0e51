//! This library's contenders: a bare page table, and an address space.

use tablewright::{
    AddrSpace, Alloc, Attributes, Change, ClosedRange, FaultIn, GuestMemoryAccessor, GuestPhysAddr, HostRegion,
    MemoryType, PageBitmap, PageTable, Rights, State, Tag,
};

use crate::{
    frames::{self, Arena},
    machine::Machine,
    subject::{
        Areas, Balloon, CopyOut, Enlarge, Find, Harvest, Lazy, Linear, Move, Populate, Protect, ProtectAreas,
        ProtectPage, Read, Relax, Shared, Split, Subject,
    },
};

const ALL: Attributes = Attributes::new(Rights::RWX, MemoryType::WriteBack);

fn range(ia: u64, size: u64) -> ClosedRange {
    ClosedRange::from_start_size(ia, size).expect("a range")
}

fn bitmap(ia: u64, size: u64, words: &mut [u64]) -> PageBitmap<'_> {
    PageBitmap::new(range(ia, size), 12, words).expect("a bit for each page")
}

fn rights(write: bool) -> Change {
    Change { rights: Some(if write { Rights::RWX } else { Rights::RX }), ..Change::default() }
}

/// A [`PageTable`].
pub struct Bare<M: Machine>(PageTable<M::Format, Arena>);

impl<M: Machine> Subject for Bare<M> {
    const NAME: &'static str = "`PageTable`";

    fn new() -> Self {
        Self(PageTable::new(M::format(), Arena, Tag(1)).expect("a root"))
    }
}

impl<M: Machine> Linear for Bare<M> {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        let mut gather = self.0.gather();
        // SAFETY: no MMU translates through the table.
        unsafe { self.0.map(range(ia, size), oa, &ALL, &mut gather) }.expect("nothing in the way");
    }

    fn unmap(&mut self, ia: u64, size: u64) {
        let mut gather = self.0.gather();
        self.0.unmap(range(ia, size), &mut gather).expect("whole leaves");
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        self.0.translate(ia)
    }
}

impl<M: Machine> Protect for Bare<M> {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        let mut gather = self.0.gather();
        self.0.protect(range(ia, size), &rights(write), &mut gather).expect("legal rights");
    }
}

impl<M: Machine> ProtectPage for Bare<M> {}

impl<M: Machine> Split for Bare<M> {
    fn protect_part(&mut self, ia: u64) {
        self.protect(ia, 0x1000, false);
    }
}

impl<M: Machine> Move for Bare<M> {
    fn move_range(&mut self, ia: u64, size: u64, to: u64) {
        let mut gather = self.0.gather();
        self.0.move_range(range(ia, size), to, &mut gather).expect("nothing in the way");
    }
}

impl<M: Machine> Enlarge for Bare<M> {
    fn populate_small(&mut self, ia: u64, size: u64) {
        self.populate(ia, size);
    }

    fn enlarge(&mut self, ia: u64, size: u64) {
        let mut gather = self.0.gather();
        // SAFETY: `populate` mapped all of it, and the memory is not in use.
        let taken = unsafe { self.0.enlarge(range(ia, size), 21, &mut gather) };
        assert_eq!(taken, Ok((size >> 21) as usize));
    }

    fn unpopulate_large(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl<M: Machine> Populate for Bare<M> {
    fn populate(&mut self, ia: u64, size: u64) {
        let mut gather = self.0.gather();
        self.0.populate(range(ia, size), &ALL, 12, &mut gather).expect("frames");
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        let mut gather = self.0.gather();
        // SAFETY: only `populate` mapped something there.
        unsafe { self.0.depopulate(range(ia, size), &mut gather) }.expect("whole leaves");
    }
}

impl<M: Machine> Balloon for Bare<M> {}

impl<M: Machine> Lazy for Bare<M> {
    fn lazy(&mut self, _ia: u64, _size: u64) {}

    fn fault(&mut self, ia: u64) -> bool {
        self.fault_shared(ia)
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl<M: Machine> Shared for Bare<M> {
    fn fault_shared(&self, ia: u64) -> bool {
        let frame = frames::take(12).expect("a frame");
        // SAFETY: no MMU translates through the table.
        let done = unsafe { self.0.fault_in(ia, 12, frame, &ALL) }.expect("tables") == FaultIn::Installed;
        if !done {
            frames::give(frame, 12);
        }
        done
    }
}

impl<M: Machine> Relax for Bare<M> {
    fn relax(&mut self, ia: u64) {
        // As a client does it: together with other pages if the format allows that.
        if let tablewright::Relax::NeedsExclusive(_) = self.0.relax(ia, Rights::W).expect("legal rights") {
            let mut gather = self.0.gather();
            self.0.relax_exclusive(ia, Rights::W, &mut gather).expect("legal rights");
        }
    }
}

impl<M: Machine> Harvest for Bare<M> {
    fn harvest(&mut self, ia: u64, size: u64, pages: &mut [u64]) {
        let mut pages = bitmap(ia, size, pages);
        self.0.harvest(State::Dirty, &mut pages, &mut self.0.gather()).expect("pages");
    }
}

/// An [`AddrSpace`].
pub struct Space<M: Machine>(AddrSpace<M::Format, Arena>);

fn at(ia: u64) -> GuestPhysAddr {
    GuestPhysAddr::from_usize(ia as usize)
}

impl<M: Machine> Subject for Space<M> {
    const NAME: &'static str = "`AddrSpace`";

    fn new() -> Self {
        Self(AddrSpace::new_empty(M::format(), Arena, Tag(1)).expect("a root"))
    }
}

impl<M: Machine> Linear for Space<M> {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        // SAFETY: neither guest nor host touches it.
        let region = unsafe { HostRegion::ram((oa as usize).into(), size as usize) }.expect("a region");
        self.0.map_linear(at(ia), region, ALL).expect("nothing in the way");
    }

    fn unmap(&mut self, ia: u64, size: u64) {
        self.0.unmap(at(ia), size as usize).expect("whole leaves");
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        self.0.translate(at(ia)).map(|address| address.as_usize() as u64)
    }
}

impl<M: Machine> Protect for Space<M> {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        self.0.protect(at(ia), size as usize, rights(write)).expect("legal rights");
    }
}

impl<M: Machine> ProtectPage for Space<M> {}

impl<M: Machine> Split for Space<M> {
    fn protect_part(&mut self, ia: u64) {
        self.protect(ia, 0x1000, false);
    }
}

impl<M: Machine> Move for Space<M> {
    fn move_range(&mut self, ia: u64, size: u64, to: u64) {
        self.0.move_range(at(ia), size as usize, at(to)).expect("nothing in the way");
    }
}

impl<M: Machine> Enlarge for Space<M> {
    fn populate_small(&mut self, ia: u64, size: u64) {
        // In halves, so that no larger frame is used yet.
        for half in (ia..ia + size).step_by(1 << 20) {
            self.0.map(at(half), 1 << 20, ALL, Alloc::POPULATED.up_to(21)).expect("frames");
        }
    }

    fn enlarge(&mut self, ia: u64, size: u64) {
        assert_eq!(self.0.enlarge(at(ia), size as usize), Ok((size >> 21) as usize));
    }

    fn unpopulate_large(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl<M: Machine> Populate for Space<M> {
    fn populate(&mut self, ia: u64, size: u64) {
        self.0.map(at(ia), size as usize, ALL, Alloc::POPULATED).expect("frames");
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        self.0.unmap(at(ia), size as usize).expect("whole leaves");
    }
}

impl<M: Machine> Balloon for Space<M> {}

impl<M: Machine> Lazy for Space<M> {
    fn lazy(&mut self, ia: u64, size: u64) {
        self.0.map(at(ia), size as usize, ALL, Alloc::LAZY).expect("nothing in the way");
    }

    fn fault(&mut self, ia: u64) -> bool {
        self.fault_shared(ia)
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unpopulate(ia, size);
    }
}

impl<M: Machine> Shared for Space<M> {
    fn fault_shared(&self, ia: u64) -> bool {
        self.0.handle_fault(at(ia), Rights::W).is_resolved()
    }
}

impl<M: Machine> Harvest for Space<M> {
    fn harvest(&mut self, ia: u64, size: u64, pages: &mut [u64]) {
        self.0.harvest(State::Dirty, &mut bitmap(ia, size, pages)).expect("pages");
    }
}

/// As a hypervisor makes pages writable that it watches for writes, without hardware that marks them dirty.
impl<M: Machine> Relax for Space<M> {
    fn watch(&mut self, ia: u64, size: u64) {
        let mut words = vec![0; PageBitmap::words(range(ia, size), 12)];
        self.harvest(ia, size, &mut words);
    }

    fn relax(&mut self, ia: u64) {
        assert!(self.0.handle_fault(at(ia), Rights::W).is_resolved());
    }
}

impl<M: Machine> Areas for Space<M> {
    fn add(&mut self, ia: u64, size: u64, oa: u64) {
        self.map(ia, size, oa, 12);
    }

    fn remove(&mut self, ia: u64, size: u64) {
        self.unmap(ia, size);
    }
}

impl<M: Machine> ProtectAreas for Space<M> {
    fn protect_all(&mut self, ia: u64, size: u64, write: bool) {
        self.protect(ia, size, write);
    }
}

impl<M: Machine> Find for Space<M> {
    fn find(&self, ia: u64) -> bool {
        self.0.find_area(at(ia)).is_some()
    }
}

impl<M: Machine> Read for Space<M> {
    fn read(&self, ia: u64) -> u64 {
        self.0.read_obj(at(ia)).expect("memory")
    }
}

impl<M: Machine> CopyOut for Space<M> {
    fn copy(&self, ia: u64, buffer: &mut [u8]) {
        self.0.read_buffer(at(ia), buffer).expect("memory");
    }
}
