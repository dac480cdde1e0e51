//! Checks the table against the model.

use tablewright::{Attributes, Entry, EntryWord, Format, Region};

use super::{Rig, range, walk};

impl<F: Format> Rig<F> {
    /// Compares the table with the model, in every way there is.
    pub(crate) fn check(&self) {
        let joined = self.model.joined();
        let regions: Vec<Region> = self.everything().into_iter().flat_map(|all| self.table.regions(all)).collect();
        let plain = |region: &Region| {
            let attributes = Attributes { accessed: false, dirty: false, ..region.attributes };
            Region { attributes, ..*region }
        };
        assert_eq!(regions.iter().map(plain).collect::<Vec<_>>(), joined.iter().map(plain).collect::<Vec<_>>());
        for region in &joined {
            let page = self.page();
            for ia in [region.range.start(), region.range.last(), region.range.start() + region.range.span() / 2] {
                self.check_address(ia, Some(region));
            }
            for ia in [region.range.start().wrapping_sub(page), region.range.last().wrapping_add(1)] {
                if self.everything().iter().any(|all| all.contains(ia)) {
                    self.check_address(ia, joined.iter().find(|other| other.range.contains(ia)));
                }
            }
        }
        for &(ia, dirty) in &self.touched {
            let found = self.table.mappings(range(ia & !(self.page() - 1), self.page())).next().expect("mapped");
            assert!(found.attributes.accessed && (found.attributes.dirty || !dirty), "lost a state at {ia:#x}");
        }
        self.check_tables();
    }

    fn check_address(&self, ia: u64, expected: Option<&Region>) {
        let found = walk(&self.machine, self.table.format(), self.root(), ia);
        let output = expected.map(|region| region.address + (ia - region.range.start()));
        assert_eq!(found.as_ref().map(|found| found.output), output, "at {ia:#x}");
        assert_eq!(self.table.translate(ia), output, "at {ia:#x}");
        if let (Some(found), Some(expected)) = (found, expected) {
            assert_eq!(found.attributes.rights, expected.attributes.rights, "at {ia:#x}");
            assert_eq!(found.attributes.memory, expected.attributes.memory, "at {ia:#x}");
        }
    }

    /// No empty table below the root, no address in an entry that is not present, no frame unaccounted for.
    fn check_tables(&self) {
        let format = self.table.format();
        let mut bytes = 0;
        for (number, info) in self.table.tables().enumerate() {
            bytes += 1 << info.size;
            let start = info.address.as_usize() as u64;
            let mut empty = true;
            // What a frame has beyond its table, no MMU reads.
            for index in 0..format.geometry().entries(info.level) as u64 {
                let slot = start + (index << F::Word::SIZE);
                let raw = self.machine.read_entry::<F::Word>(slot).expect("tables are allocated");
                if format.decode(info.level, raw) == Entry::Invalid {
                    assert_eq!(raw, format.empty(info.level), "something left in an entry that is not present");
                } else {
                    empty = false;
                }
            }
            assert!(number == 0 || !empty, "{info:x?} is empty");
        }
        assert_eq!(self.machine.used(), bytes + self.owned);
        assert_eq!(self.machine.take_errors(), []);
    }

    /// Every table, byte by byte.
    pub(crate) fn snapshot(&self) -> Vec<(u64, Vec<u8>)> {
        let dump =
            |info: tablewright::TableInfo| (info.address.as_usize() as u64, self.machine.dump(info.address, info.size));
        self.table.tables().map(dump).collect()
    }

    /// Unmaps everything: only the root is left, and nothing once the table is gone.
    pub(crate) fn end_of_life(mut self) {
        for all in self.everything() {
            self.unmap(all).expect("unmapping everything needs nothing");
        }
        self.check();
        assert_eq!(self.table.tables().count(), 1);
        let (machine, owned) = (self.machine.clone(), self.owned);
        drop(self);
        assert_eq!(machine.used(), owned);
    }
}
