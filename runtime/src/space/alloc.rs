//! Areas of frames from the HAL.

use core::fmt::{self, Display, Formatter};

use super::{Backend, BackendError, Fault, FaultOutcome, Joinable};
use crate::{Attributes, ClosedRange, Error, FaultIn, Format, Gather, Hal, PageTable, PhysFrame};

/// Zeroed frames from the HAL, which go back when they are unmapped.
///
/// Frames larger than a page are used only if the HAL frees them in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alloc {
    populate: bool,
    largest: u8,
}

impl Alloc {
    /// Each page gets its frame when it is first used.
    pub const LAZY: Self = Self { populate: false, largest: 0 };
    /// All pages get their frames at once.
    pub const POPULATED: Self = Self { populate: true, largest: 0 };

    /// Frames of up to `1 << largest` bytes where they fit and the HAL has them.
    pub const fn up_to(self, largest: u8) -> Self {
        Self { largest, ..self }
    }

    /// log2 of the size of the largest leaf, other than a run, that may be installed around the fault and that is
    /// below `limit`.
    fn size_below<F: Format, H: Hal>(&self, limit: u8, fault: &Fault, table: &PageTable<F, H>) -> Option<u8> {
        let geometry = table.geometry();
        let largest = if table.hal().frees_parts() { self.largest.max(geometry.page_bits) } else { geometry.page_bits };
        (0..geometry.levels).rev().find_map(|level| {
            let size = geometry.entry_bits(level);
            let fits = size <= largest && size < limit && table.format().page_sizes(level).contains(size);
            let inside = || fault.area.covers(&ClosedRange::around(fault.address, size));
            // What a larger leaf cannot say, pages do; what not even these can say, the table refuses.
            let says = || level == 0 || table.format().prototype(level, size, &fault.attributes).is_ok();
            (fits && inside() && says()).then_some(size)
        })
    }
}

impl Joinable for Alloc {
    fn join(&self, next: &Self) -> Option<Self> {
        (self == next).then_some(*self)
    }
}

// SAFETY: all leaves are frames of the HAL, which `phys_to_virt` maps while they are allocated; hooks work on the range
// given, and `unmap` unmaps.
unsafe impl Backend for Alloc {
    fn is_ram(&self) -> bool {
        true
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        if self.populate {
            table.populate(range, attributes, self.largest, gather)?;
        }
        Ok(())
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        // SAFETY: `map` and `fault` install only frames of this table's HAL, larger ones only if it frees parts, and
        // the caller promises that nobody else mapped something here.
        Ok(unsafe { table.depopulate(range, gather) }?)
    }

    fn fault<F: Format, H: Hal>(&self, fault: &Fault, table: &PageTable<F, H>) -> FaultOutcome {
        let mut limit = u8::MAX;
        while let Some(size) = self.size_below(limit, fault, table) {
            limit = size;
            let Ok(mut frame) = PhysFrame::alloc_sized(table.hal(), size) else { continue };
            let Some(start) = frame.start_paddr() else { continue };
            frame.fill(0);
            table.hal().prepare_frame(start, size);
            // SAFETY: the frame is the guest's from here on; if it is not installed, it goes back unused.
            match unsafe { table.fault_in(fault.address, size, start.as_usize() as u64, &fault.attributes) } {
                Ok(FaultIn::Installed) => {
                    frame.into_raw();
                    return FaultOutcome::Mapped;
                }
                // Another CPU was faster.
                Ok(FaultIn::Present(_)) => return FaultOutcome::Spurious,
                // Other pages around it have their frames already.
                Ok(FaultIn::Smaller { .. } | FaultIn::NeedsExclusive) => {}
                Err(Error::NoMemory { .. }) => return FaultOutcome::OutOfMemory,
                Err(error) => return FaultOutcome::Failed(error),
            }
        }
        FaultOutcome::OutOfMemory
    }
}

impl Display for Alloc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.populate { "allocated" } else { "allocated on first use" })?;
        if self.largest > 0 { write!(f, ", frames up to 2^{} bytes", self.largest) } else { Ok(()) }
    }
}
