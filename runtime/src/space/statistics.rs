//! What a space consists of, and the outcomes of its faults, in numbers.

use core::fmt::{self, Display, Formatter};
use core::ops::AddAssign;

use super::{AddrSpace, Backend, FaultOutcome};
use crate::{Format, Geometry, Hal};

/// What a space consists of, counted by walking its tables: see [`AddrSpace::statistics`].
///
/// Shown on one line, as `3 areas, 18 MiB mapped (512x4K 8x2M), 4 tables (24 KiB)`.
///
/// ```
/// # use tablewright::{AddrSpace, Format, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # let rw = MappingFlags::READ | MappingFlags::WRITE;
/// space.map_alloc(0x8000_0000.into(), 0x4000, rw, true)?;
/// let statistics = space.statistics();
/// assert_eq!((statistics.areas, statistics.leaves[12], statistics.mapped_bytes()), (1, 4, 0x4000));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The number of areas.
    pub areas: usize,
    /// The number of leaves by the log2 of their size in bytes, runs counted as one leaf.
    pub leaves: [usize; 64],
    /// The number of tables by level.
    pub tables: [usize; Geometry::MAX_LEVELS],
    /// The bytes of all tables, the root among them.
    pub table_bytes: u64,
}

impl Statistics {
    /// The number of bytes that are mapped; for 2^64, the largest number.
    pub fn mapped_bytes(&self) -> u64 {
        let bytes = self.leaves.iter().enumerate().map(|(size, &count)| (count as u128) << size).sum::<u128>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Display for Statistics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} areas, {} mapped (", self.areas, Bytes(self.mapped_bytes(), true))?;
        let sizes = self.leaves.iter().enumerate().filter(|(_, count)| **count > 0);
        for (number, (size, count)) in sizes.enumerate() {
            let space = if number > 0 { " " } else { "" };
            write!(f, "{space}{count}x{}", Bytes(1 << size, false))?;
        }
        write!(f, "), {} tables ({})", self.tables.iter().sum::<usize>(), Bytes(self.table_bytes, true))
    }
}

/// A number of bytes, shown in the largest unit of which it is a multiple, as `4 KiB` or `4K`.
struct Bytes(u64, bool);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(bytes, long) = *self;
        let unit = if bytes == 0 { 0 } else { (bytes.trailing_zeros() / 10).min(6) as usize };
        let letter = ["", "K", "M", "G", "T", "P", "E"].get(unit).copied().unwrap_or_default();
        write!(f, "{}", bytes >> (10 * unit))?;
        match (long, letter) {
            (true, "") => f.write_str(" B"),
            (true, _) => write!(f, " {letter}iB"),
            (false, _) => f.write_str(letter),
        }
    }
}

/// Counts of faults by outcome. Each virtual CPU has its own, so that nothing is shared while faults are handled; add
/// them up with `+=`.
///
/// ```
/// use tablewright::{AddrSpace, FaultCounts, Format, MappingFlags, Rights, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// space.map_alloc(0x8000_0000.into(), 0x2000, MappingFlags::READ | MappingFlags::WRITE, false)?;
///
/// let mut cpu = FaultCounts::default();
/// cpu.note(space.handle_fault(0x8000_0000.into(), Rights::W));
/// cpu.note(space.handle_fault(0x9000_0000.into(), Rights::R));
/// let mut all = FaultCounts::default();
/// all += cpu;
/// assert_eq!((all.mapped, all.not_mapped, all.total()), (1, 1, 2));
/// assert_eq!(space.statistics().to_string(), "1 areas, 4 KiB mapped (1x4K), 3 tables (24 KiB)");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// [`FaultOutcome::Mapped`].
    pub mapped: u64,
    /// [`FaultOutcome::Marked`].
    pub marked: u64,
    /// [`FaultOutcome::Spurious`].
    pub spurious: u64,
    /// [`FaultOutcome::Denied`].
    pub denied: u64,
    /// [`FaultOutcome::NotMapped`].
    pub not_mapped: u64,
    /// [`FaultOutcome::Device`].
    pub device: u64,
    /// [`FaultOutcome::Misconfigured`].
    pub misconfigured: u64,
    /// [`FaultOutcome::OutOfMemory`].
    pub out_of_memory: u64,
    /// [`FaultOutcome::NeedsExclusive`]; the outcome after that counts as another fault.
    pub needs_exclusive: u64,
    /// [`FaultOutcome::Failed`].
    pub failed: u64,
}

impl FaultCounts {
    /// Counts a fault, and returns its outcome.
    pub fn note(&mut self, outcome: FaultOutcome) -> FaultOutcome {
        let count = match outcome {
            FaultOutcome::Mapped => &mut self.mapped,
            FaultOutcome::Marked => &mut self.marked,
            FaultOutcome::Spurious => &mut self.spurious,
            FaultOutcome::Denied => &mut self.denied,
            FaultOutcome::NotMapped => &mut self.not_mapped,
            FaultOutcome::Device(_) => &mut self.device,
            FaultOutcome::Misconfigured => &mut self.misconfigured,
            FaultOutcome::OutOfMemory => &mut self.out_of_memory,
            FaultOutcome::NeedsExclusive(_) => &mut self.needs_exclusive,
            FaultOutcome::Failed(_) => &mut self.failed,
        };
        *count = count.saturating_add(1);
        outcome
    }

    /// The number of all faults.
    pub fn total(&self) -> u64 {
        let mut counts = *self;
        counts.each().into_iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn each(&mut self) -> [&mut u64; 10] {
        let Self {
            mapped,
            marked,
            spurious,
            denied,
            not_mapped,
            device,
            misconfigured,
            out_of_memory,
            needs_exclusive,
            failed,
        } = self;
        [mapped, marked, spurious, denied, not_mapped, device, misconfigured, out_of_memory, needs_exclusive, failed]
    }
}

impl AddAssign for FaultCounts {
    fn add_assign(&mut self, mut other: Self) {
        for (sum, more) in self.each().into_iter().zip(other.each()) {
            *sum = sum.saturating_add(*more);
        }
    }
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// What the space consists of at this moment. This takes one walk through all tables. What other CPUs map by faults
    /// meanwhile may be counted or not.
    pub fn statistics(&self) -> Statistics {
        let (leaves, tables) = self.table.counts();
        let bytes = |(level, &count)| (count as u64) << self.table.geometry().table_bits(level);
        let table_bytes = (0..).zip(&tables).map(bytes).sum();
        Statistics { areas: self.areas.len(), leaves, tables, table_bytes }
    }
}
