//! Many entries one after the other, as operations over ranges read and write them.

use core::{array::from_fn, ops::Range, sync::atomic::Ordering};

use super::Entries;
use crate::{Hal, Kinds, Rewrite, table::alike::Alike};

/// How many entries are held in registers together.
const FEW: usize = 8;

impl Entries {
    /// Reads all entries.
    #[inline]
    pub(in crate::table) fn iter(&self) -> impl Iterator<Item = u64> {
        let count = self.count();
        // SAFETY: inside the table; see `entry`.
        (0..count).map(|index| unsafe { self.base.add(index).as_ref() }.load(Ordering::Acquire))
    }

    /// Rewrites a leaf that was `raw` when it was last looked at, while the MMU may mark it: the rewrite is not of its marks.
    pub(in crate::table) fn rewrite(&self, hal: &impl Hal, index: usize, raw: u64, rewrite: Rewrite) {
        if raw & rewrite.set == rewrite.set {
            // Bits are only taken away, as by write protection: one instruction, where the machine has it.
            self.entry(index).fetch_and(rewrite.keep | rewrite.set, Ordering::AcqRel);
            self.publish(hal, index, 1);
        } else {
            self.update_from(hal, index, raw, |raw| Some(rewrite.apply(raw)));
        }
    }

    /// Rewrites leaves from the start of `indices` on with plain stores, as long as so many together are of `which`: how many.
    /// Each is stored as it was when it was looked at.
    #[inline]
    pub(in crate::table) fn rewrite_alike(
        &self,
        hal: &impl Hal,
        indices: Range<usize>,
        kinds: &Kinds,
        which: &Alike,
        rewrite: Rewrite,
    ) -> usize {
        let (start, end) = (indices.start, indices.end.min(self.count()));
        // SAFETY: inside the table, as is made sure before each use; see `entry`.
        let entry = |index| unsafe { self.base.add(index).as_ref() };
        let mut index = start;
        while index + FEW <= end {
            let few: [u64; FEW] = from_fn(|item| entry(index + item).load(Ordering::Acquire));
            let [all, any] = few.iter().fold([u64::MAX, 0], |[all, any], raw| [all & raw, any | raw]);
            if !kinds.shows_leaves(all) || !which.contains(all) || !which.contains(any) {
                break;
            }
            (0..FEW).for_each(|item| entry(index + item).store(rewrite.apply(few[item]), Ordering::Release));
            index += FEW;
        }
        if index > start {
            self.publish(hal, start, index - start);
        }
        index.saturating_sub(start)
    }
}
