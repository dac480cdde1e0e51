//! Why an access to guest memory stopped.

use crate::{FaultOutcome, GuestPhysAddr};

/// An access to guest memory that stopped before its end.
///
/// ```
/// use tablewright::{GuestError, GuestFault, GuestMemoryAccessor};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_alloc(0x8000_0000.into(), 0x1000, rw, false)?;
/// let error = space.write_obj(0x8000_0ffc.into(), 0_u64).unwrap_err();
/// assert_eq!(error, GuestError { address: 0x8000_1000.into(), done: 4, fault: GuestFault::NotMapped });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest memory at {address:?}, after {done} bytes: {fault}")]
pub struct GuestError {
    /// The guest physical address that could not be accessed.
    pub address: GuestPhysAddr,
    /// How many bytes before it were copied.
    pub done: usize,
    /// Why.
    pub fault: GuestFault,
}

/// Why guest memory cannot be accessed.
///
/// ```
/// use tablewright::{GuestFault, GuestMemoryAccessor};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_device(0x1000_0000.into(), 0x1000, 7)?;
/// let fault = space.read_obj::<u32>(0x1000_0000.into()).unwrap_err().fault;
/// assert_eq!(fault, GuestFault::Device);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFault {
    /// The range goes beyond the last address.
    #[error("the addresses wrap around")]
    Overflow,
    /// Nothing is mapped there.
    #[error("not mapped")]
    NotMapped,
    /// The guest itself may not do this there.
    #[error("the guest has no right to do this")]
    Denied,
    /// A device is there, not memory.
    #[error("device memory")]
    Device,
    /// The memory should have been mapped now, at its first use, and that failed. With [`FaultOutcome::NeedsExclusive`],
    /// as for a copy-on-write page that was read before it is written, call
    /// [`AddrSpace::handle_fault_exclusive`](crate::AddrSpace::handle_fault_exclusive) and try the access again.
    #[error("the fault of a first use came to {0:?}")]
    NotResolved(FaultOutcome),
    /// One access cannot do it: the size is not 1, 2, 4 or 8, the address is not a multiple of it, or it crosses pages.
    #[error("not possible in one access")]
    Torn,
    /// No memory for a list of pieces.
    #[error("no memory on the host")]
    NoMemory,
}
