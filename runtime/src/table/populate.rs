//! Mapping zeroed frames from the HAL wherever nothing is mapped.
//!
//! Where a table is missing, the plan builds it with everything below it: the frames that it takes are only in its
//! entries. Until the commit links it, nobody else knows it, and it can be taken apart again. Where a table of pages has
//! holes, the plan fills another one beside it, whose entries the commit copies.

use super::{
    Error, Gather, PageTable,
    build::Found,
    entries::{BLOCK, Entries, EntriesOf, Fresh},
    frames::{Frames, List},
    layout::{Prototypes, size_mask, size_within},
    slots::slots,
};
use crate::{Attributes, ClosedRange, Format, Hal, HostPhysAddr};

/// What the commit will put over absent entries. It is the note of a frame of `1 << size` bytes, which is not zeroed yet,
/// in a list of frames.
#[derive(Clone, Copy)]
struct Planned<F: Format> {
    /// The table, and the address from which on it goes there.
    entries: EntriesOf<F>,
    start: u64,
    size: u8,
    what: What,
}

/// What it puts there.
#[derive(Clone, Copy)]
enum What {
    /// The frame itself.
    Frame,
    /// The frame itself, and after it the leaves of this table, which has nothing where the other has an entry.
    Beside(HostPhysAddr),
    /// The entry for the subtree that the frame is in.
    Tree(u64),
}

/// The frames that a plan took from the HAL.
pub(super) struct Reserve<'a, F: Format, H: Hal> {
    pub(super) tables: Frames<'a, H>,
    planned: List<Planned<F>>,
    /// Whether some of them are in subtrees.
    has_trees: bool,
    /// How many tables there are beside others; `None` if there may be none, for want of frames.
    beside: Option<usize>,
    /// The first frame of the subtree that is being built, or for the table that is being filled beside another.
    pub(super) first: Option<(HostPhysAddr, u8)>,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Maps zeroed frames from the HAL at every page of `range` that is not mapped, in pages of at most
    /// `1 << largest` bytes. Pages above the granule are used only if the HAL frees frames in parts, and where it has
    /// frames of that size. All or nothing.
    ///
    /// [`PageTable::depopulate`] gives the frames back.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`], [`Error::Refused`], [`Error::NoMemory`], [`Error::ForeignGather`].
    pub fn populate(
        &mut self,
        range: ClosedRange,
        attributes: &Attributes,
        largest: u8,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        if self.populate_page(range, attributes, gather).is_some() {
            return Ok(());
        }
        let range = ok!(self.feeding(range, gather));
        let page = F::PAGE_BITS;
        let largest = if self.hal.frees_parts() { largest.clamp(page, 63) } else { page };
        let leaf = ok!(Prototypes::new(&self.format, attributes, largest.min(size_within(range.span()))));
        let entries = self.table_around(range);

        let reserved = core::mem::take(&mut self.reserved);
        let before = reserved.len();
        let tables = Frames::of(&self.hal, reserved);
        let mut reserve = Reserve { tables, planned: List::default(), has_trees: false, beside: Some(0), first: None };
        let plan = loop {
            let plan = self.plan_populate(entries, range, &leaf, &mut reserve);
            if plan.is_ok() {
                break plan;
            }
            self.undo_plan(&mut reserve, before);
            // The frames may be enough without the tables beside others.
            if reserve.beside.take().unwrap_or(0) == 0 {
                break plan;
            }
        };
        if plan.is_ok() {
            gather.settle(range, reserve.has_trees);
            while let Some((frame, planned)) = reserve.planned.take(&self.hal) {
                self.commit_populate(frame, planned, &leaf, &mut reserve.tables);
            }
            self.made(range, !reserve.has_trees, gather);
        }
        reserve.tables.shrink(before);
        self.reserved = reserve.tables.into_list();
        plan
    }

    /// Maps a frame at the single page `range`, if its table is there. Changes nothing and returns `None` if it is not
    /// as simple as that.
    fn populate_page(&self, range: ClosedRange, attributes: &Attributes, gather: &mut Gather<F, H>) -> Option<()> {
        let size = F::PAGE_BITS;
        if range.span() != size_mask(size) || !gather.follows(self) {
            return None;
        }
        let entries = self.missing_pages(range)?;
        let frame = self.hal.allocate(size)?;
        self.check_frame(0, frame, size).ok()?;
        self.zero(frame, size);
        let mapped = self.map_missing(entries, range, frame.as_usize() as u64, attributes, gather);
        if mapped.is_none() {
            // SAFETY: it was just allocated with this size.
            unsafe { self.hal.free(frame, size) };
        }
        mapped
    }

    /// Takes the frames for the part of `range` that this table translates.
    fn plan_populate(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, F, H>,
    ) -> Result<(), Error> {
        let level = entries.level();
        let mut left = Some(range);
        while let Some(rest) = left {
            let slot = Self::slot(level, rest.start());
            let part = ClosedRange::clamp(rest.start(), slot.last().min(rest.last()));
            let mut done = part;
            let index = Self::index(level, rest.start());
            let (raw, found) = self.visit(entries, index);
            match found {
                Found::Leaf if index.is_multiple_of(BLOCK) => {
                    // Leaves in a row take one look at many of them. Only where a block begins: among holes, it would
                    // be in vain for each leaf.
                    let others = self.entries_like(entries, raw, slots::<F>(level, entries.count(), rest));
                    let last = slot.last() + ((others.saturating_sub(1) as u64) << Self::entry_bits(level));
                    done = ClosedRange::clamp(rest.start(), last.min(range.last()));
                }
                Found::Leaf => {}
                Found::Table(entries) => ok!(self.plan_populate(entries, part, leaf, reserve)),
                Found::Absent => match ok!(self.take_frame(level, Some(entries), rest, leaf)) {
                    Some((frame, size)) => {
                        done = ClosedRange::block(rest.start(), size);
                        let beside = range
                            .after(done.last())
                            .and_then(|others| Some((self.table_beside(entries, others, reserve)?, others)));
                        let what = beside.as_ref().map_or(What::Frame, |(table, _)| What::Beside(table.address()));
                        let planned = Planned { entries, start: rest.start(), size, what };
                        reserve.planned.put(&self.hal, frame, planned);
                        if let Some((mut table, others)) = beside {
                            // The others need not wait for the commit to be zeroed.
                            reserve.first = Some((frame, size));
                            return self.fill_beside(entries, others, leaf, &mut table, reserve);
                        }
                    }
                    None => {
                        let below = level.checked_sub(1).ok_or(self.no_page())?;
                        reserve.first = None;
                        let tree = ok!(self.build_populated(below, part, leaf, reserve));
                        if let Some((frame, size)) = reserve.first {
                            let planned = Planned { entries, start: rest.start(), size, what: What::Tree(tree) };
                            reserve.planned.put(&self.hal, frame, planned);
                            reserve.has_trees = true;
                        }
                    }
                },
            }
            left = range.after(done.last());
        }
        Ok(())
    }

    /// An empty table beside this one, if it is worthwhile for the holes in `range`, and there is a frame for it.
    fn table_beside(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        reserve: &mut Reserve<'_, F, H>,
    ) -> Option<Fresh<F::Word>> {
        let is_large = range.span() >> F::PAGE_BITS >= BLOCK as u64;
        // The root may be larger than other tables.
        if entries.level() > 0 || !is_large || self.geometry.top() == 0 {
            return None;
        }
        let count = reserve.beside.as_mut()?;
        if reserve.tables.len() == 0 {
            self.reserve_table(&mut reserve.tables).ok()?;
        }
        let mut table = self.fresh(&mut reserve.tables)?;
        table.clear(self.format.empty(0));
        *count += 1;
        Some(table)
    }

    /// Puts in what was planned.
    fn commit_populate(&self, frame: HostPhysAddr, planned: Planned<F>, leaf: &Prototypes, tables: &mut Frames<'_, H>) {
        let Planned { entries, start, size, what } = planned;
        let level = entries.level();
        self.zero(frame, size);
        if let What::Tree(entry) = what {
            return entries.store(&self.hal, Self::index(level, start), entry);
        }
        self.store_leaves(entries, &self.leaf_of(level, ClosedRange::block(start, size), frame, leaf));
        if let What::Beside(table) = what {
            self.entries(level, table).copy_to(&self.hal, &entries, self.format.kinds(level));
            tables.put(table, self.start.table_bits);
        }
    }

    /// Gives back what was planned, and all frames for tables but `before`.
    fn undo_plan(&self, reserve: &mut Reserve<'_, F, H>, before: usize) {
        while let Some((frame, Planned { entries, size, what, .. })) = reserve.planned.take(&self.hal) {
            let level = entries.level();
            if let What::Tree(entry) = what {
                if let Found::Table(below) = self.found(level, entry) {
                    self.unbuild(below, true, &mut reserve.tables);
                }
                continue;
            }
            // SAFETY: it was allocated with this size, and nobody used it.
            unsafe { self.hal.free(frame, size) };
            if let What::Beside(table) = what {
                self.unbuild(self.entries(level, table), true, &mut reserve.tables);
            }
        }
        reserve.has_trees = false;
        reserve.tables.shrink(before);
    }
}
