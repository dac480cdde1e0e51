//! Mapping zeroed frames from the HAL wherever nothing is mapped.
//!
//! Where a table is missing, the plan builds it with all that goes below it: the frames are nowhere but in its entries.
//! Until the commit links it, it is unknown to all others, and can be taken apart again.

use core::ops::Range;

use super::{
    Error, Gather, PageTable,
    build::Found,
    entries::{Entries, Fresh},
    layout::{Leaves, Prototypes, parts, size_mask, size_within},
    reserve::{Frames, List},
};
use crate::{Attributes, ClosedRange, Format, Hal, HostPhysAddr, Level, Prototype, Refusal};

/// What is to stand in an entry that stands for nothing yet. It waits in a list of frames that are not zeroed yet.
#[derive(Clone, Copy, Debug)]
enum Planned {
    /// This frame, of `1 << size` bytes.
    Frame { size: u8 },
    /// A subtree, of whose frames this is one.
    Tree { level: Level, table: HostPhysAddr, size: u8 },
}

/// What a plan took from the HAL.
struct Reserve<'a, H: Hal> {
    tables: Frames<'a, H>,
    /// In the order in which the commit meets the places for it.
    planned: List<Planned>,
    /// Whether there is a subtree among it.
    has_trees: bool,
    /// The first frame of the subtree that is being built.
    first: Option<(HostPhysAddr, u8)>,
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
        let range = self.exclusive(range, gather)?;
        let page = self.geometry.page_bits;
        let largest = if self.hal.frees_parts() { largest.clamp(page, 63) } else { page };
        let leaf = Prototypes::new(&self.format, attributes, largest.min(size_within(range.span())))?;
        let (level, entries) = self.table_around(range);

        let reserved = core::mem::take(&mut self.reserved);
        let before = reserved.len();
        let tables = Frames::of(&self.hal, reserved);
        let mut reserve = Reserve { tables, planned: List::default(), has_trees: false, first: None };
        let plan = self.plan_populate(level, &entries, range, &leaf, &mut reserve);
        if plan.is_ok() {
            gather.settle(range, reserve.has_trees);
            let done = self.commit_populate(level, &entries, range, &leaf, &mut reserve);
            debug_assert!(done.is_some(), "the plan took too few frames");
            self.made(range, !reserve.has_trees, gather);
        }
        while let Some((frame, planned)) = reserve.planned.take(&self.hal) {
            match planned {
                // SAFETY: it was allocated with this size, and nobody used it.
                Planned::Frame { size } => unsafe { self.hal.free(frame, size) },
                Planned::Tree { level, table, .. } => self.unbuild(level, table, true, &mut reserve.tables),
            }
        }
        let mut rest = reserve.tables.into_list();
        rest.shrink(&self.hal, before);
        self.reserved = rest;
        plan
    }

    /// Takes the frames for the part of `range` that this table translates.
    fn plan_populate(
        &self,
        level: Level,
        entries: &Entries,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, H>,
    ) -> Result<(), Error> {
        let mut next = Some(range.start());
        while let Some(rest) = next.and_then(|start| ClosedRange::new(start, range.last())) {
            let slot = self.geometry.slot(level, rest.start());
            let part = ClosedRange::clamp(rest.start(), slot.last().min(rest.last()));
            let mut done = part;
            match self.visit(level, entries, self.geometry.index(level, rest.start())).1 {
                Found::Leaf => {}
                Found::Table { entries, level, .. } => self.plan_populate(level, &entries, part, leaf, reserve)?,
                Found::Absent => match self.take_frame(level, Some(entries), rest, leaf)? {
                    Some((frame, size)) => {
                        reserve.planned.put(&self.hal, frame, Planned::Frame { size });
                        done = ClosedRange::around(rest.start(), size);
                    }
                    None => {
                        let below = level.checked_sub(1).ok_or(self.no_page())?;
                        reserve.first = None;
                        let table = self.build_populated(below, part, leaf, reserve)?;
                        if let Some((frame, size)) = reserve.first {
                            reserve.planned.put(&self.hal, frame, Planned::Tree { level: below, table, size });
                            reserve.has_trees = true;
                        }
                    }
                },
            }
            next = done.last().checked_add(1);
        }
        Ok(())
    }

    /// Builds the table at `level` that translates `range`, with frames at all of `range`.
    fn build_populated(
        &self,
        level: Level,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, H>,
    ) -> Result<HostPhysAddr, Error> {
        if reserve.tables.len() == 0 {
            self.reserve_table(&mut reserve.tables)?;
        }
        let mut table = self.fresh(&mut reserve.tables).ok_or(self.no_page())?;
        let first = self.geometry.index(level, range.start());
        table.fill(0, self.empty_strip(level, first));
        let mut filled = first;
        let result = self.fill_populated(level, range, leaf, &mut table, &mut filled, reserve);
        table.fill(filled, self.empty_strip(level, self.geometry.entries(level) - filled));
        let table = table.publish(&self.hal);
        if let Err(error) = result {
            self.unbuild(level, table, true, &mut reserve.tables);
            return Err(error);
        }
        Ok(table)
    }

    /// Fills `table` with frames at all of `range`; `filled`: the entries up to there are.
    fn fill_populated(
        &self,
        level: Level,
        range: ClosedRange,
        leaf: &Prototypes,
        table: &mut Fresh,
        filled: &mut usize,
        reserve: &mut Reserve<'_, H>,
    ) -> Result<(), Error> {
        let mut next = Some(range.start());
        while let Some(rest) = next.and_then(|start| ClosedRange::new(start, range.last())) {
            let done = match self.take_frame(level, None, rest, leaf)? {
                Some((frame, size)) => {
                    match reserve.first {
                        Some(_) => self.zero(frame, size),
                        None => reserve.first = Some((frame, size)),
                    }
                    let done = ClosedRange::around(rest.start(), size);
                    for (index, strip) in self.leaf_of(level, done, frame, leaf).strips(&self.format, &self.geometry) {
                        table.fill(index, strip);
                    }
                    *filled = self.geometry.index(level, done.last()) + 1;
                    done
                }
                None => {
                    let below = level.checked_sub(1).ok_or(self.no_page())?;
                    let slot = self.geometry.slot(level, rest.start());
                    let part = ClosedRange::clamp(rest.start(), slot.last().min(rest.last()));
                    let lower = self.build_populated(below, part, leaf, reserve)?;
                    match self.link_entry(level, lower) {
                        Ok(entry) => table.write(*filled, entry),
                        Err(error) => {
                            self.unbuild(below, lower, true, &mut reserve.tables);
                            return Err(error);
                        }
                    }
                    *filled += 1;
                    part
                }
            };
            next = done.last().checked_add(1);
            if level == 0 && leaf.sizes(&self.geometry, 0).0 == 1 << self.geometry.page_bits {
                return self.fill_pages(next, range.last(), leaf, table, filled);
            }
        }
        Ok(())
    }

    /// The same for the rest of a table of pages, from `next` on, of which no larger leaf may be made.
    fn fill_pages(
        &self,
        next: Option<u64>,
        last: u64,
        leaf: &Prototypes,
        table: &mut Fresh,
        filled: &mut usize,
    ) -> Result<(), Error> {
        let size = F::PAGE_BITS;
        let Some(rest) = next.and_then(|next| ClosedRange::new(next, last)) else { return Ok(()) };
        let end = self.geometry.index(0, rest.last()) + 1;
        let (done, refused) = self.fill_with_frames(leaf.get(0, size), table, *filled..end);
        *filled = done;
        match refused {
            Some(frame) => self.check_frame(0, frame, size),
            None if done < end => Err(self.no_page()),
            None => Ok(()),
        }
    }

    /// Writes leaves like `page`, each with a frame of its own, as long as there are frames: up to which index, and the
    /// frame that is beyond what an entry can hold, if one was. A loop of its own, as most frames are taken here.
    #[inline(never)]
    fn fill_with_frames(
        &self,
        page: Prototype,
        table: &mut Fresh,
        indices: Range<usize>,
    ) -> (usize, Option<HostPhysAddr>) {
        let limit = self.geometry.last_output() - size_mask(page.size);
        let mut index = indices.start;
        while index < indices.end
            && let Some(frame) = self.hal.allocate(page.size)
        {
            let address = frame.as_usize() as u64;
            if address > limit {
                return (index, Some(frame));
            }
            self.zero(frame, page.size);
            table.write(index, self.format.strip(page, address, 1).first);
            index += 1;
        }
        (index, None)
    }

    /// Takes the largest frame for a leaf at `level` that fits at the start of `rest`, if there is one.
    fn take_frame(
        &self,
        level: Level,
        entries: Option<&Entries>,
        rest: ClosedRange,
        leaf: &Prototypes,
    ) -> Result<Option<(HostPhysAddr, u8)>, Error> {
        let mut sizes = leaf.sizes(&self.geometry, level);
        let aligned = rest.start().trailing_zeros().min(63) as u8;
        while let Some(size) = sizes.largest_within(aligned.min(size_within(rest.span()))) {
            sizes.0 &= !(1 << size);
            let range = ClosedRange::around(rest.start(), size);
            if entries.is_some_and(|entries| !self.is_hole(level, entries, range)) {
                continue;
            }
            if let Some(frame) = self.hal.allocate(size) {
                return self.check_frame(level, frame, size).map(|()| Some((frame, size)));
            }
        }
        Ok(None)
    }

    /// Whether nothing stands in the slots of `range`.
    fn is_hole(&self, level: Level, entries: &Entries, range: ClosedRange) -> bool {
        parts(&self.geometry, level, range)
            .all(|(index, _)| matches!(self.visit(level, entries, index).1, Found::Absent))
    }

    /// Gives a frame that was just allocated back if it is beyond what an entry can hold.
    pub(super) fn check_frame(&self, level: Level, frame: HostPhysAddr, size: u8) -> Result<(), Error> {
        let address = frame.as_usize() as u64;
        if self.output_fits(address, size_mask(size)).is_ok() {
            return Ok(());
        }
        // SAFETY: it was just allocated with this size.
        unsafe { self.hal.free(frame, size) };
        Err(Error::Refused { level, refusal: Refusal::Address(address) })
    }

    /// Puts in what the plan took. `None` only if that is too little.
    fn commit_populate(
        &self,
        level: Level,
        entries: &Entries,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, H>,
    ) -> Option<()> {
        let mut next = Some(range.start());
        while let Some(rest) = next.and_then(|start| ClosedRange::new(start, range.last())) {
            let index = self.geometry.index(level, rest.start());
            let slot = self.geometry.slot(level, rest.start());
            let part = ClosedRange::clamp(rest.start(), slot.last().min(rest.last()));
            let mut done = part;
            match self.visit(level, entries, index).1 {
                Found::Leaf => {}
                Found::Table { entries, level, .. } => self.commit_populate(level, &entries, part, leaf, reserve)?,
                Found::Absent => match reserve.planned.take(&self.hal)? {
                    (frame, Planned::Frame { size }) => {
                        self.zero(frame, size);
                        done = ClosedRange::around(rest.start(), size);
                        let leaves = self.leaf_of(level, done, frame, leaf);
                        for (index, strip) in leaves.strips(&self.format, &self.geometry) {
                            entries.store_strip(&self.hal, index, strip);
                        }
                    }
                    (frame, Planned::Tree { table, size, .. }) => {
                        self.zero(frame, size);
                        entries.store(&self.hal, index, self.link_entry(level, table).ok()?);
                    }
                },
            }
            next = done.last().checked_add(1);
        }
        Some(())
    }

    /// The leaf that maps `range` to a frame as large.
    fn leaf_of(&self, level: Level, range: ClosedRange, frame: HostPhysAddr, leaf: &Prototypes) -> Leaves {
        let delta = (frame.as_usize() as u64).wrapping_sub(range.start());
        Leaves { range, prototype: leaf.get(level, size_within(range.span())), delta }
    }

    #[inline]
    fn zero(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: the frame was allocated with this size and is not mapped yet.
        unsafe { self.hal.zero_frame(frame, size) };
        self.hal.prepare_frame(frame, size);
    }

    fn no_page(&self) -> Error {
        Error::NoMemory { size: self.geometry.page_bits }
    }
}
