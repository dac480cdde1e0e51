//! Repeating the last split. Whoever logs a guest's writes, or takes pages back, changes one block after the other in
//! part, and most of these blocks differ only in their address. What becomes of them is then known already.

use super::{
    Gather, PageTable, PartialChange,
    build::End,
    entries::Fresh,
    layout::{Leaves, size_mask},
    slots::slots,
    split::{Fate, Split},
};
use crate::{Change, ClosedRange, Format, Hal, Level, Prototype};

/// How a leaf that takes one entry was split into leaves of the level below.
#[derive(Clone, Copy, Debug)]
pub(super) struct Precedent {
    level: Level,
    /// The leaf without its address, and the bits of that.
    bits: u64,
    address: u64,
    /// How a part of it was changed; `None` if that was unmapped.
    change: Option<Change>,
    /// What stands beside that part: runs, if there are any, and single entries next to it.
    run: Option<Prototype>,
    kept: Prototype,
    /// What stands in that part; `None` if it was unmapped.
    changed: Option<Prototype>,
    /// Whether that part was dirty and can no longer record it.
    forgets: bool,
    /// Whether the leaf was taken away before the table stood in its place.
    broken: bool,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Applies `change` to the part `range` of a leaf of one entry, or unmaps it for `None`, as was done to the last
    /// leaf. Returns whether the part was dirty and can no longer record it; or changes nothing and returns `None` if
    /// the leaf is not like the last one, or there is no memory.
    pub(super) fn split_again(
        &mut self,
        leaf: End<F>,
        range: ClosedRange,
        change: Option<&Change>,
        gather: &mut Gather<F, H>,
    ) -> Option<bool> {
        let End { level, entry, raw, .. } = leaf;
        let last = self.precedent.as_ref()?;
        let whole = Self::slot(level, range.start());
        let is_like = last.level == level && raw & !last.address == last.bits && last.change.as_ref() == change;
        // Where nothing may be broken, there is more to be checked.
        let may = self.partial == PartialChange::Split && !self.is_strict();
        if !is_like || !may || !last.fits(whole, range) {
            return None;
        }

        let reserved = self.reserved.take(&self.hal);
        let frame = reserved.map_or_else(|| self.allocate_table(), |(frame, _)| Ok(frame)).ok()?;
        // SAFETY: it is allocated as large as a table is, and nobody else's.
        let mut table = unsafe { Fresh::new(&self.hal, frame, self.start.table_bits) };
        self.fill_again(last, whole, self.format.output(level, raw), range, &mut table);
        table.publish(&self.hal);
        // Fails if the MMU marks the leaf meanwhile.
        let linked = match self.link_entry(level, frame) {
            Ok(link) if last.broken => {
                let taken = entry.swap(&self.hal, self.format.empty(level));
                self.invalidate(whole, level, true);
                entry.overwrite(&self.hal, if taken == raw { link } else { taken });
                taken == raw
            }
            Ok(link) => entry.exchange(&self.hal, raw, link).is_ok(),
            Err(_) => false,
        };
        if !linked {
            if last.broken {
                self.made(whole, true, gather);
            }
            // What was reserved stays so: the split that follows takes it.
            self.reserved.put(&self.hal, frame, self.start.table_bits);
            return None;
        }
        self.note_split(level, whole, last.broken, gather);
        Some(last.forgets)
    }

    /// Fills the table that takes the place of the leaf `whole`, which maps to `address`.
    fn fill_again(
        &self,
        last: &Precedent,
        whole: ClosedRange,
        address: u64,
        range: ClosedRange,
        table: &mut Fresh<F::Word>,
    ) {
        let delta = address.wrapping_sub(whole.start());
        let mut fill = |range, prototype| self.fill_leaves(table, &Leaves { range, prototype, delta });
        // The part is written, too, and overwritten below: that is simplest.
        fill(whole, last.run.unwrap_or(last.kept));
        if let Some(run) = last.run {
            fill(around(range, run.size), last.kept);
        }
        if let Some(changed) = last.changed {
            fill(range, changed);
        } else {
            let slots = slots::<F>(last.kept.level, Self::count(last.kept.level), range);
            table.fill(slots.start, self.empty_strip(last.kept.level, slots.len()));
        }
    }

    /// Remembers how a leaf was split, if the next one can be split in the same simple way.
    pub(super) fn remember(&mut self, split: &Split<'_, F>, range: ClosedRange) {
        if let precedent @ Some(_) = self.precedent_of(split, range) {
            self.precedent = precedent;
        }
    }

    fn precedent_of(&self, split: &Split<'_, F>, range: ClosedRange) -> Option<Precedent> {
        let leaf = &split.leaf;
        let (level, below) = (leaf.level, leaf.level.checked_sub(1)?);
        let (size, sizes) = (Self::entry_bits(below), split.smaller.sizes(&self.geometry, below));
        let runs = if self.has_runs(below) { sizes.0 & !(1 << size) } else { 0 };
        if Self::items(leaf) != 1
            || !leaf.range.covers(&range)
            || !sizes.contains(size)
            || runs & runs.wrapping_sub(1) != 0
        {
            return None;
        }
        let (kept, run) = (split.smaller.get(below, size), sizes.largest_within(63).filter(|_| runs != 0));
        let (change, changed) = match split.fate {
            Fate::Gone => (None, None),
            Fate::Changed(change, rewrites) => {
                (Some(*change), Some(Prototype { bits: rewrites.at(below)?.apply(kept.bits), ..kept }))
            }
            Fate::Freed | Fate::Kept | Fate::Cut(_) => return None,
        };
        let address = self.address_bits(level);
        Some(Precedent {
            level,
            bits: split.raw & !address,
            address,
            change,
            run: run.map(|run| split.smaller.get(below, run)),
            kept,
            changed,
            forgets: self.forgets_dirty(split),
            broken: split.broken,
        })
    }
}

impl Precedent {
    /// Whether `range` is a part of the leaf `whole` that becomes single entries.
    fn fits(&self, whole: ClosedRange, range: ClosedRange) -> bool {
        let is_aligned = (range.start() | range.last().wrapping_add(1)) & size_mask(self.kept.size) == 0;
        // No run may lie inside it: that would stay a run.
        let largest = self.run.map_or(whole.span(), |run| size_mask(run.size));
        is_aligned && whole.covers(&range) && range.span() < largest
    }
}

/// The runs of `1 << size` bytes that meet `range`.
const fn around(range: ClosedRange, size: u8) -> ClosedRange {
    ClosedRange::block(range.start(), size).hull(&ClosedRange::block(range.last(), size))
}
