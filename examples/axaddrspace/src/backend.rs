//! Backends of areas, for clients that keep areas of their own in a `memory_set::MemorySet`. An
//! [`AddrSpace`](crate::AddrSpace) has the engine's areas instead.

use core::marker::PhantomData;

use memory_set::MappingBackend;
use page_table_multiarch::PagingHandler;
use tablewright::{Alloc, Backend as _, ClosedRange, HostPhysAddr, HostRegion, Linear};

use crate::{GuestPhysAddr, MappingFlags, NestedPageTable, table::engine_flags};

/// The backend of an area: where its memory comes from.
pub enum Backend<H: PagingHandler> {
    /// Host memory at a fixed offset.
    Linear {
        /// The guest address minus the host address; it wraps around.
        pa_va_offset: usize,
    },
    /// Zeroed frames from the handler.
    Alloc {
        /// Whether they are allocated when the area is mapped. If not, nothing is mapped until a client does it.
        populate: bool,
        /// The handler.
        _phantom: PhantomData<H>,
    },
}

impl<H: PagingHandler> Backend<H> {
    /// Host memory, at the guest address less `pa_va_offset`.
    pub const fn new_linear(pa_va_offset: usize) -> Self {
        Self::Linear { pa_va_offset }
    }

    /// Frames from the handler.
    pub const fn new_alloc(populate: bool) -> Self {
        Self::Alloc { populate, _phantom: PhantomData }
    }
}

impl<H: PagingHandler> Clone for Backend<H> {
    fn clone(&self) -> Self {
        match *self {
            Self::Linear { pa_va_offset } => Self::new_linear(pa_va_offset),
            Self::Alloc { populate, .. } => Self::new_alloc(populate),
        }
    }
}

/// Each operation either succeeds or changes nothing and returns `false`. What it changed is invalidated when it
/// returns.
impl<H: PagingHandler> MappingBackend for Backend<H> {
    type Addr = GuestPhysAddr;
    type Flags = MappingFlags;
    type PageTable = NestedPageTable<H>;

    fn map(&self, start: GuestPhysAddr, size: usize, flags: MappingFlags, table: &mut NestedPageTable<H>) -> bool {
        let Some(range) = range(start, size) else { return false };
        let attributes = engine_flags(flags).into();
        let table = table.engine();
        let mut gather = table.gather();
        match *self {
            Self::Linear { pa_va_offset } => {
                let host = HostPhysAddr::from_usize(start.as_usize().wrapping_sub(pa_va_offset));
                // SAFETY: as for `AddrSpace::map_linear`, the caller is responsible for what is mapped.
                let region = unsafe { HostRegion::ram(host, size) };
                region.is_some_and(|region| {
                    Linear::new(start, region).map(range, &attributes, table, &mut gather).is_ok()
                })
            }
            Self::Alloc { populate, .. } => alloc(populate).map(range, &attributes, table, &mut gather).is_ok(),
        }
    }

    fn unmap(&self, start: GuestPhysAddr, size: usize, table: &mut NestedPageTable<H>) -> bool {
        let Some(range) = range(start, size) else { return false };
        let table = table.engine();
        let mut gather = table.gather();
        match *self {
            Self::Linear { .. } => table.unmap(range, &mut gather).is_ok(),
            // SAFETY: a set unmaps an area by the backend that mapped it; as in the original, clients are responsible
            // for other calls.
            Self::Alloc { populate, .. } => unsafe { alloc(populate).unmap(range, table, &mut gather) }.is_ok(),
        }
    }

    fn protect(&self, start: GuestPhysAddr, size: usize, flags: MappingFlags, table: &mut NestedPageTable<H>) -> bool {
        let Some(range) = range(start, size) else { return false };
        let table = table.engine();
        let mut gather = table.gather();
        table.protect(range, &engine_flags(flags).into(), &mut gather).is_ok()
    }
}

const fn alloc(populate: bool) -> Alloc {
    if populate { Alloc::POPULATED } else { Alloc::LAZY }
}

const fn range(start: GuestPhysAddr, size: usize) -> Option<ClosedRange> {
    ClosedRange::from_start_size(start.as_usize() as u64, size as u64)
}
