//! Harvests and changes of pages in all combinations of states side by side: in numbers below and above what the engine
//! handles at once, and up to the last address.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tablewright::{
    Attributes, Change, ClosedRange, Format, Hal, HostPhysAddr, Mapping, MemoryType, PageBitmap, PageTable, Rights,
    State, Tag, sim::Machine,
};

use crate::{
    rig::{range, walk},
    witness::{BREAKING, DIRECT, FULL, SIGNED, STATELESS, WIDE, Witness},
};

const PAGE: u64 = 4096;

/// More than a table has.
const PAGES: usize = 700;

/// What a page is: `None`, or its rights to write and to execute, accessed and dirty state.
type Page = Option<(bool, bool, bool, bool)>;

/// A page; most are dirty, so that what differs is among them.
fn page(there: f64) -> impl Strategy<Value = Page> {
    let mostly = || prop::bool::weighted(0.8);
    prop::option::weighted(there, (mostly(), mostly(), mostly(), mostly()))
}

/// Stretches of pages that are alike; or pages and holes that alternate at random.
fn pages() -> impl Strategy<Value = Vec<Page>> {
    let stretch = (page(0.9), prop_oneof![1..4_usize, 1..200_usize]);
    let stretches = prop::collection::vec(stretch, 1..60).prop_map(|stretches| {
        let pages = stretches.into_iter().flat_map(|(page, count)| std::iter::repeat_n(page, count));
        pages.chain(std::iter::repeat(None)).take(PAGES).collect()
    });
    prop_oneof![2 => stretches, 1 => prop::collection::vec(page(0.5), PAGES)]
}

fn attributes((write, execute, accessed, dirty): (bool, bool, bool, bool)) -> Attributes {
    let right = |has, right| if has { right } else { Rights::empty() };
    let rights = Rights::R | right(write, Rights::W) | right(execute, Rights::X);
    Attributes { accessed, dirty: dirty && write, ..Attributes::new(rights, MemoryType::WriteBack) }
}

/// The numbers of the pages that a harvest of `all` finds.
fn harvest<F: Format>(table: &PageTable<F, Machine>, state: State, all: ClosedRange) -> Vec<usize> {
    let mut words = vec![0; PageBitmap::words(all, 12)];
    let mut found = PageBitmap::new(all, 12, &mut words).unwrap();
    table.harvest(state, &mut found, &mut table.gather()).unwrap();
    (0..PAGES).filter(|&page| found.contains(all.start() + page as u64 * PAGE)).collect()
}

/// A table with these pages up to its last address, and where they are.
fn with<F: Format>(format: F, pages: &[Page]) -> (PageTable<F, Machine>, ClosedRange) {
    let mut table = PageTable::new(format, Machine::new(0, 1 << 20), Tag(7)).unwrap();
    let geometry = *table.geometry();
    let last = geometry.extend(geometry.last_input() & !(PAGE - 1)) | (PAGE - 1);
    let all = range(last - (PAGES as u64 * PAGE - 1), PAGES as u64 * PAGE);
    let mut gather = table.gather();
    for (number, page) in pages.iter().enumerate().filter_map(|(number, page)| Some((number as u64, (*page)?))) {
        let ia = all.start() + number * PAGE;
        // SAFETY: nobody accesses memory through this table.
        unsafe { table.map(range(ia, PAGE), (number + 1) * PAGE, &attributes(page), &mut gather) }.unwrap();
    }
    drop(gather);
    (table, all)
}

/// Puts into the holes of tables of pages what would be dirty pages, were it not absent. Returns the holes and what is
/// there.
fn litter<F: Format>(table: &PageTable<F, Machine>) -> Vec<(u64, u64)> {
    let format = table.format();
    let page = format.prototype(0, 12, &attributes((true, true, true, true))).unwrap();
    let kinds = format.kinds(0);
    let raw = format.strip(page, 0x1234_5000, 1).first & !kinds.absent_mask | kinds.absent_value;
    let tables = table.tables().filter(|table| table.level == 0);
    let slots = tables.flat_map(|table| (0..512).map(move |index| table.address.as_usize() as u64 + index * 8));
    let holes = slots.filter(|&slot| kinds.is_absent(table.hal().read_word(slot).unwrap()));
    holes
        .inspect(|&hole| {
            let entry = table.hal().phys_to_virt(HostPhysAddr::from_usize(hole as usize)).cast::<AtomicU64>();
            // SAFETY: an entry of a table, accessed atomically.
            unsafe { entry.as_ref() }.store(raw, Ordering::Relaxed);
        })
        .map(|hole| (hole, raw))
        .collect()
}

/// `states`: the format has them; else what may be written counts as dirty.
fn hold<F: Format>(format: F, states: bool, pages: &[Page]) {
    let (table, all) = with(format, pages);
    let before: Vec<Mapping> = table.mappings(all).collect();
    let holes = litter(&table);

    let is_dirty = |page: &Page| page.is_some_and(|(write, _, _, dirty)| write && (dirty || !states));
    let dirty: Vec<usize> = (0..PAGES).filter(|&number| is_dirty(&pages[number])).collect();
    assert_eq!(harvest(&table, State::Dirty, all), dirty);
    assert_eq!(harvest(&table, State::Dirty, all), []);
    // Nothing else changed.
    let clean = |leaf: &Mapping| {
        let rights = if states { leaf.attributes.rights } else { leaf.attributes.rights - Rights::W };
        Mapping { attributes: Attributes { rights, dirty: false, ..leaf.attributes }, ..*leaf }
    };
    assert!(table.mappings(all).eq(before.iter().map(clean)));

    if states {
        let is_accessed = |page: &Page| page.is_some_and(|(_, _, accessed, _)| accessed);
        let accessed: Vec<usize> = (0..PAGES).filter(|&number| is_accessed(&pages[number])).collect();
        assert_eq!(harvest(&table, State::Accessed, all), accessed);
        assert_eq!(harvest(&table, State::Accessed, all), []);
    }
    assert!(holes.iter().all(|&(hole, raw)| table.hal().read_word(hole) == Some(raw)));
}

/// Takes the right to write from all, and moves them where they are aligned otherwise.
fn protect_and_move<F: Format>(format: F, pages: &[Page]) {
    let (mut table, all) = with(format, pages);
    let before: Vec<Mapping> = table.mappings(all).collect();
    let holes = litter(&table);
    let mut gather = table.gather();
    let change = Change { rights: Some(Rights::R), ..Change::default() };
    table.protect(all, &change, &mut gather).unwrap();
    assert!(holes.iter().all(|&(hole, raw)| table.hal().read_word(hole) == Some(raw)));
    let protected: Vec<Mapping> = table.mappings(all).collect();
    // What is as it should be is neither broken nor invalidated.
    gather.flush();
    let done = gather.invalidations();
    table.protect(all, &change, &mut gather).unwrap();
    gather.flush();
    assert_eq!(gather.invalidations(), done);
    assert!(protected.iter().all(|leaf| leaf.attributes.rights == Rights::R));
    let moved = |leaf: &Mapping, distance: u64, attributes| {
        let range = ClosedRange::new(leaf.range.start() - distance, leaf.range.last() - distance).unwrap();
        Mapping { range, attributes, ..*leaf }
    };
    let rest = |leaf: &Mapping| Attributes { rights: Rights::R, ..leaf.attributes };
    assert!(protected.iter().eq(before.iter().map(|leaf| moved(leaf, 0, rest(leaf))).collect::<Vec<_>>().iter()));

    let distance = (PAGES as u64 + 5) * PAGE;
    table.move_range(all, all.start() - distance, &mut gather).unwrap();
    assert_eq!(table.mappings(all).count(), 0);
    let target = range(all.start() - distance, PAGES as u64 * PAGE);
    assert!(table.mappings(target).eq(protected.iter().map(|leaf| moved(leaf, distance, leaf.attributes))));
}

/// How many pages a run has.
const RUN: u64 = 16;

/// A run, or as many pages that are none, with a bit for each that is accessed and each that is dirty; or as many holes.
type Stretch = Option<(bool, u16, u16)>;

fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    let states = || prop_oneof![Just(0), Just(u16::MAX), any::<u16>()];
    prop::collection::vec(prop::option::weighted(0.9, (prop::bool::weighted(0.7), states(), states())), 70)
}

/// Runs among pages: a run is in a state if one of its items is.
fn hold_runs<F: Format>(format: F, stretches: &[Stretch]) {
    let mut table = PageTable::new(format, Machine::new(0, 1 << 20), Tag(7)).unwrap();
    let pages = stretches.len() as u64 * RUN;
    let all = range(0, pages * PAGE);
    let mut gather = table.gather();
    for (number, &(is_run, ..)) in (0..).zip(stretches).filter_map(|(number, at)| Some((number, at.as_ref()?))) {
        let (ia, shift) = (number * RUN * PAGE, if is_run { 0 } else { PAGE });
        let rw = attributes((true, false, false, false));
        // SAFETY: nobody accesses memory through this table.
        unsafe { table.map(range(ia, RUN * PAGE), ia + shift, &rw, &mut gather) }.unwrap();
    }
    let states = format.accessed_dirty(0);
    let at = |page: u64| stretches[(page / RUN) as usize].map(|stretch| (stretch, page % RUN));
    for (page, ((_, accessed, dirty), item)) in (0..pages).filter_map(|page| Some((page, at(page)?))) {
        let slot = walk(table.hal(), &format, table.root().as_usize() as u64, page * PAGE).expect("mapped").entry;
        let put = |raw: u64, bits: u16, mask: u64, value: u64| {
            raw & !mask | if bits >> item & 1 == 1 { value } else { value ^ mask }
        };
        let raw = put(table.hal().read_word(slot).unwrap(), accessed, states.accessed_mask, states.accessed_value);
        let entry = table.hal().phys_to_virt(HostPhysAddr::from_usize(slot as usize)).cast::<AtomicU64>();
        // SAFETY: an entry of a table, accessed atomically.
        unsafe { entry.as_ref() }.store(put(raw, dirty, states.dirty_mask, states.dirty_value), Ordering::Relaxed);
    }
    let mut expected: Vec<Mapping> = table.mappings(all).collect();
    for state in [State::Dirty, State::Accessed] {
        let is_in = |page: &u64| {
            at(*page).is_some_and(|((is_run, accessed, dirty), item)| {
                let bits = if state == State::Dirty { dirty } else { accessed };
                if is_run { bits != 0 } else { bits >> item & 1 == 1 }
            })
        };
        for found in [(0..pages).filter(is_in).collect(), Vec::new()] {
            let mut words = vec![0; PageBitmap::words(all, 12)];
            let mut harvested = PageBitmap::new(all, 12, &mut words).unwrap();
            table.harvest(state, &mut harvested, &mut gather).unwrap();
            assert_eq!((0..pages).filter(|page| harvested.contains(page * PAGE)).collect::<Vec<_>>(), found);
        }
        // Nothing else changed.
        for leaf in &mut expected {
            match state {
                State::Dirty => leaf.attributes.dirty = false,
                State::Accessed => leaf.attributes.accessed = false,
            }
        }
        assert!(table.mappings(all).eq(expected.iter().copied()));
    }
}

/// What stands in a slot of a table above those of pages: nothing, a table, or a block.
type Slot = Option<bool>;

/// Stretches of slots that are alike.
fn slots() -> impl Strategy<Value = Vec<Slot>> {
    let stretch = (prop::option::weighted(0.9, prop::bool::weighted(0.2)), prop_oneof![1..4_usize, 1..200_usize]);
    prop::collection::vec(stretch, 1..30).prop_map(|stretches| {
        let slots = stretches.into_iter().flat_map(|(slot, count)| std::iter::repeat_n(slot, count));
        slots.take(PAGES).collect()
    })
}

/// Moves tables and blocks, as many at once as follow each other, to where they are aligned as they were.
fn move_slots<F: Format>(format: F, slots: &[Slot]) {
    const SLOT: u64 = 512 * PAGE;
    let mut table = PageTable::new(format, Machine::new(0, 8 << 20), Tag(7)).unwrap();
    let all = Attributes::new(Rights::RWX, MemoryType::WriteBack);
    let mut gather = table.gather();
    for (number, is_block) in slots.iter().enumerate().filter_map(|(number, slot)| Some((number as u64, (*slot)?))) {
        let (first, size) = if is_block { (0, SLOT) } else { (7 * PAGE, PAGE) };
        // SAFETY: nobody accesses memory through this table.
        unsafe { table.map(range(number * SLOT + first, size), number * SLOT, &all, &mut gather) }.unwrap();
    }
    let from = range(0, slots.len() as u64 * SLOT);
    let before: Vec<Mapping> = table.mappings(from).collect();
    let distance = (PAGES as u64 + 5) * SLOT;
    table.move_range(from, distance, &mut gather).unwrap();
    let moved = |leaf: &Mapping| Mapping {
        range: ClosedRange::new(leaf.range.start() + distance, leaf.range.last() + distance).unwrap(),
        ..*leaf
    };
    assert!(table.mappings(range(distance, from.span() + 1)).eq(before.iter().map(moved)));
    assert_eq!(table.mappings(from).count(), 0);
}

/// Where it takes a break to write-protect a page, each of many that are alike is.
#[test]
fn each_page_is_broken_for_itself() {
    let format = Witness { runs: crate::witness::Runs::None, rights_break: true, ..STATELESS };
    let (mut table, all) = with(format, &[Some((true, false, false, false)); PAGES]);
    for expected in [PAGES, 0] {
        let mut words = vec![0; PageBitmap::words(all, 12)];
        let mut found = PageBitmap::new(all, 12, &mut words).unwrap();
        let mut gather = table.gather();
        table.harvest_exclusive(State::Dirty, &mut found, &mut gather).unwrap();
        assert_eq!(found.len(), expected);
        assert!(table.mappings(all).all(|leaf| leaf.attributes.rights == Rights::R));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_page_is_found_once_and_nothing_else_changes(pages in pages()) {
        // Hardware sets states, software does, up to 2^64 and in the upper half; and without states.
        for format in [DIRECT, FULL, SIGNED] {
            hold(format, true, &pages);
        }
        hold(Witness { runs: crate::witness::Runs::None, ..STATELESS }, false, &pages);
    }

    #[test]
    fn each_run_is_found_whole(stretches in stretches()) {
        // Items that share an address or have their own, states set by hardware or by software.
        for format in [WIDE, BREAKING, Witness { hardware: true, ..BREAKING }] {
            hold_runs(format, &stretches);
        }
    }

    #[test]
    fn each_page_loses_the_right_to_write_and_moves(pages in pages()) {
        for format in [DIRECT, FULL, SIGNED, Witness { rights_break: true, ..DIRECT }] {
            protect_and_move(format, &pages);
        }
        protect_and_move(Witness { runs: crate::witness::Runs::None, ..STATELESS }, &pages);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_table_moves_with_what_is_beside_it(slots in slots()) {
        for format in [DIRECT, FULL] {
            move_slots(format, &slots);
        }
    }
}
