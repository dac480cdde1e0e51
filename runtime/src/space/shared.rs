//! Areas with memory that several guests share.

mod memory;

pub use memory::SharedMemory;

use core::fmt::{self, Display, Formatter};

use self::memory::Extent;
use super::{Backend, BackendError, Fault, FaultOutcome, FirstUse, Joinable};
use crate::{Attributes, ClosedRange, Format, FrameCache, Gather, GuestPhysAddr, Hal, PageTable, Refusal, Rights};

/// A [`SharedMemory`] as a guest sees it: mapped as a whole from the start, with the largest pages that its frames allow.
///
/// ```
/// use tablewright::{GuestPhysAddr, Shared, SharedMemory};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// // SAFETY: all guests run on this machine.
/// let ring = unsafe { SharedMemory::new(&machine, 0x4000, 12, 12) }?;
/// let start = GuestPhysAddr::from_usize(0x8000_0000);
/// // As `map_shared`, but only the first page.
/// space.map(start, 0x1000, rw, Shared::new(start, ring))?;
/// assert!(space.translate(start).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Shared {
    /// The guest address of the memory's first byte, modulo 2^64. After a move, only the part that moved need be at real
    /// addresses.
    start: u64,
    memory: SharedMemory,
}

impl Shared {
    /// `memory`, as the guest sees it from `start` on.
    pub const fn new(start: GuestPhysAddr, memory: SharedMemory) -> Self {
        Self { start: start.as_usize() as u64, memory }
    }

    /// The memory.
    pub const fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// The offset in the memory at which `range` begins, if the memory has all of it, in frames that pages of
    /// `1 << page_bits` bytes can map.
    pub(super) fn offset(&self, range: ClosedRange, page_bits: u8) -> Result<u64, BackendError> {
        if self.memory.smallest() < page_bits {
            return Err(BackendError::Custom("the shared memory has frames smaller than a page"));
        }
        let offset = range.start().wrapping_sub(self.start);
        let inside =
            |offset: &u64| offset.checked_add(range.span()).is_some_and(|last| last < self.memory.size() as u64);
        Some(offset).filter(inside).ok_or(BackendError::Custom("the area is not all in the shared memory behind it"))
    }

    /// The host address of the byte that the guest sees at `address`.
    pub(super) fn output(&self, address: u64) -> Option<u64> {
        self.memory.address(address.wrapping_sub(self.start))
    }

    /// Whether `output`, to which `address` is mapped, is in the shared memory itself, and not in a copy.
    pub(super) fn is_shared(&self, address: u64, output: u64) -> bool {
        self.output(address) == Some(output)
    }
}

impl Joinable for Shared {
    fn join(&self, next: &Self) -> Option<Self> {
        let same = self.start == next.start && self.memory.is(&next.memory);
        same.then(|| self.clone())
    }
}

// SAFETY: `unmap` unmaps, all work on the range given, and an area holds a handle, so that the frames live as long as it.
unsafe impl Backend for Shared {
    fn is_ram(&self) -> bool {
        true
    }

    fn accepts<F: Format, H: Hal>(&self, table: &PageTable<F, H>, attributes: &Attributes) -> Result<(), Refusal> {
        if !self.memory.is_writable() && attributes.rights.intersects(Rights::W) {
            return Err(Refusal::ReadOnly);
        }
        table.accepts(attributes)
    }

    fn collapses_to(&self, _hal: &impl Hal) -> u8 {
        u8::MAX
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        let mut offset = ok!(self.offset(range, F::PAGE_BITS));
        let last = offset + range.span();
        let mut extents = self.memory.from(offset).peekable();
        while let Some(extent) = extents.next() {
            // Frames that follow each other in the host's memory, too, are mapped as one.
            let mut end = extent.end();
            let goes_on = |next: &&Extent, end| next.address(end) == extent.address(end) && end <= last;
            while let Some(next) = extents.next_if(|next| goes_on(next, end)) {
                end = next.end();
            }
            let start = self.start.wrapping_add(offset);
            let whole = ClosedRange::new(start, start.saturating_add(end - 1 - offset));
            let Some(part) = whole.and_then(|whole| whole.intersection(&range)) else { break };
            let output = extent.address(offset);
            // SAFETY: it is a part of a frame that belongs to whoever holds a handle, for guests to do with what they want.
            if let Err(error) = unsafe { table.map(part, output, attributes, gather) } {
                if let Some(done) = start.checked_sub(1).and_then(|last| ClosedRange::new(range.start(), last)) {
                    ok!(table.unmap(done, gather));
                }
                return Err(error.into());
            }
            offset = end;
        }
        Ok(())
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        ok!(table.unmap(range, gather));
        Ok(())
    }

    /// Nothing to give back: the memory belongs to the holders of its handles.
    unsafe fn discard<F: Format, H: Hal>(&self, _range: ClosedRange, _table: &mut PageTable<F, H>) {}

    fn moved(&self, distance: u64) -> Result<Self, BackendError> {
        Ok(Self { start: self.start.wrapping_add(distance), ..self.clone() })
    }

    /// All of it is mapped from the start, so there is no first use.
    #[inline]
    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        fault.admit(table)
    }

    /// At most, the leaf was write-protected to notice writes.
    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        fault.relax(table)
    }
}

impl Display for Shared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.memory.is_writable() { "shared" } else { "shared, read-only" })
    }
}
