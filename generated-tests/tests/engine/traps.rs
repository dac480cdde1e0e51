//! Mistakes that other engines have made: a test for each, named after it.

use std::sync::atomic::{AtomicU64, Ordering};

use tablewright::{
    Change, ClosedRange, Error, FaultIn, Hal, HostPhysAddr, Invalidation, Lookup, MemoryType, Operation, Rights, Tag,
    sim::Machine,
};

use crate::{
    rig::{Rig, attributes, range, walk},
    witness::{BREAKING, DIRECT, FULL, LARGE, SIGNED, WIDE},
};

const RW: Rights = Rights::RW;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn log(machine: &Machine) -> Vec<Invalidation> {
    machine.take_log().into_iter().map(|(_, set)| set).collect()
}

#[test]
fn a_frame_is_freed_only_after_its_invalidation() {
    // The rig's cache complains about frames that are freed while a translation leads to them.
    let mut rig = Rig::new(DIRECT);
    rig.populate(range(0, 4 * MIB), attributes(RW), 12).unwrap();
    rig.depopulate(range(4096, 3 * MIB)).unwrap();
    rig.check();
    rig.depopulate(range(0, 4 * MIB)).unwrap();
    rig.end_of_life();
}

#[test]
fn a_part_of_a_frame_is_freed_also_where_one_like_it_was_only_unmapped_before() {
    let mut rig = Rig::new(DIRECT);
    rig.populate(range(0, 4 * MIB), attributes(RW), 21).unwrap();
    rig.unmap(range(MIB, 4096)).unwrap();
    let used = rig.machine.used();
    rig.depopulate(range(3 * MIB, 4096)).unwrap();
    // The page is gone, and a table is there.
    assert_eq!(rig.machine.used(), used);
}

#[test]
fn nothing_is_freed_while_the_gather_holds_it() {
    let mut rig = Rig::new(DIRECT);
    rig.populate(range(0, 16 * 4096), attributes(RW), 12).unwrap();
    let used = rig.machine.used();
    let mut gather = rig.table.gather();
    // SAFETY: the frames come from `populate`.
    unsafe { rig.table.depopulate(range(0, 16 * 4096), &mut gather) }.unwrap();
    assert_eq!(rig.machine.used(), used);
    assert_eq!(log(&rig.machine), []);
    gather.flush();
    assert!(gather.is_empty());
    assert_eq!(rig.machine.used(), 4096);
    let log = log(&rig.machine);
    let [Invalidation::Range { range: due, leaf_only: false, granule: 12 }] = log[..] else { panic!("{log:x?}") };
    assert!(due.covers(&range(0, 16 * 4096)));
}

#[test]
fn a_forgotten_gather_leaks_and_never_frees_early() {
    let mut rig = Rig::new(DIRECT);
    rig.populate(range(0, 4096), attributes(RW), 12).unwrap();
    let used = rig.machine.used();
    let mut gather = rig.table.gather();
    // SAFETY: the frames come from `populate`.
    unsafe { rig.table.depopulate(range(0, 4096), &mut gather) }.unwrap();
    std::mem::forget(gather);
    assert_eq!(rig.machine.used(), used);
}

#[test]
fn a_full_gather_invalidates_early() {
    let mut rig = Rig::new(DIRECT);
    let pages = 200;
    for page in 0..pages {
        // Every other page, so that no two frames can be held as one stretch.
        rig.populate(range(2 * page * 4096, 4096), attributes(RW), 12).unwrap();
        rig.machine.allocate(12).expect("a frame between two");
        rig.owned += 4096;
    }
    // Then there is no frame to list the others in, before some are free.
    while rig.machine.allocate(12).is_some() {
        rig.owned += 4096;
    }
    rig.machine.take_log();
    rig.depopulate(range(0, 2 * pages * 4096)).unwrap();
    assert!(log(&rig.machine).len() > 1);
    rig.check();
}

#[test]
fn part_of_a_block_is_unmapped_and_the_rest_stays() {
    for size in [2 * MIB, GIB] {
        let mut rig = Rig::new(DIRECT);
        rig.map(range(0, GIB), 4 * GIB, attributes(RW)).unwrap();
        rig.unmap(range(size / 2, 4096)).unwrap();
        rig.check();
        assert_eq!(rig.table.translate(size / 2 - 1), Some(4 * GIB + size / 2 - 1));
        assert_eq!(rig.table.translate(size / 2), None);
        assert_eq!(rig.table.translate(size / 2 + 4096), Some(4 * GIB + size / 2 + 4096));
        rig.end_of_life();
    }
}

#[test]
fn an_unmap_that_starts_inside_a_block_goes_on_behind_it() {
    let mut rig = Rig::new(DIRECT);
    rig.map(range(0, 8 * MIB), 4 * GIB, attributes(RW)).unwrap();
    rig.unmap(range(MIB, 6 * MIB)).unwrap();
    rig.check();
    assert_eq!(rig.table.regions(range(0, 8 * MIB)).count(), 2);
    rig.end_of_life();
}

#[test]
fn a_page_size_changes_only_through_a_break() {
    let mut rig = Rig::new(BREAKING);
    rig.map(range(0, 2 * MIB), GIB, attributes(RW)).unwrap();
    rig.machine.take_log();
    rig.protect(range(4096, 4096), Change { rights: Some(Rights::R), ..Change::default() }).unwrap();
    // The break is invalidated at once, for the whole block; the make needs nothing.
    let broken = Invalidation::Range { range: range(0, 2 * MIB), leaf_only: true, granule: 21 };
    assert_eq!(log(&rig.machine), [broken]);
    rig.check();
    // The rights of a page may change in place.
    rig.protect(range(4096, 4096), Change { rights: Some(RW), ..Change::default() }).unwrap();
    let direct = Invalidation::Range { range: range(4096, 4096), leaf_only: true, granule: 12 };
    assert_eq!(log(&rig.machine), [direct]);
    rig.check();
    // Its memory type may not.
    rig.protect(range(0, 64 * 4096), Change { memory: Some(MemoryType::NonCacheable), ..Change::default() }).unwrap();
    assert!(log(&rig.machine).iter().all(|set| matches!(set, Invalidation::Range { leaf_only: true, .. })));
    rig.check();
    rig.end_of_life();
}

#[test]
fn a_run_is_edited_as_a_whole() {
    for memory in [None, Some(MemoryType::DeviceNGnRE)] {
        let mut rig = Rig::new(LARGE);
        let page = rig.page();
        rig.map(range(0, 32 * page), GIB, attributes(RW)).unwrap();
        assert_eq!(rig.table.mappings(range(0, 32 * page)).map(|mapping| mapping.size).collect::<Vec<_>>(), [18, 18]);
        let change = Change { rights: Some(Rights::R), memory, ..Change::default() };
        rig.protect(range(0, 16 * page), change).unwrap();
        rig.check();
        assert_eq!(rig.table.mappings(range(0, 32 * page)).map(|mapping| mapping.size).collect::<Vec<_>>(), [18, 18]);
        rig.protect(range(3 * page, page), Change { rights: Some(RW), ..Change::default() }).unwrap();
        rig.check();
        assert_eq!(rig.table.mappings(range(0, 16 * page)).count(), 16);
        rig.unmap(range(20 * page, 2 * page)).unwrap();
        rig.check();
        rig.end_of_life();
    }
}

#[test]
fn a_change_that_changes_nothing_splits_nothing() {
    let mut rig = Rig::new(DIRECT);
    rig.map(range(0, GIB), 0, attributes(RW)).unwrap();
    rig.machine.take_log();
    rig.protect(range(4096, 4096), Change { rights: Some(RW), ..Change::default() }).unwrap();
    assert_eq!((rig.table.mappings(range(0, GIB)).count(), log(&rig.machine)), (1, vec![]));
}

#[test]
fn accessed_and_dirty_survive_a_split_and_a_change() {
    for memory in [None, Some(MemoryType::NonCacheable)] {
        let mut rig = Rig::new(DIRECT);
        rig.map(range(0, 2 * MIB), 0, attributes(RW)).unwrap();
        let leaf = walk(&rig.machine, rig.table.format(), rig.root(), 0).unwrap();
        let entry = rig.machine.phys_to_virt(HostPhysAddr::from_usize(leaf.entry as usize)).cast::<AtomicU64>();
        // SAFETY: an entry of a table, accessed atomically.
        unsafe { entry.as_ref() }.fetch_or(1 << 7 | 1 << 8, Ordering::AcqRel);
        rig.protect(range(8192, 4096), Change { rights: Some(Rights::R), memory, ..Change::default() }).unwrap();
        for mapping in rig.table.mappings(range(0, 2 * MIB)) {
            assert!(mapping.attributes.accessed && mapping.attributes.dirty);
        }
        rig.check();
    }
}

#[test]
fn a_zero_entry_is_no_huge_page() {
    for ia in [0, GIB, (1 << 48) - 4096] {
        let rig = Rig::new(DIRECT);
        assert!(matches!(rig.table.query(ia), Some(Lookup::Hole(_))));
        // SAFETY: nobody accesses memory through this table.
        let result = unsafe { rig.table.fault_in(ia, 12, GIB, &attributes(RW)) };
        assert_eq!(result, Ok(FaultIn::Installed));
        let mappings: Vec<_> = rig.table.mappings(rig.everything()[0]).collect();
        assert_eq!(
            mappings.iter().map(|mapping| (mapping.range, mapping.size)).collect::<Vec<_>>(),
            [(range(ia, 4096), 12)]
        );
    }
}

/// Inside, an address has no upper bits: what is reported has those that the caller knows.
#[test]
fn what_is_in_the_way_in_the_upper_half_is_told_where_it_is() {
    let mut rig = Rig::new(SIGNED);
    let page = range(0xffff_8000_0000_5000, 4096);
    // SAFETY: nobody accesses memory through this table.
    let fault = |rig: &Rig<_>, size| unsafe { rig.table.fault_in(page.start(), size, GIB, &attributes(RW)) }.unwrap();
    assert_eq!(fault(&rig, 12), FaultIn::Installed);
    for size in [12, 21] {
        assert!(matches!(fault(&rig, size), FaultIn::Present(found) if found.range == page));
        let mut cache = rig.table.frame_cache();
        // SAFETY: nobody accesses memory through this table.
        let zeroed = unsafe { rig.table.fault_in_zeroed(page.start(), size, &attributes(RW), &mut cache) };
        assert!(matches!(zeroed, Ok(FaultIn::Present(found)) if found.range == page));
    }
    rig.unmap(page).unwrap();
    rig.end_of_life();
}

#[test]
fn a_second_fault_on_a_page_keeps_the_first_frame() {
    let mut rig = Rig::new(DIRECT);
    // SAFETY: nobody accesses memory through this table.
    let fault = |rig: &Rig<_>, ia, size, oa| unsafe { rig.table.fault_in(ia, size, oa, &attributes(RW)) }.unwrap();
    assert_eq!(fault(&rig, 5000, 12, GIB), FaultIn::Installed);
    assert!(matches!(fault(&rig, 4096, 12, 2 * GIB), FaultIn::Present(mapping) if mapping.address == GIB));
    assert!(matches!(fault(&rig, 4096, 21, 2 * GIB), FaultIn::Present(mapping) if mapping.address == GIB));
    assert_eq!(fault(&rig, 0, 21, 2 * GIB), FaultIn::Smaller { size: 12 });
    assert_eq!(fault(&rig, 4 * MIB, 30, 2 * GIB), FaultIn::Smaller { size: 21 });
    assert_eq!(fault(&rig, 4 * MIB, 21, 2 * GIB), FaultIn::Installed);
    rig.unmap(range(0, 1 << 48)).unwrap();
    rig.end_of_life();
    assert_eq!(fault(&Rig::new(DIRECT), 0, 30, 2 * GIB), FaultIn::Installed);
    // SAFETY: as above.
    let run = unsafe { Rig::new(WIDE).table.fault_in(0, 16, GIB, &attributes(RW)) };
    assert_eq!(run, Ok(FaultIn::NeedsExclusive(Operation::Run)));
}

#[test]
fn cpus_that_fault_at_once_install_one_frame_each() {
    let rig = Rig::new(DIRECT);
    let pages = 2048;
    let installed = std::thread::scope(|scope| {
        let cpu = |number: u64| {
            let table = &rig.table;
            move || {
                (0..pages)
                    .filter(|page| {
                        let oa = GIB + (number * pages + page) * 4096;
                        // SAFETY: nobody accesses memory through this table.
                        let result = unsafe { table.fault_in(page * 4096 * 8, 12, oa, &attributes(RW)) };
                        result == Ok(FaultIn::Installed)
                    })
                    .count() as u64
            }
        };
        let cpus = [0, 1, 2, 3].map(|number| scope.spawn(cpu(number)));
        cpus.map(|cpu| cpu.join().unwrap()).iter().sum::<u64>()
    });
    assert_eq!(installed, pages);
    assert_eq!(rig.table.mappings(rig.everything()[0]).count() as u64, pages);
    // Those that were slower gave their tables back.
    assert_eq!(rig.machine.used(), 4096 * rig.table.tables().count());
}

#[test]
fn an_invalid_entry_that_may_be_cached_is_invalidated_when_mapped() {
    let mut rig = Rig::new(WIDE);
    rig.map(range(0, 4096), 0, attributes(RW)).unwrap();
    let made = Invalidation::Range { range: range(0, 4096), leaf_only: false, granule: 12 };
    assert_eq!(log(&rig.machine), [made]);
    let mut rig = Rig::new(BREAKING);
    rig.map(range(0, 4096), 0, attributes(RW)).unwrap();
    assert_eq!(log(&rig.machine), []);
}

#[test]
fn frame_zero_is_a_frame() {
    let mut rig = Rig::on(Machine::new(0, 16 << 20), DIRECT);
    assert_eq!(rig.root(), 0);
    rig.populate(range(0, 64 * 4096), attributes(RW), 12).unwrap();
    rig.check();
    rig.map(range(GIB, 4096), 0, attributes(RW)).unwrap();
    rig.check();
    assert_eq!(rig.table.translate(GIB), Some(0));
}

#[test]
fn rights_taken_to_none_leave_the_page_mapped() {
    let mut rig = Rig::new(DIRECT);
    rig.populate(range(0, 8192), attributes(RW), 12).unwrap();
    rig.protect(range(0, 8192), Change { rights: Some(Rights::empty()), ..Change::default() }).unwrap();
    rig.check();
    assert!(matches!(rig.table.query(0), Some(Lookup::Mapped(mapping)) if mapping.attributes.rights.is_empty()));
    rig.depopulate(range(0, 8192)).unwrap();
    rig.end_of_life();
}

#[test]
fn a_block_fits_where_pages_were() {
    let mut rig = Rig::new(DIRECT);
    for _ in 0..2 {
        rig.map(range(0, 2 * MIB), 4096, attributes(RW)).unwrap();
        rig.unmap(range(0, MIB)).unwrap();
        rig.unmap(range(MIB, MIB)).unwrap();
        rig.map(range(0, GIB), 0, attributes(RW)).unwrap();
        assert_eq!(rig.table.mappings(range(0, GIB)).next().map(|mapping| mapping.size), Some(30));
        rig.unmap(range(0, GIB)).unwrap();
        rig.check();
    }
}

#[test]
fn a_conflict_changes_nothing() {
    let mut rig = Rig::new(DIRECT);
    rig.map(range(3 * MIB, 4096), 0, attributes(RW)).unwrap();
    let before = rig.snapshot();
    let conflict = rig.map(range(0, 4 * MIB), 0, attributes(RW));
    assert!(matches!(conflict, Err(Error::AlreadyMapped { address, level: 0, .. }) if address == 3 * MIB));
    assert!(rig.snapshot() == before);
    rig.map(range(GIB, GIB), GIB, attributes(RW)).unwrap();
    let conflict = rig.map(range(2 * GIB - 4096, 8192), 0, attributes(RW));
    assert!(matches!(conflict, Err(Error::AlreadyMapped { level: 2, .. })));
    rig.check();
}

#[test]
fn a_table_that_was_dropped_has_freed_its_tables() {
    let mut rig = Rig::new(FULL);
    rig.map(range(1 << 62, GIB + 4096), 4096, attributes(RW)).unwrap();
    let machine = rig.machine.clone();
    drop(rig);
    assert_eq!(machine.used(), 0);
    assert_eq!(machine.take_log().last(), Some(&(Tag(7), Invalidation::Space)));
}

#[test]
fn frames_that_are_freed_whole_are_never_cut() {
    let mut rig = Rig::on(Machine::with_whole_frames(0, 16 << 20), DIRECT);
    let rw = attributes(RW);
    rig.populate(range(0, 2 * MIB), rw, 30).unwrap();
    assert_eq!(rig.table.mappings(range(0, 2 * MIB)).map(|mapping| mapping.size).max(), Some(12));
    let frame = rig.machine.allocate(21).unwrap().as_usize() as u64;
    // SAFETY: nobody accesses memory through this table.
    assert_eq!(unsafe { rig.table.fault_in(2 * MIB, 21, frame, &rw) }, Ok(FaultIn::Installed));
    rig.owned += 2 << 20;
    rig.model.insert(tablewright::Region { range: range(2 * MIB, 2 * MIB), address: frame, attributes: rw });
    let part = Error::PartialFrame { address: 2 * MIB, size: 21 };
    assert_eq!(rig.depopulate(range(3 * MIB, 4096)), Err(part));
    rig.depopulate(ClosedRange::new(0, 4 * MIB - 1).unwrap()).unwrap();
    rig.end_of_life();
}
