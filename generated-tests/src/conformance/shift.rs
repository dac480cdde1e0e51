//! What is at some addresses goes to others.

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

    /// Where what was at `ia` is now; `None`: something else has taken its place.
    pub(super) fn destination(&self, ia: u64) -> Option<u64> {
        match (self.from.contains(ia), self.to.contains(ia)) {
            (true, _) => Some(ia - self.from.start() + self.to.start()),
            (false, taken) => (!taken).then_some(ia),
        }
    }

    /// Where what is at `ia` was before; `None`: there is nothing.
    pub(super) fn origin(&self, ia: u64) -> Option<u64> {
        Self { from: self.to, to: self.from }.destination(ia)
    }
}
