//! The ends of a range: at each, a leaf may reach beyond the range, so that an operation changes only a part of it.

use super::{
    Error, Gather, PageTable,
    entries::Entries,
    frames::Frames,
    located::Located,
    remake::Forgotten,
    split::{Fate, Split},
};
use crate::{ClosedRange, Format, Hal};

/// The leaves at the ends of a range that it covers in part.
pub(super) type Cut<F> = [Option<Located<F>>; 2];

/// How they are split.
pub(super) type Edges<'a, F> = [Option<Split<'a, F>>; 2];

/// What an operation does if it would change only part of a leaf.
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
    /// It splits the leaf; the rest stays as it is.
    #[default]
    Split,
    /// It answers [`Error::Partial`].
    Refuse,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Sets what operations do from now on if they would change only part of a leaf. [`PageTable::split`] and
    /// [`PageTable::split_to`] split in any case.
    pub fn set_partial_change(&mut self, policy: PartialChange) {
        self.partial = policy;
    }

    /// Checks that an operation on `range` changes no leaf in part, if the policy is to refuse that.
    pub(crate) fn check_partial(&self, range: ClosedRange) -> Result<(), Error> {
        if self.partial == PartialChange::Refuse
            && let Some(range) = self.reduce_range(range)
        {
            for end in [range.start(), range.last()] {
                if let Some(leaf) = self.cut_leaf(self.root_entries(), range, end) {
                    return Err(Error::Partial { address: self.geometry.extend(leaf.range.start()), size: leaf.size });
                }
            }
        }
        Ok(())
    }

    /// Splits the larger leaves that `range` covers in part, so that no leaf reaches across its ends. The mapping stays
    /// the same. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::NoMemory`] or [`Error::Refused`] if a leaf cannot be
    /// split; [`Error::NeedsBreak`]; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn split(&mut self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let range = ok!(self.feeding(range, gather));
        let cut = self.cut_leaves(self.table_around(range), range);
        if let [None, None] = cut {
            return Ok(());
        }
        ok!(self.change_edges(&cut, range, Fate::Kept, &mut None, gather));
        Ok(())
    }

    /// Splits the leaves that `range` covers in part, where the covered part has this `fate`, and returns what is left of
    /// `range` to be done. All or nothing.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn change_edges(
        &mut self,
        cut: &Cut<F>,
        range: ClosedRange,
        fate: Fate<'_>,
        pages: &mut Forgotten<'_, '_>,
        gather: &mut Gather<F, H>,
    ) -> Result<Option<ClosedRange>, Error> {
        let mut edges = Edges::default();
        ok!(self.plan_edges(cut, range, fate, &mut edges));
        let tables = ok!(self.reserve_tables(self.tables_for_splits(&edges, range)));
        let mut reserve = Frames::of(&self.hal, tables);
        self.commit_edges(&mut edges, range, &mut reserve, gather);
        drop(reserve);
        let mut rest = Some(range);
        for split in edges.iter().flatten() {
            let part = split.leaf.range.intersection(&range).unwrap_or(range);
            if matches!(fate, Fate::Freed) {
                gather.hold(self.part_of_frame(&split.leaf, part));
            }
            if self.forgets_dirty(split) {
                self.tell(part, pages, gather);
            }
            self.remember(split, range);
            rest = rest.and_then(|rest| split.leaf.remainder_of(rest));
        }
        Ok(rest)
    }

    /// Carries out the planned splits.
    pub(super) fn commit_edges(
        &self,
        edges: &mut Edges<'_, F>,
        range: ClosedRange,
        reserve: &mut Frames<'_, H>,
        gather: &mut Gather<F, H>,
    ) {
        for split in edges.iter_mut().flatten() {
            let done = self.commit_split(split, range, reserve, gather);
            debug_assert!(done.is_some(), "the plan counted too few tables");
        }
    }

    /// The leaves that `range` covers in part, at most one at each end, in or below the table around it. They are found
    /// first, because plans to split them are large, and most ranges need none.
    pub(super) fn cut_leaves(&self, entries: Entries<F::Word>, range: ClosedRange) -> Cut<F> {
        if entries.level() == 0 && !self.has_runs(0) {
            // Pages are never cut.
            return [None, None];
        }
        let first = self.cut_leaf(entries, range, range.start());
        let is_one = first.as_ref().is_some_and(|first| first.range.contains(range.last()));
        [first, if is_one { None } else { self.cut_leaf(entries, range, range.last()) }]
    }

    /// The leaf that maps `ia`, if `range` does not cover all of it.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn cut_leaf(&self, entries: Entries<F::Word>, range: ClosedRange, ia: u64) -> Option<Located<F>> {
        let end = self.descend_from(entries, ia);
        let leaf = ClosedRange::block(ia, self.format.leaf_bits(end.level, end.raw));
        if range.covers(&leaf) { None } else { self.leaf_at(ia, end) }
    }

    /// Plans to split the leaves that `range` covers in part. `fate` is what becomes of the covered part; leaves that
    /// already are as they should be are left out. The plans are made in place.
    pub(super) fn plan_edges<'a>(
        &self,
        cut: &Cut<F>,
        range: ClosedRange,
        fate: Fate<'a>,
        edges: &mut Edges<'a, F>,
    ) -> Result<(), Error> {
        for (edge, leaf) in edges.iter_mut().zip(cut) {
            if let Some(leaf) = leaf {
                *edge = ok!(self.plan_split(leaf, fate));
            }
        }
        for split in edges.iter().flatten() {
            ok!(self.check_break(split, range));
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
        Ok(())
    }

    /// How many tables the splits take.
    pub(super) fn tables_for_splits(&self, edges: &Edges<'_, F>, range: ClosedRange) -> usize {
        edges.iter().flatten().map(|split| self.tables_for_split(split, range)).sum()
    }
}
