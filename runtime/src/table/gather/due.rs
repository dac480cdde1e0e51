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

    /// Whether joining both costs no more than keeping them apart.
    pub(super) fn continues(&self, other: &Self) -> bool {
        let apart = self.operations().saturating_add(other.operations()).saturating_add(APART);
        self.join(other).operations() <= apart
    }
}
