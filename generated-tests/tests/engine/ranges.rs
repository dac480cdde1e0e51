//! Ranges at the edges of the address space, and invalid inputs.

use tablewright::{Change, ClosedRange, Error, FaultIn, Format, Lookup, PageTable, Refusal, Rights, Tag, sim::Machine};

use crate::{
    rig::{Rig, attributes, range},
    witness::{BREAKING, DIRECT, FLAT, FULL, LARGE, SIGNED, SMALL, WIDE},
};

const RW: Rights = Rights::RW;

fn last_page<F: Format>(format: F) {
    let mut rig = Rig::new(format);
    let page = rig.page();
    let last = ClosedRange::new(rig.end() - (page - 1), rig.end()).unwrap();
    rig.map(last, 1 << 20, attributes(RW)).unwrap();
    rig.check();
    assert_eq!(rig.table.translate(rig.end()), Some((1 << 20) + page - 1));
    assert_eq!(
        rig.map(last, 1 << 20, attributes(RW)).map_err(|error| format!("{error:?}").contains("AlreadyMapped")),
        Err(true)
    );
    rig.unmap(last).unwrap();
    rig.check();
    // SAFETY: nobody accesses memory through this table.
    let installed = unsafe { rig.table.fault_in(rig.end(), F::PAGE_BITS, 1 << 20, &attributes(RW)) };
    assert_eq!(installed, Ok(FaultIn::Installed));
    rig.end_of_life();
}

#[test]
fn the_last_page() {
    last_page(DIRECT);
    last_page(WIDE);
    last_page(BREAKING);
    last_page(LARGE);
    last_page(FULL);
    last_page(SIGNED);
    last_page(FLAT);
}

/// So many that loops over many at once reach the end of the addresses.
fn last_pages<F: Format>(format: F) {
    let mut rig = Rig::new(format);
    let size = 192 * rig.page();
    let (last, below) = (range(rig.end() - (size - 1), size), range(rig.end() - (4 * size - 1), size));
    rig.map(below, rig.page(), attributes(RW)).unwrap();
    rig.move_range(below, last.start()).unwrap();
    rig.check();
    rig.protect(last, Change { rights: Some(Rights::R), ..Default::default() }).unwrap();
    rig.check();
    rig.move_range(last, below.start()).unwrap();
    rig.unmap(below).unwrap();
    rig.populate(last, attributes(RW), F::PAGE_BITS).unwrap();
    rig.check();
    rig.depopulate(last).unwrap();
    rig.end_of_life();
}

#[test]
fn many_last_pages_at_once() {
    last_pages(DIRECT);
    last_pages(WIDE);
    last_pages(BREAKING);
    last_pages(LARGE);
    last_pages(FULL);
    last_pages(SIGNED);
}

/// Single pages in a table, and frames in all that is between them: runs wherever these fit.
fn holes<F: Format>(format: F) {
    let mut rig = Rig::new(format);
    let page = rig.page();
    let run = format.page_sizes(0).iter().last().unwrap();
    let last = rig.end() - (512 * page - 1);
    for start in [0, last.min(3 << 20), last] {
        let singles = [3, 70, 71, 72, 205, 510].map(|index| range(start + index * page, page));
        singles.iter().for_each(|&single| rig.populate(single, attributes(RW), run).unwrap());
        let all = range(start, 512 * page);
        rig.populate(all, attributes(RW), run).unwrap();
        rig.check();
        for leaf in rig.table.mappings(all) {
            let around = ClosedRange::around(leaf.range.start(), run);
            let is_free = all.covers(&around) && !singles.iter().any(|&single| around.covers(&single));
            assert_eq!(leaf.size, if is_free { run } else { F::PAGE_BITS }, "{leaf:x?}");
        }
        rig.depopulate(all).unwrap();
    }
    rig.end_of_life();
}

#[test]
fn holes_in_a_table() {
    holes(DIRECT);
    holes(WIDE);
    holes(BREAKING);
    holes(LARGE);
    holes(FULL);
    holes(FLAT);
}

#[test]
fn the_whole_space() {
    let mut rig = Rig::new(WIDE);
    let all = rig.everything()[0];
    rig.map(all, 0, attributes(RW)).unwrap();
    rig.check();
    // A root of 2048 entries holds it all: its index is not cut, and no table is needed.
    assert_eq!(rig.table.tables().count(), 1);
    assert_eq!(rig.table.tables().next().unwrap().size, 14);
    rig.protect(all, Change { rights: Some(Rights::R), ..Default::default() }).unwrap();
    rig.check();
    rig.unmap(range(all.last() - 4095, 4096)).unwrap();
    rig.check();
    rig.end_of_life();
}

#[test]
fn all_of_2_to_the_64() {
    let mut rig = Rig::new(FULL);
    let all = ClosedRange::new(0, u64::MAX).unwrap();
    rig.unmap(all).unwrap();
    assert!(matches!(rig.map(all, 0, attributes(RW)), Err(Error::OutputOutOfRange { address: 0, span: u64::MAX })));
    rig.map(range(1 << 63, 1 << 30), 0, attributes(RW)).unwrap();
    assert_eq!(rig.table.query(0), Some(Lookup::Hole(range(0, 1 << 57))));
    assert_eq!(rig.table.mappings(all).count(), 1);
    rig.check();
    rig.end_of_life();
}

#[test]
fn output_below_input() {
    let mut rig = Rig::new(DIRECT);
    rig.map(range(1 << 40, 1 << 30), 0, attributes(RW)).unwrap();
    rig.check();
    assert_eq!(rig.table.mappings(rig.everything()[0]).next().map(|mapping| mapping.size), Some(30));
}

#[test]
fn what_is_outside_is_refused() {
    let mut rig = Rig::new(DIRECT);
    let rw = attributes(RW);
    let beyond = range(1 << 48, 4096);
    assert_eq!(rig.map(beyond, 0, rw), Err(Error::OutOfRange(beyond)));
    let across = range((1 << 48) - 4096, 8192);
    assert_eq!(rig.unmap(across), Err(Error::OutOfRange(across)));
    assert_eq!(rig.populate(across, rw, 12), Err(Error::OutOfRange(across)));
    assert_eq!(rig.table.query(1 << 48), None);
    assert_eq!(rig.table.mappings(across).count(), 0);
    let (address, span) = ((1 << 52) - 4096, 8191);
    assert_eq!(rig.map(range(0, 8192), address, rw), Err(Error::OutputOutOfRange { address, span }));
    assert_eq!(rig.map(range(0, 4096), !0xfff, rw), Err(Error::OutputOutOfRange { address: !0xfff, span: 4095 }));
    // SAFETY: nobody accesses memory through this table.
    let fault = |ia, size, oa| unsafe { rig.table.fault_in(ia, size, oa, &rw) };
    assert!(matches!(fault(1 << 48, 12, 0), Err(Error::OutOfRange(_))));
    assert!(matches!(fault(0, 12, 1 << 52), Err(Error::OutputOutOfRange { .. })));
    assert_eq!(fault(0, 21, 4096), Err(Error::Misaligned { address: 4096, size: 21 }));
    assert_eq!(fault(0, 13, 0), Err(Error::Refused { level: 0, refusal: Refusal::Size { level: 0, size: 13 } }));
    rig.check();
}

#[test]
fn sign_extension_leaves_a_gap() {
    let mut rig = Rig::new(SIGNED);
    let gap = range(1 << 47, 4096);
    assert_eq!(rig.map(gap, 0, attributes(RW)), Err(Error::OutOfRange(gap)));
    let across = ClosedRange::new((1 << 47) - 4096, u64::MAX).unwrap();
    // From one half to the other, into the gap, and out of it.
    for outside in [across, range((1 << 47) - 4096, 8192), range(0xffff_7fff_ffff_f000, 8192)] {
        assert_eq!(rig.unmap(outside), Err(Error::OutOfRange(outside)));
    }
    let upper = ClosedRange::new(0xffff_8000_0000_0000, u64::MAX).unwrap();
    rig.map(range(0xffff_8000_0000_0000, 4096), 0, attributes(RW)).unwrap();
    // Nor is there a page where only the bits that count are those of one.
    let change = Change { rights: Some(Rights::R), ..Default::default() };
    assert_eq!(rig.protect(gap, change), Err(Error::OutOfRange(gap)));
    assert_eq!(rig.unmap(gap), Err(Error::OutOfRange(gap)));
    let beside = range((1 << 47) + 4096, 4096);
    assert_eq!(rig.map(beside, 0, attributes(RW)), Err(Error::OutOfRange(beside)));
    assert_eq!(rig.populate(beside, attributes(RW), 12), Err(Error::OutOfRange(beside)));
    let conflict = rig.map(range(0xffff_8000_0000_0000, 8192), 0, attributes(RW));
    assert!(matches!(conflict, Err(Error::AlreadyMapped { address: 0xffff_8000_0000_0000, level: 0, .. })));
    assert_eq!(rig.table.mappings(upper).next().map(|mapping| mapping.range), Some(range(0xffff_8000_0000_0000, 4096)));
    rig.check();
    rig.end_of_life();
}

#[test]
fn misaligned_ranges_are_refused() {
    let mut rig = Rig::new(LARGE);
    let rw = attributes(RW);
    assert_eq!(rig.map(range(0x1000, 0x4000), 0, rw), Err(Error::Misaligned { address: 0x1000, size: 14 }));
    assert_eq!(rig.map(range(0, 0x1000), 0, rw), Err(Error::Misaligned { address: 0x1000, size: 14 }));
    assert_eq!(rig.map(range(0, 0x4000), 0x1000, rw), Err(Error::Misaligned { address: 0x1000, size: 14 }));
    assert_eq!(rig.unmap(range(0, 0x1000)), Err(Error::Misaligned { address: 0x1000, size: 14 }));
    rig.check();
}

#[test]
fn what_the_format_cannot_say_is_refused() {
    let mut rig = Rig::new(DIRECT);
    let refusal = Refusal::Rights(Rights::W);
    assert_eq!(rig.map(range(0, 4096), 0, attributes(Rights::W)), Err(Error::Refused { level: 0, refusal }));
    assert_eq!(rig.populate(range(0, 4096), attributes(Rights::W), 12), Err(Error::Refused { level: 0, refusal }));
    rig.map(range(0, 2 << 20), 0, attributes(RW)).unwrap();
    rig.map(range(4 << 20, 4096), 0, attributes(RW)).unwrap();
    let change = Change { rights: Some(Rights::W), ..Default::default() };
    assert_eq!(rig.protect(range(0, 4096), change), Err(Error::Refused { level: 1, refusal }));
    // The page, and one beside it, where a table is.
    let (page, beside, used) = (range(4 << 20, 4096), range((4 << 20) + 4096, 4096), rig.machine.used());
    assert_eq!(rig.protect(page, change), Err(Error::Refused { level: 0, refusal }));
    assert_eq!(rig.map(beside, 0, attributes(Rights::W)), Err(Error::Refused { level: 0, refusal }));
    assert_eq!(rig.populate(beside, attributes(Rights::W), 12), Err(Error::Refused { level: 0, refusal }));
    assert_eq!(rig.machine.used(), used);
    // Where nothing is mapped, nothing needs to be said.
    assert_eq!(rig.protect(range(1 << 30, 4096), change), Ok(()));
    rig.check();
}

#[test]
fn a_gather_serves_its_own_table_only() {
    let machine = Machine::new(0, 1 << 20);
    let mut one = PageTable::new(DIRECT, machine.clone(), Tag(1)).unwrap();
    let two = PageTable::new(DIRECT, machine, Tag(2)).unwrap();
    assert_eq!(one.unmap(range(0, 4096), &mut two.gather()), Err(Error::ForeignGather));
}

#[test]
fn the_tables_needed_are_known_before() {
    for (size, oa) in [(4096, 0), (2 << 20, 0), (2 << 20, 4096), (1 << 30, 0), (3 << 30, 2 << 20)] {
        let mut rig = Rig::new(DIRECT);
        rig.map(range(0, 4096), 0, attributes(RW)).unwrap();
        let (at, rw) = (range(1 << 30, size), attributes(RW));
        let before = rig.table.tables().count();
        let needed = rig.table.tables_for(at, oa, &rw).unwrap();
        rig.map(at, oa, rw).unwrap();
        assert_eq!(rig.table.tables().count() - before, needed);
    }
}

/// As many as first uses of all pages take that are not mapped yet, beside tables, pages and blocks that are there.
fn tables_for_first_uses<F: Format>(format: F) {
    let mut rig = Rig::new(format);
    let page = rig.page();
    let [block, large] = [1, 2].map(|level| 1 << rig.table.geometry().entry_bits(level));
    for taken in [range(4 * block, block), range(6 * block + 3 * page, page), range(large, large)] {
        rig.map(taken, 0, attributes(RW)).unwrap();
    }
    for at in [
        range(3 * block - page, 5 * block),
        range(large - 2 * block - page, large + 2 * block + 4 * page),
        range(rig.end() - (2 * page - 1), 2 * page),
    ] {
        let (before, needed) = (rig.table.tables().count(), rig.table.tables_needed(at).unwrap());
        for ia in (at.start()..=at.last()).step_by(page as usize) {
            if rig.table.translate(ia).is_none() {
                // SAFETY: nobody accesses memory through this table.
                let done = unsafe { rig.table.fault_in(ia, F::PAGE_BITS, 1 << 20, &attributes(RW)) };
                assert_eq!(done, Ok(FaultIn::Installed));
            }
        }
        assert_eq!(rig.table.tables().count() - before, needed, "{at:?}");
        assert_eq!(rig.table.tables_needed(at), Ok(0));
    }
}

#[test]
fn the_tables_needed_for_first_uses_are_known_before() {
    tables_for_first_uses(DIRECT);
    tables_for_first_uses(WIDE);
    tables_for_first_uses(BREAKING);
    tables_for_first_uses(LARGE);
    tables_for_first_uses(SMALL);
}
