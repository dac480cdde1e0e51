//! The simulated hardware: physical memory, and an MMU that walks the guest's tables as the format's TOML file says.

use std::error::Error;
use std::sync::Arc;

use tablewright::sim::{Access, Machine, Mmu};
use tablewright::{AddrSpace, FaultOutcome, Format, GuestPhysAddr, HostPhysAddr, Rights, Tag};

/// The simulated hardware.
pub(crate) struct Hardware {
    pub(crate) machine: Machine,
    mmu: Arc<Mmu>,
    tag: Tag,
}

/// The result of a guest's access.
pub(crate) struct Outcome {
    /// What the hypervisor did about the fault, if there was one.
    pub(crate) fault: Option<FaultOutcome>,
    /// The host physical address that it finally reached.
    pub(crate) reached: Option<HostPhysAddr>,
}

impl Hardware {
    /// A machine with 256 MiB of memory at 1 GiB.
    pub(crate) fn new(tag: Tag) -> Self {
        let machine = Machine::new(0x4000_0000, 256 << 20);
        let mmu = Mmu::new(&machine, 0x7461_626c_6577);
        Self { machine, mmu, tag }
    }

    /// Loads the guest's tables into the MMU. `format` and `config` name the file and the row that it reads.
    ///
    /// # Errors
    ///
    /// There is no such file or row.
    pub(crate) fn load<F: Format>(
        &self,
        space: &AddrSpace<F, Machine>,
        format: &str,
        config: &str,
    ) -> Result<(), Box<dyn Error>> {
        let bound = tablewright::sim::built_in(format, config)?;
        self.mmu.load(self.tag, space.page_table_root(), bound);
        Ok(())
    }

    /// The guest's access at `address`: if it faults, the hypervisor handles it and the guest tries again.
    pub(crate) fn access<F: Format>(
        &self,
        space: &AddrSpace<F, Machine>,
        address: GuestPhysAddr,
        needs: Rights,
    ) -> Outcome {
        let attempt = || match self.mmu.access(&self.machine, self.tag, address.as_usize() as u64, needs) {
            Some(Access::Translated(oa)) => Some(HostPhysAddr::from_usize(oa as usize)),
            _ => None,
        };
        if let Some(reached) = attempt() {
            return Outcome { fault: None, reached: Some(reached) };
        }
        let outcome = space.handle_fault(address, needs);
        Outcome { fault: Some(outcome), reached: if outcome.is_resolved() { attempt() } else { None } }
    }

    /// Asks the MMU whether any translation that it still caches contradicts the tables.
    ///
    /// # Errors
    ///
    /// A stale translation that the guest could have used.
    pub(crate) fn check(&self) -> Result<(), Box<dyn Error>> {
        self.mmu.check(&self.machine);
        match self.mmu.take_violations().into_iter().next() {
            Some(violation) => Err(violation.into()),
            None => Ok(()),
        }
    }

    /// Unloads the guest's tables from the MMU before they are freed.
    pub(crate) fn unload(&self) {
        self.mmu.unload(self.tag);
    }
}
