//! Finding what moves at once, table by table: the plan of a move and its commit both use it.

use super::{
    Error, PageTable,
    build::Found,
    entries::{BLOCK, Entries},
    located::Located,
};
use crate::{ClosedRange, Format, Hal, Level};

/// How far everything moves.
#[derive(Clone, Copy)]
pub(super) struct Shift {
    /// What is added to each address, modulo 2^64.
    pub(super) distance: u64,
    /// log2 of the largest power of two of which the distance is a multiple.
    pub(super) aligned: u8,
    /// Whether holes among pages may move with them. Not where a leaf was cut: what replaces its part is at the new place
    /// already, and a hole at the old one.
    pub(super) holes: bool,
}

/// What moves at once.
pub(super) enum Part<F: Format> {
    /// Entries that stay as they are.
    Stretch(Stretch<F>),
    /// A leaf whose moving part becomes smaller leaves.
    Leaf(Located<F>),
}

/// Neighbouring entries of one table that go to one table: leaves, or tables with everything below them. There may be
/// holes among pages.
pub(super) struct Stretch<F: Format> {
    pub(super) level: Level,
    pub(super) entries: Entries<F::Word>,
    pub(super) index: usize,
    pub(super) items: usize,
    /// The input addresses that they translate.
    pub(super) range: ClosedRange,
    pub(super) are_tables: bool,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Calls `act` for each part that moves at once, in the part of `range` that this table translates, in ascending
    /// order. `act` may take the entries away.
    pub(super) fn for_parts(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        shift: Shift,
        act: &mut impl FnMut(Part<F>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let level = entries.level();
        let mut left = Some(range);
        while let Some(rest) = left {
            let slot = Self::slot(level, rest.start());
            let index = Self::index(level, rest.start());
            let mut last = slot.last();
            match self.visit(entries, index) {
                (_, Found::Absent) => {}
                (raw, Found::Leaf) => {
                    let leaf = self.locate(entries, rest.start(), raw);
                    if leaf.size <= shift.aligned && range.covers(&leaf.range) {
                        let stretch = self.stretch(entries, rest, shift, false);
                        last = stretch.range.last();
                        ok!(act(Part::Stretch(stretch)));
                    } else {
                        last = leaf.range.last();
                        ok!(act(Part::Leaf(leaf)));
                    }
                }
                (_, Found::Table(below)) => {
                    if range.covers(&slot) && Self::entry_bits(level) <= shift.aligned {
                        let stretch = self.stretch(entries, rest, shift, true);
                        last = stretch.range.last();
                        ok!(act(Part::Stretch(stretch)));
                    } else {
                        let part = ClosedRange::clamp(rest.start(), slot.last().min(range.last()));
                        ok!(self.for_parts(below, part, shift, act));
                    }
                }
            }
            left = range.after(last);
        }
        Ok(())
    }

    /// The entries that move together with the first one in `range`, which moves as it is: up to where either table
    /// ends, or something else follows.
    fn stretch(&self, entries: Entries<F::Word>, range: ClosedRange, shift: Shift, are_tables: bool) -> Stretch<F> {
        let level = entries.level();
        let (start, bits, kinds) = (range.start(), Self::entry_bits(level), self.format.kinds(level));
        let place = |ia| Self::index(level, ia) & (entries.count() - 1);
        let (index, there) = (place(start), place(start.wrapping_add(shift.distance)));
        let room = entries.count() - index.max(there);
        let whole = (range.span() >> bits) + u64::from(range.span().trailing_ones() >= u32::from(bits));
        let joins = |item: usize| {
            let raw = entries.load(index + item);
            if are_tables {
                return kinds.is_table(raw);
            }
            let fits = |size| {
                let leaf = ClosedRange::block(start + ((item as u64) << bits), size);
                size <= bits || size <= shift.aligned && range.covers(&leaf)
            };
            kinds.is_leaf(raw) && fits(self.format.leaf_bits(level, raw))
        };
        let most = room.min(usize::try_from(whole).unwrap_or(room));
        let first = entries.load(index);
        let is_single = are_tables || self.format.leaf_bits(level, first) <= bits;
        // Where there are only single pages, all entries move as they are, holes included.
        let all_move = shift.holes
            && level == 0
            && kinds.single_value == 0
            && !entries.have_any(index..index + most, kinds.single_mask);
        let mut items = if all_move { most } else { 1 };
        while items < most {
            if is_single {
                items += self.entries_like(entries, first, index + items..index + most);
            }
            // Where a block as a whole does not tell, entries are looked at one by one.
            let stop = most.min(items + BLOCK);
            if let Some(item) = (items..stop).find(|&item| !joins(item)) {
                items = item;
                break;
            }
            items = stop;
        }
        let range = ClosedRange::clamp(start, start + (((items as u64) << bits) - 1));
        Stretch { level, entries, index, items, range, are_tables }
    }
}
