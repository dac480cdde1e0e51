//! Leaves that an operation changes in part: the rest of them stays mapped, by smaller leaves.
//!
//! What takes the place of such a leaf is complete before it is linked, in one store where the format allows that, else
//! after a break. Accessed and dirty states that the MMU sets meanwhile are carried over.

use super::{
    Error, Gather, PageTable,
    build::Found,
    frames::Frames,
    layout::{Layout, Piece, Pieces, Placed, Prototypes, slots, tables_below},
    located::Located,
};
use crate::{Attributes, Change, ClosedRange, Edit, Format, Hal, Level};

/// What becomes of the part of a leaf that a range covers.
#[derive(Clone, Copy)]
pub(super) enum Fate<'a> {
    /// It is unmapped.
    Gone,
    /// It is unmapped, and its part of the frame given back.
    Freed,
    /// It stays as it is, in leaves of its own.
    Kept,
    /// It stays as it is, in leaves of at most this size.
    Cut(u8),
    /// It is changed.
    Changed(&'a Change),
}

/// A leaf to be split.
pub(super) struct Split {
    pub(super) leaf: Located,
    /// The first item as it was when the attributes were read.
    raw: u64,
    /// What it says, with the states that were found when it was split.
    pub(super) attributes: Attributes,
    /// What the rest stays.
    old: Prototypes,
    /// What the covered part becomes; `None`: nothing.
    new: Option<(Change, Prototypes)>,
}

/// What takes a leaf's place: the entries of up to two subtrees, in ascending order, and whether it takes a break.
struct Replacement {
    tables: [Option<u64>; 2],
    edit: Edit,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// What it takes to split a leaf; `None`: it says already what it is to say.
    pub(super) fn plan_split(&self, leaf: Located, fate: Fate<'_>) -> Result<Option<Split>, Error> {
        let level = leaf.level;
        let Some((raw, attributes)) = self.attributes(&leaf) else {
            let address = self.geometry.extend(leaf.range.start());
            return Err(Error::Corrupt { address, level, entry: leaf.entries.load(leaf.index) });
        };
        // What takes its place is smaller.
        let limit = leaf.size.saturating_sub(1);
        let new = match fate {
            Fate::Gone | Fate::Freed => None,
            Fate::Cut(most) => Some((Change::default(), Prototypes::new(&self.format, &attributes, limit.min(most))?)),
            Fate::Kept => Some((Change::default(), Prototypes::new(&self.format, &attributes, limit)?)),
            Fate::Changed(change) => {
                let rewrite =
                    self.format.rewrite(level, change).map_err(|refusal| Error::Refused { level, refusal })?;
                let mut items = (0..leaf.items).map(|item| leaf.entries.load(leaf.index + item));
                if items.all(|raw| rewrite.apply(raw) == raw) {
                    return Ok(None);
                }
                Some((*change, Prototypes::new(&self.format, &attributes.with(change), limit)?))
            }
        };
        let old = Prototypes::new(&self.format, &attributes, limit)?;
        Ok(Some(Split { leaf, raw, attributes, old, new }))
    }

    /// Whether the leaf was dirty, and the part of it that was changed cannot say so.
    pub(super) fn forgets_dirty(&self, split: &Split) -> bool {
        let says = |leaf: &Prototypes| {
            let page = leaf.get(0, self.geometry.page_bits);
            self.format.accessed_dirty(0).is_dirty(page.bits)
        };
        split.attributes.dirty && split.new.as_ref().is_some_and(|(_, leaf)| !says(leaf))
    }

    /// Checks that a split takes no break where there must be none.
    pub(super) fn check_break(&self, split: &Split, range: ClosedRange) -> Result<(), Error> {
        if !self.is_strict() {
            return Ok(());
        }
        let Located { level, ref entries, items, range: all, index, .. } = split.leaf;
        let breaks = |placed| {
            let new = match placed {
                Placed::Nothing(_) => None,
                Placed::Leaves(leaves) => {
                    let strip = leaves.strips(&self.format, &self.geometry).next();
                    strip.map(|(_, strip)| (leaves.range.start(), strip.first))
                }
                // Any table will do: what matters is that it is one.
                Placed::Table(slot) => self.format.table(level, 0).ok().map(|table| (slot.start(), table)),
            };
            new.is_some_and(|(start, new)| {
                let old = entries.load(self.geometry.index(level, start));
                self.format.edit(level, old, new) == Edit::BreakBeforeMake
            })
        };
        let hardware = self.format.accessed_dirty(level).hardware;
        if hardware && items > 1 || Layout::new(&self.geometry, level, all, &split.pieces(range)).any(breaks) {
            return Err(self.needs_break(all.start(), level, entries.load(index)));
        }
        Ok(())
    }

    /// How many tables a split takes.
    pub(super) fn tables_for_split(&self, split: &Split, range: ClosedRange) -> usize {
        tables_below(&self.geometry, split.leaf.level, split.leaf.range, &split.pieces(range))
    }

    /// Replaces a leaf by what `range` leaves of it and makes of it. `None` only if the reserve is short.
    pub(super) fn commit_split(
        &self,
        split: &mut Split,
        range: ClosedRange,
        reserve: &mut Frames<'_, H>,
        gather: &mut Gather<F, H>,
    ) -> Option<()> {
        let level = split.leaf.level;
        let mut new = self.replacement(split, range, reserve)?;
        let hardware = self.format.accessed_dirty(level).hardware;
        let links_tables = new.tables[0].is_some();
        // The items of a run that the MMU marks can only be exchanged together while it cannot see them.
        let broken = new.edit == Edit::BreakBeforeMake || hardware && split.leaf.items > 1;
        if broken {
            if self.break_split(split) {
                self.discard(level, new, reserve);
                new = self.replacement(split, range, reserve)?;
            }
            self.put(split, range, new);
        } else if split.leaf.items > 1 {
            self.put(split, range, new);
        } else {
            let Split { leaf, .. } = &split;
            let (entries, index) = (leaf.entries, leaf.index);
            while let Err(raw) = entries.exchange(&self.hal, index, split.raw, new.tables[0]?) {
                split.raw = raw;
                self.observe(split, raw);
                self.discard(level, new, reserve);
                new = self.replacement(split, range, reserve)?;
            }
        }
        if !broken || self.format.invalid_cached() {
            gather.record(split.leaf.range, !(broken && links_tables), self.geometry.entry_bits(level));
        }
        Some(())
    }

    /// Builds the subtrees that take the place of parts of a leaf.
    fn replacement(&self, split: &Split, range: ClosedRange, reserve: &mut Frames<'_, H>) -> Option<Replacement> {
        let level = split.leaf.level;
        let mut new = Replacement { tables: [None; 2], edit: Edit::Direct };
        for placed in Layout::new(&self.geometry, level, split.leaf.range, &split.pieces(range)) {
            let (start, raw) = match placed {
                Placed::Nothing(_) => continue,
                Placed::Leaves(leaves) => {
                    let first = leaves.strips(&self.format, &self.geometry).next();
                    (leaves.range.start(), first?.1.first)
                }
                Placed::Table(slot) => {
                    let entry = self.build(level.checked_sub(1)?, slot, &split.pieces(range), reserve)?;
                    *new.tables.iter_mut().find(|table| table.is_none())? = Some(entry);
                    (slot.start(), entry)
                }
            };
            // A strip is uniform, and so are the items of a run: one of them speaks for all.
            let old = split.leaf.entries.load(self.geometry.index(level, start));
            if self.format.edit(level, old, raw) == Edit::BreakBeforeMake {
                new.edit = Edit::BreakBeforeMake;
            }
        }
        Some(new)
    }

    /// Gives the tables of a replacement that was not used back to the reserve.
    fn discard(&self, level: Level, new: Replacement, reserve: &mut Frames<'_, H>) {
        for entry in new.tables.into_iter().flatten() {
            if let Found::Table { level, address, .. } = self.found(level, entry) {
                self.unbuild(level, address, false, reserve);
            }
        }
    }

    /// Takes the leaf away from the MMU; whether it had got states that were not known.
    fn break_split(&self, split: &mut Split) -> bool {
        let leaf = &split.leaf;
        let (level, entries, index, items, range) = (leaf.level, leaf.entries, leaf.index, leaf.items, leaf.range);
        let mut changed = false;
        for item in 0..items {
            let raw = entries.swap(&self.hal, index + item, self.format.empty(level));
            changed |= self.observe(split, raw);
        }
        self.invalidate(range, level, true);
        changed
    }

    /// Takes over the states of an item; whether they were not known.
    fn observe(&self, split: &mut Split, raw: u64) -> bool {
        let states = self.format.accessed_dirty(split.leaf.level);
        let mut attributes = split.attributes;
        attributes.accessed |= states.is_accessed(raw);
        attributes.dirty |= states.is_dirty(raw);
        let changed = attributes != split.attributes;
        if changed {
            split.attributes = attributes;
            split.old.restate(&self.format, &attributes);
            if let Some((change, new)) = &mut split.new {
                new.restate(&self.format, &attributes.with(change));
            }
        }
        changed
    }

    /// Writes the replacement of a leaf that has several items, or that is broken.
    fn put(&self, split: &Split, range: ClosedRange, new: Replacement) {
        let Located { entries, level, range: all, .. } = split.leaf;
        let mut tables = new.tables.into_iter().flatten();
        for placed in Layout::new(&self.geometry, level, all, &split.pieces(range)) {
            match placed {
                Placed::Nothing(part) => {
                    let slots = slots(&self.geometry, level, part);
                    entries.store_strip(&self.hal, slots.start, self.empty_strip(level, slots.len()));
                }
                Placed::Leaves(leaves) => {
                    for (index, strip) in leaves.strips(&self.format, &self.geometry) {
                        entries.store_strip(&self.hal, index, strip);
                    }
                }
                Placed::Table(slot) => {
                    if let Some(entry) = tables.next() {
                        entries.store(&self.hal, self.geometry.index(level, slot.start()), entry);
                    }
                }
            }
        }
    }
}

impl Split {
    /// What the leaf becomes if `range` is changed.
    #[inline(never)]
    fn pieces(&self, range: ClosedRange) -> Pieces<'_> {
        let leaf = &self.leaf;
        let delta = leaf.address.wrapping_sub(leaf.range.start());
        let before = range.start().checked_sub(1).and_then(|last| ClosedRange::new(leaf.range.start(), last));
        let after = range.last().checked_add(1).and_then(|start| ClosedRange::new(start, leaf.range.last()));
        let covered = leaf.range.intersection(&range).zip(self.new.as_ref());
        [
            before.map(|range| Piece { range, delta, leaf: &self.old }),
            covered.map(|(range, (_, leaf))| Piece { range, delta, leaf }),
            after.map(|range| Piece { range, delta, leaf: &self.old }),
        ]
    }
}
