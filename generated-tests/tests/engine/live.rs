//! Changes through `&self` while others use the table, and changes that need exclusive access instead.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tablewright::{
    Attributes, Change, ClosedRange, Error, FaultIn, Format, Hal, HostPhysAddr, Invalidation, Lookup, Operation,
    PageBitmap, PageTable, PartialChange, Relax, Rights, State, Tag,
    aarch64::stage2_4k,
    sim::{Machine, Observer, built_in},
};

use crate::{
    rig::{Rig, attributes, range, walk},
    rules,
    witness::{BREAKING, DIRECT, FLAT, LARGE, STATELESS, WIDE, Witness},
};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const RW: Rights = Rights::RW;

fn rights<F: Format>(rig: &Rig<F>, ia: u64) -> Option<Rights> {
    match rig.table.query(ia)? {
        Lookup::Mapped(mapping) => Some(mapping.attributes.rights),
        Lookup::Hole(_) => None,
    }
}

/// The pages of `range` that a harvest finds.
fn harvest(table: &PageTable<Witness<12>, Machine>, state: State, range: ClosedRange) -> Result<Vec<u64>, Error> {
    let mut words = vec![0; PageBitmap::words(range, 12)];
    let mut pages = PageBitmap::new(range, 12, &mut words).unwrap();
    table.harvest(state, &mut pages, &mut table.gather())?;
    Ok((range.start()..=range.last()).step_by(4096).filter(|&page| pages.contains(page)).collect())
}

#[test]
fn a_bitmap_of_pages_of_another_size_is_refused() {
    let mut rig = Rig::new(DIRECT);
    rig.map(range(0, 16 << 12), GIB, attributes(RW)).unwrap();
    let (mut words, all, read) = ([0], range(0, 16 << 12), Change { rights: Some(Rights::R), ..Change::default() });
    let mut pages = PageBitmap::new(all, 16, &mut words).unwrap();
    let mut gather = rig.table.gather();
    let refused = Err(Error::PageSize { size: 16, expected: 12 });
    assert_eq!(rig.table.harvest(State::Dirty, &mut pages, &mut gather), refused);
    assert_eq!(rig.table.harvest_exclusive(State::Dirty, &mut pages, &mut gather), refused);
    assert_eq!(rig.table.protect_and_harvest(all, &read, &mut pages, &mut gather), refused);
    assert_eq!(rights(&rig, 0), Some(RW));
    // Not that its range is no whole pages of the table, which follows.
    let mut pages = PageBitmap::new(ClosedRange::around(0x400, 10), 10, &mut words).unwrap();
    let refused = Err(Error::PageSize { size: 10, expected: 12 });
    assert_eq!(rig.table.harvest(State::Dirty, &mut pages, &mut gather), refused);
}

#[test]
fn one_page_is_relaxed_and_its_neighbours_are_not() {
    for format in [DIRECT, STATELESS, BREAKING] {
        let mut rig = Rig::new(format);
        rig.map(range(4096, 4 * 4096), GIB + 4096, attributes(Rights::R)).unwrap();
        rig.machine.take_log();
        assert_eq!(rig.table.relax(2 * 4096 + 8, RW), Ok(Relax::Relaxed));
        assert_eq!(rig.machine.take_log().len(), 1, "stale translations would fault again");
        assert_eq!(rig.table.relax(2 * 4096, RW), Ok(Relax::Granted));
        assert_eq!([1, 2, 3].map(|page| rights(&rig, page * 4096)), [Some(Rights::R), Some(RW), Some(Rights::R)]);
        assert_eq!(rig.table.relax(9 * 4096, RW), Ok(Relax::NotMapped));
        assert!(matches!(rig.table.relax(1 << 50, RW), Err(Error::OutOfRange(_))));
        assert!(matches!(rig.table.relax(4096, Rights::PW), Err(Error::Refused { level: 0, .. })));
        assert_eq!(rig.table.translate(2 * 4096), Some(GIB + 2 * 4096));
    }
}

#[test]
fn a_run_is_relaxed_as_a_whole_by_exclusive_access() {
    for format in [WIDE, BREAKING] {
        let mut rig = Rig::new(format);
        rig.map(range(0, 16 * 4096), GIB, attributes(Rights::R)).unwrap();
        assert_eq!(rig.table.relax(5 * 4096, RW), Ok(Relax::NeedsExclusive(Operation::Run)));
        let mut gather = rig.table.gather();
        assert_eq!(rig.table.relax_exclusive(5 * 4096, RW, &mut gather), Ok(Relax::Relaxed));
        drop(gather);
        assert_eq!([0, 15].map(|page| rights(&rig, page * 4096)), [Some(RW); 2]);
    }
}

#[test]
fn a_run_is_faulted_in_by_exclusive_access() {
    let mut rig = Rig::new(WIDE);
    rig.map(range(64 * 4096, 4096), 0, attributes(RW)).unwrap();
    let mut fault = |ia| {
        let mut gather = rig.table.gather();
        // SAFETY: nobody accesses memory through this table.
        unsafe { rig.table.fault_in_exclusive(ia, 16, GIB, &attributes(RW), &mut gather) }.unwrap()
    };
    assert_eq!(fault(0), FaultIn::Installed);
    assert!(matches!(fault(15 * 4096), FaultIn::Present(mapping) if mapping.size == 16));
    // In the way of the second is a page.
    assert!(matches!(fault(64 * 4096), FaultIn::Present(mapping) if mapping.size == 12));
    assert_eq!(fault(70 * 4096), FaultIn::Smaller { size: 12 });
}

#[test]
fn a_leaf_across_the_end_is_harvested_by_exclusive_access() {
    for format in [DIRECT, STATELESS] {
        let mut rig = Rig::new(format);
        rig.idle = true;
        rig.map(range(0, 4 * MIB), GIB, attributes(RW)).unwrap();
        rig.table.mark(0, true);
        let before = rig.snapshot();
        let split = Err(Error::NeedsExclusive(Operation::Split));
        assert_eq!(harvest(&rig.table, State::Dirty, range(MIB, 3 * MIB)), split);
        assert_eq!(harvest(&rig.table, State::Dirty, range(0, 3 * MIB)), split);
        assert!(rig.snapshot() == before);
        assert_eq!(rig.harvest(State::Dirty, range(0, MIB)), Ok(()));
        let rest = rig.table.regions(range(MIB, 3 * MIB)).next().unwrap();
        assert_eq!((rest.range, rest.attributes.rights), (range(MIB, 3 * MIB), RW));
    }
}

#[test]
fn without_a_dirty_state_what_may_be_written_is_dirty() {
    let mut rig = Rig::new(STATELESS);
    rig.map(range(4096, 4 * 4096), GIB + 4096, attributes(RW)).unwrap();
    rig.map(range(6 * 4096, 4096), GIB, attributes(Rights::RX)).unwrap();
    let all = range(0, 8 * 4096);
    assert!(matches!(harvest(&rig.table, State::Accessed, all), Err(Error::Refused { .. })));
    assert_eq!(harvest(&rig.table, State::Dirty, all).unwrap(), [1, 2, 3, 4].map(|page| page * 4096));
    assert_eq!(harvest(&rig.table, State::Dirty, all).unwrap(), []);
    rig.table.relax(3 * 4096, RW).unwrap();
    assert_eq!(harvest(&rig.table, State::Dirty, all).unwrap(), [3 * 4096]);
    // A run of items loses its right by exclusive access only.
    rig.map(range(16 * 4096, 16 * 4096), GIB, attributes(RW)).unwrap();
    let run = range(16 * 4096, 16 * 4096);
    assert_eq!(harvest(&rig.table, State::Dirty, run), Err(Error::NeedsExclusive(Operation::Run)));
    rig.harvest(State::Dirty, run).unwrap();
}

#[test]
fn a_harvest_is_due_to_be_invalidated() {
    for format in [DIRECT, STATELESS] {
        let mut rig = Rig::new(format);
        rig.map(range(4096, 4 * 4096), GIB + 4096, attributes(RW)).unwrap();
        rig.table.mark(4096, true);
        rig.machine.take_log();
        harvest(&rig.table, State::Dirty, range(0, 2 * MIB)).unwrap();
        assert_eq!(rig.machine.take_log().len(), 1);
        harvest(&rig.table, State::Dirty, range(0, 2 * MIB)).unwrap();
        assert_eq!(rig.machine.take_log().len(), 0, "nothing changed");
    }
}

#[test]
fn harvests_lose_nothing_to_writers() {
    for format in [DIRECT, STATELESS] {
        let mut rig = Rig::new(format);
        let pages = 64;
        // Pages, not runs: input and output are not aligned to each other.
        rig.map(range(4096, pages * 4096), GIB + 8192, attributes(RW)).unwrap();
        let all = range(0, 128 * 4096);
        harvest(&rig.table, State::Dirty, all).unwrap();
        let table = &rig.table;
        let done = AtomicBool::new(false);
        // Each page is written once: by whoever finds its number, in the order of a permutation.
        let mut found = std::thread::scope(|scope| {
            let writer = |part: u64| {
                move || {
                    for number in 0..pages / 2 {
                        let page = 1 + (number * 13 % (pages / 2)) * 2 + part;
                        // A store that is not allowed faults, and is then recorded.
                        assert!(matches!(table.relax(page * 4096, RW), Ok(Relax::Relaxed | Relax::Granted)));
                        std::thread::yield_now();
                    }
                }
            };
            let writers = [scope.spawn(writer(0)), scope.spawn(writer(1))];
            let reader = scope.spawn(|| {
                let mut found = Vec::new();
                while !done.load(Ordering::Acquire) {
                    found.extend(harvest(table, State::Dirty, all).unwrap());
                }
                found
            });
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::Release);
            reader.join().unwrap()
        });
        found.extend(harvest(table, State::Dirty, all).unwrap());
        found.sort_unstable();
        assert_eq!(found, (1..=pages).map(|page| page * 4096).collect::<Vec<_>>());
    }
}

#[test]
fn a_cache_of_another_table_is_foreign() {
    let (ours, theirs) = (Rig::new(DIRECT), Rig::new(DIRECT));
    let mut cache = theirs.table.frame_cache();
    assert_eq!(ours.table.top_up(&mut cache, 1), Err(Error::ForeignCache));
    // SAFETY: nobody accesses memory through this table.
    let result = unsafe { ours.table.fault_in_cached(0, 12, 0, &attributes(RW), &mut cache) };
    assert_eq!(result, Err(Error::ForeignCache));
}

#[test]
fn what_was_split_to_be_watched_collapses_again() {
    fn round<F: Format>(format: F, span: u64) {
        let mut rig = Rig::new(format);
        rig.map(range(GIB, span), 2 * GIB, attributes(RW)).unwrap();
        // Beside it, leaves that no larger one can stand for: the output does not go on, or is not aligned.
        rig.map(range(GIB + span, rig.page()), 9 * GIB, attributes(RW)).unwrap();
        rig.map(range(8 * GIB, 4 * MIB), 16 * GIB + rig.page(), attributes(RW)).unwrap();
        let shape = |rig: &Rig<F>| {
            let sizes = rig.table.mappings(rig.everything()[0]).map(|leaf| (leaf.range, leaf.size)).collect::<Vec<_>>();
            (sizes, rig.table.tables().count())
        };
        let before = shape(&rig);
        rig.split_to(range(GIB, span), 0).unwrap();
        rig.check();
        assert!(shape(&rig).1 > before.1);
        rig.collapse(rig.everything()[0]).unwrap();
        rig.check();
        assert_eq!(shape(&rig), before);
    }
    round(DIRECT, 2 * MIB);
    round(WIDE, 32 * MIB);
    round(BREAKING, 32 * MIB);
    round(STATELESS, 64 * MIB);
    round(LARGE, 64 * MIB);
}

/// Takes an entry away as soon as something is invalidated.
struct Takes(u64);

impl Observer for Takes {
    fn invalidated(&self, machine: &Machine, _: HostPhysAddr, _: Tag, _: &Invalidation) {
        let entry = machine.phys_to_virt(HostPhysAddr::from_usize(self.0 as usize)).cast::<AtomicU64>();
        // SAFETY: an entry of a table, accessed atomically.
        unsafe { entry.as_ref() }.store(0, Ordering::Release);
    }
}

#[test]
fn what_cannot_be_collapsed_after_all_stays() {
    let machine = Machine::new(0, 1 << 24);
    let mut table = PageTable::new(DIRECT, machine.clone(), Tag(1)).unwrap();
    let mut gather = table.gather();
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.map(range(0, 2 * MIB), GIB, &attributes(RW), &mut gather) }.unwrap();
    table.split_to(range(0, 2 * MIB), 12, &mut gather).unwrap();
    gather.flush();
    let tables = table.tables().count();
    let entry = walk(&machine, &DIRECT, table.root().as_usize() as u64, 4096).expect("mapped").entry;
    machine.observe(Arc::new(Takes(entry)));
    // SAFETY: as above.
    unsafe { table.collapse(range(0, 2 * MIB), u8::MAX, &mut gather) }.unwrap();
    drop(gather);
    assert_eq!((table.mappings(range(0, 2 * MIB)).count(), table.tables().count()), (511, tables));
}

/// There is no table that a leaf could replace.
#[test]
fn runs_of_a_root_come_back() {
    let mut rig = Rig::new(FLAT);
    let all = range(0, MIB);
    rig.map(all, GIB, attributes(RW)).unwrap();
    let runs = rig.table.mappings(all).count();
    rig.split_to(all, 12).unwrap();
    assert_eq!(rig.table.mappings(all).count(), 256);
    rig.collapse(all).unwrap();
    rig.check();
    assert_eq!((rig.table.mappings(all).count(), runs), (16, 16));
}

#[test]
fn a_split_takes_no_more_of_the_reserve_than_it_needs() {
    for (part, size, tables) in [
        (range(0, 4096), 12, 2),
        (range(0, 4096), 21, 2),
        (range(4096, 2 * MIB), 12, 3),
        (range(MIB, 8 * MIB), 12, 6),
        (range(2 * MIB, 4 * MIB), 12, 3),
    ] {
        let mut rig = Rig::new(DIRECT);
        rig.map(range(0, GIB), GIB, attributes(RW)).unwrap();
        let mut gather = rig.table.gather();
        rig.table.reserve(600).unwrap();
        let used = rig.machine.used();
        rig.table.split_to(part, size, &mut gather).unwrap();
        drop(gather);
        assert_eq!((rig.table.reserved(), rig.machine.used()), (600 - tables, used), "{part:?} to 2^{size} bytes");
    }
}

#[test]
fn a_collapsed_leaf_is_dirty_if_a_page_was() {
    for written in [None, Some(7 * 4096)] {
        let mut rig = Rig::new(DIRECT);
        rig.idle = true;
        rig.map(range(0, 2 * MIB), GIB, attributes(RW)).unwrap();
        rig.split_to(range(0, 2 * MIB), 12).unwrap();
        if let Some(page) = written {
            rig.table.mark(page, true);
        }
        rig.collapse(range(0, 2 * MIB)).unwrap();
        let leaf = rig.table.mappings(range(0, 2 * MIB)).next().unwrap();
        assert_eq!((leaf.size, leaf.attributes.dirty), (21, written.is_some()));
    }
}

#[test]
fn an_enlarged_leaf_is_dirty_if_a_page_was() {
    for written in [None, Some(7 * 4096)] {
        let mut rig = Rig::new(DIRECT);
        rig.idle = true;
        rig.populate(range(0, 2 * MIB), attributes(RW), 12).unwrap();
        if let Some(page) = written {
            rig.table.mark(page, true);
        }
        assert_eq!(rig.enlarge(range(0, 2 * MIB), 21), Ok(1));
        let leaf = rig.table.mappings(range(0, 2 * MIB)).next().unwrap();
        assert_eq!((leaf.size, leaf.attributes.dirty), (21, written.is_some()));
        rig.depopulate(range(0, 2 * MIB)).unwrap();
    }
}

#[test]
fn pages_that_say_different_things_are_not_enlarged() {
    for page in [0, 7, 511] {
        let mut rig = Rig::new(DIRECT);
        rig.populate(range(0, 2 * MIB), attributes(RW), 12).unwrap();
        let read_only = Change { rights: Some(Rights::R), ..Change::default() };
        rig.protect(range(page * 4096, 4096), read_only).unwrap();
        assert_eq!(rig.enlarge(range(0, 2 * MIB), 21), Ok(0));
        rig.depopulate(range(0, 2 * MIB)).unwrap();
    }
}

#[test]
fn part_of_a_run_moves_with_the_pages_beside_it() {
    fn moves<F: Format>(format: F) {
        let mut rig = Rig::new(format);
        let pages = |first: u64, count: u64| range(first << F::PAGE_BITS, count << F::PAGE_BITS);
        // Pages, a hole, and pages; what moves ends in the middle of the run behind them, or begins in that before them.
        for (run, moved) in [(32, pages(0, 40)), (0, pages(8, 32))] {
            for to in [0x100, 0x103, 0x10_0000, 0x10_0001].map(|page| page << F::PAGE_BITS) {
                let mut map = |range: ClosedRange, oa| rig.map(range, oa, attributes(RW)).unwrap();
                map(pages(run, 16), GIB);
                map(pages(16, 7), GIB + (0x21 << F::PAGE_BITS));
                map(pages(24, 8), GIB + (0x41 << F::PAGE_BITS));
                rig.move_range(moved, to).unwrap();
                rig.check();
                rig.unmap(rig.everything()[0]).unwrap();
            }
        }
    }
    for format in [DIRECT, WIDE, BREAKING, STATELESS] {
        moves(format);
    }
    moves(LARGE);
}

#[test]
fn a_run_behind_a_page_moves_as_pages() {
    for format in [STATELESS, Witness { hardware: true, ..STATELESS }] {
        let mut rig = Rig::new(format);
        let pages = range(0xf000, 0x41000);
        rig.map(pages, GIB + 0xf000, attributes(RW)).unwrap();
        assert!(rig.table.mappings(pages).count() < 0x41, "there are runs");
        rig.move_range(pages, 2 * MIB + 0x2000).unwrap();
        assert_eq!(rig.table.mappings(range(2 * MIB + 0x2000, 0x41000)).count(), 0x41);
    }
}

#[test]
fn a_leaf_is_not_split_where_that_is_refused() {
    let mut rig = Rig::new(DIRECT);
    rig.map(range(0, 4 * MIB), GIB, attributes(RW)).unwrap();
    rig.idle = true;
    rig.table.set_partial_change(PartialChange::Refuse);
    let before = rig.snapshot();
    let partial = |address| Err(Error::Partial { address, size: 21 });
    let read_only = Change { rights: Some(Rights::R), ..Change::default() };
    assert_eq!(rig.unmap(range(4096, 4096)), partial(0));
    assert_eq!(rig.unmap(range(0, 3 * MIB)), partial(2 * MIB));
    assert_eq!(rig.protect(range(MIB, MIB), read_only), partial(0));
    assert!(rig.snapshot() == before);
    // It says so already.
    rig.protect(range(MIB, MIB), Change { rights: Some(RW), ..Change::default() }).unwrap();
    rig.protect(range(0, 2 * MIB), read_only).unwrap();
    rig.unmap(range(2 * MIB, 2 * MIB)).unwrap();
    rig.table.set_partial_change(PartialChange::Split);
    rig.unmap(range(4096, 4096)).unwrap();
    rig.check();
}

/// Hardware that marks dirty what is writable only: read-only, a page cannot say that it was dirty, and the change takes
/// a break.
fn marking() -> Rig<stage2_4k::Format> {
    let bound = built_in("stage2", "4k-48").unwrap();
    let mut config = stage2_4k::Config::new(4, 48);
    assert!(bound.params.iter().all(|(name, value)| config.set(name, value)));
    Rig::judged(Format::new(&config).unwrap(), bound.clone(), rules::of("stage2", &bound))
}

#[test]
fn one_invalidation_breaks_a_whole_range_and_its_dirty_pages_are_told() {
    let mut rig = marking();
    // 8 MiB of pages, from the middle of a table on.
    let all = range(GIB + 3 * 4096, 8 * MIB);
    rig.map(all, 2 * GIB, attributes(RW)).unwrap();
    let written = [GIB + 3 * 4096, GIB + 4 * MIB, all.last() - 4095];
    for page in written {
        assert!(rig.table.mark(page, true));
    }
    rig.machine.take_log();
    let read_only = Change { rights: Some(Rights::R), ..Change::default() };
    let mut words = vec![0; PageBitmap::words(all, 12)];
    let mut pages = PageBitmap::new(all, 12, &mut words).unwrap();
    let mut gather = rig.table.gather();
    rig.table.protect_and_harvest(all, &read_only, &mut pages, &mut gather).unwrap();
    assert_eq!(gather.forgotten(), None);
    drop(gather);
    assert_eq!(written.map(|page| pages.contains(page)), [true; 3]);
    assert_eq!(pages.len(), 3);
    // The three tables in the middle at once; at the ends, up to 32 pages at once.
    let asked = rig.machine.take_log().len();
    assert!(asked <= 1 + 512 / 32 + 1, "{asked} invalidations for 2048 pages");
    rig.model.protect(all, &read_only);
    rig.check();
}

#[test]
fn a_forgotten_dirty_state_is_not_silent() {
    let mut rig = marking();
    let all = range(0, 64 * 4096);
    rig.map(all, 2 * GIB + 4096, attributes(RW)).unwrap();
    rig.table.mark(5 * 4096, true);
    let mut gather = rig.table.gather();
    rig.table.protect(all, &Change { rights: Some(Rights::R), ..Change::default() }, &mut gather).unwrap();
    assert_eq!(gather.forgotten(), Some(range(5 * 4096, 4096)));
}

#[test]
fn a_dirty_block_that_is_split_is_told_of_where_it_forgets() {
    let mut rig = marking();
    rig.map(range(0, 2 * MIB), 2 * GIB, attributes(RW)).unwrap();
    rig.table.mark(0, true);
    let part = range(MIB, 64 * 4096);
    let mut gather = rig.table.gather();
    rig.table.protect(part, &Change { rights: Some(Rights::R), ..Change::default() }, &mut gather).unwrap();
    assert_eq!(gather.forgotten(), Some(part));
    drop(gather);
    // The rest still says it.
    assert!(rig.table.mappings(range(0, MIB)).all(|leaf| leaf.attributes.dirty));
}

/// Installs a large page, written to, once the first entries are published.
struct Meanwhile {
    at: u64,
    table: OnceLock<Arc<PageTable<Witness<12>, Machine>>>,
    done: AtomicBool,
}

impl Observer for Meanwhile {
    fn published(&self, _: &Machine, _: HostPhysAddr, _: usize) {
        let Some(table) = self.table.get() else { return };
        if !self.done.swap(true, Ordering::AcqRel) {
            let written = Attributes { dirty: true, ..attributes(RW) };
            // SAFETY: nobody accesses memory through this table.
            let installed = unsafe { table.fault_in(self.at, 21, GIB, &written) };
            assert_eq!(installed, Ok(FaultIn::Installed));
        }
    }
}

#[test]
fn a_leaf_that_comes_meanwhile_and_reaches_beyond_a_harvest_stays_dirty() {
    // After a page, and after so many like it that they are cleared together.
    for (format, before) in [DIRECT, STATELESS].into_iter().flat_map(|format| [(format, 4096), (format, 132 * MIB)]) {
        let machine = Machine::new(0x4000_0000, 1 << 20);
        let mut table = PageTable::new(format, machine.clone(), Tag(1)).unwrap();
        let written = Attributes { dirty: true, ..attributes(RW) };
        let mut gather = table.gather();
        // SAFETY: nobody accesses memory through this table. Where it maps to, there are no runs.
        unsafe { table.map(range(0, before), GIB + 2 * MIB, &written, &mut gather) }.unwrap();
        drop(gather);
        let table = Arc::new(table);
        let at = before.next_multiple_of(2 * MIB);
        let meanwhile = Arc::new(Meanwhile { at, table: OnceLock::new(), done: AtomicBool::new(false) });
        assert!(meanwhile.table.set(table.clone()).is_ok());
        machine.observe(meanwhile.clone());
        let found = harvest(&table, State::Dirty, range(0, at + MIB)).unwrap();
        assert!(meanwhile.done.load(Ordering::Acquire) && found.contains(&0));
        let later = harvest(&table, State::Dirty, range(at, 2 * MIB)).unwrap();
        assert!(later.contains(&(at + MIB)), "lost what was written beyond the range");
    }
}
