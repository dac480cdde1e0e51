//! Random guests that migrate while they run: whatever is done to their memory meanwhile, harvests find enough to keep
//! the copy equal to the original, and a dirty log contains no page that was not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use fastrand::Rng;
use tablewright::{
    Alloc, BackendError, Builtin, CopyOnWrite, Error, FaultOutcome, Format, GuestFault, GuestMemoryAccessor,
    GuestPhysAddr, MappingFlags, PageBitmap, Rights, Shared, SharedMemory, SpaceError, State,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, gpa, range};

in_every_format! { the_copy_of_a_guest_is_like_the_guest }

/// Pages of the guest.
const PAGES: usize = 1024;

fn the_copy_of_a_guest_is_like_the_guest<F: Format>(rig: Rig<F>) {
    let mut migration = Migration {
        rig,
        random: Rng::with_seed(0x5e4d),
        pages: BTreeMap::new(),
        copy: BTreeMap::new(),
        touched: BTreeSet::new(),
        coarse: (0..PAGES).collect(),
    };
    for number in 0..600 {
        migration.step(number);
        migration.rig.check_mmu();
    }
    migration.harvest_all();
}

/// What the guest sees in a page.
#[derive(Clone, Copy, Debug)]
struct Page {
    value: u64,
    rights: MappingFlags,
}

struct Migration<F: Format> {
    rig: Rig<F>,
    random: Rng,
    /// By number.
    pages: BTreeMap<usize, Page>,
    /// What was sent of them.
    copy: BTreeMap<usize, u64>,
    /// What was written, or became writable, since it was told last.
    touched: BTreeSet<usize>,
    /// What is in no dirty log, and so may be told with its neighbours.
    coarse: BTreeSet<usize>,
}

impl<F: Format> Migration<F> {
    fn step(&mut self, number: u64) {
        for value in 0..8 {
            let at = self.random.usize(0..PAGES);
            self.write(at, number << 3 | value);
        }
        // In half of the cases so that blocks fit.
        let unit = [1, 512][self.random.usize(0..2)];
        let first = self.random.usize(0..PAGES) / unit * unit;
        let longest = [1, 8, 512][self.random.usize(0..3)];
        let pages = first..(first + self.random.usize(1..=longest).next_multiple_of(unit)).min(PAGES);
        let (start, size) = self.place(&pages);
        match self.random.u8(0..25) {
            0 | 1 => {
                if let Some(backend) = self.backend(&pages) {
                    self.map(pages, backend);
                }
            }
            // A balloon takes pages, and gives them back.
            2 | 3 if pages.len() <= 8 => {
                self.rig.space.unmap(start, size).unwrap();
                self.pages.retain(|at, _| !pages.contains(at));
                self.copy.retain(|at, _| !pages.contains(at));
                self.map(pages, Alloc::POPULATED.up_to(24).into());
            }
            4 => self.protect(pages),
            5 | 6 => self.shift(pages),
            7 => {
                has_room(self.rig.space.split(start, size, F::PAGE_BITS));
            }
            // What comes together is told of as one.
            8 | 9 => {
                self.rig.space.collapse(start, size).unwrap();
                self.coarse.extend(pages);
            }
            10 | 11 => {
                let (start, size) = self.place(&(0..PAGES));
                self.rig.space.enlarge(start, size).unwrap();
                self.coarse.extend(0..PAGES);
            }
            12 => {
                if self.random.bool() {
                    self.map(pages.clone(), Alloc::LAZY.up_to(24).into());
                }
                // What was written so far does not count.
                self.harvest(pages.clone());
                if has_room(self.rig.space.start_dirty_log(start, size)) {
                    self.coarse.retain(|at| !pages.contains(at));
                    self.touched.retain(|at| !pages.contains(at));
                }
            }
            13 => {
                self.rig.space.stop_dirty_log(start, size).unwrap();
                self.coarse.extend(0..PAGES);
            }
            14 | 15 => self.harvest(pages),
            16..=23 => {
                let access = if self.random.bool() { Rights::R } else { Rights::W };
                let outcome = self.rig.space.handle_fault_exclusive(start, access);
                if outcome == FaultOutcome::Mapped || access == Rights::W && outcome.is_resolved() {
                    self.touched.insert(first);
                }
                self.rig.access(start.as_usize(), access);
            }
            _ => {}
        }
        if self.random.bool() {
            self.harvest_all();
        }
    }

    fn place(&self, pages: &Range<usize>) -> (GuestPhysAddr, usize) {
        (gpa(pages.start * self.rig.page()), pages.len() * self.rig.page())
    }

    /// A backend for some pages, if there is memory for it.
    fn backend(&mut self, pages: &Range<usize>) -> Option<Builtin> {
        let (start, size) = self.place(pages);
        let largest = [0, 24][self.random.usize(0..2)];
        // SAFETY: the only space is on this machine.
        let memory = || unsafe { SharedMemory::new(&self.rig.machine, size, F::PAGE_BITS, largest) }.ok();
        match self.random.u8(0..6) {
            0 => Some(Shared::new(start, memory()?).into()),
            1 => Some(CopyOnWrite::new(start, &memory()?).into()),
            2 | 3 => Some(Alloc::LAZY.up_to(24).into()),
            _ => Some(Alloc::POPULATED.up_to(24).into()),
        }
    }

    /// Maps pages anew, in place of what is there.
    fn map(&mut self, pages: Range<usize>, backend: Builtin) {
        let (start, size) = self.place(&pages);
        if has_room(self.rig.space.replace(start, size, RW, backend)) {
            // It is sent at once.
            self.copy.extend(pages.clone().map(|at| (at, 0)));
            self.pages.extend(pages.clone().map(|at| (at, Page { value: 0, rights: RW })));
            self.touched.extend(pages.clone());
            self.coarse.extend(pages);
        }
    }

    fn protect(&mut self, pages: Range<usize>) {
        let (start, size) = self.place(&pages);
        let rights = if self.random.bool() { READ } else { RW };
        let mut words = vec![0; PAGES / 64];
        let mut dirty = PageBitmap::new(range(0, PAGES * self.rig.page()), F::PAGE_BITS, &mut words).unwrap();
        let protected = has_room(self.rig.space.protect_and_harvest(start, size, rights, &mut dirty));
        self.send(0..PAGES, &words);
        if protected {
            self.pages.range_mut(pages.clone()).for_each(|(_, page)| page.rights = rights);
        }
        if !protected || rights == RW {
            self.touched.extend(pages);
        }
    }

    /// Moves pages to another place, in half of the cases so that blocks and tables stay what they are.
    fn shift(&mut self, pages: Range<usize>) {
        let (start, size) = self.place(&pages);
        let unit = [1, 512][self.random.usize(0..2)];
        let to = (pages.start + self.random.usize(0..PAGES) / unit * unit) % (PAGES - pages.len());
        let moved = self.rig.space.move_range(start, size, gpa(to * self.rig.page()));
        if !matches!(moved, Err(SpaceError::Overlap(_))) && has_room(moved) {
            let first = pages.start;
            let there = |at| at + to - first;
            let taken: Vec<_> = self.pages.extract_if(pages.clone(), |_, _| true).collect();
            self.pages.extend(taken.into_iter().map(|(at, page)| (there(at), page)));
            let sent: Vec<_> = self.copy.extract_if(pages.clone(), |_, _| true).collect();
            self.copy.extend(sent.into_iter().map(|(at, value)| (there(at), value)));
            self.coarse.extend(pages.map(there));
        }
    }

    fn write(&mut self, at: usize, value: u64) {
        let address = gpa(at * self.rig.page());
        let mut result = self.rig.space.write_obj(address, value).map_err(|error| error.fault);
        if let Err(GuestFault::NotResolved(FaultOutcome::NeedsExclusive(_))) = result {
            self.rig.space.handle_fault_exclusive(address, Rights::W);
            result = self.rig.space.write_obj(address, value).map_err(|error| error.fault);
        }
        match self.pages.get_mut(&at) {
            None => assert_eq!(result, Err(GuestFault::NotMapped)),
            Some(page) if !page.rights.contains(RW) => assert_eq!(result, Err(GuestFault::Denied)),
            // The machine has not that many frames.
            Some(_) if result.is_err() => assert!(self.rig.machine.used() > self.rig.machine.memory().1 / 2),
            Some(page) => {
                page.value = value;
                self.touched.insert(at);
                self.rig.access(address.as_usize(), Rights::W);
            }
        }
    }

    /// After a harvest of all, the copy is like the guest.
    fn harvest_all(&mut self) {
        self.harvest(0..PAGES);
        let values: BTreeMap<_, _> = self.pages.iter().map(|(&at, page)| (at, page.value)).collect();
        assert_eq!(self.copy, values);
    }

    fn harvest(&mut self, pages: Range<usize>) {
        let (start, size) = self.place(&pages);
        let window = range(start.as_usize(), size);
        let mut words = vec![0; PageBitmap::words(window, F::PAGE_BITS)];
        let mut dirty = PageBitmap::new(window, F::PAGE_BITS, &mut words).unwrap();
        if let Err(error) = self.rig.space.harvest(State::Dirty, &mut dirty) {
            assert!(matches!(error, SpaceError::Table(Error::NeedsExclusive(_))), "{error}");
            has_room(self.rig.space.harvest_exclusive(State::Dirty, &mut dirty));
        }
        self.send(pages, &words);
    }

    /// Sends the pages that a bitmap names.
    fn send(&mut self, pages: Range<usize>, words: &[u64]) {
        for (number, at) in pages.enumerate() {
            if words[number / 64] >> (number % 64) & 1 == 1
                && let Some(page) = self.pages.get(&at)
            {
                self.copy.insert(at, page.value);
                assert!(self.touched.remove(&at) || self.coarse.contains(&at), "page {at} was not touched");
            }
        }
    }
}

/// Whether it was done. If not, the machine has not that many frames.
fn has_room(result: Result<(), SpaceError>) -> bool {
    match result {
        Ok(()) => true,
        Err(SpaceError::Table(Error::NoMemory { .. })) => false,
        Err(SpaceError::Area { error: BackendError::Table(Error::NoMemory { .. }), .. }) => false,
        Err(error) => panic!("{error}"),
    }
}
