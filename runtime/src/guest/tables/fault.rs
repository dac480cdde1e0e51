//! Why an access by guest virtual address stopped.

use crate::{GuestFault, GuestPhysAddr, GuestVirtAddr, Level, Stage1Cause};

/// An access by guest virtual address that stopped before its end.
///
/// ```
/// # use tablewright::{AddrSpace, Format, GuestMemoryAccessor, GuestTables, MappingFlags, Rights, Tag};
/// # use tablewright::{riscv64::{sv, sv_x4}, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x8000, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// # // The guest's table: 1 GiB at 0x4000_0000 is the memory at 0x8000_0000, for the supervisor.
/// # space.write_obj(0x8000_1008.into(), 0x8000_0000_u64 >> 2 | 0b1100_0111)?;
/// # let guest_format = sv::Format::new(&sv::Config::new(3, 39))?;
/// # let tables = GuestTables::new(&space, &guest_format, 0x8000_1000.into(), sv::Controls::default());
/// // The guest maps more than it has memory.
/// let error = tables.write_buffer(0x4000_7ffe.into(), Rights::PW, b"four").unwrap_err();
/// assert_eq!((error.address, error.done), (0x4000_8000.into(), 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest memory at {address:?}, after {done} bytes: {fault}")]
pub struct VirtError {
    /// The guest virtual address that could not be accessed.
    pub address: GuestVirtAddr,
    /// How many bytes before it were copied.
    pub done: usize,
    /// Why.
    pub fault: VirtFault,
}

/// Why a guest virtual address cannot be accessed.
///
/// ```
/// use tablewright::{GuestFault, VirtFault};
/// # use tablewright::{AddrSpace, Format, GuestMemoryAccessor, GuestTables, MappingFlags, Rights, Tag};
/// # use tablewright::{riscv64::{sv, sv_x4}, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x8000, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// # // The guest's table: 1 GiB at 0x4000_0000 is the memory at 0x8000_0000, for the supervisor.
/// # space.write_obj(0x8000_1008.into(), 0x8000_0000_u64 >> 2 | 0b1100_0111)?;
/// # let guest_format = sv::Format::new(&sv::Config::new(3, 39))?;
/// # let tables = GuestTables::new(&space, &guest_format, 0x8000_1000.into(), sv::Controls::default());
/// let fault = tables.read_obj::<u8>(0x4000_8000.into(), Rights::PR).unwrap_err().fault;
/// assert_eq!(fault, VirtFault::Stage2 { address: 0x8000_8000.into(), fault: GuestFault::NotMapped });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VirtFault {
    /// The range goes beyond the last address.
    #[error("the addresses wrap around")]
    Overflow,
    /// The guest's own tables do not allow it: the fault goes to the guest, and
    /// [`GuestTables::report`](crate::GuestTables::report) gives the report to inject.
    #[error("stage 1, level {level}: {cause:?}")]
    Stage1 {
        /// The level of the entry that says so; the root's, where no entry was read.
        level: Level,
        /// Why the access is not allowed.
        cause: Stage1Cause,
    },
    /// An entry of the guest's tables cannot be read or marked.
    #[error("stage 2, for the entry of stage 1 at {entry:?}: {fault}")]
    Walk {
        /// Where the entry is.
        entry: GuestPhysAddr,
        /// Why.
        fault: GuestFault,
    },
    /// What the tables lead to cannot be accessed.
    #[error("stage 2, at {address:?}: {fault}")]
    Stage2 {
        /// The guest physical address.
        address: GuestPhysAddr,
        /// Why.
        fault: GuestFault,
    },
    /// The entry had changed each time that it was to be marked accessed or dirty. Try again, as a CPU would.
    #[error("the guest keeps changing the entry")]
    Changing,
}
