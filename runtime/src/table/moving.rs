//! Moving what is mapped to another place.
//!
//! An entry does not say which address it translates, so it means the same anywhere at its level. Where both places are
//! aligned alike, entries move as they are, and a table moves with everything below it. A leaf that is larger than this
//! alignment is made anew, from smaller leaves.
//!
//! For a moment, MMUs may translate both places. That is harmless: the same guest finds the same memory there with the
//! same rights. No mark of an MMU is lost: it is either made in the entry, which is taken out by one exchange and
//! cannot be marked after that, or in a table, which moves with all marks in it. Only MMUs can interfere, because this
//! takes `&mut self`; `generated-tests/loom` runs these races in every order.

use super::{
    Error, Gather, PageTable,
    build::Found,
    edges::Edges,
    entries::Entries,
    frames::Frames,
    layout::{Piece, Prototypes},
    located::Located,
    missing::Missing,
    shift::{Part, Shift, Stretch},
    split::Fate,
};
use crate::{Attributes, ClosedRange, Format, Hal, Level};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Moves all that is mapped in `range` to the addresses from `to` on, where nothing is mapped yet, with all
    /// attributes, including accessed and dirty states. Holes stay holes, and the memory stays where it is. Leaves
    /// become smaller if the distance is not a multiple of their size; leaves that `range` covers in part are split. All
    /// or nothing.
    ///
    /// Where the distance is a multiple of what a table translates, the table moves with all that is in it.
    ///
    /// `gather` is flushed, so that no MMU finds the memory at its former addresses when this returns. Until then, it may be
    /// found at both places.
    ///
    /// ```
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
    /// // The second of two blocks of 2 MiB: at a multiple of its size it stays one,
    /// let block = ClosedRange::around(0x8020_0000, 21);
    /// table.move_range(block, 0x9000_0000, &mut gather)?;
    /// assert_eq!((table.translate(0x8020_0000), table.translate(0x9000_1234)), (None, Some(0x4020_1234)));
    /// // and elsewhere it becomes pages.
    /// table.move_range(ClosedRange::around(0x9000_0000, 21), 0x8020_1000, &mut gather)?;
    /// assert_eq!(table.translate(0x8020_2234), Some(0x4020_1234));
    /// assert_eq!(table.mappings(ClosedRange::around(0x8000_0000, 24)).count(), 1 + 512);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`], for either place; [`Error::Overlap`]; [`Error::AlreadyMapped`]
    /// names the first address that is mapped at the new place; [`Error::NoMemory`]; [`Error::Refused`] if the format
    /// has no smaller leaf that says the same; [`Error::Partial`] or [`Error::NeedsBreak`] if a leaf is not split;
    /// [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn move_range(&mut self, range: ClosedRange, to: u64, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let beyond = Error::OutOfRange(ClosedRange::clamp(to, u64::MAX));
        let target = ClosedRange::new(to, to.wrapping_add(range.span())).ok_or(beyond)?;
        let (range, target) = (self.exclusive(range, gather)?, self.input(target)?);
        if let Some(both) = range.intersection(&target) {
            return Err(Error::Overlap(self.extend(both)));
        }
        let entries = self.table_around(target);
        self.check_unmapped(entries, target)?;
        let distance = target.start().wrapping_sub(range.start());
        let entries = self.table_around(range);
        let cut = self.cut_leaves(entries, range);
        let holes = matches!(cut, [None, None]);
        let shift = Shift { distance, aligned: distance.trailing_zeros() as u8, holes };
        let mut edges = Edges::default();
        self.plan_edges(&cut, range, Fate::Gone, &mut edges)?;
        let mut missing = Missing::default();
        self.for_parts(entries, range, shift, &mut |part| self.plan_part(&part, range, shift, &mut missing))?;

        let tables = self.reserve_tables(missing.count + self.tables_for_splits(&edges, range))?;
        let mut reserve = Frames::of(&self.hal, tables);
        gather.settle(target, true);
        let mut done = Some(());
        for split in edges.iter_mut().flatten() {
            done = done
                .and_then(|()| self.commit_split(split, range, &mut reserve, gather))
                .and_then(|()| self.make_leaf(&split.leaf, &split.attributes, range, shift, &mut reserve, gather));
        }
        let entries = self.table_around(range);
        let moved = self.for_parts(entries, range, shift, &mut |part| {
            done = done.and_then(|()| self.commit_part(part, range, shift, &mut reserve, gather));
            Ok(())
        });
        debug_assert!(moved.is_ok() && done.is_some(), "the plan counted too few tables");
        self.prune(range, gather);
        gather.flush();
        Ok(())
    }

    /// Finds every reason why a part cannot move, and counts the tables that it takes.
    fn plan_part(&self, part: &Part<F>, range: ClosedRange, shift: Shift, missing: &mut Missing) -> Result<(), Error> {
        match part {
            Part::Stretch(Stretch { level, range, .. }) => {
                self.count_missing(*level, range.shifted(shift.distance).start(), missing);
            }
            Part::Leaf(leaf) => {
                let Some((_, attributes)) = self.attributes(leaf) else {
                    let (address, entry) = (self.geometry.extend(leaf.range.start()), leaf.entries.load(leaf.index));
                    return Err(Error::Corrupt { address, level: leaf.level, entry });
                };
                let smaller = self.smaller(leaf, &attributes, shift)?;
                if let Some(piece) = piece(leaf, range, shift, &smaller) {
                    let whole = piece.range;
                    self.count_for_pieces(self.geometry.top(), whole, &[Some(piece), None, None], missing);
                }
            }
        }
        Ok(())
    }

    /// Moves a part to where nothing is mapped. `None` only if the reserve is short.
    fn commit_part(
        &self,
        part: Part<F>,
        range: ClosedRange,
        shift: Shift,
        reserve: &mut Frames<'_, H>,
        gather: &mut Gather<F, H>,
    ) -> Option<()> {
        match part {
            Part::Stretch(Stretch { level, entries, index, items, range, are_tables }) => {
                let target = range.shifted(shift.distance);
                let (to, linked) = self.table_for(level, target.start(), reserve)?;
                let first = Self::index(level, target.start());
                let hardware = self.format.accessed_dirty(level).hardware.then(|| self.format.kinds(level));
                let empty = self.format.empty(level);
                entries.move_to(&self.hal, index..index + items, &to, first, empty, hardware);
                let smallest = if are_tables { 0 } else { level };
                gather.record(range, !are_tables, Self::entry_bits(smallest));
                self.made(target, !are_tables && !linked, gather);
                Some(())
            }
            Part::Leaf(leaf) => {
                let (_, mut attributes) = self.attributes(&leaf)?;
                let (states, empty) = (self.format.accessed_dirty(leaf.level), self.format.empty(leaf.level));
                for item in 0..Self::items(&leaf) {
                    let raw = leaf.entries.swap(&self.hal, leaf.index + item, empty);
                    attributes.accessed |= states.is_accessed(raw);
                    attributes.dirty |= states.is_dirty(raw);
                }
                gather.record(leaf.range, true, Self::entry_bits(leaf.level));
                self.make_leaf(&leaf, &attributes, range, shift, reserve, gather)
            }
        }
    }

    /// Maps, at the new place, what `range` covers of a leaf that has been taken out. `None` only if the reserve is
    /// short.
    fn make_leaf(
        &self,
        leaf: &Located<F>,
        attributes: &Attributes,
        range: ClosedRange,
        shift: Shift,
        reserve: &mut Frames<'_, H>,
        gather: &mut Gather<F, H>,
    ) -> Option<()> {
        let smaller = self.smaller(leaf, attributes, shift).ok()?;
        let piece = piece(leaf, range, shift, &smaller)?;
        let target = piece.range;
        let entries = self.table_around(target);
        self.commit_map(entries, target, &[Some(piece), None, None], reserve)?;
        self.made(target, false, gather);
        Some(())
    }

    /// The smaller leaves that replace a larger one.
    fn smaller(&self, leaf: &Located<F>, attributes: &Attributes, shift: Shift) -> Result<Prototypes, Error> {
        Prototypes::new(&self.format, attributes, shift.aligned.min(leaf.size.saturating_sub(1)))
    }

    /// The table at `level` that translates `ia`, where nothing is mapped, and whether it was missing. `None` only if the
    /// reserve is short.
    fn table_for(&self, level: Level, ia: u64, reserve: &mut Frames<'_, H>) -> Option<(Entries<F::Word>, bool)> {
        let (mut entries, mut linked) = (self.root_entries(), false);
        while entries.level() > level {
            let at = entries.level();
            let index = Self::index(at, ia);
            if let Found::Absent = self.visit(entries, index).1 {
                let mut table = self.fresh(reserve)?;
                table.clear(self.format.empty(at - 1));
                let entry = self.link_entry(at, table.publish(&self.hal)).ok()?;
                entries.store(&self.hal, index, entry);
                linked = true;
            }
            let Found::Table(below) = self.visit(entries, index).1 else {
                return None;
            };
            entries = below;
        }
        Some((entries, linked))
    }
}

/// What `range` covers of a leaf, as a piece at the new place.
fn piece<'a, F: Format>(
    leaf: &Located<F>,
    range: ClosedRange,
    shift: Shift,
    smaller: &'a Prototypes,
) -> Option<Piece<'a>> {
    let part = leaf.range.intersection(&range)?;
    let target = part.shifted(shift.distance);
    let output = leaf.address + (part.start() - leaf.range.start());
    Some(Piece::new(target, output.wrapping_sub(target.start()), smaller))
}
