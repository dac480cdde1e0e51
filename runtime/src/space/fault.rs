//! What to do when a guest's access was not translated.

use super::{AddrSpace, Backend, Fault};
use crate::{
    Cause, Error, FaultInfo, Format, FrameCache, GuestPhysAddr, Hal, Lookup, Mapping, MappingFlags, Operation, Relax,
    Rights,
};

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// The access is possible now: run the guest again.
    Mapped,
    /// The access was possible already, perhaps since another CPU was faster: run the guest again.
    Spurious,
    /// The area does not allow such an access.
    Denied,
    /// No area, or nothing in it that could be mapped.
    NotMapped,
    /// An emulated device has to answer.
    Device {
        /// The name that the device was given when it was mapped.
        handle: usize,
        /// How many bytes after the device's first register.
        offset: usize,
    },
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
        matches!(self, Self::Mapped | Self::Spurious)
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NestedPageFaultInfo {
    /// What the access was; empty if the hardware did not say.
    pub access_flags: MappingFlags,
    /// Where it went.
    pub fault_guest_paddr: GuestPhysAddr,
}

/// Why a hardware report is not a fault that mapping something could resolve.
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
    /// [`ReportError`] if it is not a fault that mapping something could resolve, with what the report says.
    pub fn fault_info(&self, report: &F::Report) -> Result<NestedPageFaultInfo, ReportError> {
        let (fault_guest_paddr, access) = self.read_report(report)?;
        Ok(NestedPageFaultInfo { access_flags: access.into(), fault_guest_paddr })
    }

    /// Reads the hardware's fault report and deals with the fault.
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::fault_info`]. After [`ReportError::NoAddress`], find out the guest physical address and
    /// call [`AddrSpace::handle_fault`]. On AArch64, where HPFAR_EL2 is not valid after permission faults of the access
    /// itself: `AT S1E1R` (`S1E0R` from EL0) with the address in FAR_EL2, then PAR_EL1; if that says that stage 1 faults
    /// now, the guest changed its tables, so run it again. Elsewhere, or where no such instruction is at hand:
    /// [`GuestTables`](crate::GuestTables).
    pub fn handle_report(&self, report: &F::Report) -> Result<FaultOutcome, ReportError> {
        let (address, access) = self.read_report(report)?;
        Ok(self.handle_fault(address, access))
    }

    fn read_report(&self, report: &F::Report) -> Result<(GuestPhysAddr, Rights), ReportError> {
        let info = self.table.format().fault(report).ok_or(ReportError::NotAFault)?;
        if matches!(info.cause, Cause::AddressSize | Cause::Misconfigured | Cause::External) {
            return Err(ReportError::Cause(info));
        }
        let address = info.address.ok_or(ReportError::NoAddress(info))?;
        Ok((GuestPhysAddr::from_usize(address as usize), info.access))
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
        let address = address.as_usize() as u64;
        let Some(area) = self.areas.find(address) else { return FaultOutcome::NotMapped };
        if !area.attributes().rights.contains(access) {
            return FaultOutcome::Denied;
        }
        let leaf = self.leaf_at(address);
        if leaf.is_some_and(|leaf| leaf.attributes.rights.contains(access)) {
            return match self.table.mark(address, access.intersects(Rights::W)) {
                true => FaultOutcome::Mapped,
                false => FaultOutcome::Spurious,
            };
        }
        area.backend().fault(&Fault::new(address, access, area, leaf.is_some()), &self.table, frames)
    }

    /// As [`AddrSpace::handle_fault`], and goes on where that answers [`FaultOutcome::NeedsExclusive`].
    pub fn handle_fault_exclusive(&mut self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
        let outcome = self.handle_fault(address, access);
        let address = address.as_usize() as u64;
        match self.areas.find(address) {
            Some(area) if matches!(outcome, FaultOutcome::NeedsExclusive(_)) => {
                let fault = Fault::new(address, access, area, self.leaf_at(address).is_some());
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
