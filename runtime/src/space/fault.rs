//! What to do when a guest's access was not translated.

use super::{AddrSpace, Area, Backend, Fault};
use crate::device::AccessWidth;
use crate::{
    Cause, Error, FaultInfo, Format, FrameCache, GuestPhysAddr, Hal, Lookup, Mapping, MappingFlags, Operation, Relax,
    Rights,
};

/// What became of a fault.
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
    /// The access is possible now, for it was mapped or got a right: run the guest again.
    Mapped,
    /// Only the accessed or dirty state was missing, which no hardware sets here. It is set now: run the guest again.
    Marked,
    /// The access was possible already, perhaps since another CPU was faster: run the guest again.
    Spurious,
    /// The area does not allow such an access.
    Denied,
    /// No area, or nothing in it that could be mapped.
    NotMapped,
    /// An emulated device has to answer.
    Device(DeviceAccess),
    /// The hardware met an entry that is illegal: somebody else wrote to the tables, or the format was given parameters
    /// that are not this machine's.
    Misconfigured,
    /// The HAL has no frame left.
    OutOfMemory,
    /// It takes exclusive access: see [`AddrSpace::handle_fault_exclusive`].
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
    /// The name that the device was given when it was mapped.
    pub handle: usize,
    /// How many bytes after the device's first register.
    pub offset: usize,
    /// What the access was; empty if the hardware did not say.
    pub access: Rights,
    /// How much it moves; `None` if the hardware did not say, and the instruction has to be looked at.
    pub width: Option<AccessWidth>,
}

impl DeviceAccess {
    /// Whether the guest writes to the device.
    pub const fn is_write(&self) -> bool {
        self.access.intersects(Rights::W)
    }
}

/// What relaxing a leaf means for the fault that asked for it.
impl From<Result<Relax, Error>> for FaultOutcome {
    fn from(result: Result<Relax, Error>) -> Self {
        match result {
            Ok(Relax::Relaxed) => Self::Mapped,
            Ok(Relax::Granted) => Self::Spurious,
            Ok(Relax::NotMapped) => Self::NotMapped,
            Ok(Relax::NeedsExclusive(operation)) => Self::NeedsExclusive(operation),
            Err(Error::NoMemory { .. }) => Self::OutOfMemory,
            Err(error) => Self::Failed(error),
        }
    }
}

/// A guest's access that was not translated.
///
/// ```
/// use tablewright::{MappingFlags, NestedPageFaultInfo};
/// # use tablewright::{AddrSpace, Format, Tag, sim::Machine, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = ept::Format::new(&ept::Config::new(4, 48))?;
/// # let space = AddrSpace::<_, _>::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// let report = ept::Report { exit_reason: 48, qualification: 0x182, guest_physical_address: 0x1234 };
/// let expected = NestedPageFaultInfo { access_flags: MappingFlags::WRITE, fault_guest_paddr: 0x1234.into() };
/// assert_eq!(space.fault_info(&report)?, expected);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NestedPageFaultInfo {
    /// What the access was; empty if the hardware did not say.
    pub access_flags: MappingFlags,
    /// Where it went.
    pub fault_guest_paddr: GuestPhysAddr,
}

/// Why a hardware report is not a fault that mapping something could resolve.
///
/// ```
/// use tablewright::ReportError;
/// # use tablewright::{AddrSpace, Format, Tag, sim::Machine, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = ept::Format::new(&ept::Config::new(4, 48))?;
/// # let space = AddrSpace::<_, _>::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// // The guest executed CPUID.
/// let report = ept::Report { exit_reason: 10, qualification: 0, guest_physical_address: 0 };
/// assert_eq!(space.handle_report(&report), Err(ReportError::NotAFault));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is not of a fault of this translation.
    #[error("not a fault of this translation")]
    NotAFault,
    /// It has no guest physical address: it must be resolved from the guest's virtual address.
    #[error("the report has no guest physical address")]
    NoAddress(FaultInfo),
    /// The cause is another than a missing mapping or right.
    #[error("the cause is {:?}", .0.cause)]
    Cause(FaultInfo),
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Reads the hardware's fault report.
    ///
    /// # Errors
    ///
    /// [`ReportError::NotAFault`]; [`ReportError::Cause`] if it is not a fault that mapping something could resolve, with
    /// what the report says; [`ReportError::NoAddress`].
    pub fn fault_info(&self, report: &F::Report) -> Result<NestedPageFaultInfo, ReportError> {
        let info = self.read(report)?;
        if info.cause == Cause::Misconfigured {
            return Err(ReportError::Cause(info));
        }
        let fault_guest_paddr = address_of(&info)?;
        Ok(NestedPageFaultInfo { access_flags: info.access.into(), fault_guest_paddr })
    }

    /// Reads the hardware's fault report and deals with the fault, on any number of virtual CPUs at once.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tablewright::aarch64::stage2_4k::{Config, Format, Report};
    /// use tablewright::device::AccessWidth;
    /// use tablewright::{AddrSpace, DeviceAccess, FaultOutcome, Format as _, Rights, Tag, sim::Machine};
    ///
    /// let mut space = AddrSpace::new_empty(Format::new(&Config::new(3, 39))?, Machine::new(0, 1 << 20), Tag(1))?;
    /// space.map_device(0x0900_0000.into(), 0x1000, 7)?;
    /// // A 32-bit store to the device's fifth register: the syndrome says how wide it was.
    /// let report = Report { esr_el2: 0x9384_0047, far_el2: 0xffff_0000_1234_5010, hpfar_el2: 0x9_0000 };
    /// let access = DeviceAccess { handle: 7, offset: 0x10, access: Rights::W, width: Some(AccessWidth::Dword) };
    /// assert_eq!(space.handle_report(&report)?, FaultOutcome::Device(access));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReportError::NotAFault`]; [`ReportError::Cause`]: the table had no part in it; [`ReportError::NoAddress`]: find
    /// out the guest physical address and go on with [`AddrSpace::handle_resolved`]. On AArch64, where HPFAR_EL2 is not
    /// valid after permission faults of the access itself: `AT S1E1R` (`S1E0R` from EL0) with the address in FAR_EL2,
    /// then PAR_EL1; if that says that stage 1 faults now, the guest changed its tables, so run it again. Elsewhere, or
    /// where no such instruction is at hand: [`GuestTables`](crate::GuestTables).
    pub fn handle_report(&self, report: &F::Report) -> Result<FaultOutcome, ReportError> {
        self.handle_report_cached(report, &mut self.table.frame_cache())
    }

    /// As [`AddrSpace::handle_report`], with frames from a cache of the virtual CPU's.
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::handle_report`].
    pub fn handle_report_cached(
        &self,
        report: &F::Report,
        frames: &mut FrameCache<H>,
    ) -> Result<FaultOutcome, ReportError> {
        let info = self.read(report)?;
        if info.cause == Cause::Misconfigured {
            return Ok(FaultOutcome::Misconfigured);
        }
        Ok(self.handle_resolved(&info, address_of(&info)?, frames))
    }

    /// As [`AddrSpace::handle_report`], and goes on where that answers [`FaultOutcome::NeedsExclusive`].
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::handle_report`].
    pub fn handle_report_exclusive(&mut self, report: &F::Report) -> Result<FaultOutcome, ReportError> {
        let outcome = self.handle_report(report)?;
        let FaultOutcome::NeedsExclusive(_) = outcome else { return Ok(outcome) };
        let info = self.read(report)?;
        let outcome = self.go_on(outcome, address_of(&info)?, info.access, width_of(&info));
        Ok(outcome_for(&info, outcome))
    }

    /// Deals with a fault whose report had no guest physical address ([`ReportError::NoAddress`]), after the caller has
    /// found out `address` from the guest's virtual address.
    pub fn handle_resolved(
        &self,
        info: &FaultInfo,
        address: GuestPhysAddr,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        outcome_for(info, self.handle(address, info.access, width_of(info), frames))
    }

    /// What the report says, if it is of a fault in which the table had a part.
    fn read(&self, report: &F::Report) -> Result<FaultInfo, ReportError> {
        let info = self.table.format().fault(report).ok_or(ReportError::NotAFault)?;
        match info.cause {
            Cause::AddressSize | Cause::External => Err(ReportError::Cause(info)),
            _ => Ok(info),
        }
    }

    /// Deals with a fault at `address`, of an access that needs the rights `access`.
    pub fn handle_fault(&self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
        self.handle_fault_cached(address, access, &mut self.table.frame_cache())
    }

    /// As [`AddrSpace::handle_fault`], with frames from a cache of the virtual CPU's (see
    /// [`AddrSpace::frame_cache`]): the HAL is asked for frames only if the cache has too few, or for larger ones.
    pub fn handle_fault_cached(
        &self,
        address: GuestPhysAddr,
        access: Rights,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        self.handle(address, access, None, frames)
    }

    fn handle(
        &self,
        address: GuestPhysAddr,
        access: Rights,
        width: Option<AccessWidth>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        let address = address.as_usize() as u64;
        let Some(area) = self.areas.find(address) else { return FaultOutcome::NotMapped };
        if !area.attributes().rights.contains(access) {
            return FaultOutcome::Denied;
        }
        let fault = Fault { width, ..Fault::new(address, access, area, false, self.table.identity()) };
        match area.backend().first_use(&fault, &self.table, frames) {
            Some(outcome) => outcome,
            None => self.handle_other_fault(fault, area, frames),
        }
    }

    /// Deals with a fault that is not the first use of a page.
    fn handle_other_fault(&self, fault: Fault, area: &Area<B>, frames: &mut FrameCache<H>) -> FaultOutcome {
        let leaf = self.leaf_at(fault.address);
        if leaf.is_some_and(|leaf| leaf.attributes.rights.contains(fault.access)) {
            return match self.table.mark(fault.address, fault.access.intersects(Rights::W)) {
                true => FaultOutcome::Marked,
                false => FaultOutcome::Spurious,
            };
        }
        area.backend().fault(&Fault { mapped: leaf.is_some(), ..fault }, &self.table, frames)
    }

    /// As [`AddrSpace::handle_fault`], and goes on where that answers [`FaultOutcome::NeedsExclusive`].
    pub fn handle_fault_exclusive(&mut self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
        let outcome = self.handle_fault(address, access);
        self.go_on(outcome, address, access, None)
    }

    /// Goes on with a fault that came to `outcome`, if that is because it takes exclusive access.
    fn go_on(
        &mut self,
        outcome: FaultOutcome,
        address: GuestPhysAddr,
        access: Rights,
        width: Option<AccessWidth>,
    ) -> FaultOutcome {
        let address = address.as_usize() as u64;
        match self.areas.find(address) {
            Some(area) if matches!(outcome, FaultOutcome::NeedsExclusive(_)) => {
                let mapped = self.leaf_at(address).is_some();
                let fault = Fault { width, ..Fault::new(address, access, area, mapped, self.table.identity()) };
                let mut gather = self.table.gather();
                area.backend().fault_exclusive(&fault, &mut self.table, &mut gather)
            }
            _ => outcome,
        }
    }

    /// The leaf at `address`.
    pub(crate) fn leaf_at(&self, address: u64) -> Option<Mapping> {
        match self.table.query(address)? {
            Lookup::Mapped(leaf) => Some(leaf),
            Lookup::Hole(_) => None,
        }
    }

    /// Deals with a fault; whether the guest may run again.
    pub fn handle_page_fault(&mut self, address: GuestPhysAddr, access_flags: MappingFlags) -> bool {
        self.handle_fault_exclusive(address, access_flags.into()).is_resolved()
    }
}

/// The guest physical address that the report has.
fn address_of(info: &FaultInfo) -> Result<GuestPhysAddr, ReportError> {
    let address = info.address.ok_or(ReportError::NoAddress(*info))?;
    Ok(GuestPhysAddr::from_usize(address as usize))
}

/// How much the access moves, if the report says so and it is a width that accesses have.
fn width_of(info: &FaultInfo) -> Option<AccessWidth> {
    AccessWidth::try_from(usize::from(info.width?)).ok()
}

/// What an outcome is for the access of the report: the guest's own tables cannot be in a device.
fn outcome_for(info: &FaultInfo, outcome: FaultOutcome) -> FaultOutcome {
    match outcome {
        FaultOutcome::Device(_) if info.guest_walk => FaultOutcome::NotMapped,
        outcome => outcome,
    }
}
