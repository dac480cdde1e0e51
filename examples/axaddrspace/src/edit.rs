//! Changes to a client's own page table. The table of an [`AddrSpace`](crate::AddrSpace) changes with its areas
//! instead.

use memory_set::{MappingError, MappingResult};
use page_table_multiarch::{PageSize, PagingHandler};
use tablewright::{Attributes, ClosedRange, Error, Lookup};

use crate::{GuestPhysAddr, HostPhysAddr, MappingFlags, NestedPageTable, table::engine_flags};

/// As for [`AddrSpace::map_linear`](crate::AddrSpace::map_linear), the caller is responsible for what is mapped.
impl<H: PagingHandler> NestedPageTable<H> {
    /// Maps the page of `size` around `vaddr` to the one around `paddr`.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if something is mapped there; `InvalidParam` if the format cannot express the mapping;
    /// `BadState` if there is no frame for a table. In each case, nothing has changed.
    pub fn map(
        &mut self,
        vaddr: GuestPhysAddr,
        paddr: HostPhysAddr,
        size: PageSize,
        flags: MappingFlags,
    ) -> MappingResult {
        let page = ClosedRange::around(vaddr.as_usize() as u64, (size as usize).ilog2() as u8);
        self.map_to(page, paddr.as_usize() as u64 & !page.span(), flags)
    }

    /// Unmaps the page that contains `vaddr`; returns the physical address that it mapped to, and its size.
    ///
    /// # Errors
    ///
    /// `BadState` if nothing is mapped there.
    pub fn unmap(&mut self, vaddr: GuestPhysAddr) -> MappingResult<(HostPhysAddr, MappingFlags, PageSize)> {
        let address = vaddr.as_usize() as u64;
        let Some(Lookup::Mapped(leaf)) = self.engine().query(address) else { return Err(MappingError::BadState) };
        let start = GuestPhysAddr::from_usize(leaf.range.start() as usize);
        let found = self.query(start).map_err(|_| MappingError::BadState)?;
        self.unmap_range(leaf.range)?;
        Ok(found)
    }

    /// Maps `size` bytes from `vaddr` on, each page to the address that `get_paddr` returns; with `allow_huge`, by
    /// larger pages where they fit.
    ///
    /// # Errors
    ///
    /// Those of [`NestedPageTable::map`].
    pub fn map_region(
        &mut self,
        vaddr: GuestPhysAddr,
        get_paddr: impl Fn(GuestPhysAddr) -> HostPhysAddr,
        size: usize,
        flags: MappingFlags,
        allow_huge: bool,
    ) -> MappingResult {
        let Some(range) = region(vaddr, size)? else { return Ok(()) };
        let sizes = [PageSize::Size1G, PageSize::Size2M, PageSize::Size4K];
        let sizes = if allow_huge { &sizes[..] } else { &sizes[2..] };
        let mut next = Some(range.start());
        while let Some(start) = next.filter(|&start| start <= range.last()) {
            let at = GuestPhysAddr::from_usize(start as usize);
            let output = get_paddr(at);
            let fits = |size: &&PageSize| {
                let mask = **size as u64 - 1;
                (start | output.as_usize() as u64) & mask == 0 && range.last() - start >= mask
            };
            let size = *sizes.iter().find(fits).ok_or(MappingError::InvalidParam)?;
            if let Err(error) = self.map(at, output, size, flags) {
                if let Some(done) = start.checked_sub(1).and_then(|last| ClosedRange::new(range.start(), last)) {
                    self.unmap_range(done)?;
                }
                return Err(error);
            }
            next = start.checked_add(size as u64);
        }
        Ok(())
    }

    /// Unmaps `size` bytes from `start` on. Larger pages of which only a part is covered are split.
    ///
    /// # Errors
    ///
    /// `InvalidParam` if the range is not made of whole pages; `BadState` if there is no frame to split a page.
    pub fn unmap_region(&mut self, start: GuestPhysAddr, size: usize) -> MappingResult {
        region(start, size)?.map_or(Ok(()), |range| self.unmap_range(range))
    }

    /// Maps the page that contains `start` to `paddr`, with these flags. Returns whether there is such a page.
    pub fn remap(&mut self, start: GuestPhysAddr, paddr: HostPhysAddr, flags: MappingFlags) -> bool {
        let table = self.engine();
        let mut gather = table.gather();
        let attributes = Attributes::from(engine_flags(flags));
        // SAFETY: the caller is responsible for what is mapped.
        let done = unsafe { table.remap(start.as_usize() as u64, paddr.as_usize() as u64, &attributes, &mut gather) };
        done == Ok(true)
    }

    /// Changes the flags of everything that is mapped in `size` bytes from `start` on. Returns whether that could be
    /// done.
    pub fn protect_region(&mut self, start: GuestPhysAddr, size: usize, new_flags: MappingFlags) -> bool {
        let Ok(range) = region(start, size) else { return false };
        let table = self.engine();
        let mut gather = table.gather();
        range.is_none_or(|range| table.protect(range, &engine_flags(new_flags).into(), &mut gather).is_ok())
    }

    fn map_to(&mut self, range: ClosedRange, output: u64, flags: MappingFlags) -> MappingResult {
        let table = self.engine();
        let mut gather = table.gather();
        // SAFETY: the caller is responsible for what is mapped.
        unsafe { table.map(range, output, &engine_flags(flags).into(), &mut gather) }.map_err(mapping_error)
    }

    fn unmap_range(&mut self, range: ClosedRange) -> MappingResult {
        let table = self.engine();
        let mut gather = table.gather();
        table.unmap(range, &mut gather).map_err(mapping_error)
    }
}

/// The range of `size` bytes from `start` on; `None` if `size` is 0.
fn region(start: GuestPhysAddr, size: usize) -> MappingResult<Option<ClosedRange>> {
    let range = ClosedRange::from_start_size(start.as_usize() as u64, size as u64);
    if size == 0 || range.is_some() { Ok(range) } else { Err(MappingError::InvalidParam) }
}

fn mapping_error(error: Error) -> MappingError {
    log::warn!("{error}");
    match error {
        Error::AlreadyMapped { .. } => MappingError::AlreadyExists,
        Error::OutOfRange(_) | Error::OutputOutOfRange { .. } | Error::Misaligned { .. } | Error::Refused { .. } => {
            MappingError::InvalidParam
        }
        _ => MappingError::BadState,
    }
}
