//! Splitting leaves that an operation changes in part: the rest stays mapped, by smaller leaves.
//!
//! What replaces such a leaf is complete before it is linked, in one store where the format allows that, else after a
//! break. Accessed and dirty states that the MMU sets meanwhile are carried over.

use super::{
    Error, Gather, PageTable,
    build::Found,
    frames::Frames,
    layout::{Layout, Piece, Pieces, Placed, Prototypes, tables_below},
    located::Located,
    remake::Rewrites,
};
use crate::{Attributes, Change, ClosedRange, Edit, Format, Hal, Level, Rewrite};

/// What becomes of the part of a leaf that a range covers.
#[derive(Clone, Copy)]
pub(super) enum Fate<'a> {
    /// It is unmapped.
    Gone,
    /// It is unmapped, and its part of the frame is given back.
    Freed,
    /// It stays as it is, in leaves of its own.
    Kept,
    /// It stays as it is, in leaves of at most this size.
    Cut(u8),
    /// It is changed, in this way.
    Changed(&'a Change, &'a Rewrites),
}

/// A leaf to be split.
pub(super) struct Split<'a, F: Format> {
    pub(super) leaf: Located<F>,
    /// The first item as it was last seen.
    pub(super) raw: u64,
    /// Its attributes, with the states that were found when it was split.
    pub(super) attributes: Attributes,
    pub(super) fate: Fate<'a>,
    /// Smaller leaves with the same attributes.
    pub(super) smaller: Prototypes,
    /// Whether it was taken away before these replaced it.
    pub(super) broken: bool,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// The plan to split a leaf; `None` if it already is as it should be.
    pub(super) fn plan_split<'a>(&self, leaf: &Located<F>, fate: Fate<'a>) -> Result<Option<Split<'a, F>>, Error> {
        let level = leaf.level;
        if let Fate::Changed(change, rewrites) = fate {
            let changes = |rewrite: &Rewrite| {
                (leaf.index..leaf.index + Self::items(leaf)).any(|index| {
                    let raw = leaf.entries.load(index);
                    rewrite.apply(raw) != raw
                })
            };
            if !rewrites.at(level).as_ref().is_some_and(changes) {
                return Ok(None);
            }
            if rewrites.at(0).is_none()
                && let Err(refusal) = self.format.rewrite(0, change)
            {
                return Err(Error::Refused { level: 0, refusal });
            }
        }
        let Some((raw, attributes)) = self.attributes(leaf) else {
            let address = self.geometry.extend(leaf.range.start());
            return Err(Error::Corrupt { address, level, entry: leaf.entries.load(leaf.index) });
        };
        let smaller = ok!(Prototypes::new(&self.format, &attributes, leaf.size.saturating_sub(1)));
        Ok(Some(Split { leaf: *leaf, raw, attributes, fate, smaller, broken: false }))
    }

    /// Whether the leaf was dirty, and the part of it that was changed cannot record that.
    pub(super) fn forgets_dirty(&self, split: &Split<'_, F>) -> bool {
        let Fate::Changed(_, rewrites) = split.fate else { return false };
        let (page, states) = (split.smaller.get(0, F::PAGE_BITS).bits, self.format.accessed_dirty(0));
        split.attributes.dirty && rewrites.at(0).is_some_and(|rewrite| !states.is_dirty(rewrite.apply(page)))
    }

    /// Checks that a split needs no break where breaks are not allowed.
    pub(super) fn check_break(&self, split: &Split<'_, F>, range: ClosedRange) -> Result<(), Error> {
        let Located { level, ref entries, index, .. } = split.leaf;
        if self.is_strict() && self.breaks_for(split, range) {
            return Err(self.needs_break(split.leaf.range.start(), level, entries.load(index)));
        }
        Ok(())
    }

    /// Whether a leaf must be taken away before others replace it.
    fn breaks_for(&self, split: &Split<'_, F>, range: ClosedRange) -> bool {
        let Located { level, ref entries, range: all, .. } = split.leaf;
        let breaks = |start, new| {
            let old = entries.load(Self::index(level, start));
            self.format.edit(level, old, new) == Edit::BreakBeforeMake
        };
        // Any table will do: all that matters is that it is a table.
        let becomes_table = |start| self.format.table(level, 0).is_ok_and(|table| breaks(start, table));
        if Self::items(&split.leaf) == 1 {
            return becomes_table(all.start());
        }
        // Items of a run that the MMU marks can be exchanged together only while it cannot see them.
        self.format.accessed_dirty(level).hardware
            || Layout::new(&self.geometry, level, all, &split.pieces(range)).any(|placed| match placed {
                Placed::Nothing(_) => false,
                // They are alike, and so are the items of a run: one of them speaks for all.
                Placed::Leaves(leaves) => {
                    let strip = leaves.strips(&self.format, entries.count()).next();
                    strip.is_some_and(|(_, strip)| breaks(leaves.range.start(), strip.first))
                }
                Placed::Table(slot) => becomes_table(slot.start()),
            })
    }

    /// How many tables a split takes.
    pub(super) fn tables_for_split(&self, split: &Split<'_, F>, range: ClosedRange) -> usize {
        if split.leaf.level == 1 && Self::items(&split.leaf) == 1 {
            // Its replacement is one table of pages.
            return 1;
        }
        tables_below(&self.geometry, split.leaf.level, split.leaf.range, &split.pieces(range))
    }

    /// Replaces a leaf by smaller leaves and the changed or unmapped `range`. `None` only if the reserve is short.
    pub(super) fn commit_split(
        &self,
        split: &mut Split<'_, F>,
        range: ClosedRange,
        reserve: &mut Frames<'_, H>,
        gather: &mut Gather<F, H>,
    ) -> Option<()> {
        let Located { level, entries, index, range: all, .. } = split.leaf;
        split.broken = self.breaks_for(split, range);
        let mut stands = split.raw;
        if split.broken {
            split.raw = self.take_away(&split.leaf);
            self.observe(split, split.raw);
            stands = self.format.empty(level);
        }
        if Self::items(&split.leaf) > 1 {
            self.commit_map(entries, all, &split.pieces(range), reserve)?;
        } else {
            loop {
                let table = self.build(level.checked_sub(1)?, all, &split.pieces(range), reserve)?;
                let Err(raw) = entries.exchange(&self.hal, index, stands, table) else { break };
                (stands, split.raw) = (raw, raw);
                self.observe(split, raw);
                if let Found::Table(below) = self.found(level, table) {
                    self.unbuild(below, false, reserve);
                }
            }
        }
        self.note_split(level, all, split.broken, gather);
        Some(())
    }

    /// Records that a leaf that translates `range` was split and, with `broken`, had been taken away for that.
    pub(super) fn note_split(&self, level: Level, range: ClosedRange, broken: bool, gather: &mut Gather<F, H>) {
        self.changes.count_split();
        if !broken || self.format.invalid_cached() {
            gather.record(range, !broken, Self::entry_bits(level));
        }
    }

    /// Takes over the states of an item.
    fn observe(&self, split: &mut Split<'_, F>, raw: u64) {
        let states = self.format.accessed_dirty(split.leaf.level);
        let mut attributes = split.attributes;
        attributes.accessed |= states.is_accessed(raw);
        attributes.dirty |= states.is_dirty(raw);
        if attributes != split.attributes {
            split.attributes = attributes;
            split.smaller.restate(&self.format, &attributes);
        }
    }
}

impl<F: Format> Split<'_, F> {
    /// The pieces that the leaf becomes if `range` is changed.
    #[inline(never)]
    fn pieces(&self, range: ClosedRange) -> Pieces<'_> {
        let leaf = &self.leaf;
        let delta = leaf.address.wrapping_sub(leaf.range.start());
        let before = range.start().checked_sub(1).and_then(|last| ClosedRange::new(leaf.range.start(), last));
        let after = range.last().checked_add(1).and_then(|start| ClosedRange::new(start, leaf.range.last()));
        let same = |range| Piece::new(range, delta, &self.smaller);
        let covered = leaf.range.intersection(&range).map(same).and_then(|piece| match self.fate {
            Fate::Gone | Fate::Freed => None,
            Fate::Kept => Some(piece),
            Fate::Cut(largest) => Some(Piece { largest, ..piece }),
            Fate::Changed(_, rewrites) => Some(Piece { rewrites: Some(rewrites), ..piece }),
        });
        [before.map(same), covered, after.map(same)]
    }
}
