//! Changing the attributes of a range, in place.

use core::ops::Range;

use super::{
    Error, Gather, PageTable,
    alike::Seen,
    build::{End, Found},
    entries::{BLOCK, Entries},
    remake::{Broken, Forgotten, Pass, Rewrites},
    slots::slots,
    split::Fate,
};
use crate::{Change, ClosedRange, Edit, Format, Hal, Level, PageBitmap, Rewrite};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Changes the attributes of everything mapped in `range`; holes are skipped. Larger leaves that it covers in part
    /// are split, unless they have these attributes already. All or nothing.
    ///
    /// Accessed and dirty states are kept, unless the format has no leaf with the new rights that can record them, as
    /// where only a writable leaf can be dirty. [`Gather::forgotten`] then tells in which range that happened, and
    /// [`PageTable::protect_and_harvest`] for which pages.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::Refused`] if the format cannot express the change;
    /// [`Error::NoMemory`] or [`Error::Partial`] if a leaf is not split; [`Error::NeedsBreak`]; [`Error::Corrupt`];
    /// [`Error::ForeignGather`].
    pub fn protect(&mut self, range: ClosedRange, change: &Change, gather: &mut Gather<F, H>) -> Result<(), Error> {
        self.change(range, change, &mut None, gather)
    }

    /// As [`PageTable::protect`], and inserts into `pages` those that were dirty and can no longer record it; pages
    /// outside its range are ignored.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::protect`]; [`Error::PageSize`] if `pages` has pages of another size.
    pub fn protect_and_harvest(
        &mut self,
        range: ClosedRange,
        change: &Change,
        pages: &mut PageBitmap<'_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        ok!(self.counts_in(pages));
        self.change(range, change, &mut Some(pages), gather)
    }

    fn change(
        &mut self,
        range: ClosedRange,
        change: &Change,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        if self.change_leaf(range, change, pages, gather).is_some() {
            return Ok(());
        }
        let range = ok!(self.feeding(range, gather));
        let mut entries = self.table_around(range);
        let mut rewrites = Rewrites::default();
        ok!(self.plan_rewrites(entries.level(), range, change, &mut rewrites));
        ok!(self.refuse_breaks(range, change, &rewrites));

        let mut rest = range;
        let cut = self.cut_leaves(entries, range);
        if !matches!(cut, [None, None]) {
            let fate = Fate::Changed(change, &rewrites);
            let Some(left) = ok!(self.change_edges(&cut, range, fate, pages, gather)) else { return Ok(()) };
            entries = self.table_around(left);
            rest = left;
        }
        let mut pass = Pass { rewrites: &rewrites, broken: Broken::default(), pages, gather };
        // Asked here: most formats have a constant answer, and then only one of the two is compiled.
        if self.format.may_break(change) {
            self.rewrite_breaking(entries, rest, &mut Seen::default(), &mut pass);
        } else {
            self.rewrite(entries, rest, &mut pass);
        }
        Ok(())
    }

    /// Changes the leaf that `range` is (the usual case), or is a part of, if that is known to take no more than one
    /// store. Changes nothing and returns `None` if it is not as simple as that.
    fn change_leaf(
        &mut self,
        range: ClosedRange,
        change: &Change,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) -> Option<()> {
        let leaf = self.end_at(range.start())?;
        if !self.is_single(&leaf) || !gather.follows(self) {
            return None;
        }
        let End { level, entry, raw, .. } = leaf;
        if Self::slot(level, range.start()) != range {
            if self.split_again(leaf, range, Some(change), gather)? {
                self.tell(range, pages, gather);
            }
            return Some(());
        }
        let new = self.format.rewrite(level, change).ok()?.apply(raw);
        if self.format.may_break(change) && self.format.edit(level, raw, new) == Edit::BreakBeforeMake {
            return None;
        }
        if new != raw {
            if self.format.accessed_dirty(level).hardware {
                // Fails if the MMU marks the leaf meanwhile.
                entry.exchange(&self.hal, raw, new).ok()?;
            } else {
                entry.overwrite(&self.hal, new);
            }
            self.account(level, range, [raw, new], pages, gather);
            gather.record(range, true, Self::entry_bits(level));
        }
        Some(())
    }

    /// Checks for every reason but splitting for which [`PageTable::protect`] can fail: for callers that do it in parts.
    pub(crate) fn check_protect(&self, range: ClosedRange, change: &Change) -> Result<(), Error> {
        let range = ok!(self.input(range));
        let mut rewrites = Rewrites::default();
        ok!(self.plan_rewrites(self.table_around(range).level(), range, change, &mut rewrites));
        self.refuse_breaks(range, change, &rewrites)
    }

    /// Puts into `rewrites` how to rewrite the leaves in `range`, which are at `top` or below.
    fn plan_rewrites(
        &self,
        top: Level,
        range: ClosedRange,
        change: &Change,
        rewrites: &mut Rewrites,
    ) -> Result<(), Error> {
        for (level, slot) in (0..=top).zip(&mut rewrites.0) {
            match self.format.rewrite(level, change) {
                Ok(rewrite) => *slot = Some(rewrite),
                Err(refusal) if self.has_leaf_at(level, range) => {
                    return Err(Error::Refused { level, refusal });
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Rewrites every leaf in the part of `range` that this table translates, where none has to be broken. A leaf that
    /// is only partly covered already is as it should be.
    fn rewrite(&self, entries: Entries<F::Word>, range: ClosedRange, pass: &mut Pass<'_, '_, '_, F, H>) {
        let level = entries.level();
        let rewrite = pass.rewrites.at(level).unwrap_or(Rewrite { keep: u64::MAX, set: 0 });
        let (kinds, states) = (self.format.kinds(level), self.format.accessed_dirty(level));
        // A leaf can forget that it is dirty only by a change of the bits that record it.
        let of_states = (states.accessed_mask | states.dirty_mask) & !rewrite.keep != 0;
        let bits = Self::entry_bits(level);
        let Range { start: first, end } = slots::<F>(level, entries.count(), range);
        let start = Self::slot(level, range.start()).start();
        let slot = |index: usize| ClosedRange::block(start + (((index - first) as u64) << bits), bits);
        let mut changed = end..first;
        let mut index = first;
        while index < end {
            if !states.hardware && !of_states {
                let (after, blocks) = entries.rewrite_blocks(index..end, &kinds, rewrite);
                if let Some(blocks) = blocks {
                    entries.publish(&self.hal, blocks.start, blocks.len());
                    changed = changed.start.min(blocks.start)..blocks.end;
                }
                index = after;
            }
            // The block that stopped this, one entry at a time.
            let stop = end.min(index + BLOCK);
            while index < stop {
                let raw = entries.load(index);
                if !kinds.is_leaf(raw) {
                    if let Found::Table(below) = self.found(level, raw)
                        && let Some(part) = slot(index).intersection(&range)
                    {
                        self.rewrite(below, part, pass);
                    }
                } else if rewrite.apply(raw) != raw {
                    if of_states {
                        let apply = |raw| Some(rewrite.apply(raw));
                        let old = entries.update_from(&self.hal, index, raw, apply).unwrap_or(raw);
                        self.account(level, slot(index), [old, rewrite.apply(old)], pass.pages, pass.gather);
                    } else if states.hardware {
                        entries.rewrite(&self.hal, index, raw, rewrite);
                    } else {
                        entries.store(&self.hal, index, rewrite.apply(raw));
                    }
                    changed = changed.start.min(index)..index + 1;
                }
                index += 1;
            }
        }
        if !changed.is_empty() {
            let changed = slot(changed.start).hull(&slot(changed.end - 1)).intersection(&range).unwrap_or(range);
            pass.gather.record(changed, true, bits);
        }
    }
}
