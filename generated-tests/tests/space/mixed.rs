//! Random changes of many areas that differ in what is behind them and in their attributes, some of which are refused in
//! the middle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use fastrand::Rng;
use tablewright::{
    AddrSpace, Alloc, Attributes, Backend, BackendError, Builtin, Change, ClosedRange, CopyOnWrite, Device, Entry,
    Fault, FaultOutcome, FirstUse, Format, FrameCache, Gather, GuestMemoryAccessor, Hal, HostRegion, Joinable, Linear,
    MemoryType, PageBitmap, PageTable, Refusal, Rights, Shared, SharedMemory, SpaceError, State, Tag, sim::Machine,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, gpa, range};

in_every_format! {
    a_refused_change_forgets_no_write
    a_refused_change_leaves_everything_as_it_was
}

/// A backend of the library that can be told to refuse changes.
#[derive(Clone, Debug)]
struct Behind {
    builtin: Builtin,
    /// Whether it refuses now; `None` if it never does.
    refuses: Option<Arc<AtomicBool>>,
}

impl Behind {
    /// Maps nothing, and may refuse.
    fn stubborn(refuses: &Arc<AtomicBool>) -> Self {
        Self { refuses: Some(refuses.clone()), ..Device::new(gpa(0), STUBBORN).into() }
    }
}

impl<B: Into<Builtin>> From<B> for Behind {
    fn from(backend: B) -> Self {
        Self { builtin: backend.into(), refuses: None }
    }
}

impl Joinable for Behind {
    fn join(&self, next: &Self) -> Option<Self> {
        Some(Self { builtin: self.builtin.join(&next.builtin)?, refuses: self.refuses.clone() })
    }
}

impl Display for Behind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.builtin.fmt(f)
    }
}

// SAFETY: all is handed on to a backend that keeps the contract, or nothing is done.
unsafe impl Backend for Behind {
    fn is_ram(&self) -> bool {
        self.builtin.is_ram()
    }

    fn accepts<F: Format, H: Hal>(&self, table: &PageTable<F, H>, attributes: &Attributes) -> Result<(), Refusal> {
        self.builtin.accepts(table, attributes)
    }

    fn collapses_to(&self, hal: &impl Hal) -> u8 {
        self.builtin.collapses_to(hal)
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        self.builtin.map(range, attributes, table, gather)
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        // SAFETY: as the caller promises.
        unsafe { self.builtin.unmap(range, table, gather) }
    }

    fn works_like(&self, other: &Self) -> bool {
        self.refuses.is_none() && other.refuses.is_none() && self.builtin.works_like(&other.builtin)
    }

    unsafe fn discard<F: Format, H: Hal>(&self, range: ClosedRange, table: &mut PageTable<F, H>) {
        // SAFETY: as the caller promises.
        unsafe { self.builtin.discard(range, table) };
    }

    fn protect<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        change: &Change,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        if self.refuses.as_ref().is_some_and(|refuses| refuses.load(Ordering::Relaxed)) {
            return Err(BackendError::Custom("no"));
        }
        self.builtin.protect(range, change, table, gather)
    }

    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        self.builtin.first_use(fault, table, frames)
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        self.builtin.fault(fault, table, frames)
    }

    fn fault_exclusive<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        self.builtin.fault_exclusive(fault, table, gather)
    }
}

/// The handles of a device, and of one that may refuse.
const DEVICE: usize = 7;
const STUBBORN: usize = 8;

/// What is behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Lazy,
    Populated,
    Device,
    Shared,
    CopyOnWrite,
    Stubborn,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Linear, Self::Lazy, Self::Populated, Self::Device, Self::Shared, Self::CopyOnWrite, Self::Stubborn];

    /// Whether the guest can write there.
    fn is_ram(self) -> bool {
        !matches!(self, Self::Device | Self::Stubborn)
    }

    /// Whether every page of it is mapped from the start to the end.
    fn is_there(self) -> bool {
        matches!(self, Self::Linear | Self::Populated | Self::Shared)
    }
}

/// Pages of the guest: more than a table has.
const PAGES: usize = 1300;
/// Pages of the host's RAM and of the shared memory.
const HOST: usize = 1024;
const SHARED: usize = 32;

/// What a page is: areas are made of pages that say the same.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    kind: Kind,
    /// Where what is behind it begins, in pages.
    origin: usize,
    attributes: Attributes,
}

struct Guest<F: Format> {
    machine: Machine,
    space: AddrSpace<F, Machine, Behind>,
    pages: BTreeMap<usize, Page>,
    /// Pages that were written since the last harvest, and can say so.
    written: BTreeSet<usize>,
    /// Whether what is stubborn refuses now.
    refuses: Arc<AtomicBool>,
    /// Where the host's RAM begins.
    ram: usize,
    memory: SharedMemory,
    /// The attributes that areas have.
    flavours: Vec<Attributes>,
    /// How often a change was refused, and was not.
    refused: usize,
    changed: usize,
}

/// A page is written before a change is refused: the next harvest tells it, even if a page that is read-only for a moment
/// cannot say that it is dirty.
fn a_refused_change_forgets_no_write<F: Format>(rig: Rig<F>) {
    let format = *rig.space.page_table().format();
    let space = AddrSpace::<_, _, Behind>::with_backend(format, rig.machine.clone(), Tag(8), gpa(0), 1 << 32);
    let (mut space, page) = (space.unwrap(), rig.page());
    space.map(gpa(0), 4 * page, RW, Alloc::POPULATED).unwrap();
    space.map(gpa(4 * page), page, RW, Behind::stubborn(&Arc::new(AtomicBool::new(true)))).unwrap();
    let all = range(0, 5 * page);
    let harvest = |space: &mut AddrSpace<_, _, _>| {
        let mut words = [0];
        let mut pages = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
        space.harvest_exclusive(State::Dirty, &mut pages).unwrap();
        pages.contains(page as u64)
    };
    harvest(&mut space);
    assert!(!harvest(&mut space));
    assert!(space.handle_fault_exclusive(gpa(page), Rights::W).is_resolved());
    space.write_obj(gpa(page), 1_u64).unwrap();
    assert!(space.protect(gpa(0), 5 * page, READ).is_err());
    assert!(harvest(&mut space));
    space.write_obj(gpa(page), 2_u64).unwrap();
    assert!(harvest(&mut space));
}

fn a_refused_change_leaves_everything_as_it_was<F: Format>(rig: Rig<F>) {
    let format = *rig.space.page_table().format();
    (0..3).for_each(|seed| program(format, seed));
}

fn program<F: Format>(format: F, seed: u64) {
    let machine = Machine::new(0, if F::PAGE_BITS > 14 { 512 << 20 } else { 128 << 20 });
    let page = 1 << F::PAGE_BITS;
    let ram = machine.allocate(F::PAGE_BITS + 10).expect("RAM").as_usize();
    // SAFETY: the only space is on this machine.
    let memory = unsafe { SharedMemory::new(&machine, SHARED * page, F::PAGE_BITS, F::PAGE_BITS + 4) }.unwrap();
    let space = AddrSpace::with_backend(format, machine.clone(), Tag(1), gpa(0), 1 << 32).unwrap();
    let rights = [Rights::RW, Rights::R, Rights::RX, Rights::RWX];
    let all = rights.into_iter().flat_map(|rights| {
        [MemoryType::WriteBack, MemoryType::NonCacheable, MemoryType::Uncached, MemoryType::Inherit]
            .map(|memory| Attributes::new(rights, memory))
    });
    // Those that are read back as they were written.
    let says = |attributes: &Attributes| {
        let Ok(page) = format.prototype(0, F::PAGE_BITS, attributes) else { return false };
        matches!(format.decode(0, format.strip(page, 0, 1).first), Entry::Leaf(leaf)
            if (leaf.attributes.rights, leaf.attributes.memory) == (attributes.rights, attributes.memory))
    };
    let flavours = all.filter(says).collect();
    let (pages, written, refuses) = (BTreeMap::new(), BTreeSet::new(), Arc::new(AtomicBool::new(false)));
    let mut guest = Guest { machine, space, pages, written, refuses, ram, memory, flavours, refused: 0, changed: 0 };
    let mut random = Rng::with_seed(seed);
    for _ in 0..120 {
        guest.step(&mut random);
    }
    assert!(guest.refused > 0 && guest.changed > 0);
    guest.harvest();
    let Guest { machine, space, memory, .. } = guest;
    drop(space);
    drop(memory);
    assert_eq!(machine.used(), 1 << (F::PAGE_BITS + 10));
    assert_eq!(machine.take_errors(), []);
}

/// What every page is, in the table: address, memory, rights, and whether it is dirty.
type Seen = Vec<Option<(u64, MemoryType, Rights, bool)>>;

impl<F: Format> Guest<F> {
    fn page() -> usize {
        1 << F::PAGE_BITS
    }

    fn seen(&self) -> Seen {
        let one = |at| {
            let found = self.space.query(gpa(at * Self::page()))?;
            let Attributes { memory, rights, dirty, .. } = found.attributes;
            Some((found.address.as_usize() as u64, memory, rights, dirty))
        };
        (0..PAGES).map(one).collect()
    }

    fn step(&mut self, random: &mut Rng) {
        for _ in 0..random.usize(0..30) {
            self.write(random.usize(0..PAGES));
        }
        match random.u8(0..20) {
            // Many areas at once.
            0..=5 => {
                let (mut at, count) = (random.usize(0..PAGES), random.usize(1..60));
                for _ in 0..count {
                    let length = *random.choice([1, 1, 2, 3, 16, 40].iter()).expect("one");
                    self.map(at..(at + length).min(PAGES), random);
                    at += length + random.usize(0..6).saturating_sub(2);
                    if at >= PAGES {
                        break;
                    }
                }
            }
            6 => {
                let at = random.usize(0..PAGES);
                self.map(at..(at + 600).min(PAGES), random);
            }
            7 | 8 => {
                let pages = Self::pages(random);
                self.space.unmap(gpa(pages.start * Self::page()), pages.len() * Self::page()).unwrap();
                self.pages.retain(|at, _| !pages.contains(at));
                self.written.retain(|at| !pages.contains(at));
            }
            9 => self.harvest(),
            10 => {
                let pages = Self::pages(random);
                let (start, size) = (gpa(pages.start * Self::page()), pages.len() * Self::page());
                if random.bool() {
                    self.space.start_dirty_log(start, size).unwrap();
                    self.written.retain(|at| !pages.contains(at));
                } else {
                    self.refuses.store(false, Ordering::Relaxed);
                    self.space.stop_dirty_log(start, size).unwrap();
                }
            }
            _ => self.protect(random),
        }
        self.check();
    }

    fn pages(random: &mut Rng) -> std::ops::Range<usize> {
        let first = random.usize(0..PAGES);
        let length = *random.choice([1, 4, 30, 200, 600, PAGES].iter()).expect("one");
        first..(first + 1 + random.usize(0..length)).min(PAGES)
    }

    fn map(&mut self, pages: std::ops::Range<usize>, random: &mut Rng) {
        let page = Self::page();
        let mut attributes = *random.choice(self.flavours.iter()).expect("one");
        let first = pages.start;
        let kind = *random.choice(Kind::ALL.iter()).expect("one");
        let mut origin = 0;
        let behind: Behind = match kind {
            Kind::Linear => {
                origin = random.usize(0..2) * 512;
                if pages.end + origin > HOST {
                    return;
                }
                let start = (self.ram + (first + origin) * page).into();
                // SAFETY: it outlives the space.
                let region = unsafe { HostRegion::ram(start, pages.len() * page) }.unwrap();
                Linear::new(gpa(first * page), region).into()
            }
            Kind::Lazy => Alloc::LAZY.into(),
            Kind::Populated => Alloc::POPULATED.into(),
            Kind::Device => {
                attributes = Attributes::new(attributes.rights, MemoryType::DeviceNGnRE);
                Device::new(gpa(0), DEVICE).into()
            }
            Kind::Shared | Kind::CopyOnWrite => {
                origin = first / SHARED * SHARED;
                if pages.end > origin + SHARED {
                    return;
                }
                let start = gpa(origin * page);
                if kind == Kind::Shared {
                    Shared::new(start, self.memory.clone()).into()
                } else {
                    CopyOnWrite::new(start, &self.memory).into()
                }
            }
            Kind::Stubborn => Behind::stubborn(&self.refuses),
        };
        let free = self.pages.range(pages.clone()).next().is_none();
        match self.space.map(gpa(first * page), pages.len() * page, attributes, behind) {
            Ok(()) => {
                assert!(free);
                self.pages.extend(pages.map(|at| (at, Page { kind, origin, attributes })));
            }
            Err(SpaceError::Overlap(_)) => assert!(!free),
            Err(error) => panic!("{error}"),
        }
    }

    fn write(&mut self, at: usize) {
        let address = gpa(at * Self::page());
        let Some(page) = self.pages.get(&at) else { return };
        if !page.attributes.rights.contains(Rights::W) || !page.kind.is_ram() {
            return;
        }
        let mut done = self.space.write_obj(address, at);
        if done.is_err() {
            assert!(self.space.handle_fault_exclusive(address, Rights::W).is_resolved());
            done = self.space.write_obj(address, at);
        }
        assert!(done.is_ok(), "{done:?} at {at}: {page:?}");
        self.written.insert(at);
    }

    fn harvest(&mut self) {
        let all = range(0, PAGES * Self::page());
        let mut words = vec![0; PageBitmap::words(all, F::PAGE_BITS)];
        let mut pages = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
        self.space.harvest_exclusive(State::Dirty, &mut pages).unwrap();
        self.take(&pages);
    }

    fn take(&mut self, pages: &PageBitmap<'_>) {
        for at in std::mem::take(&mut self.written) {
            assert!(pages.contains((at * Self::page()) as u64), "the write to page {at} was lost");
        }
    }

    fn protect(&mut self, random: &mut Rng) {
        let pages = Self::pages(random);
        let (start, size) = (gpa(pages.start * Self::page()), pages.len() * Self::page());
        let flavour = *random.choice(self.flavours.iter()).expect("one");
        let change = match random.u8(0..4) {
            0 => Change::from(&flavour),
            1 => Change { memory: Some(flavour.memory), ..Change::default() },
            _ => Change { rights: Some(flavour.rights), ..Change::default() },
        };
        let refuses = random.bool();
        self.refuses.store(refuses, Ordering::Relaxed);
        let before = (self.space.to_string(), self.seen());
        let all = range(0, PAGES * Self::page());
        let mut words = vec![0; PageBitmap::words(all, F::PAGE_BITS)];
        let harvests = random.u8(0..4) == 0;
        let result = if harvests {
            let mut found = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
            let result = self.space.protect_and_harvest(start, size, change, &mut found);
            self.take(&found);
            result
        } else {
            self.space.protect(start, size, change)
        };
        let stubborn = self.pages.range(pages.clone()).any(|(_, page)| page.kind == Kind::Stubborn);
        match result {
            Ok(()) => {
                self.changed += 1;
                assert!(!(refuses && stubborn));
                for (at, page) in self.pages.range_mut(pages.clone()) {
                    page.attributes = page.attributes.with(&change);
                    if !page.attributes.rights.contains(Rights::W) {
                        // It may have lost it.
                        self.written.remove(at);
                    }
                }
            }
            Err(SpaceError::Area { error: BackendError::Custom("no"), .. }) => {
                assert!(refuses && stubborn);
                self.refused += 1;
                assert_eq!(self.space.to_string(), before.0, "the areas changed");
                for (at, (now, before)) in self.seen().into_iter().zip(before.1).enumerate() {
                    let same = match (now, before) {
                        (Some(now), Some(before)) => {
                            let area = self.pages[&at].attributes.rights;
                            // What a log had taken may be there again.
                            let rights = now.2 == before.2 || now.2 == area || harvests && now.2 == area - Rights::W;
                            now.0 == before.0 && now.1 == before.1 && rights && (now.3 || !before.3 || harvests)
                        }
                        // Pages of the base may have gone.
                        (None, Some(_)) => self.pages[&at].kind == Kind::CopyOnWrite,
                        (None, None) => true,
                        (Some(_), None) => false,
                    };
                    assert!(same, "page {at}: {now:?}, before {before:?}, {:?}, {change:?}", self.pages[&at]);
                }
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&self) {
        let mut shape: Vec<(usize, usize, Page)> = Vec::new();
        for (&at, page) in &self.pages {
            match shape.last_mut() {
                Some((_, end, last)) if *end == at && last == page => *end += 1,
                _ => shape.push((at, at + 1, *page)),
            }
        }
        let found: Vec<_> = self.space.areas().map(|area| (area.range(), *area.attributes())).collect();
        let expected: Vec<_> = shape
            .iter()
            .map(|(start, end, page)| (range(start * Self::page(), (end - start) * Self::page()), page.attributes))
            .collect();
        assert_eq!(found, expected);
        for (at, seen) in self.seen().into_iter().enumerate() {
            let Some(page) = self.pages.get(&at) else {
                assert!(seen.is_none(), "page {at}");
                continue;
            };
            let Attributes { rights, memory, .. } = page.attributes;
            match seen {
                None => assert!(!page.kind.is_there(), "page {at} is gone"),
                Some((address, found, granted, _)) => {
                    assert!(granted == rights || granted == rights - Rights::W, "page {at}: {granted:?} {page:?}");
                    assert_eq!(found, memory, "page {at}");
                    if page.kind == Kind::Linear {
                        assert_eq!(address as usize, self.ram + (at + page.origin) * Self::page());
                    }
                }
            }
        }
        assert_eq!(self.machine.take_errors(), []);
    }
}
