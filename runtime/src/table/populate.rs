//! Mapping zeroed frames from the HAL wherever nothing is mapped.
//!
//! Where a table is missing, the plan builds it with all that goes below it: the frames are nowhere but in its entries.
//! Until the commit links it, it is unknown to all others, and can be taken apart again.

use super::{
    Error, Gather, PageTable,
    build::Found,
    entries::Entries,
    frames::{Frames, List},
    layout::{Prototypes, size_mask, size_within},
};
use crate::{Attributes, ClosedRange, Format, Hal, HostPhysAddr, Level};

/// What is to stand in an entry that stands for nothing yet. It waits in a list of frames that are not zeroed yet.
#[derive(Clone, Copy, Debug)]
enum Planned {
    /// This frame, of `1 << size` bytes.
    Frame { size: u8 },
    /// A subtree, of whose frames this is one.
    Tree { level: Level, table: HostPhysAddr, size: u8 },
}

/// What a plan took from the HAL.
pub(super) struct Reserve<'a, H: Hal> {
    pub(super) tables: Frames<'a, H>,
    /// In the order in which the commit meets the places for it.
    planned: List<Planned>,
    /// Whether there is a subtree among it.
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
            let done = self.commit_populate(entries, range, &leaf, &mut reserve);
            debug_assert!(done.is_some(), "the plan took too few frames");
            self.made(range, !reserve.has_trees, gather);
        }
        while let Some((frame, planned)) = reserve.planned.take(&self.hal) {
            match planned {
                // SAFETY: it was allocated with this size, and nobody used it.
                Planned::Frame { size } => unsafe { self.hal.free(frame, size) },
                Planned::Tree { level, table, .. } => {
                    self.unbuild(self.entries(level, table), true, &mut reserve.tables)
                }
            }
        }
        let mut rest = reserve.tables.into_list();
        rest.shrink(&self.hal, before);
        self.reserved = rest;
        plan
    }

    /// Maps a frame at the page that `range` is, where its table is there. `None`, and nothing has changed, if it is not as
    /// simple as that.
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
        entries: Entries<F::Order>,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, H>,
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
                        reserve.planned.put(&self.hal, frame, Planned::Frame { size });
                        done = ClosedRange::around(rest.start(), size);
                    }
                    None => {
                        let below = level.checked_sub(1).ok_or(self.no_page())?;
                        reserve.first = None;
                        let table = ok!(self.build_populated(below, part, leaf, reserve));
                        if let Some((frame, size)) = reserve.first {
                            reserve.planned.put(&self.hal, frame, Planned::Tree { level: below, table, size });
                            reserve.has_trees = true;
                        }
                    }
                },
            }
            left = range.after(done.last());
        }
        Ok(())
    }

    /// Puts in what the plan took. `None` only if that is too little.
    fn commit_populate(
        &self,
        entries: Entries<F::Order>,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, H>,
    ) -> Option<()> {
        let level = entries.level();
        let mut left = Some(range);
        while let Some(rest) = left {
            let index = Self::index(level, rest.start());
            let slot = Self::slot(level, rest.start());
            let part = ClosedRange::clamp(rest.start(), slot.last().min(rest.last()));
            let mut done = part;
            match self.visit(entries, index).1 {
                Found::Leaf => {}
                Found::Table(entries) => self.commit_populate(entries, part, leaf, reserve)?,
                Found::Absent => match reserve.planned.take(&self.hal)? {
                    (frame, Planned::Frame { size }) => {
                        self.zero(frame, size);
                        done = ClosedRange::around(rest.start(), size);
                        let leaves = self.leaf_of(level, done, frame, leaf);
                        for (index, strip) in leaves.strips(&self.format, entries.count()) {
                            entries.store_strip(&self.hal, index, strip);
                        }
                    }
                    (frame, Planned::Tree { table, size, .. }) => {
                        self.zero(frame, size);
                        entries.store(&self.hal, index, self.link_entry(level, table).ok()?);
                    }
                },
            }
            left = range.after(done.last());
        }
        Some(())
    }
}
