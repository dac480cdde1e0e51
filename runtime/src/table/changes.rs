//! Counts of the work that changes took.

use core::fmt::{self, Display, Formatter};
use core::ops::Add;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::PageTable;
use crate::{Format, Hal};

/// Counts of what changes of a page table, or of a space, took since it was made: see [`PageTable::change_counts`] and
/// [`AddrSpace::change_counts`](crate::AddrSpace::change_counts).
///
/// ```
/// use tablewright::{AddrSpace, ChangeCounts, Format, HostRegion, MappingFlags, Tag, sim::Machine, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
/// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// // SAFETY: the guest never runs.
/// let memory = unsafe { HostRegion::ram((1 << 30).into(), 2 << 20) }.ok_or("nothing")?;
/// space.map_linear(0.into(), memory, MappingFlags::READ | MappingFlags::WRITE)?;
/// assert_eq!(space.change_counts(), ChangeCounts::default());
/// space.protect(0x3000.into(), 0x1000, MappingFlags::READ)?;
/// assert_eq!(space.change_counts().to_string(), "1 splits, 1 invalidations");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// How many leaves were split into smaller ones.
    pub splits: u64,
    /// How many invalidations were requested from the HAL, each for a range or for everything under the tag, at all
    /// sinks.
    pub invalidations: u64,
}

impl Add for ChangeCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            splits: self.splits.saturating_add(other.splits),
            invalidations: self.invalidations.saturating_add(other.invalidations),
        }
    }
}

impl Display for ChangeCounts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} splits, {} invalidations", self.splits, self.invalidations)
    }
}

/// The counts of one table. Only operations with exclusive access count, so that CPUs share no counter.
#[derive(Debug, Default)]
pub(super) struct Changes {
    splits: AtomicU64,
    invalidations: AtomicU64,
}

impl Changes {
    pub(super) fn count_split(&self) {
        count(&self.splits);
    }

    pub(super) fn count_invalidation(&self) {
        count(&self.invalidations);
    }
}

/// Counts one more. Nobody else counts meanwhile, so this takes no locked instruction.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Counts of what changes took since the table was made. Invalidations by gathers are not included: each gather
    /// [counts its own](super::Gather::invalidations). What is left are those for break-before-make. Changes through
    /// `&self`, as for faults, are not counted, so that CPUs share no counter there.
    pub fn change_counts(&self) -> ChangeCounts {
        let Changes { splits, invalidations } = &self.changes;
        ChangeCounts { splits: splits.load(Relaxed), invalidations: invalidations.load(Relaxed) }
    }
}
