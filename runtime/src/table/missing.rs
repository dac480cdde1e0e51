//! Counting the tables that are missing for entries at all levels, before any is added.

use super::{
    PageTable,
    layout::{Layout, Pieces, Placed},
};
use crate::{ClosedRange, Format, Geometry, Hal, Level};

/// The number of tables that are missing for what will be mapped, counted in ascending order of addresses.
#[derive(Default)]
pub(super) struct Missing {
    pub(super) count: usize,
    /// The first address of the table that was looked at last, at each level.
    latest: [Option<u64>; Geometry::MAX_LEVELS],
}

impl Missing {
    /// Whether the table at `level` that begins at `start` has not been looked at yet.
    fn is_new(&mut self, level: Level, start: u64) -> bool {
        let latest = self.latest.get_mut(usize::from(level));
        latest.is_some_and(|latest| latest.replace(start) != Some(start))
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Counts the tables that are missing for pieces, in the part of `range` that a table at `level` translates.
    pub(super) fn count_for_pieces(
        &self,
        level: Level,
        range: ClosedRange,
        pieces: &Pieces<'_>,
        missing: &mut Missing,
    ) {
        for placed in Layout::new(&self.geometry, level, range, pieces) {
            match (placed, level.checked_sub(1)) {
                (Placed::Leaves(leaves), _) => self.count_missing(level, leaves.range.start(), missing),
                (Placed::Table(slot), Some(below)) => {
                    self.count_for_pieces(below, slot.intersection(&range).unwrap_or(slot), pieces, missing);
                }
                (Placed::Table(_), None) | (Placed::Nothing(_), _) => {}
            }
        }
    }

    /// Counts the tables that are missing for an entry at `level` that translates `ia`, where nothing is mapped.
    pub(super) fn count_missing(&self, level: Level, ia: u64, missing: &mut Missing) {
        let start = |level| Self::span(level, ia).start();
        if missing.is_new(level, start(level)) {
            let end = self.descend(ia).level;
            missing.count += usize::from(level < end);
            missing.count += (level + 1..end).filter(|&level| missing.is_new(level, start(level))).count();
        }
    }
}
