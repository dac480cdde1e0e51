//! What a gather has to invalidate, and which ranges are worth joining.

use crate::ClosedRange;

/// The cost of a separate range, in by-address operations: it has barriers of its own, and often an interrupt.
const APART: u64 = 16;

/// What must be invalidated, in full 64-bit addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) range: ClosedRange,
    pub(super) leaf_only: bool,
    pub(super) granule: u8,
}

impl Due {
    /// How many by-address operations it takes.
    pub(super) fn operations(&self) -> u64 {
        (self.range.span() >> self.granule).saturating_add(1)
    }

    /// Both as one.
    pub(super) fn join(&self, other: &Self) -> Self {
        Self {
            range: self.range.hull(&other.range),
            leaf_only: self.leaf_only && other.leaf_only,
            granule: self.granule.min(other.granule),
        }
    }

    /// How many more by-address operations it takes when it is joined with another.
    pub(super) fn more_with(&self, other: &Self) -> u64 {
        self.join(other).operations().saturating_sub(self.operations())
    }

    /// How many more another may take with it before they had better be kept apart.
    pub(super) fn apart(&self) -> u64 {
        self.operations().saturating_add(APART)
    }
}
