//! A guest on a simulated machine whose memory begins at physical address 0, in any of several formats.

use std::sync::Arc;

use tablewright::{
    AddrSpace, ClosedRange, Format, GuestPhysAddr, Hal, HostPhysAddr, HostRegion, MappingFlags, Rights, SpaceError,
    Tag,
    sim::{Access, Bound, Machine, Mmu},
};

const TAG: Tag = Tag(7);

pub(crate) const RW: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);
pub(crate) const RX: MappingFlags = MappingFlags::READ.union(MappingFlags::EXECUTE);
pub(crate) const READ: MappingFlags = MappingFlags::READ;

pub(crate) fn gpa(address: usize) -> GuestPhysAddr {
    GuestPhysAddr::from_usize(address)
}

pub(crate) fn hpa(address: usize) -> HostPhysAddr {
    HostPhysAddr::from_usize(address)
}

pub(crate) fn range(start: usize, size: usize) -> ClosedRange {
    ClosedRange::from_start_size(start as u64, size as u64).expect("a range")
}

/// Host memory that no test touches through the host: only what the tables say of it matters.
pub(crate) fn distant(start: usize, size: usize) -> HostRegion {
    // SAFETY: no MMU but the simulated one ever translates to it, and that accesses no memory.
    unsafe { HostRegion::device(hpa(start), size) }.expect("a region")
}

/// A guest, its machine, and what of the machine's memory is the host's own.
pub(crate) struct Rig<F: Format> {
    pub(crate) machine: Machine,
    pub(crate) space: AddrSpace<F, Machine>,
    /// Frames that were taken as the host's RAM.
    lent: Vec<(HostPhysAddr, u8)>,
    /// The MMU that uses the tables, if their format has a file for it to read.
    mmu: Option<Arc<Mmu>>,
}

impl<F: Format> Rig<F> {
    pub(crate) fn new(format: F) -> Self {
        Self::on(Machine::new(0, 16 << 20), format)
    }

    pub(crate) fn on(machine: Machine, format: F) -> Self {
        let space = AddrSpace::new_empty(format, machine.clone(), TAG).expect("a space");
        Self { machine, space, lent: Vec::new(), mmu: None }
    }

    /// The same with an MMU.
    pub(crate) fn with_mmu(mut self, bound: Bound) -> Self {
        let mmu = Mmu::new(&self.machine, 0x5eed);
        mmu.load(TAG, self.space.page_table_root(), bound);
        self.mmu = Some(mmu);
        self
    }

    /// Lets the guest's processor access `address`, and keep in its caches what it finds on the way. What it comes to
    /// must be what the space says.
    pub(crate) fn access(&self, address: usize, needs: Rights) {
        let Some(mmu) = &self.mmu else { return };
        let expected = self.space.query(gpa(address));
        let found = mmu.access(&self.machine, TAG, address as u64, needs).expect("its tables are loaded");
        match (found, expected) {
            (Access::Translated(output), Some(translation)) => {
                assert_eq!(output, translation.address.as_usize() as u64, "at {address:#x}");
                assert!(translation.attributes.rights.contains(needs), "at {address:#x}");
            }
            (Access::Denied, Some(translation)) => {
                assert!(!translation.attributes.rights.contains(needs), "at {address:#x}");
            }
            (Access::Fault(_), None) => {}
            (found, expected) => panic!("at {address:#x}: the MMU says {found:x?}, the space {expected:x?}"),
        }
    }

    /// The same while others change the tables, so that it may come to anything.
    pub(crate) fn walk_by(&self, address: usize) {
        if let Some(mmu) = &self.mmu {
            mmu.access(&self.machine, TAG, address as u64, Rights::empty());
        }
    }

    /// That no processor can have seen anything stale or half-done.
    pub(crate) fn check_mmu(&self) {
        if let Some(mmu) = &self.mmu {
            mmu.check(&self.machine);
            assert_eq!(mmu.take_violations(), []);
        }
    }

    pub(crate) fn page(&self) -> usize {
        1 << F::PAGE_BITS
    }

    /// The size of a block one level above pages.
    pub(crate) fn block(&self) -> usize {
        1 << self.space.page_table().geometry().entry_bits(1)
    }

    /// RAM of the host's, `1 << size` bytes.
    pub(crate) fn ram(&mut self, size: u8) -> HostRegion {
        let start = self.machine.allocate(size).expect("the machine has memory");
        self.lent.push((start, size));
        // SAFETY: it is given back only when the space is gone.
        unsafe { HostRegion::ram(start, 1 << size) }.expect("a region")
    }

    /// The frames that the guest holds, in bytes, tables included.
    pub(crate) fn used(&self) -> usize {
        self.machine.used() - self.lent.iter().map(|(_, size)| 1 << size).sum::<usize>()
    }

    pub(crate) fn tables(&self) -> usize {
        self.space.page_table().tables().count()
    }

    /// The areas, as text: address, size, rights, and what is behind.
    pub(crate) fn areas(&self) -> Vec<(ClosedRange, Rights, String)> {
        self.space.areas().map(|area| (area.range(), area.attributes().rights, area.backend().to_string())).collect()
    }

    /// Everything that an operation that failed must have left as it was: the areas, the tables byte by byte, and the
    /// memory in use.
    pub(crate) fn state(&self) -> (String, Vec<(HostPhysAddr, Vec<u8>)>, usize) {
        let tables = self.space.page_table().tables();
        let dump = tables.map(|table| (table.address, self.machine.dump(table.address, table.size))).collect();
        (self.space.to_string(), dump, self.machine.used())
    }

    /// That an operation fails with this error, and nothing else happens.
    pub(crate) fn refuses(
        &mut self,
        error: SpaceError,
        operation: impl FnOnce(&mut AddrSpace<F, Machine>) -> Result<(), SpaceError>,
    ) {
        let before = self.state();
        assert_eq!(operation(&mut self.space), Err(error));
        assert!(self.state() == before, "something changed");
    }
}

impl<F: Format> Drop for Rig<F> {
    /// Nothing leaks, and nothing was used wrongly. Every other space is cleared before it is dropped.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.check_mmu();
        if self.machine.allocations().is_multiple_of(2) {
            self.space.clear().expect("clearing needs nothing");
            self.check_mmu();
            assert_eq!(self.space.areas().len(), 0);
            assert_eq!(self.tables(), 1, "tables are left");
            let root = 1 << self.space.page_table().tables().next().expect("the root").size;
            assert_eq!(self.used(), root, "frames are left");
        }
        if let Some(mmu) = &self.mmu {
            mmu.unload(TAG);
        }
        let format = *self.space.page_table().format();
        self.space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), TAG).expect("a space");
        assert_eq!(self.used(), 0, "frames are left");
        assert_eq!(self.machine.take_errors(), []);
    }
}
