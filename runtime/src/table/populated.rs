//! Subtrees in which every page has a frame of its own, complete before anybody can see them.

use core::ops::Range;

use super::{
    Error, PageTable,
    entries::{Entries, Fresh},
    layout::{Leaves, Prototypes, size_mask, size_within},
    populate::Reserve,
    slots::slots,
};
use crate::{ClosedRange, Format, Hal, HostPhysAddr, Level, Prototype, Refusal};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Builds the table at `level` that translates `range`, with frames at all of `range`, and returns the entry that
    /// leads to it.
    pub(super) fn build_populated(
        &self,
        level: Level,
        range: ClosedRange,
        leaf: &Prototypes,
        reserve: &mut Reserve<'_, F, H>,
    ) -> Result<u64, Error> {
        if reserve.tables.len() == 0 {
            ok!(self.reserve_table(&mut reserve.tables));
        }
        let mut table = self.fresh(&mut reserve.tables).ok_or(self.no_page())?;
        let first = Self::index_below(level, range.start());
        table.fill(0, self.empty_strip(level, first));
        let mut filled = first;
        let result = self.fill_populated(level, range, leaf, &mut table, &mut filled, reserve);
        table.fill(filled, self.empty_strip(level, Self::count(level) - filled));
        let table = table.publish(&self.hal);
        let linked = result.and_then(|()| self.link_entry(level + 1, table));
        if linked.is_err() {
            self.unbuild(self.entries(level, table), true, &mut reserve.tables);
        }
        linked
    }

    /// Fills `table` with frames at all of `range`, and counts in `filled` how far it came.
    fn fill_populated(
        &self,
        level: Level,
        range: ClosedRange,
        leaf: &Prototypes,
        table: &mut Fresh<F::Word>,
        filled: &mut usize,
        reserve: &mut Reserve<'_, F, H>,
    ) -> Result<(), Error> {
        let mut left = Some(range);
        while let Some(rest) = left {
            let done = match ok!(self.take_frame(level, None, rest, leaf)) {
                Some((frame, size)) => {
                    match reserve.first {
                        Some(_) => self.zero(frame, size),
                        None => reserve.first = Some((frame, size)),
                    }
                    let done = ClosedRange::block(rest.start(), size);
                    self.fill_leaves(table, &self.leaf_of(level, done, frame, leaf));
                    *filled = Self::index_below(level, done.last()) + 1;
                    done
                }
                None => {
                    let below = level.checked_sub(1).ok_or(self.no_page())?;
                    let slot = Self::slot(level, rest.start());
                    let part = ClosedRange::clamp(rest.start(), slot.last().min(rest.last()));
                    table.write(*filled, ok!(self.build_populated(below, part, leaf, reserve)));
                    *filled += 1;
                    part
                }
            };
            left = range.after(done.last());
            if level == 0 && leaf.sizes(&self.geometry, 0).0 == 1 << F::PAGE_BITS {
                return self.fill_pages(left, leaf, table, filled);
            }
        }
        Ok(())
    }

    /// As [`Self::fill_populated`], for the rest of a table of pages, in which no larger leaf may be used.
    fn fill_pages(
        &self,
        rest: Option<ClosedRange>,
        leaf: &Prototypes,
        table: &mut Fresh<F::Word>,
        filled: &mut usize,
    ) -> Result<(), Error> {
        let Some(rest) = rest else { return Ok(()) };
        let (page, end) = (leaf.get(0, F::PAGE_BITS), Self::index_below(0, rest.last()) + 1);
        let (done, refused) = self.fill_with_frames(page, table, *filled..end);
        *filled = done;
        match refused {
            Some(frame) => self.check_frame(0, frame, page.size),
            None if done < end => Err(self.no_page()),
            None => Ok(()),
        }
    }

    /// Writes leaves like `page`, each with a frame of its own, as long as there are frames. Returns the index that it
    /// reached, and the frame that was beyond what an entry can hold, if there was one. It is a loop of its own because
    /// most frames are taken here.
    #[inline(never)]
    fn fill_with_frames(
        &self,
        page: Prototype,
        table: &mut Fresh<F::Word>,
        indices: Range<usize>,
    ) -> (usize, Option<HostPhysAddr>) {
        let limit = self.geometry.last_output() - size_mask(page.size);
        // Of a copy, which no write can change, everything is read once.
        let (format, page) = (self.format, Prototype { level: 0, ..page });
        let mut refused = None;
        let done = table.write_while(indices, || {
            let frame = self.hal.allocate(page.size)?;
            let address = frame.as_usize() as u64;
            if address > limit {
                refused = Some(frame);
                return None;
            }
            self.zero(frame, page.size);
            Some(format.strip(page, address, 1).first)
        });
        (done, refused)
    }

    /// Takes the largest frame for a leaf at `level` that fits at the start of `rest`, if there is one.
    pub(super) fn take_frame(
        &self,
        level: Level,
        entries: Option<Entries<F::Word>>,
        rest: ClosedRange,
        leaf: &Prototypes,
    ) -> Result<Option<(HostPhysAddr, u8)>, Error> {
        let mut sizes = leaf.sizes(&self.geometry, level);
        let aligned = rest.start().trailing_zeros().min(63) as u8;
        while let Some(size) = sizes.largest_within(aligned.min(size_within(rest.span()))) {
            sizes.0 &= !(1 << size);
            let range = ClosedRange::block(rest.start(), size);
            let is_hole = |entries: Entries<F::Word>| self.is_hole(entries, slots::<F>(level, entries.count(), range));
            if !entries.is_none_or(is_hole) {
                continue;
            }
            if let Some(frame) = self.hal.allocate(size) {
                return self.check_frame(level, frame, size).map(|()| Some((frame, size)));
            }
        }
        Ok(None)
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

    /// The leaf that maps `range` to a frame as large.
    pub(super) fn leaf_of(&self, level: Level, range: ClosedRange, frame: HostPhysAddr, leaf: &Prototypes) -> Leaves {
        let delta = (frame.as_usize() as u64).wrapping_sub(range.start());
        Leaves { range, prototype: leaf.get(level, size_within(range.span())), delta }
    }

    #[inline]
    pub(super) fn zero(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: the frame was allocated with this size and is not mapped yet.
        unsafe { self.hal.zero_frame(frame, size) };
        self.hal.prepare_frame(frame, size);
    }

    pub(super) fn no_page(&self) -> Error {
        Error::NoMemory { size: F::PAGE_BITS }
    }
}
