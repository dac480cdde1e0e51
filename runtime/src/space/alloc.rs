//! Areas with frames from the HAL.

use core::fmt::{self, Display, Formatter};

use super::{Backend, BackendError, Fault, FaultOutcome, FirstUse, Joinable};
use crate::{Attributes, ClosedRange, Error, FaultIn, Format, FrameCache, Gather, Hal, PageTable, Prototype};

/// Zeroed frames from the HAL, which go back to it when they are unmapped.
///
/// Frames larger than a page are used only if the HAL [frees parts](Hal::frees_parts).
///
/// ```
/// use tablewright::Alloc;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// // Frames of 2 MiB where there are any, each when it is first used.
/// space.map(0x8000_0000.into(), 16 << 20, rw, Alloc::LAZY.up_to(21))?;
/// // The same as `map_alloc(.., true)`.
/// space.map(0x1000.into(), 0x1000, rw, Alloc::POPULATED)?;
/// assert_eq!(space.statistics().mapped_bytes(), 0x1000);
/// # Ok(())
/// # }
/// ```
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

    /// log2 of the size of the largest leaf below `limit`, other than a run, that may be installed around the fault.
    fn size_below<F: Format, H: Hal>(&self, limit: u8, fault: &Fault, table: &PageTable<F, H>) -> Option<u8> {
        let geometry = table.geometry();
        let largest = if table.hal().frees_parts() { self.largest.min(fault.largest) } else { 0 };
        let largest = largest.max(geometry.page_bits);
        (0..geometry.levels).rev().find_map(|level| {
            let size = geometry.entry_bits(level);
            let fits = size <= largest && size < limit && table.format().page_sizes(level).contains(size);
            let inside = || fault.area.covers(&ClosedRange::block(fault.address, size));
            // Pages are tried for what a larger leaf cannot express; what pages cannot express, the table refuses.
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
            ok!(table.populate(range, attributes, self.largest, gather));
        }
        Ok(())
    }

    fn populate<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        ok!(table.populate(range, &fault.attributes, self.largest.min(fault.largest), gather));
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
        ok!(unsafe { table.depopulate(range, gather) });
        Ok(())
    }

    unsafe fn discard<F: Format, H: Hal>(&self, range: ClosedRange, table: &mut PageTable<F, H>) {
        // SAFETY: as in `unmap`; areas end where leaves do, and the caller drops the table.
        unsafe { table.discard(range) };
    }

    fn collapses_to(&self, hal: &impl Hal) -> u8 {
        if hal.frees_parts() && hal.frees_joined() { self.largest } else { 0 }
    }

    unsafe fn enlarge<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<usize, BackendError> {
        // SAFETY: as in `unmap`. The memory is this guest's alone: accesses by the host have ended, because they borrow
        // the space.
        Ok(unsafe { table.enlarge(range, self.largest, gather) }?)
    }

    fn moved(&self, _distance: u64) -> Result<Self, BackendError> {
        Ok(*self)
    }

    /// Only for pages: whether a larger frame fits depends on what is around it.
    #[inline]
    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        if self.largest > F::PAGE_BITS && table.hal().frees_parts() {
            return fault.admit(table);
        }
        let page = Prototype { bits: fault.page?.of(table, &fault.attributes)?, level: 0, size: F::PAGE_BITS };
        // SAFETY: whoever unmaps in an address space waits for the invalidation.
        match unsafe { table.fault_in_zeroed_leaf(fault.address, page, frames) } {
            Ok(true) => Some(FirstUse::Mapped),
            Ok(false) => fault.admit(table),
            Err(Error::NoMemory { .. }) => Some(FirstUse::OutOfMemory),
            // `fault` will meet the same error, and report it.
            Err(_) => None,
        }
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        if fault.mapped {
            // It was write-protected to notice writes.
            return fault.relax(table);
        }
        let mut limit = u8::MAX;
        while let Some(size) = self.size_below(limit, fault, table) {
            limit = size;
            let Some(frame) = frames.take(size) else { continue };
            // SAFETY: the frame has this size and is ours alone.
            unsafe { table.hal().zero_frame(frame, size) };
            table.hal().prepare_frame(frame, size);
            let output = frame.as_usize() as u64;
            // SAFETY: the frame is the guest's from here on, unless it is not installed.
            let done = unsafe { table.fault_in_cached(fault.address, size, output, &fault.attributes, frames) };
            if done == Ok(FaultIn::Installed) {
                return FaultOutcome::Mapped;
            }
            // SAFETY: it was just taken with this size, and is not installed.
            unsafe { frames.give_back(frame, size) };
            match done {
                // Another CPU was faster.
                Ok(FaultIn::Installed | FaultIn::Present(_)) => return FaultOutcome::Spurious,
                // Other pages around it have their frames already.
                Ok(FaultIn::Smaller { .. } | FaultIn::NeedsExclusive(_)) => {}
                Err(error) => return error.into(),
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
