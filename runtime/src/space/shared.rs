//! Areas of memory that several guests see.

use alloc::{sync::Arc, vec::Vec};
use core::fmt::{self, Debug, Display, Formatter};

use super::{Backend, BackendError, Fault, FaultOutcome, FirstUse, Joinable};
use crate::{
    Attributes, ClosedRange, Error, Format, FrameCache, Gather, GuestPhysAddr, Hal, HostPhysAddr, PageTable, Refusal,
    Rights,
};

/// Memory of any size that several guests may map: zeroed frames, which go back to their HAL when no handle is left and
/// no area maps them any more.
///
/// Each guest sees it where and with the rights that its area says. A handle may be made [read-only](Self::read_only), so
/// that who gets it can give nobody a right to write. What one guest writes, the others'
/// [dirty logs](crate::AddrSpace::start_dirty_log) do not tell.
///
/// ```
/// use tablewright::{AddrSpace, Format, GuestMemoryAccessor, MappingFlags, SharedMemory, Tag};
/// use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0, 16 << 20);
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut producer = AddrSpace::new_empty(format, machine.clone(), Tag(1))?;
/// let mut consumer = AddrSpace::new_empty(format, machine.clone(), Tag(2))?;
///
/// // SAFETY: both guests run on this machine.
/// let ring = unsafe { SharedMemory::new(&machine, 0x5000, 12, 21) }?;
/// producer.map_shared(0x8000_0000.into(), &ring, MappingFlags::READ | MappingFlags::WRITE)?;
/// consumer.map_shared(0x4000_0000.into(), &ring.read_only(), MappingFlags::READ)?;
/// drop(ring);
///
/// producer.write_obj(0x8000_4ff8.into(), 42_u64)?;
/// drop(producer);
/// assert_eq!(consumer.read_obj::<u64>(0x4000_4ff8.into())?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedMemory {
    frames: Arc<dyn Frames>,
    writable: bool,
}

/// Frames of a HAL whose type nobody needs to know.
trait Frames: Send + Sync {
    /// In ascending order of offsets, without holes.
    fn extents(&self) -> &[Extent];
}

/// A frame, and where in the memory it is.
#[derive(Clone, Copy)]
struct Extent {
    offset: u64,
    frame: HostPhysAddr,
    size: u8,
}

impl Extent {
    const fn end(&self) -> u64 {
        self.offset + (1 << self.size)
    }
}

struct Owned<H: Hal> {
    hal: H,
    extents: Vec<Extent>,
}

impl<H: Hal + Send + Sync> Frames for Owned<H> {
    fn extents(&self) -> &[Extent] {
        &self.extents
    }
}

impl<H: Hal> Drop for Owned<H> {
    fn drop(&mut self) {
        for extent in &self.extents {
            // SAFETY: it was allocated with this size; an area that mapped it is dropped only after the invalidation.
            unsafe { self.hal.free(extent.frame, extent.size) };
        }
    }
}

impl SharedMemory {
    /// `size` bytes in zeroed frames of `hal`, each of at least `1 << smallest` bytes, which is no less than the pages of
    /// whoever is to map it, and of at most `1 << largest`, where there are such.
    ///
    /// # Errors
    ///
    /// [`Error::Misaligned`] if `size` is not a multiple of `1 << smallest`; [`Error::NoMemory`].
    ///
    /// # Safety
    ///
    /// Spaces that map it have HALs of the machine that `hal` is of: what one allocates, the others' `phys_to_virt` maps.
    pub unsafe fn new<H>(hal: &H, size: usize, smallest: u8, largest: u8) -> Result<Self, Error>
    where
        H: Hal + Send + Sync + 'static,
    {
        let (end, smallest) = (size as u64, smallest.max(12));
        if end.trailing_zeros() < smallest.into() {
            return Err(Error::Misaligned { address: end, size: smallest });
        }
        let mut owned = Owned { hal: hal.clone(), extents: Vec::new() };
        let (mut offset, mut largest) = (0, largest.max(smallest).min(63));
        while offset < end {
            // No larger than what is left, and where leaves of its size can be.
            let fits = (end - offset).ilog2().min(offset.trailing_zeros()) as u8;
            let size = fits.min(largest);
            owned.extents.try_reserve(1).map_err(|_| Error::NoMemory { size })?;
            match owned.hal.allocate(size) {
                Some(frame) => {
                    owned.extents.push(Extent { offset, frame, size });
                    // SAFETY: the frame has this size and is ours alone.
                    unsafe { owned.hal.zero_frame(frame, size) };
                    owned.hal.prepare_frame(frame, size);
                    offset += 1 << size;
                }
                None if size > smallest => largest = size - 1,
                None => return Err(Error::NoMemory { size }),
            }
        }
        Ok(Self { frames: Arc::new(owned), writable: true })
    }

    /// A handle with which areas get no right to write.
    pub fn read_only(&self) -> Self {
        Self { frames: Arc::clone(&self.frames), writable: false }
    }

    /// The size in bytes.
    // Many ask: there is one of it.
    #[inline(never)]
    pub fn size(&self) -> usize {
        self.frames.extents().last().map_or(0, Extent::end) as usize
    }

    /// log2 of the size of its smallest frame.
    fn smallest(&self) -> u8 {
        self.frames.extents().iter().map(|extent| extent.size).min().unwrap_or(0)
    }

    /// The host address of the byte at `offset`.
    fn address(&self, offset: u64) -> Option<u64> {
        self.from(offset).next().map(|extent| extent.frame.as_usize() as u64 + (offset - extent.offset))
    }

    /// The extents from that with the byte at `offset` on.
    fn from(&self, offset: u64) -> impl Iterator<Item = &Extent> {
        let extents = self.frames.extents();
        let first = extents.partition_point(|extent| extent.end() <= offset);
        extents.iter().skip(first)
    }
}

impl Debug for SharedMemory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("size", &self.size()).field("writable", &self.writable).finish()
    }
}

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
    /// The guest address of the memory's first byte, modulo 2^64: only a part of it that has moved may be an address.
    start: u64,
    memory: SharedMemory,
}

impl Shared {
    /// `memory`, to be seen by the guest from `start` on.
    pub const fn new(start: GuestPhysAddr, memory: SharedMemory) -> Self {
        Self { start: start.as_usize() as u64, memory }
    }

    /// The memory.
    pub const fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    /// How far in the memory `range` begins, if all of it is there, in frames that pages of `1 << page_bits` bytes can map.
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

    /// Whether it is the memory itself that the guest sees at `address`, which is mapped to `output`.
    pub(super) fn is_shared(&self, address: u64, output: u64) -> bool {
        self.output(address) == Some(output)
    }
}

impl Joinable for Shared {
    fn join(&self, next: &Self) -> Option<Self> {
        let same = self.start == next.start
            && self.memory.writable == next.memory.writable
            && Arc::ptr_eq(&self.memory.frames, &next.memory.frames);
        same.then(|| self.clone())
    }
}

// SAFETY: `unmap` unmaps, all work on the range given, and an area holds a handle, so that the frames live as long as it.
unsafe impl Backend for Shared {
    fn is_ram(&self) -> bool {
        true
    }

    fn accepts(&self, format: &impl Format, attributes: &Attributes) -> Result<(), Refusal> {
        if !self.memory.writable && attributes.rights.intersects(Rights::W) {
            return Err(Refusal::ReadOnly);
        }
        format.prototype(0, format.geometry().page_bits, attributes).map(|_| ())
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
        for extent in self.memory.from(offset) {
            let start = self.start.wrapping_add(offset);
            let whole = ClosedRange::new(start, start.saturating_add(extent.end() - 1 - offset));
            let Some(part) = whole.and_then(|whole| whole.intersection(&range)) else { break };
            let output = extent.frame.as_usize() as u64 + (offset - extent.offset);
            // SAFETY: it is a part of a frame that belongs to whoever holds a handle, for guests to do with what they want.
            if let Err(error) = unsafe { table.map(part, output, attributes, gather) } {
                if let Some(done) = start.checked_sub(1).and_then(|last| ClosedRange::new(range.start(), last)) {
                    ok!(table.unmap(done, gather));
                }
                return Err(error.into());
            }
            offset = extent.end();
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

    /// The memory is that of whoever holds a handle.
    unsafe fn discard<F: Format, H: Hal>(&self, _range: ClosedRange, _table: &mut PageTable<F, H>) {}

    fn moved(&self, distance: u64) -> Result<Self, BackendError> {
        Ok(Self { start: self.start.wrapping_add(distance), ..self.clone() })
    }

    /// All of it is mapped from the start.
    #[inline]
    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        fault.admit(table)
    }

    /// At most it was write-protected to see what is written.
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
        f.write_str(if self.memory.writable { "shared" } else { "shared, read-only" })
    }
}
