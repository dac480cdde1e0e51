//! Host memory that guests may be given.

use crate::{ClosedRange, HostPhysAddr};

/// What is behind a range of host physical addresses.
///
/// ```
/// use tablewright::{HostRegion, RegionKind};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // SAFETY: no driver of the host uses this device.
/// let uart = unsafe { HostRegion::device(0x900_0000.into(), 0x1000) }.ok_or("nothing")?;
/// assert_eq!(uart.kind(), RegionKind::Device);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// Memory, which the host may access on a guest's behalf.
    Ram,
    /// Memory that guests may read and execute, never write; the host may read it on their behalf.
    Rom,
    /// A device's registers, which only guests access.
    Device,
}

/// A range of host physical memory that guests may be given.
///
/// Making one is `unsafe`: it happens once, where the host's memory map is known. Mapping it is safe, any number of times.
///
/// ```
/// use tablewright::HostRegion;
///
/// // SAFETY: the loader reserved this memory for guests, and the host maps all of its memory.
/// let guests = unsafe { HostRegion::ram(0x1_0000_0000.into(), 8 << 30) }.expect("more than nothing");
/// let first = guests.part(0, 1 << 30).expect("it is large enough");
/// let second = guests.part(1 << 30, 1 << 30).expect("it is large enough");
/// assert_eq!(first.join(&second), guests.part(0, 2 << 30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostRegion {
    range: ClosedRange,
    kind: RegionKind,
}

impl HostRegion {
    /// `size` bytes of memory from `start` on; `None` if that is empty or wraps around.
    ///
    /// # Safety
    ///
    /// For as long as a space maps the region, or a copy or part of it:
    /// - it is memory that a guest and its devices may read, write and execute at any time without harm to the host:
    ///   nobody holds a Rust reference to it, and no allocator gives it out;
    /// - `Hal::phys_to_virt` maps it for reading and writing, with consecutive addresses.
    pub const unsafe fn ram(start: HostPhysAddr, size: usize) -> Option<Self> {
        Self::new(start, size, RegionKind::Ram)
    }

    /// `size` bytes of memory from `start` on that no guest may write, such as a firmware image in the host's memory; `None`
    /// if that is empty or wraps around. An area that would give a right to write to it is refused
    /// ([`Refusal::ReadOnly`](crate::Refusal::ReadOnly)).
    ///
    /// # Safety
    ///
    /// For as long as a space maps the region, or a copy or part of it:
    /// - it is memory that a guest and its devices may read and execute without harm to the host, and nobody writes it;
    /// - `Hal::phys_to_virt` maps it for reading, with consecutive addresses.
    pub const unsafe fn rom(start: HostPhysAddr, size: usize) -> Option<Self> {
        Self::new(start, size, RegionKind::Rom)
    }

    /// `size` bytes of a device's registers from `start` on; `None` if that is empty or wraps around.
    ///
    /// # Safety
    ///
    /// For as long as a space maps the region, or a copy or part of it, a guest may do what it wants with the device
    /// without harm to the host: no driver of the host uses it, and its transfers are confined by an IOMMU, or the guest is
    /// trusted.
    pub const unsafe fn device(start: HostPhysAddr, size: usize) -> Option<Self> {
        Self::new(start, size, RegionKind::Device)
    }

    const fn new(start: HostPhysAddr, size: usize, kind: RegionKind) -> Option<Self> {
        match ClosedRange::from_start_size(start.as_usize() as u64, size as u64) {
            Some(range) => Some(Self { range, kind }),
            None => None,
        }
    }

    /// The first address.
    pub const fn start(&self) -> HostPhysAddr {
        HostPhysAddr::from_usize(self.range.start() as usize)
    }

    /// The size in bytes.
    pub const fn size(&self) -> usize {
        // At most `usize::MAX`, with which it was made.
        self.range.span() as usize + 1
    }

    /// All addresses.
    pub const fn range(&self) -> ClosedRange {
        self.range
    }

    /// What is there.
    pub const fn kind(&self) -> RegionKind {
        self.kind
    }

    /// The `size` bytes from `offset` on; `None` if that is empty or not all in the region.
    pub fn part(&self, offset: usize, size: usize) -> Option<Self> {
        let start = self.range.start().checked_add(offset as u64)?;
        let range = ClosedRange::from_start_size(start, size as u64)?;
        self.range.covers(&range).then_some(Self { range, kind: self.kind })
    }

    /// Both regions as one, if they are of the same kind, and overlap or leave no gap between them, in either order.
    pub fn join(&self, other: &Self) -> Option<Self> {
        let (start, last) = (self.range.start().max(other.range.start()), self.range.last().min(other.range.last()));
        let touches = start <= last.saturating_add(1);
        let joined = Self { range: self.range.hull(&other.range), kind: self.kind };
        // What no `usize` can count is left apart, so that `size` is always right.
        (touches && self.kind == other.kind && joined.range.span() < u64::MAX).then_some(joined)
    }
}
