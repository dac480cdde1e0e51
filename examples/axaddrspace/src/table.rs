//! What clients read of the page table.

use page_table_multiarch::{PageSize, PagingError, PagingHandler, PagingResult};
use tablewright::{Lookup, PageTable};

use crate::{
    GuestPhysAddr, HostPhysAddr, MappingFlags,
    format::Format,
    hal::{Machine, to_client},
};

/// The nested page table of an [`AddrSpace`](crate::AddrSpace), to be read; changes are made through the space.
pub struct NestedPageTable<'a, H: PagingHandler>(pub(crate) &'a PageTable<Format, Machine<H>>);

impl<H: PagingHandler> NestedPageTable<'_, H> {
    /// Where the root table is.
    pub fn root_paddr(&self) -> HostPhysAddr {
        to_client(self.0.root())
    }

    /// Where `address` leads, with which rights, and the size of the page that maps it: the largest of the family's that
    /// it has room for.
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
