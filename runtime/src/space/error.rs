//! Why an operation on an address space was refused; it then changed nothing.

use crate::{ClosedRange, Error, GuestPhysAddr, HostRegion, Refusal};

/// Why an operation on an address space was refused. The space is as it was before.
///
/// ```
/// use tablewright::SpaceError;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_alloc(0x8000_0000.into(), 0x4000, rw, false)?;
/// let error = space.map_alloc(0x8000_3000.into(), 0x4000, rw, false).unwrap_err();
/// assert!(matches!(error, SpaceError::Overlap(other) if other.last() == 0x8000_3fff));
/// assert_eq!(error.to_string(), "the area 0x80000000..=0x80003fff is in the way");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// Addresses that are not all in the space.
    #[error("{size:#x} bytes from {start:?} on are not all in the space {:#x}..={:#x}", .space.start(), .space.last())]
    OutOfRange {
        /// The first address.
        start: GuestPhysAddr,
        /// The size in bytes.
        size: usize,
        /// The space.
        space: ClosedRange,
    },
    /// A space or an area of no bytes.
    #[error("nothing to map at {0:?}: the size is 0")]
    Empty(GuestPhysAddr),
    /// An address or a size that is not a multiple of the page size.
    #[error("{value:#x}, an address or a size, is not a multiple of 2^{page_bits} bytes")]
    Misaligned {
        /// The address or size.
        value: usize,
        /// log2 of the page size.
        page_bits: u8,
    },
    /// An area is in the way.
    #[error("the area {:#x}..={:#x} is in the way", .0.start(), .0.last())]
    Overlap(ClosedRange),
    /// An area cannot be mapped or changed as asked.
    #[error("area {:#x}..={:#x}: {error}", .area.start(), .area.last())]
    Area {
        /// The area, or the part of it that was to change.
        area: ClosedRange,
        /// Why not.
        error: BackendError,
    },
    /// No memory to record one more area.
    #[error("no memory to record one more area")]
    NoMemory,
    /// The page table refused.
    #[error(transparent)]
    Table(#[from] Error),
}

impl SpaceError {
    /// The result if an area's backend refused; out of line.
    #[cold]
    #[inline(never)]
    pub(super) fn of_area<T>(area: ClosedRange, error: &BackendError) -> Result<T, Self> {
        Err(Self::Area { area, error: *error })
    }
}

/// Why a backend refused; it then changed nothing.
///
/// ```
/// use tablewright::{BackendError, Refusal, Rights, SpaceError};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// // Memory that can be written, but not read.
/// let error = space.map_alloc(0x8000_0000.into(), 0x4000, MappingFlags::WRITE, false).unwrap_err();
/// let SpaceError::Area { error, .. } = error else { panic!("it is about the area") };
/// assert_eq!(error, BackendError::Refused(Refusal::Rights(Rights::W)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The page table refused.
    #[error(transparent)]
    Table(#[from] Error),
    /// The format has no page with these attributes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The area is larger than the host memory behind it.
    #[error("it is not all in the {:#x} bytes of the host's from {:?} on that are behind it", .0.size(), .0.start())]
    TooShort(HostRegion),
    /// What is behind the area cannot move to other addresses: see [`Backend::moved`](super::Backend::moved).
    #[error("what is behind it cannot move")]
    Immovable,
    /// A reason of the backend's own.
    #[error("{0}")]
    Custom(&'static str),
}
