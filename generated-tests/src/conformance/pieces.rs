//! The expected result of steps: a plain list of what is mapped where, to which each step is applied in turn.

use std::collections::BTreeMap;

use tablewright::{ClosedRange, Rights};

use super::program::Step;

/// What is mapped, in pieces that do not overlap, each by its first address.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(BTreeMap<u64, Piece>);

#[derive(Clone, Copy, Debug)]
struct Piece {
    last: u64,
    /// The output address of the first.
    oa: u64,
    rights: Rights,
}

impl Pieces {
    /// The result of these steps.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut pieces = Self::default();
        steps.iter().for_each(|step| pieces.change(step));
        pieces
    }

    /// The output address and the rights of `ia`.
    pub(super) fn get(&self, ia: u64) -> Option<(u64, Rights)> {
        let (&start, piece) = self.0.range(..=ia).next_back()?;
        (ia <= piece.last).then(|| (piece.oa + (ia - start), piece.rights))
    }

    fn change(&mut self, step: &Step) {
        let range = step.range();
        match *step {
            Step::Map { oa, rights, .. } => {
                self.take(range);
                self.0.insert(range.start(), Piece { last: range.last(), oa, rights });
            }
            Step::Unmap { .. } => {
                self.take(range);
            }
            Step::Protect { rights, .. } => {
                let changed = self.take(range).into_iter().map(|(start, piece)| (start, Piece { rights, ..piece }));
                self.0.extend(changed);
            }
            Step::Move { .. } => {
                let Some(shift) = step.shift() else { return };
                self.take(shift.target());
                let distance = shift.target().start().wrapping_sub(range.start());
                let moved = self.take(range).into_iter().map(|(start, piece)| {
                    (start.wrapping_add(distance), Piece { last: piece.last.wrapping_add(distance), ..piece })
                });
                self.0.extend(moved);
            }
        }
    }

    /// Removes a range, and returns its pieces, cut to the range.
    fn take(&mut self, range: ClosedRange) -> BTreeMap<u64, Piece> {
        self.cut(range.start());
        let after = range.last().checked_add(1).map(|end| {
            self.cut(end);
            self.0.split_off(&end)
        });
        let taken = self.0.split_off(&range.start());
        self.0.extend(after.into_iter().flatten());
        taken
    }

    /// Cuts the piece at an address, if there is one, so that a piece begins there.
    fn cut(&mut self, at: u64) {
        let found = self.0.range_mut(..at).next_back().filter(|(_, piece)| piece.last >= at);
        if let Some((&start, piece)) = found {
            let upper = Piece { oa: piece.oa + (at - start), ..*piece };
            piece.last = at - 1;
            self.0.insert(at, upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use tablewright::MemoryType;

    use super::*;

    fn range(start: u64, last: u64) -> ClosedRange {
        ClosedRange::new(start, last).expect("a range")
    }

    fn map(start: u64, last: u64, oa: u64) -> Step {
        Step::Map { range: range(start, last), oa, rights: Rights::RWX, memory: MemoryType::WriteBack }
    }

    #[test]
    fn the_last_step_at_an_address_counts() {
        let pieces = Pieces::of(&[
            map(0, u64::MAX, 0),
            Step::Protect { range: range(0x20, 0x5f), rights: Rights::R },
            map(0x30, 0x3f, u64::MAX - 0xf),
            Step::Move { range: range(0x28, 0x47), to: 0x100 },
            Step::Unmap { range: range(u64::MAX - 1, u64::MAX) },
            // Both places overlap.
            Step::Move { range: range(0, 0x10), to: 0x8 },
        ]);
        let expected = [
            (0, Some((0, Rights::RWX))),
            (0x1f, Some((0x1f, Rights::RWX))),
            (0x27, Some((0x27, Rights::R))),
            (0x28, None),
            (0x47, None),
            (0x48, Some((0x48, Rights::R))),
            (0x60, Some((0x60, Rights::RWX))),
            (0xff, Some((0xff, Rights::RWX))),
            (0x100, Some((0x28, Rights::R))),
            (0x108, Some((u64::MAX - 0xf, Rights::RWX))),
            (0x117, Some((u64::MAX, Rights::RWX))),
            (0x118, Some((0x40, Rights::R))),
            (0x11f, Some((0x47, Rights::R))),
            (0x120, Some((0x120, Rights::RWX))),
            (u64::MAX - 2, Some((u64::MAX - 2, Rights::RWX))),
            (u64::MAX - 1, None),
            (u64::MAX, None),
        ];
        for (ia, maps_to) in expected {
            assert_eq!(pieces.get(ia), maps_to, "{ia:#x}");
        }
    }
}
