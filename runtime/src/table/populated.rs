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
            let mut last = done.last();
            if level == 0 {
                // No larger leaf can start before the next multiple of the smallest one's size.
                last = (last | size_mask(self.least_run(leaf))).min(range.last());
                ok!(self.fill_pages(*filled..Self::index_below(0, last) + 1, None, leaf, table, filled));
            }
            left = range.after(last);
        }
        Ok(())
    }

    /// Fills `table`, which is empty, with frames wherever the table of pages `live` has nothing in `range`.
    pub(super) fn fill_beside(
        &self,
        live: Entries<F::Word>,
        range: ClosedRange,
        leaf: &Prototypes,
        table: &mut Fresh<F::Word>,
        reserve: &mut Reserve<'_, F, H>,
    ) -> Result<(), Error> {
        let table_start = Self::span(0, range.start()).start();
        let Range { start: mut index, end } = slots::<F>(0, live.count(), range);
        while index < end {
            let runs = if F::HAS_RUNS { self.holes_for_runs(live, index..end, leaf) } else { end..end };
            ok!(self.fill_pages(index..runs.start, Some(live), leaf, table, &mut index));
            if !runs.is_empty() {
                let page = |index| ClosedRange::block(table_start | (index as u64) << F::PAGE_BITS, F::PAGE_BITS);
                let stretch = page(runs.start).hull(&page(runs.end - 1));
                ok!(self.fill_populated(0, stretch, leaf, table, &mut index, reserve));
            }
        }
        Ok(())
    }

    /// The first stretch of `indices` in a table of pages where whole runs fit into holes; an empty one at the end if
    /// there is none.
    fn holes_for_runs(&self, live: Entries<F::Word>, indices: Range<usize>, leaf: &Prototypes) -> Range<usize> {
        let (end, items) = (indices.end, 1 << (self.least_run(leaf) - F::PAGE_BITS));
        let fits = |&run: &usize| run + items <= end && self.is_hole(live, run..run + items);
        let mut runs = (indices.start.next_multiple_of(items)..end).step_by(items);
        let start = runs.find(fits).unwrap_or(end);
        start..runs.find(|run| !fits(run)).unwrap_or(end)
    }

    /// log2 of the size of the smallest run of pages, or 63 if there are no runs.
    fn least_run(&self, leaf: &Prototypes) -> u8 {
        if !F::HAS_RUNS {
            return 63;
        }
        let larger = leaf.sizes(&self.geometry, 0).0 & !(1 << F::PAGE_BITS);
        (larger | 1 << 63).trailing_zeros() as u8
    }

    /// Fills `table` with pages at `indices`, where `live`, if there is such a table, has nothing, and counts in `filled`
    /// how far it came.
    fn fill_pages(
        &self,
        indices: Range<usize>,
        live: Option<Entries<F::Word>>,
        leaf: &Prototypes,
        table: &mut Fresh<F::Word>,
        filled: &mut usize,
    ) -> Result<(), Error> {
        let (page, end) = (leaf.get(0, F::PAGE_BITS), indices.end);
        let (done, refused) = match live {
            Some(live) => {
                let kinds = self.format.kinds(0);
                self.fill_with_frames(page, table, indices, |index| kinds.is_absent(live.load(index)))
            }
            None => self.fill_with_frames(page, table, indices, |_| true),
        };
        *filled = done;
        match refused {
            Some(frame) => self.check_frame(0, frame, page.size),
            None if done < end => Err(self.no_page()),
            None => Ok(()),
        }
    }

    /// Writes leaves like `page`, each with a frame of its own, at those of `indices` that are `wanted`, as long as there
    /// are frames. Returns the index that it reached, and the frame that was beyond what an entry can hold, if there was
    /// one. It is a loop of its own because most frames are taken here.
    #[inline(never)]
    fn fill_with_frames(
        &self,
        page: Prototype,
        table: &mut Fresh<F::Word>,
        indices: Range<usize>,
        wanted: impl Fn(usize) -> bool,
    ) -> (usize, Option<HostPhysAddr>) {
        let limit = self.geometry.last_output() - size_mask(page.size);
        // Of a copy, which no write can change, everything is read once.
        let (format, page) = (self.format, Prototype { level: 0, ..page });
        let mut refused = None;
        let done = table.write_while(indices, wanted, || {
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
