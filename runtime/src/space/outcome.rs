//! The outcome of a fault.

use crate::device::AccessWidth;
use crate::{Error, Operation, Relax, Rights};

/// The outcome of a fault, and so what to do next.
///
/// ```
/// use tablewright::{FaultOutcome, Rights};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_alloc(0x8000_0000.into(), 0x4000, rw, false)?;
/// let at = 0x8000_1234.into();
/// assert_eq!(space.handle_fault(at, Rights::W), FaultOutcome::Mapped);
/// assert_eq!(space.handle_fault(at, Rights::W), FaultOutcome::Spurious);
/// assert_eq!(space.handle_fault(at, Rights::X), FaultOutcome::Denied);
/// assert_eq!(space.handle_fault(0x1234.into(), Rights::R), FaultOutcome::NotMapped);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// The access is possible now, because a page was mapped or got a right: run the guest again.
    Mapped,
    /// Only the accessed or dirty state was missing, which no hardware sets here. It is set now: run the guest again.
    Marked,
    /// The access was possible already, perhaps because another CPU was faster: run the guest again.
    Spurious,
    /// The area does not allow such an access.
    Denied,
    /// There is no area, or nothing in it that could be mapped.
    NotMapped,
    /// An emulated device has to answer.
    Device(DeviceAccess),
    /// The hardware met an illegal entry: somebody else wrote to the tables, or the format's parameters are not those of
    /// this machine.
    Misconfigured,
    /// The HAL has no frame left.
    OutOfMemory,
    /// It needs exclusive access: see [`AddrSpace::handle_fault_exclusive`](super::AddrSpace::handle_fault_exclusive).
    NeedsExclusive(Operation),
    /// The page table refused.
    Failed(Error),
}

impl FaultOutcome {
    /// Whether the guest may run again.
    pub const fn is_resolved(self) -> bool {
        matches!(self, Self::Mapped | Self::Marked | Self::Spurious)
    }
}

/// The outcome of most faults, small enough to be returned in a register: see
/// [`Backend::first_use`](super::Backend::first_use).
///
/// ```
/// use tablewright::{FaultOutcome, FirstUse};
///
/// assert_eq!(FaultOutcome::from(FirstUse::Mapped), FaultOutcome::Mapped);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstUse {
    /// [`FaultOutcome::Mapped`].
    Mapped,
    /// [`FaultOutcome::Marked`].
    Marked,
    /// [`FaultOutcome::Spurious`].
    Spurious,
    /// [`FaultOutcome::OutOfMemory`].
    OutOfMemory,
}

/// A guest's access to an emulated device.
///
/// ```
/// use tablewright::{DeviceAccess, Rights};
///
/// /// A device with one register.
/// fn answer(access: &DeviceAccess, register: &mut u64, value: u64) -> Option<u64> {
///     if access.is_write() {
///         *register = value;
///         return None;
///     }
///     Some(if access.offset == 0 { *register } else { 0 })
/// }
///
/// let mut register = 0;
/// let write = DeviceAccess { handle: 7, offset: 0, access: Rights::W, width: None };
/// assert_eq!(answer(&write, &mut register, 42), None);
/// assert_eq!(answer(&DeviceAccess { access: Rights::R, ..write }, &mut register, 0), Some(42));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAccess {
    /// The handle that the device was mapped with.
    pub handle: usize,
    /// The offset from the device's first register, in bytes.
    pub offset: usize,
    /// The rights that the access needs; empty if the hardware did not say.
    pub access: Rights,
    /// The width of the access; `None` if the hardware did not say, and the instruction has to be decoded.
    pub width: Option<AccessWidth>,
}

impl DeviceAccess {
    /// Whether the guest writes to the device.
    pub const fn is_write(&self) -> bool {
        self.access.intersects(Rights::W)
    }
}

impl From<FirstUse> for FaultOutcome {
    fn from(first_use: FirstUse) -> Self {
        match first_use {
            FirstUse::Mapped => Self::Mapped,
            FirstUse::Marked => Self::Marked,
            FirstUse::Spurious => Self::Spurious,
            FirstUse::OutOfMemory => Self::OutOfMemory,
        }
    }
}

/// The outcome of a fault for which a leaf was relaxed.
impl From<Result<Relax, Error>> for FaultOutcome {
    fn from(result: Result<Relax, Error>) -> Self {
        match result {
            Ok(Relax::Relaxed) => Self::Mapped,
            Ok(Relax::Granted) => Self::Spurious,
            Ok(Relax::NotMapped) => Self::NotMapped,
            Ok(Relax::NeedsExclusive(operation)) => Self::NeedsExclusive(operation),
            Err(error) => error.into(),
        }
    }
}

/// The outcome of a fault if the table refused what should resolve it.
impl From<Error> for FaultOutcome {
    fn from(error: Error) -> Self {
        match error {
            Error::NoMemory { .. } => Self::OutOfMemory,
            error => Self::Failed(error),
        }
    }
}
