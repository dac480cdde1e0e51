//! Mapping a range to given output addresses.

use super::{
    Error, Gather, PageTable,
    build::{End, Found},
    entries::Entries,
    frames::Frames,
    layout::{Layout, Leaves, Piece, Pieces, Placed, Prototypes, size_within, tables_below},
    slots::slots,
};
use crate::{Attributes, ClosedRange, Format, Hal, Level, Prototype};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// How many tables [`PageTable::map`] would add.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::map`], save [`Error::NoMemory`] and [`Error::ForeignGather`].
    pub fn tables_for(&self, range: ClosedRange, oa: u64, attributes: &Attributes) -> Result<usize, Error> {
        let range = ok!(self.input(range));
        let delta = ok!(self.delta(range, oa));
        let leaf = ok!(Prototypes::new(&self.format, attributes, limit(range, delta)));
        let pieces = [Some(Piece::new(range, delta, &leaf)), None, None];
        let entries = self.table_around(range);
        self.plan_map(entries, range, &pieces)
    }

    /// Maps `range` to the output addresses from `oa` on, with the largest pages that fit. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::OutputOutOfRange`], [`Error::Misaligned`]; [`Error::AlreadyMapped`] names the
    /// first address that is mapped; [`Error::Refused`] if the format has no page with these attributes, or the HAL's
    /// frames are beyond what a table entry can hold; [`Error::NoMemory`]; [`Error::ForeignGather`].
    ///
    /// # Safety
    ///
    /// Whoever translates through this table may access the output addresses as `attributes` allow, until they have been
    /// unmapped and the gather of that operation has been flushed.
    pub unsafe fn map(
        &mut self,
        range: ClosedRange,
        oa: u64,
        attributes: &Attributes,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        if self.map_pages(range, oa, attributes, gather).is_some() {
            return Ok(());
        }
        let range = ok!(self.feeding(range, gather));
        let delta = ok!(self.delta(range, oa));
        let leaf = ok!(Prototypes::new(&self.format, attributes, limit(range, delta)));
        let pieces = [Some(Piece::new(range, delta, &leaf)), None, None];
        self.map_pieces(range, &pieces, gather)
    }

    /// Maps pages without runs, if their table is there and their entries are absent: most calls map few pages. Changes
    /// nothing and returns `None` if it is not as simple as that.
    fn map_pages(&self, range: ClosedRange, oa: u64, attributes: &Attributes, gather: &mut Gather<F, H>) -> Option<()> {
        let entries = self.missing_pages(range).filter(|_| gather.follows(self))?;
        let delta = self.delta(range, oa).ok()?;
        if self.has_runs(0) && self.format.page_sizes(0).largest_within(limit(range, delta)) != Some(F::PAGE_BITS) {
            return None;
        }
        self.map_missing(entries, range, oa, attributes, gather)
    }

    /// Maps pages in this table, over absent entries; changes nothing and returns `None` if the format refuses.
    // Not inlined: it has two callers.
    #[inline(never)]
    pub(super) fn map_missing(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        oa: u64,
        attributes: &Attributes,
        gather: &mut Gather<F, H>,
    ) -> Option<()> {
        let prototype = Prototype { bits: self.page(attributes).ok()?, level: 0, size: F::PAGE_BITS };
        gather.settle(range, false);
        let leaves = Leaves { range, prototype, delta: oa.wrapping_sub(range.start()) };
        self.store_leaves(entries, &leaves);
        self.made(range, true, gather);
        Some(())
    }

    /// Maps the pieces, which are in `range`.
    pub(super) fn map_pieces(
        &mut self,
        range: ClosedRange,
        pieces: &Pieces<'_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let entries = self.table_around(range);
        let missing = ok!(self.plan_map(entries, range, pieces));
        let tables = ok!(self.reserve_tables(missing));
        let mut reserve = Frames::of(&self.hal, tables);
        gather.settle(range, missing > 0);
        let done = self.commit_map(entries, range, pieces, &mut reserve);
        debug_assert!(done.is_some(), "the plan counted too few tables");
        self.made(range, missing == 0, gather);
        Ok(())
    }

    /// Records that new leaves are in `range` where there was nothing and, with `leaf_only`, no new tables.
    pub(super) fn made(&self, range: ClosedRange, leaf_only: bool, gather: &mut Gather<F, H>) {
        if self.format.invalid_cached() {
            gather.record(range, leaf_only, F::PAGE_BITS);
        }
    }

    /// The distance from `range` to its output.
    fn delta(&self, range: ClosedRange, oa: u64) -> Result<u64, Error> {
        let size = F::PAGE_BITS;
        if !oa.is_multiple_of(1 << size) {
            return Err(Error::Misaligned { address: oa, size });
        }
        ok!(self.output_fits(oa, range.span()));
        Ok(oa.wrapping_sub(range.start()))
    }

    /// Checks that `span + 1` bytes from `oa` on are output addresses.
    pub(super) fn output_fits(&self, oa: u64, span: u64) -> Result<(), Error> {
        match oa.checked_add(span) {
            Some(last) if last <= self.start.last_output => Ok(()),
            _ => Err(Error::OutputOutOfRange { address: oa, span }),
        }
    }

    /// How many tables are missing in the part of `range` that this table translates.
    fn plan_map(&self, entries: Entries<F::Word>, range: ClosedRange, pieces: &Pieces<'_>) -> Result<usize, Error> {
        let level = entries.level();
        let mut missing = 0;
        for placed in Layout::new(&self.geometry, level, range, pieces) {
            match placed {
                Placed::Nothing(_) => {}
                Placed::Leaves(leaves) => ok!(self.check_unmapped(entries, leaves.range)),
                Placed::Table(slot) => {
                    let part = slot.intersection(&range).unwrap_or(slot);
                    missing += match self.visit(entries, Self::index(level, slot.start())) {
                        (_, Found::Absent) => 1 + tables_below(&self.geometry, level - 1, part, pieces),
                        (_, Found::Table(entries)) => ok!(self.plan_map(entries, part, pieces)),
                        (entry, Found::Leaf) => return Err(self.already_mapped(level, part.start(), entry)),
                    };
                }
            }
        }
        Ok(missing)
    }

    /// Checks that nothing is mapped in `range`, which is in this table.
    pub(super) fn check_unmapped(&self, entries: Entries<F::Word>, range: ClosedRange) -> Result<(), Error> {
        let level = entries.level();
        if !self.is_hole(entries, slots::<F>(level, entries.count(), range))
            && let Some(leaf) = self.leaves(range).next()
        {
            let address = leaf.range.start().max(range.start());
            let End { level, raw, .. } = self.descend(address);
            return Err(self.already_mapped(level, address, raw));
        }
        Ok(())
    }

    fn already_mapped(&self, level: Level, address: u64, entry: u64) -> Error {
        Error::AlreadyMapped { address: self.geometry.extend(address), level, entry }
    }

    /// Maps the pieces in the part of `range` that this table translates, where no tables exist yet: adds those that are
    /// missing, and leaves nothing where there is no piece. `None` only if the reserve is short.
    pub(super) fn commit_map(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        pieces: &Pieces<'_>,
        reserve: &mut Frames<'_, H>,
    ) -> Option<()> {
        let level = entries.level();
        for placed in Layout::new(&self.geometry, level, range, pieces) {
            match placed {
                Placed::Nothing(part) => {
                    let slots = slots::<F>(level, entries.count(), part);
                    entries.store_strip(&self.hal, slots.start, self.empty_strip(level, slots.len()));
                }
                Placed::Leaves(leaves) => self.store_leaves(entries, &leaves),
                Placed::Table(slot) => {
                    let index = Self::index(level, slot.start());
                    if let (_, Found::Table(entries)) = self.visit(entries, index) {
                        let part = slot.intersection(&range)?;
                        self.commit_map(entries, part, pieces, reserve)?;
                    } else {
                        let entry = self.build(level.checked_sub(1)?, slot, pieces, reserve)?;
                        entries.store(&self.hal, index, entry);
                    }
                }
            }
        }
        Some(())
    }
}

/// log2 of the largest leaf that can be in `range`, which maps to addresses `delta` higher.
fn limit(range: ClosedRange, delta: u64) -> u8 {
    size_within(range.span()).min(delta.trailing_zeros() as u8)
}
