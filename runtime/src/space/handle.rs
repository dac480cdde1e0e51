//! What to do when a guest's access was not translated.

use super::{AddrSpace, Area, Backend, Fault, FaultOutcome, Gathering};
use crate::device::AccessWidth;
use crate::{Format, FrameCache, GuestPhysAddr, Hal, MappingFlags, Rights};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
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
            None => self.handle_other_fault(address, access, width, area, frames),
        }
    }

    /// Deals with a fault that is not the first use of a page.
    // With a fault of its own, out of line: that of the caller need not be in memory, then.
    #[inline(never)]
    fn handle_other_fault(
        &self,
        address: u64,
        access: Rights,
        width: Option<AccessWidth>,
        area: &Area<B>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        let write = access.intersects(Rights::W);
        let leaf = self.table.reach(address, write);
        if leaf.is_some_and(|leaf| leaf.rights.contains(access)) {
            let marked = self.table.mark(address, write);
            return if marked { FaultOutcome::Marked } else { FaultOutcome::Spurious };
        }
        let fault = Fault { width, ..Fault::new(address, access, area, leaf.is_some(), self.table.identity()) };
        area.backend().fault(&fault, &self.table, frames)
    }

    /// As [`AddrSpace::handle_fault`], and goes on where that answers [`FaultOutcome::NeedsExclusive`].
    pub fn handle_fault_exclusive(&mut self, address: GuestPhysAddr, access: Rights) -> FaultOutcome {
        let outcome = self.handle_fault(address, access);
        self.go_on(outcome, address, access, None)
    }

    /// Goes on with a fault that came to `outcome`, if that is because it takes exclusive access.
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
                let mapped = self.table.is_mapped(address);
                let fault = Fault { width, ..Fault::new(address, access, area, mapped, self.table.identity()) };
                let mut gather = Gathering::new(&mut self.gather, &self.table);
                area.backend().fault_exclusive(&fault, &mut self.table, &mut gather)
            }
            _ => outcome,
        }
    }

    /// Deals with a fault; whether the guest may run again.
    pub fn handle_page_fault(&mut self, address: GuestPhysAddr, access_flags: MappingFlags) -> bool {
        self.handle_fault_exclusive(address, access_flags.into()).is_resolved()
    }
}
