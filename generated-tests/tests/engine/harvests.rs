//! Harvests of pages in all states side by side, as many as are looked at together and more, up to the last address.

use proptest::prelude::*;
use tablewright::{
    Attributes, ClosedRange, Format, Mapping, MemoryType, PageBitmap, PageTable, Rights, State, Tag, sim::Machine,
};

use crate::{
    rig::range,
    witness::{DIRECT, FULL, SIGNED, STATELESS, Witness},
};

const PAGE: u64 = 4096;

/// More than a table has.
const PAGES: usize = 700;

/// What a page is: `None`, or its right to write, accessed and dirty state.
type Page = Option<(bool, bool, bool)>;

/// Stretches of pages that are alike: most are dirty, so that what differs is among them.
fn pages() -> impl Strategy<Value = Vec<Page>> {
    let mostly = || prop::bool::weighted(0.8);
    let page = prop::option::weighted(0.9, (mostly(), mostly(), mostly()));
    let stretch = (page, prop_oneof![1..4_usize, 1..200_usize]);
    prop::collection::vec(stretch, 1..60).prop_map(|stretches| {
        let pages = stretches.into_iter().flat_map(|(page, count)| std::iter::repeat_n(page, count));
        pages.chain(std::iter::repeat(None)).take(PAGES).collect()
    })
}

fn attributes((write, accessed, dirty): (bool, bool, bool)) -> Attributes {
    let rights = if write { Rights::RW } else { Rights::R };
    Attributes { accessed, dirty: dirty && write, ..Attributes::new(rights, MemoryType::WriteBack) }
}

/// The numbers of the pages that a harvest of `all` finds.
fn harvest<F: Format>(table: &PageTable<F, Machine>, state: State, all: ClosedRange) -> Vec<usize> {
    let mut words = vec![0; PageBitmap::words(all, 12)];
    let mut found = PageBitmap::new(all, 12, &mut words).unwrap();
    table.harvest(state, &mut found, &mut table.gather()).unwrap();
    (0..PAGES).filter(|&page| found.contains(all.start() + page as u64 * PAGE)).collect()
}

/// `states`: the format has them; else what may be written counts as dirty.
fn hold<F: Format>(format: F, states: bool, pages: &[Page]) {
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
    let before: Vec<Mapping> = table.mappings(all).collect();

    let is_dirty = |page: &Page| page.is_some_and(|(write, _, dirty)| write && (dirty || !states));
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
        let is_accessed = |page: &Page| page.is_some_and(|(_, accessed, _)| accessed);
        let accessed: Vec<usize> = (0..PAGES).filter(|&number| is_accessed(&pages[number])).collect();
        assert_eq!(harvest(&table, State::Accessed, all), accessed);
        assert_eq!(harvest(&table, State::Accessed, all), []);
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
}
