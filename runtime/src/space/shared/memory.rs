//! Memory in frames from the HAL that lives as long as there is a handle to it.

use alloc::{sync::Arc, vec::Vec};
use core::fmt::{self, Debug, Formatter};

use crate::{Error, Hal, HostPhysAddr};

/// Memory of any size that several guests may map: zeroed frames, which go back to their HAL when no handle is left and
/// no area maps them any more.
///
/// Each guest sees it at the addresses and with the rights of its own area. A handle can be made
/// [read-only](Self::read_only): whoever gets that one cannot give anybody a right to write. What one guest writes does
/// not show in the others' [dirty logs](crate::AddrSpace::start_dirty_log).
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
    /// log2 of the size of its smallest frame.
    smallest: u8,
}

/// Frames of a HAL whose type is erased.
trait Frames: Send + Sync {
    /// The extents, in ascending order of offsets, without holes.
    fn extents(&self) -> &[Extent];
}

/// A frame, and where in the memory it is.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    offset: u64,
    frame: HostPhysAddr,
    size: u8,
}

impl Extent {
    pub(super) const fn end(&self) -> u64 {
        self.offset + (1 << self.size)
    }

    /// The host address of the byte at `offset`, as far as the frame goes, or what follows it in the host's memory.
    pub(super) const fn address(&self, offset: u64) -> u64 {
        self.frame.as_usize() as u64 + (offset - self.offset)
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
    /// `size` bytes in zeroed frames of `hal`. Each frame has at least `1 << smallest` bytes, which must be no less than the
    /// pages of any space that will map it, and at most `1 << largest`, as far as the HAL has such frames.
    ///
    /// # Errors
    ///
    /// [`Error::Misaligned`] if `size` is not a multiple of `1 << smallest`; [`Error::NoMemory`].
    ///
    /// # Safety
    ///
    /// All spaces that map it have HALs of the same machine as `hal`: what one allocates, the others' `phys_to_virt`
    /// maps.
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
            // No larger than what is left, and at an offset where a leaf of its size can be.
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
        let smallest = owned.extents.iter().map(|extent| extent.size).min().unwrap_or(0);
        Ok(Self { frames: Arc::new(owned), writable: true, smallest })
    }

    /// A handle through which areas cannot get a right to write.
    pub fn read_only(&self) -> Self {
        Self { writable: false, ..self.clone() }
    }

    /// Whether areas may let guests write to it.
    pub(super) const fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether both are handles of the same memory, with the same right to write.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.writable == other.writable && Arc::ptr_eq(&self.frames, &other.frames)
    }

    /// The size in bytes.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub fn size(&self) -> usize {
        self.frames.extents().last().map_or(0, Extent::end) as usize
    }

    /// log2 of the size of its smallest frame.
    pub(super) const fn smallest(&self) -> u8 {
        self.smallest
    }

    /// The host address of the byte at `offset`.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        self.from(offset).next().map(|extent| extent.address(offset))
    }

    /// The extents from the one with the byte at `offset` on.
    pub(super) fn from(&self, offset: u64) -> impl Iterator<Item = &Extent> {
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
