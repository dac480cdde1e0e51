//! A guest on a simulated machine whose memory begins at physical address 0, in any of several formats.

use tablewright::{
    AddrSpace, Attributes, ClosedRange, Format, GuestPhysAddr, Hal, HostPhysAddr, HostRegion, MappingFlags, MemoryType,
    Rights, SpaceError, Tag, sim::Machine,
};

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
}

impl<F: Format> Rig<F> {
    pub(crate) fn new(format: F) -> Self {
        Self::on(Machine::new(0, 16 << 20), format)
    }

    pub(crate) fn on(machine: Machine, format: F) -> Self {
        let space = AddrSpace::new_empty(format, machine.clone(), Tag(7)).expect("a space");
        Self { machine, space, lent: Vec::new() }
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

    /// Rights that this format can express only partly.
    pub(crate) fn inexpressible() -> Attributes {
        Attributes::new(Rights::W, MemoryType::WriteBack)
    }
}

impl<F: Format> Drop for Rig<F> {
    /// Nothing leaks, and nothing was used wrongly.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.space.clear().expect("clearing needs nothing");
        assert_eq!(self.space.areas().len(), 0);
        assert_eq!(self.tables(), 1, "tables are left");
        let root = 1 << self.space.page_table().tables().next().expect("the root").size;
        assert_eq!(self.used(), root, "frames are left");
        assert_eq!(self.machine.take_errors(), []);
    }
}

/// Makes a test of each function `fn(Rig<F>)`, which runs it in every format.
macro_rules! in_every_format {
    ($($test:ident)*) => {
        mod in_every_format {
            $(
                #[test]
                fn $test() {
                    use crate::{rig::Rig, witness::{BREAKING, DIRECT, LARGE, WIDE}};
                    super::$test(Rig::new(DIRECT));
                    super::$test(Rig::new(WIDE));
                    super::$test(Rig::new(BREAKING));
                    super::$test(Rig::new(LARGE));
                }
            )*
        }
    };
}
pub(crate) use in_every_format;
