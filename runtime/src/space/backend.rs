//! What can be behind an area.

use core::fmt::{self, Display, Formatter};

use super::{Alloc, Area, BackendError, CopyOnWrite, Device, FaultOutcome, Joinable, Linear, Shared};
use crate::device::AccessWidth;
use crate::table::{Admitted, Identity};
use crate::{Attributes, Change, ClosedRange, Format, FrameCache, Gather, Hal, PageTable, Refusal, Rights};

/// What is behind an area: where its memory comes from, when it is mapped, and what a fault does.
///
/// To add one, implement this for an enum that has [`Builtin`] and yours as variants, and forward.
///
/// ```
/// use core::fmt::{self, Display, Formatter};
/// use tablewright::{AddrSpace, Alloc, Attributes, Backend, BackendError, Builtin, ClosedRange, Fault, FaultOutcome};
/// use tablewright::{Format, FrameCache, Gather, Hal, Joinable, MappingFlags, PageTable, Rights, Tag};
/// use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// /// What the library has, or memory that the guest gave up: it must not come back to it by itself.
/// #[derive(Clone, Debug)]
/// enum Behind {
///     Builtin(Builtin),
///     GivenUp,
/// }
///
/// impl Joinable for Behind {
///     fn join(&self, next: &Self) -> Option<Self> {
///         match (self, next) {
///             (Self::Builtin(this), Self::Builtin(next)) => this.join(next).map(Self::Builtin),
///             (Self::GivenUp, Self::GivenUp) => Some(Self::GivenUp),
///             _ => None,
///         }
///     }
/// }
///
/// impl Display for Behind {
///     fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
///         match self {
///             Self::Builtin(builtin) => builtin.fmt(f),
///             Self::GivenUp => f.write_str("given up"),
///         }
///     }
/// }
///
/// // SAFETY: what is given up maps nothing; the rest keeps the contract itself.
/// unsafe impl Backend for Behind {
///     fn is_ram(&self) -> bool {
///         matches!(self, Self::Builtin(builtin) if builtin.is_ram())
///     }
///
///     fn map<F: Format, H: Hal>(
///         &self,
///         range: ClosedRange,
///         attributes: &Attributes,
///         table: &mut PageTable<F, H>,
///         gather: &mut Gather<F, H>,
///     ) -> Result<(), BackendError> {
///         match self {
///             Self::Builtin(builtin) => builtin.map(range, attributes, table, gather),
///             Self::GivenUp => Ok(()),
///         }
///     }
///
///     unsafe fn unmap<F: Format, H: Hal>(
///         &self,
///         range: ClosedRange,
///         table: &mut PageTable<F, H>,
///         gather: &mut Gather<F, H>,
///     ) -> Result<(), BackendError> {
///         match self {
///             // SAFETY: as the caller promises.
///             Self::Builtin(builtin) => unsafe { builtin.unmap(range, table, gather) },
///             Self::GivenUp => Ok(()),
///         }
///     }
///
///     fn fault<F: Format, H: Hal>(
///         &self,
///         fault: &Fault,
///         table: &PageTable<F, H>,
///         frames: &mut FrameCache<H>,
///     ) -> FaultOutcome {
///         match self {
///             Self::Builtin(builtin) => builtin.fault(fault, table, frames),
///             Self::GivenUp => FaultOutcome::NotMapped,
///         }
///     }
///
///     // The other hooks of `Builtin` are forwarded in the same way.
/// }
///
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let machine = Machine::new(0, 1 << 20);
/// let mut space = AddrSpace::<_, _, Behind>::with_backend(format, machine, Tag(1), 0.into(), 1 << 32)?;
/// let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map(0x8000_0000.into(), 0x4000, rw, Behind::Builtin(Alloc::LAZY.into()))?;
/// assert_eq!(space.handle_fault(0x8000_1000.into(), Rights::W), FaultOutcome::Mapped);
/// space.unmap(0x8000_1000.into(), 0x1000)?;
/// space.map(0x8000_1000.into(), 0x1000, rw, Behind::GivenUp)?;
/// assert_eq!(space.handle_fault(0x8000_1000.into(), Rights::W), FaultOutcome::NotMapped);
/// # Ok(())
/// # }
/// ```
///
/// # Safety
///
/// - A hook changes the table only inside the range that it is given, which lies in areas of this backend.
/// - After `unmap`, nothing is mapped in the range. Memory that a backend's value keeps alive is no longer used when the
///   value is dropped: that happens after the invalidation.
/// - If [`Backend::is_ram`] holds, whatever is mapped in its areas is memory that `Hal::phys_to_virt` maps, leaf by
///   leaf with consecutive addresses, for as long as it is mapped.
pub unsafe trait Backend: Joinable + Display {
    /// Whether the host may read and write this memory on the guest's behalf.
    fn is_ram(&self) -> bool;

    /// Whether an area may have these attributes.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: what the format cannot say, or [`Refusal::ReadOnly`]. Backends that map nothing accept everything.
    fn accepts(&self, format: &impl Format, attributes: &Attributes) -> Result<(), Refusal> {
        format.prototype(0, format.geometry().page_bits, attributes).map(|_| ())
    }

    /// Whether leaves that were mapped one by one may become one: not if they are frames of the HAL, which go back as they
    /// were allocated.
    fn may_collapse(&self) -> bool {
        false
    }

    /// Puts larger frames in the place of small ones, with what is in them, and returns how many: see
    /// [`AddrSpace::enlarge`](super::AddrSpace::enlarge). Without other word, none.
    ///
    /// # Errors
    ///
    /// Why it cannot be tried; that there are no such frames is none.
    ///
    /// # Safety
    ///
    /// As for [`Backend::unmap`].
    unsafe fn enlarge<F: Format, H: Hal>(
        &self,
        _range: ClosedRange,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> Result<usize, BackendError> {
        Ok(0)
    }

    /// Maps what a new area has from the start. All or nothing.
    ///
    /// # Errors
    ///
    /// [`BackendError`]: why it cannot be mapped.
    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError>;

    /// Unmaps all that is mapped in `range`. All or nothing.
    ///
    /// # Errors
    ///
    /// [`BackendError::Table`], only if larger leaves that reach beyond the range are not split: see [`PageTable::unmap`].
    ///
    /// # Safety
    ///
    /// What is mapped in `range` was mapped by this backend, or by one that it was joined or cut from: frames of the
    /// table's HAL may go back to it.
    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError>;

    /// What is behind an area after it has [moved](super::AddrSpace::move_range): `distance` is to be added, modulo 2^64,
    /// to each guest address that this knows. Leaves move along, and may become smaller. By default, it cannot move.
    ///
    /// # Errors
    ///
    /// [`BackendError::Immovable`], or another reason.
    fn moved(&self, _distance: u64) -> Result<Self, BackendError> {
        Err(BackendError::Immovable)
    }

    /// Changes the attributes of all that is mapped in `range`. All or nothing.
    ///
    /// # Errors
    ///
    /// [`BackendError::Table`] with those of [`PageTable::protect`], or another reason of the backend's.
    fn protect<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        change: &Change,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        Ok(table.protect(range, change, gather)?)
    }

    /// Deals with a fault that its area allows, before anything is looked up: the first use of a page, or one that a leaf
    /// may be there for. `None`, and nothing has changed, if [`Backend::fault`] is to do it. To be replaced where it
    /// spares a walk.
    fn first_use<F: Format, H: Hal>(
        &self,
        _fault: &Fault,
        _table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> Option<FaultOutcome> {
        None
    }

    /// Deals with a fault that its area allows, while other CPUs use the table and may fault, too.
    /// Frames come from `frames` first, so that a fault for which these suffice does not allocate.
    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome;

    /// Deals with a fault for which [`Backend::fault`] answered [`FaultOutcome::NeedsExclusive`]: without other word,
    /// gives the leaf there the rights of the area.
    fn fault_exclusive<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        table.relax_exclusive(fault.address, fault.wanted(), gather).into()
    }
}

/// A fault that the attributes of the area allow, but the table does not (yet).
///
/// ```
/// use tablewright::{Fault, FaultOutcome, Format, Hal, PageTable};
///
/// /// What a backend does that mapped all of its areas from the start, and may have write-protected them.
/// fn fault<F: Format, H: Hal>(fault: &Fault, table: &PageTable<F, H>) -> FaultOutcome {
///     if fault.mapped { fault.relax(table) } else { FaultOutcome::NotMapped }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The guest physical address.
    pub address: u64,
    /// The rights the access needs.
    pub access: Rights,
    /// The area.
    pub area: ClosedRange,
    /// The area's attributes, marked accessed and dirty as the access will mark the page, so that it does not have to
    /// fault again.
    pub attributes: Attributes,
    /// A page with these attributes, if they have been resolved.
    pub page: Option<ResolvedPage>,
    /// Whether a leaf is there already, that lacks rights.
    pub mapped: bool,
    /// How much the access moves, if the hardware said so.
    pub width: Option<AccessWidth>,
}

impl Fault {
    /// Whether the access needs a right to write.
    pub const fn writes(&self) -> bool {
        self.access.intersects(Rights::W)
    }

    /// The rights that a leaf gets on account of it: those of the area, but to write only if that is what was tried, for
    /// pages are write-protected to see that.
    pub fn wanted(&self) -> Rights {
        let rights = self.attributes.rights;
        if self.writes() { rights } else { rights - Rights::W }
    }

    /// If a leaf is there, gives it in one walk what the access lacks, where one store is enough for that; `None`, and
    /// nothing has changed, if not.
    #[inline]
    pub(super) fn admit<F: Format, H: Hal>(&self, table: &PageTable<F, H>) -> Option<FaultOutcome> {
        Some(match table.admit(self.address, self.access, self.wanted())? {
            Admitted::Already => FaultOutcome::Spurious,
            Admitted::Marked => FaultOutcome::Marked,
            Admitted::Relaxed => FaultOutcome::Mapped,
        })
    }

    /// Gives the leaf that is there the rights of the area, if it lacks those of the access.
    pub fn relax<F: Format, H: Hal>(&self, table: &PageTable<F, H>) -> FaultOutcome {
        table.relax(self.address, self.wanted()).into()
    }

    /// One in a space with this table.
    pub(super) fn new<B>(address: u64, access: Rights, area: &Area<B>, mapped: bool, table: Identity) -> Self {
        let dirty = access.intersects(Rights::W);
        let attributes = area.attributes().used(dirty);
        Self {
            address,
            access,
            area: area.range(),
            attributes,
            page: area.page(dirty).map(|bits| ResolvedPage { table, attributes, bits }),
            mapped,
            width: None,
        }
    }
}

/// How a format writes a page with certain attributes, worked out once for all faults of an area.
///
/// It counts for these attributes and the table of that space only: a backend may change the attributes of a fault before
/// it hands the fault on, or hand it to another space, whose format may have other parameters.
///
/// ```
/// use tablewright::{Fault, Rights};
///
/// fn without_write(fault: &Fault) -> Fault {
///     let mut fault = *fault;
///     fault.attributes.rights -= Rights::W;
///     fault
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedPage {
    table: Identity,
    attributes: Attributes,
    bits: u64,
}

impl ResolvedPage {
    /// The page without its address, if it is one of `table` with `attributes`.
    pub(super) fn of<F: Format, H: Hal>(&self, table: &PageTable<F, H>, attributes: &Attributes) -> Option<u64> {
        ((self.table, self.attributes) == (table.identity(), *attributes)).then_some(self.bits)
    }
}

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
    /// Host memory of the caller's.
    Linear(Linear),
    /// Frames from the HAL.
    Alloc(Alloc),
    /// An emulated device.
    Device(Device),
    /// Memory that other guests see, too.
    Shared(Shared),
    /// Memory that is others' until it is written.
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

    fn may_collapse(&self) -> bool {
        forward!(self, backend => backend.may_collapse())
    }

    fn accepts(&self, format: &impl Format, attributes: &Attributes) -> Result<(), Refusal> {
        forward!(self, backend => backend.accepts(format, attributes))
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

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        // SAFETY: as the caller promises.
        forward!(self, backend => unsafe { backend.unmap(range, table, gather) })
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

    #[inline]
    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> Option<FaultOutcome> {
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
