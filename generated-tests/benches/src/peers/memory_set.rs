//! `memory_set`: areas, with backends that its client writes. The page table below is `page_table_multiarch`, as in the
//! projects that both come from.

use ::memory_set::{MappingBackend, MemoryArea};
use memory_addr::VirtAddr;

use super::Multiarch;
use crate::subject::{
    Areas, Balloon, Find, Lazy, Linear, Populate, Protect, ProtectAreas, ProtectPage, Relax, Subject,
};

/// Where an area's memory comes from.
#[derive(Clone, Copy)]
enum Backend {
    /// Given memory, at the address plus this offset.
    Linear(u64),
    /// Allocated at once.
    Populated,
    /// Allocated on first use.
    Lazy,
}

impl MappingBackend for Backend {
    type Addr = VirtAddr;
    /// Whether it may be written.
    type Flags = bool;
    type PageTable = Multiarch;

    fn map(&self, start: VirtAddr, size: usize, _write: bool, table: &mut Multiarch) -> bool {
        let (ia, size) = (start.as_usize() as u64, size as u64);
        match *self {
            Self::Linear(offset) => table.map(ia, size, ia.wrapping_add(offset), 30),
            Self::Populated => table.populate(ia, size),
            Self::Lazy => {}
        }
        true
    }

    fn unmap(&self, start: VirtAddr, size: usize, table: &mut Multiarch) -> bool {
        let (ia, size) = (start.as_usize() as u64, size as u64);
        match self {
            Self::Linear(_) => table.unmap(ia, size),
            Self::Populated | Self::Lazy => table.unpopulate(ia, size),
        }
        true
    }

    fn protect(&self, start: VirtAddr, size: usize, write: bool, table: &mut Multiarch) -> bool {
        table.protect(start.as_usize() as u64, size as u64, write);
        true
    }
}

/// Its [`MemorySet`](::memory_set::MemorySet), and the table.
pub struct MemorySet {
    areas: ::memory_set::MemorySet<Backend>,
    table: Multiarch,
}

fn at(ia: u64) -> VirtAddr {
    (ia as usize).into()
}

impl MemorySet {
    fn map_area(&mut self, ia: u64, size: u64, backend: Backend) {
        let area = MemoryArea::new(at(ia), size as usize, true, backend);
        self.areas.map(area, &mut self.table, false).expect("nothing in the way");
    }
}

impl Subject for MemorySet {
    const NAME: &'static str = "memory_set";

    fn new() -> Self {
        Self { areas: ::memory_set::MemorySet::new(), table: Multiarch::new() }
    }
}

impl Linear for MemorySet {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        self.map_area(ia, size, Backend::Linear(oa.wrapping_sub(ia)));
    }

    fn unmap(&mut self, ia: u64, size: u64) {
        self.areas.unmap(at(ia), size as usize, &mut self.table).expect("an area");
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        self.table.translate(ia)
    }
}

impl Protect for MemorySet {
    fn protect(&mut self, ia: u64, size: u64, write: bool) {
        self.areas.protect(at(ia), size as usize, |_| Some(write), &mut self.table).expect("an area");
    }
}

impl ProtectPage for MemorySet {}

impl Populate for MemorySet {
    fn populate(&mut self, ia: u64, size: u64) {
        self.map_area(ia, size, Backend::Populated);
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        self.unmap(ia, size);
    }
}

impl Balloon for MemorySet {}

impl Lazy for MemorySet {
    fn lazy(&mut self, ia: u64, size: u64) {
        self.map_area(ia, size, Backend::Lazy);
    }

    fn fault(&mut self, ia: u64) -> bool {
        self.areas.find(at(ia)).is_some_and(MemoryArea::flags) && self.table.fault(ia)
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unmap(ia, size);
    }
}

impl Relax for MemorySet {
    fn relax(&mut self, ia: u64) {
        self.protect(ia, crate::work::PAGE, true);
    }
}

impl Areas for MemorySet {
    fn add(&mut self, ia: u64, size: u64, oa: u64) {
        self.map(ia, size, oa, 12);
    }

    fn remove(&mut self, ia: u64, size: u64) {
        self.unmap(ia, size);
    }
}

impl ProtectAreas for MemorySet {
    fn protect_all(&mut self, ia: u64, size: u64, write: bool) {
        self.protect(ia, size, write);
    }
}

impl Find for MemorySet {
    fn find(&self, ia: u64) -> bool {
        self.areas.find(at(ia)).is_some()
    }
}
