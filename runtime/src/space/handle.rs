//! What to do when a guest's access was not translated.

use super::{AddrSpace, Area, Backend, Fault, FaultOutcome, Gathering};
use crate::device::AccessWidth;
use crate::{Format, FrameCache, Gather, GuestPhysAddr, Hal, MappingFlags, PageTable, Rights};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Handles a fault at `address`, caused by an access that needs the rights `access`.
    pub fn handle_fault(&self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
        self.handle_fault_cached(address, access, &mut self.table.frame_cache())
    }

    /// As [`AddrSpace::handle_fault`], with frames from the virtual CPU's cache (see [`AddrSpace::frame_cache`]): the
    /// HAL is asked only for frames that the cache lacks, or for larger ones.
    pub fn handle_fault_cached(
        &self,
        address: GuestPhysAddr,
        access: Rights,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        self.handle(address, access, None, frames)
    }

    pub(super) fn handle(
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
            Some(admitted) => admitted.into(),
            None => handle_other_fault(address, access, width, area, &self.table, frames),
        }
    }

    /// As [`AddrSpace::handle_fault`], and continues where that answers [`FaultOutcome::NeedsExclusive`].
    pub fn handle_fault_exclusive(&mut self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
        let outcome = self.handle_fault(address, access);
        self.go_on(outcome, address, access, None)
    }

    /// Continues with a fault whose `outcome` says that it needs exclusive access.
    pub(super) fn go_on(
        &mut self,
        outcome: FaultOutcome,
        address: GuestPhysAddr,
        access: Rights,
        width: Option<AccessWidth>,
    ) -> FaultOutcome {
        let address = address.as_usize() as u64;
        match self.areas.find(address) {
            Some(area) if matches!(outcome, FaultOutcome::NeedsExclusive(_)) => {
                let mut gather = Gathering::new(&mut self.gather, &self.table);
                handle_exclusive(address, access, width, area, &mut self.table, &mut gather)
            }
            _ => outcome,
        }
    }

    /// Handles a fault, and returns whether the guest may run again.
    pub fn handle_page_fault(&mut self, address: GuestPhysAddr, access_flags: MappingFlags) -> bool {
        self.handle_fault_exclusive(address, access_flags.into()).is_resolved()
    }
}

/// Handles a fault that its area allows, and that is not the first use of a page.
// Out of line, with a `Fault` of its own, so that the caller's need not be in memory.
#[inline(never)]
pub(super) fn handle_other_fault<F: Format, H: Hal, B: Backend>(
    address: u64,
    access: Rights,
    width: Option<AccessWidth>,
    area: &Area<B>,
    table: &PageTable<F, H>,
    frames: &mut FrameCache<H>,
) -> FaultOutcome {
    let write = access.intersects(Rights::W);
    let leaf = table.reach(address, write);
    if leaf.is_some_and(|leaf| leaf.rights.contains(access)) {
        return if table.mark(address, write) { FaultOutcome::Marked } else { FaultOutcome::Spurious };
    }
    let fault = Fault { width, ..Fault::new(address, access, area, leaf.is_some(), table.identity()) };
    area.backend().fault(&fault, table, frames)
}

/// Continues with a fault that needs exclusive access.
pub(super) fn handle_exclusive<F: Format, H: Hal, B: Backend>(
    address: u64,
    access: Rights,
    width: Option<AccessWidth>,
    area: &Area<B>,
    table: &mut PageTable<F, H>,
    gather: &mut Gather<F, H>,
) -> FaultOutcome {
    let mapped = table.is_mapped(address);
    let fault = Fault { width, ..Fault::new(address, access, area, mapped, table.identity()) };
    area.backend().fault_exclusive(&fault, table, gather)
}
