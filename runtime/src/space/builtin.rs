//! The backends that come with the library, as one type.

use core::fmt::{self, Display, Formatter};

use super::{
    Alloc, Backend, BackendError, CopyOnWrite, Device, Fault, FaultOutcome, FirstUse, Joinable, Linear, Shared,
};
use crate::{Attributes, Change, ClosedRange, Format, FrameCache, Gather, Hal, PageTable, Refusal};

/// The backends that come with the library.
///
/// ```
/// use tablewright::{Alloc, Builtin};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map(0x8000_0000.into(), 0x4000, rw, Alloc::LAZY)?;
/// let area = space.find_area(0x8000_1000.into()).ok_or("no area")?;
/// assert!(matches!(area.backend(), Builtin::Alloc(_)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub enum Builtin {
    /// Host memory that belongs to the caller.
    Linear(Linear),
    /// Frames from the HAL.
    Alloc(Alloc),
    /// An emulated device.
    Device(Device),
    /// Memory that other guests may map, too.
    Shared(Shared),
    /// Memory that is shared until it is written.
    CopyOnWrite(CopyOnWrite),
}

/// Evaluates `$body` with `$backend` bound to what is in the variant.
macro_rules! forward {
    ($builtin:expr, $backend:ident => $body:expr) => {
        match $builtin {
            Builtin::Linear($backend) => $body,
            Builtin::Alloc($backend) => $body,
            Builtin::Device($backend) => $body,
            Builtin::Shared($backend) => $body,
            Builtin::CopyOnWrite($backend) => $body,
        }
    };
}

impl Joinable for Builtin {
    fn join(&self, next: &Self) -> Option<Self> {
        match (self, next) {
            (Self::Linear(this), Self::Linear(next)) => this.join(next).map(Self::Linear),
            (Self::Alloc(this), Self::Alloc(next)) => this.join(next).map(Self::Alloc),
            (Self::Device(this), Self::Device(next)) => this.join(next).map(Self::Device),
            (Self::Shared(this), Self::Shared(next)) => this.join(next).map(Self::Shared),
            (Self::CopyOnWrite(this), Self::CopyOnWrite(next)) => this.join(next).map(Self::CopyOnWrite),
            _ => None,
        }
    }
}

// SAFETY: each variant keeps the contract for the areas it is behind.
unsafe impl Backend for Builtin {
    fn is_ram(&self) -> bool {
        forward!(self, backend => backend.is_ram())
    }

    fn collapses_to(&self, hal: &impl Hal) -> u8 {
        forward!(self, backend => backend.collapses_to(hal))
    }

    fn accepts<F: Format, H: Hal>(&self, table: &PageTable<F, H>, attributes: &Attributes) -> Result<(), Refusal> {
        forward!(self, backend => backend.accepts(table, attributes))
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        forward!(self, backend => backend.map(range, attributes, table, gather))
    }

    fn populate<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        forward!(self, backend => backend.populate(range, fault, table, gather))
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        // SAFETY: as the caller promises.
        forward!(self, backend => unsafe { backend.unmap(range, table, gather) })
    }

    /// Both map the caller's or shared memory, both frames of the HAL, or both nothing.
    fn works_like(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Linear(_) | Self::Shared(_), Self::Linear(_) | Self::Shared(_))
                | (Self::Alloc(_), Self::Alloc(_))
                | (Self::Device(_), Self::Device(_))
        )
    }

    unsafe fn discard<F: Format, H: Hal>(&self, range: ClosedRange, table: &mut PageTable<F, H>) {
        // SAFETY: as the caller promises.
        forward!(self, backend => unsafe { backend.discard(range, table) });
    }

    unsafe fn enlarge<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<usize, BackendError> {
        // SAFETY: as the caller promises.
        forward!(self, backend => unsafe { backend.enlarge(range, table, gather) })
    }

    fn moved(&self, distance: u64) -> Result<Self, BackendError> {
        forward!(self, backend => backend.moved(distance).map(Self::from))
    }

    fn protect<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        change: &Change,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        forward!(self, backend => backend.protect(range, change, table, gather))
    }

    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        forward!(self, backend => backend.first_use(fault, table, frames))
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        forward!(self, backend => backend.fault(fault, table, frames))
    }

    fn fault_exclusive<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        forward!(self, backend => backend.fault_exclusive(fault, table, gather))
    }
}

impl Display for Builtin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        forward!(self, backend => backend.fmt(f))
    }
}

macro_rules! variants {
    ($($variant:ident)*) => {$(
        impl From<$variant> for Builtin {
            fn from(backend: $variant) -> Self {
                Self::$variant(backend)
            }
        }
    )*};
}

variants! { Linear Alloc Device Shared CopyOnWrite }
