//! Moves, as ranges of addresses.

use tablewright::ClosedRange;

/// A range, and where it moves to, which does not overlap it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    from: ClosedRange,
    to: ClosedRange,
}

impl Shift {
    /// `None`: both places overlap, or the new one is beyond all addresses.
    pub(super) fn new(from: ClosedRange, to: u64) -> Option<Self> {
        let to = ClosedRange::new(to, to.checked_add(from.span())?)?;
        from.intersection(&to).is_none().then_some(Self { from, to })
    }

    pub(super) fn target(&self) -> ClosedRange {
        self.to
    }

    /// The new address of what was at `ia`; `None` if something else has taken its place.
    pub(super) fn destination(&self, ia: u64) -> Option<u64> {
        match (self.from.contains(ia), self.to.contains(ia)) {
            (true, _) => Some(ia - self.from.start() + self.to.start()),
            (false, taken) => (!taken).then_some(ia),
        }
    }

    /// The old address of what is now at `ia`; `None` if nothing is there.
    pub(super) fn origin(&self, ia: u64) -> Option<u64> {
        Self { from: self.to, to: self.from }.destination(ia)
    }
}
