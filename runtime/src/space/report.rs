//! Hardware reports of guest accesses that were not translated.

use super::{AddrSpace, Backend, FaultOutcome};
use crate::device::AccessWidth;
use crate::{Cause, FaultInfo, Format, FrameCache, GuestPhysAddr, Hal, MappingFlags};

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
    /// It does not report a fault of this translation.
    #[error("not a fault of this translation")]
    NotAFault,
    /// It has no guest physical address, which must be resolved from the guest's virtual address.
    #[error("the report has no guest physical address")]
    NoAddress(FaultInfo),
    /// The cause is something else than a missing mapping or right.
    #[error("the cause is {:?}", .0.cause)]
    Cause(FaultInfo),
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Reads the hardware's fault report.
    ///
    /// # Errors
    ///
    /// [`ReportError::NotAFault`]; [`ReportError::Cause`] if mapping something cannot resolve the fault, with what the
    /// report says; [`ReportError::NoAddress`].
    pub fn fault_info(&self, report: &F::Report) -> Result<NestedPageFaultInfo, ReportError> {
        let info = self.read(report)?;
        if info.cause == Cause::Misconfigured {
            return Err(ReportError::Cause(info));
        }
        let fault_guest_paddr = address_of(&info)?;
        Ok(NestedPageFaultInfo { access_flags: info.access.into(), fault_guest_paddr })
    }

    /// Reads the hardware's fault report and handles the fault, on any number of virtual CPUs at once.
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
    /// [`ReportError::NotAFault`]; [`ReportError::Cause`] if the fault has nothing to do with the table;
    /// [`ReportError::NoAddress`] if the guest physical address has to be found out first.
    ///
    /// To find it out, and then continue with [`AddrSpace::handle_resolved`]: on AArch64, where HPFAR_EL2 is not valid
    /// after permission faults of the access itself, execute `AT S1E1R` (`S1E0R` from EL0) with the address in FAR_EL2,
    /// and read PAR_EL1. If that says that stage 1 faults now, the guest has changed its tables, so run it again.
    /// Elsewhere, or where there is no such instruction, use [`GuestTables`](crate::GuestTables).
    pub fn handle_report(&self, report: &F::Report) -> Result<FaultOutcome, ReportError> {
        self.handle_report_cached(report, &mut self.table.frame_cache())
    }

    /// As [`AddrSpace::handle_report`], with frames from the virtual CPU's cache.
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

    /// As [`AddrSpace::handle_report`], and continues where that answers [`FaultOutcome::NeedsExclusive`].
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::handle_report`].
    pub fn handle_report_exclusive(&mut self, report: &F::Report) -> Result<FaultOutcome, ReportError> {
        let result = self.handle_report(report);
        if let Ok(outcome @ FaultOutcome::NeedsExclusive(_)) = result
            && let Ok(info) = self.read(report)
            && let Ok(address) = address_of(&info)
        {
            let outcome = self.go_on(outcome, address, info.access, width_of(&info));
            return Ok(outcome_for(&info, outcome));
        }
        result
    }

    /// Handles a fault whose report had no guest physical address ([`ReportError::NoAddress`]), once the caller has
    /// resolved `address` from the guest's virtual address.
    pub fn handle_resolved(
        &self,
        info: &FaultInfo,
        address: GuestPhysAddr,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        outcome_for(info, self.handle(address, info.access, width_of(info), frames))
    }

    /// What the report says, if the fault has to do with the table.
    fn read(&self, report: &F::Report) -> Result<FaultInfo, ReportError> {
        let info = self.table.format().fault(report).ok_or(ReportError::NotAFault)?;
        match info.cause {
            Cause::AddressSize | Cause::External => Err(ReportError::Cause(info)),
            _ => Ok(info),
        }
    }
}

/// The guest physical address that the report has.
fn address_of(info: &FaultInfo) -> Result<GuestPhysAddr, ReportError> {
    let address = info.address.ok_or(ReportError::NoAddress(*info))?;
    Ok(GuestPhysAddr::from_usize(address as usize))
}

/// The width of the access, if the report says so and accesses of that width exist.
fn width_of(info: &FaultInfo) -> Option<AccessWidth> {
    AccessWidth::try_from(usize::from(info.width?)).ok()
}

/// The outcome as it is for the access of the report: the guest's own tables cannot be in a device.
fn outcome_for(info: &FaultInfo, outcome: FaultOutcome) -> FaultOutcome {
    match outcome {
        FaultOutcome::Device(_) if info.guest_walk => FaultOutcome::NotMapped,
        outcome => outcome,
    }
}
