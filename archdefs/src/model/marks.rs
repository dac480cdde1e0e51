//! The bits of a field that show an accessed or dirty state.

use super::{Facts, Rows};

impl Rows<Facts> {
    /// A mask and a value of the field that all rows with `state` have and no other row has. No bit of the mask could
    /// be left out. `None` if there is no such mask; one is needed, because states are tested with one mask whichever
    /// rows exist.
    #[must_use]
    pub fn mark(&self, state: Facts) -> Option<(u64, u64)> {
        let (with, without): (Vec<_>, Vec<_>) = self.rows.iter().partition(|row| row.meaning.contains(state));
        let first = with.first()?.value;
        let tells = |mask: u64| mask != 0 && without.iter().all(|row| (row.value ^ first) & mask != 0);
        let any = self.rows.iter().fold(0, |any, row| any | row.value);
        let alike = with.iter().fold(any, |alike, row| alike & !(row.value ^ first));
        // A mask with fewer bits tells no more rows apart, so leaving out bits one after the other ends at a minimal
        // mask.
        let highest_first = (0..u64::BITS).rev().map(|bit| 1 << bit);
        let needed = highest_first.fold(alike, |mask, bit| if tells(mask & !bit) { mask & !bit } else { mask });
        tells(needed).then_some((needed, first & needed))
    }
}
