//! Operations on both the table and the model, while hardware uses the table.

use tablewright::{Attributes, Change, ClosedRange, Error, Format, PageBitmap, Region, Rights, State};

use super::{Rig, walk::keeps_dirty};

impl<F: Format> Rig<F> {
    /// Maps on the table and in the model; returns what the table said.
    pub(crate) fn map(&mut self, range: ClosedRange, oa: u64, attributes: Attributes) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.gather();
        // SAFETY: nobody accesses memory through this table.
        let result = unsafe { self.table.map(range, oa, &attributes, &mut gather) };
        let conflict = self.model.intersecting(range).next();
        match (result, conflict) {
            (Ok(()), None) => self.model.insert(Region { range, address: oa, attributes }),
            (Err(Error::AlreadyMapped { address, .. }), Some(region)) => assert_eq!(address, region.range.start()),
            (Err(_), None) => {}
            (result, conflict) => panic!("mapping {range:x?}: {result:?}, but the model says {conflict:x?}"),
        }
        self.finish(gather);
        result
    }

    pub(crate) fn unmap(&mut self, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.gather();
        let result = self.table.unmap(range, &mut gather);
        if result.is_ok() {
            self.model.remove(range);
            self.touched.retain(|(ia, _)| !range.contains(*ia));
        }
        self.finish(gather);
        result
    }

    pub(crate) fn protect(&mut self, range: ClosedRange, change: Change) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.gather();
        let result = self.table.protect(range, &change, &mut gather);
        if result.is_ok() {
            self.model.protect(range, &change);
            if !keeps_dirty(self.table.format(), &change) {
                self.touched.iter_mut().filter(|(ia, _)| range.contains(*ia)).for_each(|(_, dirty)| *dirty = false);
            }
        }
        self.finish(gather);
        result
    }

    /// Lets the leaf at `ia`, if it is no run, map to another address and say something else.
    pub(crate) fn remap(&mut self, ia: u64, oa: u64, attributes: Attributes) -> Result<bool, Error> {
        let page = ClosedRange::around(ia, F::PAGE_BITS);
        self.touch(page);
        let leaf = self.table.mappings(page).next();
        let oa = leaf.map_or(oa, |leaf| ClosedRange::around(oa, leaf.size).start());
        let mut gather = self.gather();
        // SAFETY: nobody accesses memory through this table.
        let result = unsafe { self.table.remap(ia, oa, &attributes, &mut gather) };
        if let (Ok(true), Some(leaf)) = (result, leaf) {
            self.model.remove(leaf.range);
            self.model.insert(Region { range: leaf.range, address: oa, attributes });
            self.touched.retain(|(ia, _)| !leaf.range.contains(*ia));
        }
        self.finish(gather);
        result
    }

    /// Harvests twice: the second time there is nothing left.
    pub(crate) fn harvest(&mut self, state: State, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let words = PageBitmap::words(range, F::PAGE_BITS);
        let (mut first, mut second) = (vec![0; words], vec![0; words]);
        let mut pages = PageBitmap::new(range, F::PAGE_BITS, &mut first).unwrap();
        let mut gather = self.gather();
        let result = self.table.harvest_exclusive(state, &mut pages, &mut gather);
        if result.is_ok() {
            for &(ia, dirty) in self.touched.iter().filter(|(ia, _)| range.contains(*ia)) {
                assert!(pages.contains(ia) || state == State::Dirty && !dirty, "a state was lost at {ia:#x}");
            }
            match state {
                State::Accessed => self.touched.retain(|(ia, _)| !range.contains(*ia)),
                State::Dirty => {
                    self.touched.iter_mut().filter(|(ia, _)| range.contains(*ia)).for_each(|(_, dirty)| *dirty = false);
                }
            }
            if state == State::Dirty && self.table.format().accessed_dirty(0).dirty_mask == 0 {
                for region in self.model.intersecting(range).collect::<Vec<_>>() {
                    let written = region.attributes.rights.intersects(Rights::W);
                    assert!(pages.contains(region.range.start()) == written, "{region:x?}");
                    let rights = Some(region.attributes.rights - Rights::W);
                    self.model.protect(region.range, &Change { rights, ..Change::default() });
                }
            }
            let mut again = PageBitmap::new(range, F::PAGE_BITS, &mut second).unwrap();
            self.table.harvest(state, &mut again, &mut gather).expect("no leaf reaches beyond the range any more");
            assert!(again.is_empty(), "not cleared: {again:x?}");
        }
        self.finish(gather);
        result
    }

    /// Moves on the table and in the model; returns what the table said.
    pub(crate) fn move_range(&mut self, range: ClosedRange, to: u64) -> Result<(), Error> {
        let target = ClosedRange::from_start_size(to, range.span() + 1).expect("it does not wrap around");
        self.touch(range);
        self.touch(target);
        let moved: Vec<Region> = self.model.intersecting(range).collect();
        let leaves = self.table.mappings(range).count();
        let mut gather = self.gather();
        let result = self.table.move_range(range, to, &mut gather);
        assert!(gather.is_empty() || self.together && result.is_err(), "the memory is still at its former place");
        let conflict = self.model.intersecting(target).next();
        match (result, range.intersection(&target), conflict) {
            (Ok(()), None, None) => {
                let there = |address: u64| address - range.start() + to;
                self.model.remove(range);
                for region in moved {
                    let range = ClosedRange::new(there(region.range.start()), there(region.range.last())).unwrap();
                    self.model.insert(Region { range, ..region });
                }
                self.touched.iter_mut().filter(|(ia, _)| range.contains(*ia)).for_each(|(ia, _)| *ia = there(*ia));
                assert!(self.table.mappings(target).count() >= leaves, "leaves became larger");
            }
            (Err(Error::Overlap(found)), Some(both), _) => assert_eq!(found, both),
            (Err(Error::AlreadyMapped { address, .. }), None, Some(region)) => {
                assert_eq!(address, region.range.start());
            }
            (Err(_), None, None) => {}
            other => panic!("moving {range:x?} to {to:#x}: {other:?}"),
        }
        self.finish(gather);
        result
    }

    /// Splits; nothing that is larger is left, and nothing else changed.
    pub(crate) fn split_to(&mut self, range: ClosedRange, size: u8) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.gather();
        let result = self.table.split_to(range, size, &mut gather);
        if result.is_ok() {
            let limit = size.max(F::PAGE_BITS);
            assert!(self.table.mappings(range).all(|leaf| range.covers(&leaf.range) && leaf.size <= limit));
        }
        self.finish(gather);
        result
    }

    /// Collapses; nothing that is mapped changes.
    pub(crate) fn collapse(&mut self, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let before = self.table.tables().count();
        let mut gather = self.gather();
        // SAFETY: callers use this where only `map` mapped.
        let result = unsafe { self.table.collapse(range, u8::MAX, &mut gather) };
        self.finish(gather);
        assert!(self.table.tables().count() <= before);
        result
    }

    /// Enlarges frames; the model believes the table which they are, and nothing else.
    pub(crate) fn enlarge(&mut self, range: ClosedRange, largest: u8) -> Result<usize, Error> {
        self.touch(range);
        let leaves = self.table.mappings(range).count();
        let mut gather = self.gather();
        // SAFETY: callers use this where only `populate` mapped.
        let result = unsafe { self.table.enlarge(range, largest, &mut gather) };
        assert_eq!(self.table.mappings(range).count() < leaves, result.is_ok_and(|taken| taken > 0));
        for region in self.model.intersecting(range).collect::<Vec<_>>() {
            self.model.remove(region.range);
            for now in self.table.regions(region.range) {
                self.model.insert(Region { attributes: region.attributes, ..now });
            }
            let mapped: u64 = self.model.intersecting(region.range).map(|now| now.range.span() + 1).sum();
            assert_eq!(mapped, region.range.span() + 1, "a hole in {region:x?}");
        }
        self.finish(gather);
        result
    }

    /// Populates; the model believes the frames that the table shows, after checks of its own.
    pub(crate) fn populate(&mut self, range: ClosedRange, attributes: Attributes, largest: u8) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.gather();
        let result = self.table.populate(range, &attributes, largest, &mut gather);
        if result.is_ok() {
            let before = self.model.clone();
            let mut next = range.start();
            for mapping in self.table.mappings(range).collect::<Vec<_>>() {
                assert!(mapping.range.start() <= next, "hole at {next:#x} after populate");
                next = mapping.range.last().wrapping_add(1);
                if before.intersecting(mapping.range).next().is_some() {
                    continue;
                }
                let words = (0..1 << mapping.size).step_by(512).map(|at| self.machine.read_word(mapping.address + at));
                assert!(words.into_iter().all(|word| word == Some(0)), "a frame that is not zeroed");
                self.owned += 1 << mapping.size;
                self.model.insert(Region { range: mapping.range, address: mapping.address, attributes });
            }
        }
        self.finish(gather);
        result
    }

    /// Populates these pages one by one, in this order, save those that are mapped.
    pub(crate) fn scatter(&mut self, pages: &[ClosedRange], attributes: Attributes) -> Result<(), Error> {
        let mut gather = self.gather();
        let mut result = Ok(());
        for &page in pages {
            if self.model.intersecting(page).next().is_some() {
                continue;
            }
            result = self.table.populate(page, &attributes, F::PAGE_BITS, &mut gather);
            if result.is_err() {
                break;
            }
            let address = self.table.translate(page.start()).expect("mapped");
            self.owned += 1 << F::PAGE_BITS;
            self.model.mapped.push(Region { range: page, address, attributes });
        }
        self.model.mapped.sort_by_key(|region| region.range.start());
        self.finish(gather);
        result
    }

    pub(crate) fn depopulate(&mut self, range: ClosedRange) -> Result<(), Error> {
        self.touch(range);
        let mut gather = self.gather();
        // SAFETY: callers use this where only `populate` mapped.
        let result = unsafe { self.table.depopulate(range, &mut gather) };
        if result.is_ok() {
            self.owned -= self.model.intersecting(range).map(|region| region.range.span() as usize + 1).sum::<usize>();
            self.model.remove(range);
            self.touched.retain(|(ia, _)| !range.contains(*ia));
        }
        self.finish(gather);
        result
    }
}
