//! The page table.

use axerrno::AxResult;
use page_table_multiarch::{PageSize, PagingError, PagingHandler, PagingResult};
use tablewright::{Error, Lookup, PageTable, Tag};

use crate::{
    GuestPhysAddr, HostPhysAddr, MappingFlags,
    error::ax_error,
    format::{Format, of_levels},
    hal::{Machine, to_client},
};

/// A guest's page table. Clients can only read the table of an [`AddrSpace`](crate::AddrSpace). A table of their own
/// they change themselves, or through [`Backend`](crate::Backend)s.
#[repr(transparent)]
pub struct NestedPageTable<H: PagingHandler>(PageTable<Format, Machine<H>>);

impl<H: PagingHandler> NestedPageTable<H> {
    /// An empty table of `level` levels.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the architecture has no such table; `NoMemory`.
    pub fn new(level: usize) -> AxResult<Self> {
        let table = of_levels(level).map_err(Error::from).and_then(|format| {
            // Any tag will do: the client loads the registers, and invalidations are for all tags.
            PageTable::new(format, Machine::new(), Tag(0))
        });
        table.map(Self).map_err(|error| ax_error(error.into()))
    }

    /// The engine's table in the original's terms.
    pub(crate) const fn of(table: &PageTable<Format, Machine<H>>) -> &Self {
        // SAFETY: it is nothing but this table.
        unsafe { &*(&raw const *table).cast() }
    }

    /// The engine's table.
    pub(crate) const fn engine(&mut self) -> &mut PageTable<Format, Machine<H>> {
        &mut self.0
    }

    /// The root table's physical address.
    pub const fn root_paddr(&self) -> HostPhysAddr {
        to_client(self.0.root())
    }

    /// The physical address behind `address`, its rights, and the size of the page that maps it: the largest size of
    /// the original's enumeration that fits into the page.
    ///
    /// # Errors
    ///
    /// [`PagingError::NotMapped`].
    pub fn query(&self, address: GuestPhysAddr) -> PagingResult<(HostPhysAddr, MappingFlags, PageSize)> {
        let address = address.as_usize() as u64;
        let Some(Lookup::Mapped(leaf)) = self.0.query(address) else { return Err(PagingError::NotMapped) };
        let size = match leaf.size {
            ..21 => PageSize::Size4K,
            21..30 => PageSize::Size2M,
            30.. => PageSize::Size1G,
        };
        let mut flags =
            MappingFlags::from_bits_truncate(tablewright::MappingFlags::from(leaf.attributes.rights).bits());
        flags.set(MappingFlags::DEVICE, leaf.attributes.memory.is_device());
        Ok((HostPhysAddr::from_usize(leaf.output(address) as usize), flags, size))
    }

    /// The host physical address behind `address`.
    pub fn translate(&self, address: GuestPhysAddr) -> Option<HostPhysAddr> {
        self.query(address).ok().map(|(address, ..)| address)
    }
}

/// The flags have the same bits in both crates.
pub(crate) const fn engine_flags(flags: MappingFlags) -> tablewright::MappingFlags {
    tablewright::MappingFlags::from_bits_truncate(flags.bits())
}
