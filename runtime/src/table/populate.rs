//! Mapping zeroed frames from the HAL wherever nothing is mapped.

use super::{
    Error, Gather, PageTable,
    build::Found,
    entries::Entries,
    layout::{Leaves, Prototypes, parts, size_mask, size_within},
    reserve::Frames,
};
use crate::{Attributes, ClosedRange, Format, Hal, HostPhysAddr, Level, Refusal};

/// What an operation took from the HAL, in the order in which the commit meets the places for it.
struct Reserve<'a, H: Hal> {
    tables: Frames<'a, H>,
    /// How many of the tables the commit will take.
    planned: usize,
    data: Frames<'a, H>,
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
        let (top, root) = (self.geometry.top(), self.root_entries());

        let reserved = core::mem::take(&mut self.reserved);
        let before = reserved.len();
        let tables = Frames::of(&self.hal, reserved);
        let mut reserve = Reserve { tables, planned: 0, data: Frames::new(&self.hal) };
        let plan = self.plan_populate(top, Some(&root), range, &leaf, &mut reserve);
        if plan.is_ok() {
            let leaf_only = reserve.planned == 0;
            gather.settle(range, !leaf_only);
            let done = self.commit_populate(top, &root, range, &leaf, &mut reserve);
            debug_assert!(done.is_some(), "the plan took too few frames");
            self.made(range, leaf_only, gather);
        }
        let mut rest = reserve.tables.into_list();
        rest.shrink(&self.hal, before);
        self.reserved = rest;
        plan
    }

    /// Takes the frames for the part of `range` that this table translates; `None` is a table that is still to be
    /// built.
    fn plan_populate(
        &self,
        level: Level,
        entries: Option<&Entries>,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, H>,
    ) -> Result<(), Error> {
        let mut next = Some(range.start());
        while let Some(rest) = next.and_then(|start| ClosedRange::new(start, range.last())) {
            let slot = self.geometry.slot(level, rest.start());
            let part = ClosedRange::clamp(rest.start(), slot.last().min(rest.last()));
            let mut done = part;
            match self.look(level, entries, rest.start()) {
                Found::Leaf => {}
                Found::Table { entries, level, .. } => {
                    self.plan_populate(level, Some(&entries), part, leaf, reserve)?;
                }
                Found::Absent => match self.take_frame(level, entries, rest, leaf, reserve)? {
                    Some(size) => done = ClosedRange::around(rest.start(), size),
                    None => match level.checked_sub(1) {
                        Some(below) => {
                            reserve.planned += 1;
                            if reserve.tables.len() < reserve.planned {
                                self.reserve_table(&mut reserve.tables)?;
                            }
                            self.plan_populate(below, None, part, leaf, reserve)?;
                        }
                        None => return Err(Error::NoMemory { size: self.geometry.page_bits }),
                    },
                },
            }
            next = done.last().checked_add(1);
        }
        Ok(())
    }

    /// Takes the largest frame for a leaf at `level` that fits at the start of `rest`, if there is one.
    fn take_frame(
        &self,
        level: Level,
        entries: Option<&Entries>,
        rest: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, H>,
    ) -> Result<Option<u8>, Error> {
        let mut sizes = leaf.sizes(&self.geometry, level);
        let aligned = rest.start().trailing_zeros().min(63) as u8;
        while let Some(size) = sizes.largest_within(aligned.min(size_within(rest.span()))) {
            sizes.0 &= !(1 << size);
            if !self.is_hole(level, entries, ClosedRange::around(rest.start(), size)) {
                continue;
            }
            if let Some(frame) = reserve.data.allocate(size) {
                let address = frame.as_usize() as u64;
                let refused = Error::Refused { level, refusal: Refusal::Address(address) };
                return self.output_fits(address, size_mask(size)).map(|()| Some(size)).map_err(|_| refused);
            }
        }
        Ok(None)
    }

    /// Whether nothing stands in the slots of `range`.
    fn is_hole(&self, level: Level, entries: Option<&Entries>, range: ClosedRange) -> bool {
        parts(&self.geometry, level, range)
            .all(|(_, part)| matches!(self.look(level, entries, part.start()), Found::Absent))
    }

    fn look(&self, level: Level, entries: Option<&Entries>, ia: u64) -> Found {
        match entries {
            Some(entries) => self.visit(level, entries, self.geometry.index(level, ia)).1,
            None => Found::Absent,
        }
    }

    /// Puts the frames in, in the order in which the plan took them. `None` only if there are too few.
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
                Found::Absent if reserve.data.next_size()? >= self.geometry.entry_bits(level) => {
                    let (frame, size) = reserve.data.take()?;
                    self.zero(frame, size);
                    done = ClosedRange::around(rest.start(), size);
                    let delta = (frame.as_usize() as u64).wrapping_sub(done.start());
                    let leaves = Leaves { range: done, prototype: leaf.get(level, size), delta };
                    for (index, strip) in leaves.strips(&self.format, &self.geometry) {
                        entries.store_strip(&self.hal, index, strip);
                    }
                }
                Found::Absent => {
                    let below = level.checked_sub(1)?;
                    let table = self.build_empty(below, &mut reserve.tables)?;
                    self.commit_populate(below, &self.entries(below, table), part, leaf, reserve)?;
                    entries.store(&self.hal, index, self.link_entry(level, table).ok()?);
                }
            }
            next = done.last().checked_add(1);
        }
        Some(())
    }

    fn zero(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: the frame was allocated with this size and is not mapped yet.
        unsafe { self.hal.zero_frame(frame, size) };
        self.hal.prepare_frame(frame, size);
    }
}
