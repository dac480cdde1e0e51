//! Doing ahead of time what faults would do.

use super::{
    AddrSpace, Area, Backend, BackendError, Fault, FaultOutcome, Gathering, SpaceError,
    handle::{handle_exclusive, handle_other_fault},
};
use crate::{ClosedRange, Error, Format, FrameCache, Gather, GuestPhysAddr, Hal, PageTable, Rights};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Does for all pages in `size` bytes from `start` on what a fault would do whose access needs the rights `access`,
    /// so that such an access does not fault: memory that is allocated on first use gets its frames, pages that are
    /// copied on write are mapped, or copied if `access` includes [`Rights::W`]. Gaps, areas that do not allow the access,
    /// and emulated devices are skipped.
    ///
    /// Do this before a device that [cannot retry](Hal::retries) gets to use the memory, and where a guest must not wait
    /// for faults.
    ///
    /// ```
    /// use tablewright::{AddrSpace, FaultOutcome, Format, MappingFlags, Rights, Tag};
    /// use tablewright::{sim::Machine, x86_64::ept};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
    /// let mut space = AddrSpace::new_empty(format, Machine::new(0, 16 << 20), Tag(1))?;
    /// let ram = 0x4000_0000.into();
    /// space.map_alloc(ram, 1 << 30, MappingFlags::READ | MappingFlags::WRITE, false)?;
    /// // The first MiB is where the guest starts.
    /// space.populate(ram, 1 << 20, Rights::W)?;
    /// assert_eq!(space.statistics().mapped_bytes(), 1 << 20);
    /// assert_eq!(space.handle_fault(ram + 0x3000, Rights::W), FaultOutcome::Spurious);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`]; [`SpaceError::Area`] names the part of an area for which
    /// frames run out, or whose backend cannot do it. What was done before that stays: the guest cannot tell.
    pub fn populate(&mut self, start: GuestPhysAddr, size: usize, access: Rights) -> Result<(), SpaceError> {
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(()) };
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        for (part, area) in self.areas.parts(range) {
            if area.attributes().rights.contains(access)
                && let Err(error) = &populate_area(area, part, access, &mut self.table, &mut gather)
            {
                return SpaceError::of_area(part, error);
            }
        }
        Ok(())
    }
}

/// Populates a part of an area: first what its backend can do at once, then what is left, leaf by leaf.
fn populate_area<F: Format, H: Hal, B: Backend>(
    area: &Area<B>,
    part: ClosedRange,
    access: Rights,
    table: &mut PageTable<F, H>,
    gather: &mut Gather<F, H>,
) -> Result<(), BackendError> {
    let fault = Fault::new(part.start(), access, area, false, table.identity());
    ok!(area.backend().populate(part, &fault, table, gather));
    let mut frames = table.frame_cache();
    let mut left = Some(part);
    while let Some(rest) = left {
        let address = rest.start();
        let ready = table.reach(address, fault.writes()).filter(|leaf| leaf.is_marked && leaf.rights.contains(access));
        let last = match ready {
            Some(leaf) => address.saturating_add(leaf.rest),
            None => match ok!(populate_page(area, address, access, table, &mut frames, gather)) {
                FaultOutcome::Device(_) => break,
                _ => ClosedRange::around(address, F::PAGE_BITS).last(),
            },
        };
        left = part.after(last);
    }
    Ok(())
}

/// Does for the page of `address` what a fault would do.
fn populate_page<F: Format, H: Hal, B: Backend>(
    area: &Area<B>,
    address: u64,
    access: Rights,
    table: &mut PageTable<F, H>,
    frames: &mut FrameCache<H>,
    gather: &mut Gather<F, H>,
) -> Result<FaultOutcome, BackendError> {
    let mut outcome = handle_other_fault(address, access, None, area, table, frames);
    if let FaultOutcome::NeedsExclusive(_) = outcome {
        outcome = handle_exclusive(address, access, None, area, table, gather);
    }
    match outcome {
        FaultOutcome::OutOfMemory => Err(Error::NoMemory { size: F::PAGE_BITS }.into()),
        FaultOutcome::NeedsExclusive(operation) => Err(Error::NeedsExclusive(operation).into()),
        FaultOutcome::Failed(error) => Err(error.into()),
        outcome => Ok(outcome),
    }
}
