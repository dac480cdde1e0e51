//! `axaddrspace`: an address space, without change of rights. Below it is `page-table-generic`, whose addresses it uses.

use ::axaddrspace::{
    AddrSpace, AddrSpaceError, AddrSpaceResult, GuestMemoryAccessor, MappingFlags, NestedPageTableOps, PageSize,
};
use axvm_types::GuestPhysAddr;
use page_table_generic::{MapConfig, PhysAddr, VirtAddr};

use super::Generic;
use crate::{
    frames,
    subject::{Areas, Balloon, Lazy, Linear, Populate, Read, Subject},
};

/// The table.
struct Table(Generic);

fn virt(address: GuestPhysAddr) -> VirtAddr {
    VirtAddr::from_usize(address.as_usize())
}

fn all() -> MappingFlags {
    MappingFlags::READ | MappingFlags::WRITE | MappingFlags::EXECUTE
}

fn flags(write: bool) -> MappingFlags {
    if write { all() } else { all() - MappingFlags::WRITE }
}

fn page_size(bytes: usize) -> PageSize {
    [PageSize::Size1G, PageSize::Size2M].into_iter().find(|&size| size as usize == bytes).unwrap_or(PageSize::Size4K)
}

impl NestedPageTableOps for Table {
    fn root_paddr(&self) -> PhysAddr {
        self.0.0.root_paddr()
    }

    fn levels(&self) -> usize {
        4
    }

    fn alloc_frame(&self) -> Option<PhysAddr> {
        frames::take(12).map(|frame| PhysAddr::from_usize(frame as usize))
    }

    fn dealloc_frame(&self, frame: PhysAddr) {
        frames::give(frame.as_usize() as u64, 12);
    }

    fn phys_to_virt(&self, address: PhysAddr) -> VirtAddr {
        VirtAddr::from_usize(address.as_usize())
    }

    fn map(&mut self, ia: GuestPhysAddr, oa: PhysAddr, size: PageSize, flags: MappingFlags) -> AddrSpaceResult {
        self.map_region(ia, |_| oa, size.into(), flags, size.is_huge())
    }

    fn unmap(&mut self, ia: GuestPhysAddr) -> AddrSpaceResult<(PhysAddr, MappingFlags, PageSize)> {
        let unmapped = self.0.0.unmap_page(virt(ia)).map_err(|_| AddrSpaceError::Unmapped { address: ia })?;
        Ok((unmapped.0, flags(unmapped.1), page_size(unmapped.2)))
    }

    /// The memory is contiguous wherever the library translates an address.
    fn map_region(
        &mut self,
        ia: GuestPhysAddr,
        oa: impl Fn(GuestPhysAddr) -> PhysAddr,
        size: usize,
        flags: MappingFlags,
        allow_huge: bool,
    ) -> AddrSpaceResult {
        let pte = flags.contains(MappingFlags::WRITE);
        let config = MapConfig { vaddr: virt(ia), paddr: oa(ia), size, pte, allow_huge, flush: false };
        self.0.0.map(&config).map_err(|_| AddrSpaceError::MappingConflict)
    }

    fn unmap_region(&mut self, ia: GuestPhysAddr, size: usize) -> AddrSpaceResult {
        self.0.0.unmap(virt(ia), size).map_err(|_| AddrSpaceError::Unmapped { address: ia })
    }

    /// The library calls this on the first use of a page.
    fn remap(&mut self, ia: GuestPhysAddr, oa: PhysAddr, flags: MappingFlags) -> bool {
        self.map(ia, oa, PageSize::Size4K, flags).is_ok()
    }

    fn protect_region(&mut self, ia: GuestPhysAddr, size: usize, flags: MappingFlags) -> bool {
        self.0.0.protect_region(virt(ia), size, flags.contains(MappingFlags::WRITE)).is_ok()
    }

    fn query(&self, ia: GuestPhysAddr) -> AddrSpaceResult<(PhysAddr, MappingFlags, PageSize)> {
        let found = self.0.0.query(virt(ia)).map_err(|_| AddrSpaceError::Unmapped { address: ia })?;
        Ok((found.0, flags(found.1), page_size(found.2)))
    }
}

/// Its [`AddrSpace`].
pub struct AxAddrSpace(AddrSpace<Table>);

fn at(ia: u64) -> GuestPhysAddr {
    GuestPhysAddr::from_usize(ia as usize)
}

impl Subject for AxAddrSpace {
    const NAME: &'static str = "axaddrspace";

    fn new() -> Self {
        Self(AddrSpace::new_empty(Table(Generic::new()), at(0), 1 << 47).expect("a legal range"))
    }
}

impl Linear for AxAddrSpace {
    fn map(&mut self, ia: u64, size: u64, oa: u64, _largest: u8) {
        let oa = PhysAddr::from_usize(oa as usize);
        self.0.map_linear(at(ia), oa, size as usize, all()).expect("nothing in the way");
    }

    fn unmap(&mut self, ia: u64, size: u64) {
        self.0.unmap(at(ia), size as usize).expect("an area");
    }

    fn translate(&self, ia: u64) -> Option<u64> {
        self.0.translate(at(ia)).map(|oa| oa.as_usize() as u64)
    }
}

impl Populate for AxAddrSpace {
    fn populate(&mut self, ia: u64, size: u64) {
        self.0.map_alloc(at(ia), size as usize, all(), true).expect("nothing in the way");
    }

    fn unpopulate(&mut self, ia: u64, size: u64) {
        self.unmap(ia, size);
    }
}

impl Balloon for AxAddrSpace {}

impl Lazy for AxAddrSpace {
    fn lazy(&mut self, ia: u64, size: u64) {
        self.0.map_alloc(at(ia), size as usize, all(), false).expect("nothing in the way");
    }

    fn fault(&mut self, ia: u64) -> bool {
        self.0.handle_page_fault(at(ia), MappingFlags::WRITE)
    }

    fn release(&mut self, ia: u64, size: u64) {
        self.unmap(ia, size);
    }
}

/// Its interface does not say which area contains an address.
impl Areas for AxAddrSpace {
    fn add(&mut self, ia: u64, size: u64, oa: u64) {
        self.map(ia, size, oa, 12);
    }

    fn remove(&mut self, ia: u64, size: u64) {
        self.unmap(ia, size);
    }
}

impl GuestMemoryAccessor for AxAddrSpace {
    fn translate_and_get_limit(&self, address: GuestPhysAddr) -> Option<(PhysAddr, usize)> {
        self.0.translate_and_get_limit(address)
    }
}

/// Its interface does not say where frames end, so it cannot copy across pages.
impl Read for AxAddrSpace {
    fn read(&self, ia: u64) -> u64 {
        self.read_obj(at(ia)).expect("memory")
    }
}
