//! The address space of a guest.

use alloc::vec::Vec;
use core::{fmt, slice};

use axerrno::{AxError, AxResult, ax_err};
use page_table_multiarch::PagingHandler;
use tablewright::{HostRegion, SpaceError, Tag};

use crate::{
    GuestMemoryAccessor, GuestPhysAddr, HostPhysAddr, MappingFlags, NestedPageTable,
    error::ax_error,
    format::{Format, of_levels},
    hal::{Machine, to_client, to_engine},
    table::engine_flags,
};

/// A guest's physical address space: areas, and the nested page table that maps them.
pub struct AddrSpace<H: PagingHandler>(tablewright::AddrSpace<Format, Machine<H>>);

impl<H: PagingHandler> AddrSpace<H> {
    /// An empty space of `size` bytes from `base` on, with a table of `level` levels.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the architecture has no such table, or it cannot translate these addresses; `NoMemory`.
    pub fn new_empty(level: usize, base: GuestPhysAddr, size: usize) -> AxResult<Self> {
        let format = of_levels(level).map_err(|error| ax_error(SpaceError::Table(error.into())))?;
        // Any tag will do: the client loads the registers, and invalidations are for all tags.
        tablewright::AddrSpace::new(format, Machine::new(), Tag(0), base, size).map(Self).map_err(ax_error)
    }

    /// The first address.
    pub const fn base(&self) -> GuestPhysAddr {
        self.0.base()
    }

    /// The address after the last.
    pub const fn end(&self) -> GuestPhysAddr {
        self.0.end()
    }

    /// The size in bytes.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Whether all `size` bytes from `start` on are in the space.
    pub fn contains_range(&self, start: GuestPhysAddr, size: usize) -> bool {
        self.0.contains_range(start, size)
    }

    /// The page table.
    pub const fn page_table(&self) -> &NestedPageTable<H> {
        NestedPageTable::of(self.0.page_table())
    }

    /// The root table's physical address.
    pub fn page_table_root(&self) -> HostPhysAddr {
        to_client(self.0.page_table_root())
    }

    /// Maps host memory, or a device's registers if `flags` have `DEVICE`. The caller is responsible for what the guest
    /// does with it, and must keep it allocated as long as it is mapped. The original's interface does not mark this as
    /// `unsafe`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the range is outside the space, empty, or not made of whole pages, or if the format cannot
    /// express it; `AlreadyExists` if an area is in the way; `NoMemory`. The space is then as it was.
    pub fn map_linear(
        &mut self,
        start_vaddr: GuestPhysAddr,
        start_paddr: HostPhysAddr,
        size: usize,
        flags: MappingFlags,
    ) -> AxResult {
        let start = to_engine(start_paddr);
        // SAFETY: the caller is responsible, as the documentation says.
        let region = unsafe {
            match flags.contains(MappingFlags::DEVICE) {
                true => HostRegion::device(start, size),
                false => HostRegion::ram(start, size),
            }
        };
        let Some(region) = region else { return ax_err!(InvalidInput, "no bytes, or beyond the last address") };
        self.0.map_linear(start_vaddr, region, engine_flags(flags)).map_err(ax_error)
    }

    /// Maps zeroed frames: all at once if `populate`, else each page when it is first used.
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::map_linear`].
    pub fn map_alloc(&mut self, start: GuestPhysAddr, size: usize, flags: MappingFlags, populate: bool) -> AxResult {
        self.0.map_alloc(start, size, engine_flags(flags), populate).map_err(ax_error)
    }

    /// Unmaps `size` bytes from `start` on, and removes them from all areas.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the range is outside the space or not made of whole pages; `NoMemory` if a larger page of
    /// which only a part is covered cannot be split. The space is then as it was.
    pub fn unmap(&mut self, start: GuestPhysAddr, size: usize) -> AxResult {
        self.0.unmap(start, size).map_err(ax_error)
    }

    /// Removes all areas.
    pub fn clear(&mut self) {
        // It fails only if the table was changed by others, and that is logged.
        let _ = self.0.clear().map_err(ax_error);
    }

    /// Handles a fault. Returns whether the guest may run again.
    pub fn handle_page_fault(&mut self, vaddr: GuestPhysAddr, access_flags: MappingFlags) -> bool {
        self.0.handle_page_fault(vaddr, engine_flags(access_flags))
    }

    /// The host physical address behind `vaddr`, if it is mapped at this moment.
    pub fn translate(&self, vaddr: GuestPhysAddr) -> Option<HostPhysAddr> {
        self.0.translate(vaddr).map(to_client)
    }

    /// The pieces of the `len` bytes from `vaddr` on, each consecutive for the host; `None` if not all of them are the
    /// guest's memory in one area.
    ///
    /// The lifetime is the original's. The caller must drop the pieces before any of them is unmapped, must not ask for
    /// the same bytes twice at a time, and must not let the guest run meanwhile.
    pub fn translated_byte_buffer(&self, vaddr: GuestPhysAddr, len: usize) -> Option<Vec<&'static mut [u8]>> {
        if len > self.rest_of_area(vaddr)? {
            return None;
        }
        let pieces = self.0.translated_byte_buffer(vaddr, len).map_err(|error| log::warn!("{error}")).ok()?;
        // SAFETY: the memory is mapped in the host, and the caller is responsible for its not being used otherwise.
        let slice =
            |piece: &tablewright::GuestSlice<'_>| unsafe { slice::from_raw_parts_mut(piece.as_ptr(), piece.len()) };
        Some(pieces.iter().map(slice).collect())
    }

    /// The host physical address behind `vaddr`, and the number of bytes from there to the end of the area. They are
    /// certain to be consecutive only within a page.
    pub fn translate_and_get_limit(&self, vaddr: GuestPhysAddr) -> Option<(HostPhysAddr, usize)> {
        Some((self.translate(vaddr)?, self.rest_of_area(vaddr)?))
    }

    /// The number of bytes from `vaddr` to the end of its area.
    fn rest_of_area(&self, vaddr: GuestPhysAddr) -> Option<usize> {
        let rest = self.0.find_area(vaddr)?.range().last().checked_sub(vaddr.as_usize() as u64)?;
        Some(rest.saturating_add(1) as usize)
    }
}

/// Access as the guest has it: within its rights, and never to a device.
impl<H: PagingHandler> GuestMemoryAccessor for AddrSpace<H> {
    /// The trait asks for the host's virtual address.
    fn translate_and_get_limit(&self, guest_addr: GuestPhysAddr) -> Option<(HostPhysAddr, usize)> {
        let (address, limit) = self.translate_and_get_limit(guest_addr)?;
        Some((H::phys_to_virt(address).as_usize().into(), limit))
    }

    fn read_buffer(&self, guest_addr: GuestPhysAddr, buffer: &mut [u8]) -> AxResult<()> {
        tablewright::GuestMemoryAccessor::read_buffer(&self.0, guest_addr, buffer).map_err(|_| AxError::InvalidInput)
    }

    fn write_buffer(&self, guest_addr: GuestPhysAddr, buffer: &[u8]) -> AxResult<()> {
        tablewright::GuestMemoryAccessor::write_buffer(&self.0, guest_addr, buffer).map_err(|_| AxError::InvalidInput)
    }
}

impl<H: PagingHandler> fmt::Debug for AddrSpace<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddrSpace")
            .field("range", &self.0.range())
            .field("page_table_root", &self.page_table_root())
            .field("areas", &self.0.areas().collect::<Vec<_>>())
            .finish()
    }
}
