//! What can be behind an area.

use core::fmt::Display;

use super::{BackendError, Fault, FaultOutcome, FirstUse, Joinable};
use crate::{Attributes, Change, ClosedRange, Format, FrameCache, Gather, Hal, PageTable, Refusal};

/// What is behind an area: where its memory comes from, when it is mapped, and what a fault does.
///
/// To add a backend, implement this for an enum with [`Builtin`](super::Builtin) and yours as variants, and forward to
/// them.
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
/// - A hook changes the table only inside the range that it is given, which lies in areas of this backend, or of those
///   that it [works like](Backend::works_like).
/// - After `unmap`, nothing is mapped in the range. Memory that a backend's value keeps alive is no longer in use when the
///   value is dropped, because that happens after the invalidation.
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
    fn accepts<F: Format, H: Hal>(&self, table: &PageTable<F, H>, attributes: &Attributes) -> Result<(), Refusal> {
        table.accepts(attributes)
    }

    /// log2 of the size of the largest leaf into which leaves that were mapped one by one may be joined. By default,
    /// they stay as they are: frames of the HAL go back as they were allocated, unless it [frees joined
    /// ones](Hal::frees_joined).
    fn collapses_to(&self, _hal: &impl Hal) -> u8 {
        0
    }

    /// Replaces small frames by larger ones with the same contents, and returns how many larger ones there are now: see
    /// [`AddrSpace::enlarge`](super::AddrSpace::enlarge). By default, none.
    ///
    /// # Errors
    ///
    /// Why it cannot be tried; it is no error if there are no such frames.
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

    /// Maps what a new area has mapped from the start. All or nothing.
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

    /// Maps at once what faults like `fault`, which is at the start of `range`, would map in all of `range`: see
    /// [`AddrSpace::populate`](super::AddrSpace::populate). What is left is then done page by page, as a fault; by
    /// default, all of it. All or nothing.
    ///
    /// # Errors
    ///
    /// [`BackendError`]: why it cannot be mapped.
    fn populate<F: Format, H: Hal>(
        &self,
        _range: ClosedRange,
        _fault: &Fault,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        Ok(())
    }

    /// Unmaps all that is mapped in `range`. All or nothing.
    ///
    /// A backend that saves the contents reads them after [`PageTable::unmap`] and [`Gather::flush`]: until then, the
    /// guest may write. A leaf that is not dirty may still have been written: harvests clear the state.
    ///
    /// # Errors
    ///
    /// [`BackendError::Table`], only if larger leaves that reach beyond the range are not split: see [`PageTable::unmap`].
    ///
    /// # Safety
    ///
    /// What is mapped in `range` was mapped by this backend, by one that it was joined or cut from, or by one that it
    /// [works like](Backend::works_like): frames of the table's HAL may go back to it.
    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError>;

    /// Whether this backend's [`Backend::unmap`], [`Backend::discard`] and [`Backend::protect`] do the same as those of
    /// `other` to what `other` mapped. If so, they are called once for several areas, including the gaps between them,
    /// where nothing is mapped; by default, once for each area.
    fn works_like(&self, _other: &Self) -> bool {
        false
    }

    /// Gives back what is mapped in `range`, a whole area, when the space is dropped: no MMU walks the table any more,
    /// so it need not be changed. By default, the range is unmapped; override this if less will do.
    ///
    /// # Safety
    ///
    /// As for [`Backend::unmap`].
    unsafe fn discard<F: Format, H: Hal>(&self, range: ClosedRange, table: &mut PageTable<F, H>) {
        let mut gather = table.gather();
        // SAFETY: as the caller promises.
        let _ = unsafe { self.unmap(range, table, &mut gather) };
        // There is nobody to report an error to; what is still mapped then leaks, which is safe.
    }

    /// What is behind an area after it has [moved](super::AddrSpace::move_range): add `distance`, modulo 2^64, to each
    /// guest address that the backend holds. Leaves move along, and may become smaller. By default, it cannot move.
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
        ok!(table.protect(range, change, gather));
        Ok(())
    }

    /// Deals with a fault that its area allows before any leaf is looked up: there may be one, or this is the first use
    /// of a page. Returns `None`, and has changed nothing, to leave it to [`Backend::fault`]. Override it where that
    /// saves a walk.
    fn first_use<F: Format, H: Hal>(
        &self,
        _fault: &Fault,
        _table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        None
    }

    /// Deals with a fault that its area allows, while other CPUs use the table and may fault, too. Frames are taken from
    /// `frames` first, so that a fault for which these suffice does not allocate.
    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome;

    /// Deals with a fault for which [`Backend::fault`] answered [`FaultOutcome::NeedsExclusive`]. By default, gives the
    /// leaf the rights of the area.
    fn fault_exclusive<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        fault.relax_exclusive(table, gather)
    }
}
