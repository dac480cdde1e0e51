//! Areas where an emulated device answers.

use core::fmt::{self, Display, Formatter};

use super::{Backend, BackendError, DeviceAccess, Fault, FaultOutcome, Joinable};
use crate::{Attributes, ClosedRange, Format, FrameCache, Gather, GuestPhysAddr, Hal, PageTable, Refusal};

/// An emulated device: nothing is ever mapped, so that each access faults and the device can answer it.
///
/// ```
/// use tablewright::{DeviceAccess, FaultOutcome, Rights};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// const UART: usize = 7;
/// space.map_device(0x1000_0000.into(), 0x1000, UART)?;
/// let access = DeviceAccess { handle: UART, offset: 4, access: Rights::W, width: None };
/// assert_eq!(space.handle_fault(0x1000_0004.into(), Rights::W), FaultOutcome::Device(access));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The guest address of the device's first register, modulo 2^64.
    start: u64,
    handle: usize,
}

impl Device {
    /// A device whose registers begin at `start`; `handle` is the caller's name for it.
    pub const fn new(start: GuestPhysAddr, handle: usize) -> Self {
        Self { start: start.as_usize() as u64, handle }
    }

    /// The caller's name for the device.
    pub const fn handle(&self) -> usize {
        self.handle
    }
}

impl Joinable for Device {
    fn join(&self, next: &Self) -> Option<Self> {
        (self == next).then_some(*self)
    }
}

// SAFETY: nothing is ever mapped.
unsafe impl Backend for Device {
    fn is_ram(&self) -> bool {
        false
    }

    fn accepts<F: Format, H: Hal>(&self, _table: &PageTable<F, H>, _attributes: &Attributes) -> Result<(), Refusal> {
        Ok(())
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        _attributes: &Attributes,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        if range.start() < self.start {
            return Err(BackendError::Custom("the area begins below the device's first register"));
        }
        Ok(())
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        _range: ClosedRange,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        Ok(())
    }

    unsafe fn discard<F: Format, H: Hal>(&self, _range: ClosedRange, _table: &mut PageTable<F, H>) {}

    fn moved(&self, distance: u64) -> Result<Self, BackendError> {
        Ok(Self { start: self.start.wrapping_add(distance), ..*self })
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        _table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        FaultOutcome::Device(DeviceAccess {
            handle: self.handle,
            offset: fault.address.wrapping_sub(self.start) as usize,
            access: fault.access,
            width: fault.width,
        })
    }
}

impl Display for Device {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "emulated device {}", self.handle)
    }
}
