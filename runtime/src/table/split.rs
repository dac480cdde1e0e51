//! Leaves that an operation covers in part: the rest of them stays mapped, by smaller leaves.
//!
//! What takes the place of such a leaf is complete before it is linked, in one store where the format allows that, else
//! after a break. Accessed and dirty states that the MMU sets meanwhile are carried over.

use super::{
    Error, Gather, PageTable,
    build::{End, Found},
    entries::Entries,
    layout::{Layout, Piece, Pieces, Placed, Prototypes, slots, tables_below},
    reserve::Frames,
};
use crate::{Attributes, Change, ClosedRange, Edit, Entry, Format, Hal, Level};

/// A leaf of this tree.
pub(super) struct Located {
    pub(super) entries: Entries,
    pub(super) level: Level,
    /// The index of its first item.
    pub(super) index: usize,
    pub(super) items: usize,
    /// The input addresses it translates.
    pub(super) range: ClosedRange,
    /// The first of its output addresses.
    pub(super) address: u64,
    /// log2 of its size.
    pub(super) size: u8,
}

impl Located {
    /// The part of `range` beyond this leaf, which translates one of its ends.
    pub(super) fn remainder_of(&self, range: ClosedRange) -> Option<ClosedRange> {
        if self.range.contains(range.start()) {
            ClosedRange::new(self.range.last().checked_add(1)?, range.last())
        } else {
            ClosedRange::new(range.start(), self.range.start().checked_sub(1)?)
        }
    }
}

/// What an operation does that changes a leaf only in part.
///
/// ```
/// use tablewright::{Error, PartialChange};
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// table.set_partial_change(PartialChange::Refuse);
/// let page = ClosedRange::around(0x8000_1000, 12);
/// assert!(matches!(table.unmap(page, &mut gather), Err(Error::Partial { .. })));
/// table.set_partial_change(PartialChange::Split);
/// table.unmap(page, &mut gather)?;
/// assert_eq!(table.mappings(range).count(), 511 + 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PartialChange {
    /// It splits the leaf: the rest stays as it is.
    #[default]
    Split,
    /// It answers [`Error::Partial`].
    Refuse,
}

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
    /// What operations do from now on that change a leaf only in part. [`PageTable::split`] and
    /// [`PageTable::split_to`] split in any case.
    pub fn set_partial_change(&mut self, policy: PartialChange) {
        self.partial = policy;
    }

    /// Checks that an operation on `range` changes no leaf in part, if that is to be refused.
    pub(crate) fn check_partial(&self, range: ClosedRange) -> Result<(), Error> {
        if self.partial == PartialChange::Refuse
            && let Some(range) = self.geometry.reduce(range)
        {
            for end in [range.start(), range.last()] {
                if let Some(leaf) = self.find(end).filter(|leaf| !range.covers(&leaf.range)) {
                    return Err(Error::Partial { address: self.geometry.extend(leaf.range.start()), size: leaf.size });
                }
            }
        }
        Ok(())
    }

    /// Splits the larger leaves that `range` covers in part, so that no leaf reaches across its ends. What is mapped
    /// stays as it is. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::NoMemory`] or [`Error::Refused`] if a leaf cannot be
    /// split; [`Error::NeedsBreak`]; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn split(&mut self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let range = self.exclusive(range, gather)?;
        let mut edges = self.edges(range, Fate::Kept)?;
        self.split_edges(&mut edges, range, gather)
    }

    /// Splits the leaves that `range` covers in part, as planned by [`PageTable::edges`]. All or nothing.
    pub(super) fn split_edges(
        &mut self,
        edges: &mut [Option<Split>; 2],
        range: ClosedRange,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let tables = self.reserve_tables(self.tables_for_splits(edges, range))?;
        let mut reserve = Frames::of(&self.hal, tables);
        for split in edges.iter_mut().flatten() {
            let done = self.commit_split(split, range, &mut reserve, gather);
            debug_assert!(done.is_some(), "the plan counted too few tables");
        }
        Ok(())
    }

    /// The leaf at `index`, with all items of its run.
    pub(super) fn locate(&self, level: Level, entries: &Entries, ia: u64, raw: u64) -> Located {
        let entry = self.geometry.entry_bits(level);
        let size = self.format.leaf_bits(level, raw).max(entry);
        let range = ClosedRange::around(ia, size);
        Located {
            entries: *entries,
            level,
            index: self.geometry.index(level, range.start()),
            items: 1 << (size - entry),
            range,
            address: ClosedRange::around(self.format.output(level, raw), size).start(),
            size,
        }
    }

    /// The leaf that maps `ia`.
    pub(super) fn find(&self, ia: u64) -> Option<Located> {
        let End { level, entries, raw, is_leaf } = self.descend(ia);
        is_leaf.then(|| self.locate(level, &entries, ia, raw))
    }

    /// What a leaf says beside its address, with the states of all its items.
    pub(super) fn attributes(&self, leaf: &Located) -> Option<(u64, Attributes)> {
        let raw = leaf.entries.load(leaf.index);
        let Entry::Leaf(decoded) = self.format.decode(leaf.level, raw) else { return None };
        let states = self.format.accessed_dirty(leaf.level);
        let mut attributes = decoded.attributes;
        for item in 1..leaf.items {
            let raw = leaf.entries.load(leaf.index + item);
            attributes.accessed |= states.is_accessed(raw);
            attributes.dirty |= states.is_dirty(raw);
        }
        Some((raw, attributes))
    }

    /// The leaves that `range` covers in part: at most one at each end. `fate` is what becomes of the covered part;
    /// leaves that are already as they will be are left out.
    #[inline]
    pub(super) fn edges(&self, range: ClosedRange, fate: Fate<'_>) -> Result<[Option<Split>; 2], Error> {
        let first = self.find(range.start());
        let is_one = first.as_ref().is_some_and(|first| first.range.contains(range.last()));
        let last = if is_one { None } else { self.find(range.last()).filter(|leaf| !range.covers(&leaf.range)) };
        let first = first.filter(|leaf| !range.covers(&leaf.range));
        // Plans are large, and most ranges need none.
        if first.is_none() && last.is_none() { Ok([None, None]) } else { self.plan_edges(range, fate, first, last) }
    }

    /// [`PageTable::edges`], where there are leaves that are not covered.
    fn plan_edges(
        &self,
        range: ClosedRange,
        fate: Fate<'_>,
        first: Option<Located>,
        last: Option<Located>,
    ) -> Result<[Option<Split>; 2], Error> {
        let split = |leaf: Option<Located>| leaf.map_or(Ok(None), |leaf| self.plan_split(leaf, fate));
        let edges = [split(first)?, split(last)?];
        for split in edges.iter().flatten() {
            self.check_break(split, range)?;
        }
        if let Some(Split { leaf, .. }) = edges.iter().flatten().next() {
            let (address, size) = (self.geometry.extend(leaf.range.start()), leaf.size);
            if self.partial == PartialChange::Refuse && !matches!(fate, Fate::Kept) {
                return Err(Error::Partial { address, size });
            }
            if matches!(fate, Fate::Freed) && !self.hal.frees_parts() {
                return Err(Error::PartialFrame { address, size });
            }
        }
        Ok(edges)
    }

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

    /// How many tables the splits take.
    pub(super) fn tables_for_splits(&self, edges: &[Option<Split>; 2], range: ClosedRange) -> usize {
        edges.iter().flatten().map(|split| self.tables_for_split(split, range)).sum()
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
                    let strip = self.empty_strip(level, slots(&self.geometry, level, part));
                    entries.store_strip(&self.hal, self.geometry.index(level, part.start()), strip);
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
