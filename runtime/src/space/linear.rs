//! Areas of host memory that belongs to the caller.

use core::fmt::{self, Display, Formatter};

use super::{Backend, BackendError, Fault, FaultOutcome, FirstUse, Joinable};
use crate::{
    Attributes, ClosedRange, Format, FrameCache, Gather, GuestPhysAddr, Hal, HostRegion, PageTable, Refusal,
    RegionKind, Rights,
};

/// Host memory that belongs to the caller, mapped as a whole from the start, with the largest pages that fit.
///
/// ```
/// use tablewright::{GuestPhysAddr, HostRegion, Linear};
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// // SAFETY: this memory is set aside for guests.
/// let memory = unsafe { HostRegion::ram(0x1_0000_0000.into(), 1 << 30) }.ok_or("nothing")?;
/// let start = GuestPhysAddr::from_usize(0x8000_0000);
/// // As `map_linear`, but of an area that is shorter than its memory.
/// space.map(start, 1 << 20, rw, Linear::new(start, memory))?;
/// assert_eq!(space.translate(start + 0x1234), Some(0x1_0000_1234.into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// The guest address of the region's start, modulo 2^64. After a move, only the part that moved need be at real
    /// addresses.
    start: u64,
    region: HostRegion,
}

impl Linear {
    /// `region`, as the guest sees it from `start` on.
    pub const fn new(start: GuestPhysAddr, region: HostRegion) -> Self {
        Self { start: start.as_usize() as u64, region }
    }

    /// The host memory.
    pub const fn region(&self) -> &HostRegion {
        &self.region
    }

    /// The host address behind `range`, if the region covers all of it.
    fn output(&self, range: ClosedRange) -> Option<u64> {
        let offset = range.start().wrapping_sub(self.start);
        let output = self.region.range().start().checked_add(offset)?;
        let last = output.checked_add(range.span())?;
        self.region.range().contains(last).then_some(output)
    }
}

impl Joinable for Linear {
    fn join(&self, next: &Self) -> Option<Self> {
        // Something else may have been mapped in between for a while: then one region contains the other's memory.
        let displacement = |linear: &Self| linear.region.range().start().wrapping_sub(linear.start);
        let region = self.region.join(&next.region).filter(|_| displacement(self) == displacement(next))?;
        Some(Self { start: region.range().start().wrapping_sub(displacement(self)), region })
    }
}

// SAFETY: `unmap` unmaps, all work on the range given, and the regions of RAM are what their makers promised.
unsafe impl Backend for Linear {
    fn is_ram(&self) -> bool {
        matches!(self.region.kind(), RegionKind::Ram | RegionKind::Rom)
    }

    fn accepts<F: Format, H: Hal>(&self, table: &PageTable<F, H>, attributes: &Attributes) -> Result<(), Refusal> {
        if self.region.kind() == RegionKind::Rom && attributes.rights.intersects(Rights::W) {
            return Err(Refusal::ReadOnly);
        }
        table.accepts(attributes)
    }

    fn collapses_to(&self, _hal: &impl Hal) -> u8 {
        u8::MAX
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        let output = self.output(range).ok_or(BackendError::TooShort(self.region))?;
        // SAFETY: all of the output is in the region, whose maker lets guests do with it what they want.
        ok!(unsafe { table.map(range, output, attributes, gather) });
        Ok(())
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        ok!(table.unmap(range, gather));
        Ok(())
    }

    /// Nothing to give back: the memory belongs to the caller.
    unsafe fn discard<F: Format, H: Hal>(&self, _range: ClosedRange, _table: &mut PageTable<F, H>) {}

    fn moved(&self, distance: u64) -> Result<Self, BackendError> {
        Ok(Self { start: self.start.wrapping_add(distance), ..*self })
    }

    /// All of it is mapped from the start, so there is no first use.
    #[inline]
    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        fault.admit(table)
    }

    /// At most, the leaf was write-protected to notice writes.
    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        _frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        fault.relax(table)
    }
}

impl Display for Linear {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.region.kind() {
            RegionKind::Ram => "RAM",
            RegionKind::Rom => "ROM",
            RegionKind::Device => "device",
        };
        write!(f, "linear, {kind} at {:?}", self.region.start())
    }
}
