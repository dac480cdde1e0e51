//! Mapping zeroed frames from the HAL wherever nothing is mapped.
//!
//! Where a table is missing, the plan builds it with everything below it: the frames that it takes are only in its
//! entries. Until the commit links it, nobody else knows it, and it can be taken apart again.

use super::{
    Error, Gather, PageTable,
    build::Found,
    entries::{Entries, EntriesOf},
    frames::{Frames, List},
    layout::{Prototypes, size_mask, size_within},
};
use crate::{Attributes, ClosedRange, Format, Hal, HostPhysAddr};

/// What the commit will put over an absent entry. It is the note of a frame of `1 << size` bytes, which is not zeroed
/// yet, in a list of frames.
#[derive(Clone, Copy)]
struct Planned<F: Format> {
    /// The table, and the address from which on it goes there.
    entries: EntriesOf<F>,
    start: u64,
    size: u8,
    /// The entry for the subtree that the frame is in; `None` to map the frame itself.
    tree: Option<u64>,
}

/// The frames that a plan took from the HAL.
pub(super) struct Reserve<'a, F: Format, H: Hal> {
    pub(super) tables: Frames<'a, H>,
    planned: List<Planned<F>>,
    /// Whether some of them are in subtrees.
    has_trees: bool,
    /// The first frame of the subtree that is being built.
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
        let mut reserve = Reserve { tables, planned: List::default(), has_trees: false, first: None };
        let plan = self.plan_populate(entries, range, &leaf, &mut reserve);
        if plan.is_ok() {
            gather.settle(range, reserve.has_trees);
        }
        while let Some((frame, planned)) = reserve.planned.take(&self.hal) {
            if plan.is_ok() {
                self.commit_populate(frame, planned, &leaf);
            } else if let Some(entry) = planned.tree {
                if let Found::Table(below) = self.found(planned.entries.level(), entry) {
                    self.unbuild(below, true, &mut reserve.tables);
                }
            } else {
                // SAFETY: it was allocated with this size, and nobody used it.
                unsafe { self.hal.free(frame, planned.size) };
            }
        }
        if plan.is_ok() {
            self.made(range, !reserve.has_trees, gather);
        }
        let mut rest = reserve.tables.into_list();
        rest.shrink(&self.hal, before);
        self.reserved = rest;
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
            match self.visit(entries, Self::index(level, rest.start())).1 {
                Found::Leaf => {}
                Found::Table(entries) => ok!(self.plan_populate(entries, part, leaf, reserve)),
                Found::Absent => match ok!(self.take_frame(level, Some(entries), rest, leaf)) {
                    Some((frame, size)) => {
                        reserve.planned.put(
                            &self.hal,
                            frame,
                            Planned { entries, start: rest.start(), size, tree: None },
                        );
                        done = ClosedRange::block(rest.start(), size);
                    }
                    None => {
                        let below = level.checked_sub(1).ok_or(self.no_page())?;
                        reserve.first = None;
                        let tree = ok!(self.build_populated(below, part, leaf, reserve));
                        if let Some((frame, size)) = reserve.first {
                            let planned = Planned { entries, start: rest.start(), size, tree: Some(tree) };
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

    /// Puts in what was planned.
    fn commit_populate(&self, frame: HostPhysAddr, planned: Planned<F>, leaf: &Prototypes) {
        let Planned { entries, start, size, tree } = planned;
        let level = entries.level();
        self.zero(frame, size);
        match tree {
            Some(entry) => entries.store(&self.hal, Self::index(level, start), entry),
            None => self.store_leaves(entries, &self.leaf_of(level, ClosedRange::block(start, size), frame, leaf)),
        }
    }
}
