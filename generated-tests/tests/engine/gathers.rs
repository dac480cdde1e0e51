//! Gathers that are misused: given to another table, kept for too long, or under a HAL that panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tablewright::{
    Attributes, Change, Error, FaultIn, Format, Gather, Hal, HostPhysAddr, Invalidation, MemoryType, PageTable, Rights,
    Tag, Tags, aarch64::stage2_4k, sim::Machine,
};

use crate::{
    rig::{Rig, attributes, range},
    witness::{BREAKING, DIRECT, WIDE, Witness},
};

const GIB: u64 = 1 << 30;

fn log(machine: &Machine) -> Vec<Invalidation> {
    machine.take_log().into_iter().map(|(_, set)| set).collect()
}

#[test]
fn a_gather_of_another_machines_table_is_foreign() {
    // Both roots are the first frame of their machine, and both have the same tag.
    let machines = [Machine::new(0, 1 << 20), Machine::new(0, 1 << 20)];
    let [mut ours, theirs] = machines.clone().map(|machine| PageTable::new(DIRECT, machine, Tag(7)).unwrap());
    assert_eq!((ours.root(), ours.tag()), (theirs.root(), theirs.tag()));
    let mut gather = ours.gather();
    ours.populate(range(0, 4096), &attributes(Rights::RW), 12, &mut gather).unwrap();
    let mut foreign = theirs.gather();
    assert_eq!(ours.unmap(range(0, 4096), &mut foreign), Err(Error::ForeignGather));
}

#[test]
fn a_gather_of_the_table_that_was_there_before_is_foreign() {
    let machine = Machine::new(0, 1 << 20);
    let before = PageTable::new(DIRECT, machine.clone(), Tag(7)).unwrap();
    let (root, mut stale) = (before.root(), before.gather());
    drop(before);
    // Another number of levels: what the old gather believes of tables is wrong here.
    let format = Witness { levels: 3, input_bits: 39, ..DIRECT };
    let mut table = PageTable::new(format, machine, Tag(7)).unwrap();
    assert_eq!(table.root(), root);
    assert_eq!(table.unmap(range(0, 4096), &mut stale), Err(Error::ForeignGather));
}

/// An operation on the gigabyte that begins at an address.
type Edit = fn(&mut PageTable<Witness<12>, Machine>, u64, &mut Gather<Witness<12>, Machine>) -> Result<(), Error>;

/// Every operation that adds to a gather, on pages and on parts of blocks.
const EDITS: [(&str, Edit); 17] = [
    // SAFETY: nobody accesses memory through this table.
    ("map a page", |table, at, gather| unsafe { table.map(range(at + 8192, 4096), 0, &RW, gather) }),
    // SAFETY: as above.
    ("map a block", |table, at, gather| unsafe { table.map(range(at + (64 << 20), 2 << 20), 0, &RW, gather) }),
    ("populate a page", |table, at, gather| table.populate(range(at + 8192, 4096), &RW, 12, gather)),
    ("populate pages", |table, at, gather| table.populate(range(at, 8 * 4096), &RW, 12, gather)),
    ("unmap a page", |table, at, gather| table.unmap(range(at, 4096), gather)),
    ("unmap a part", |table, at, gather| table.unmap(range(at + PART, 4096), gather)),
    ("unmap all", |table, at, gather| table.unmap(range(at, GIB), gather)),
    // SAFETY: the frame comes from `populate`.
    ("free a page", |table, at, gather| unsafe { table.depopulate(range(at + FRAME, 4096), gather) }),
    ("change a page", |table, at, gather| table.protect(range(at, 4096), &READ, gather)),
    ("change a part", |table, at, gather| table.protect(range(at + PART, 4096), &READ, gather)),
    ("change all", |table, at, gather| table.protect(range(at, GIB), &READ, gather)),
    ("split", |table, at, gather| table.split(range(at + PART, 4096), gather)),
    ("split all", |table, at, gather| table.split_to(range(at, GIB), 12, gather)),
    ("move", |table, at, gather| table.move_range(range(at, 4096), at + (64 << 20), gather)),
    // SAFETY: as above.
    ("remap", |table, at, gather| unsafe { table.remap(at, 0, &RW, gather) }.map(|_| ())),
    ("relax", |table, at, gather| table.relax_exclusive(at, Rights::RW, gather).map(|_| ())),
    // SAFETY: as above.
    ("fault in", |table, at, gather| unsafe { table.fault_in_exclusive(at + 8192, 12, 0, &RW, gather) }.map(|_| ())),
];

const RW: Attributes = Attributes::new(Rights::RW, MemoryType::WriteBack);
const READ: Change = Change { rights: Some(Rights::R), memory: None, options: None };
/// Where a page of a block is, and one that is populated.
const PART: u64 = (2 << 20) + 4096;
const FRAME: u64 = 4 << 20;

/// Two gigabytes that are alike, with pages and a block in each.
fn twins(format: Witness<12>, machine: &Machine) -> PageTable<Witness<12>, Machine> {
    let mut table = PageTable::new(format, machine.clone(), Tag(7)).unwrap();
    let mut gather = table.gather();
    for at in [0, GIB] {
        for (part, oa) in [(range(at, 8192), GIB + 4096), (range(at + (2 << 20), 2 << 20), GIB)] {
            // SAFETY: nobody accesses memory through this table.
            unsafe { table.map(part, oa, &RW, &mut gather) }.unwrap();
        }
        table.populate(range(at + FRAME, 8192), &RW, 12, &mut gather).unwrap();
    }
    drop(gather);
    table
}

/// What was done with the first of the twins may be known when it is to be done with the other.
#[test]
fn no_operation_feeds_a_foreign_gather() {
    for (name, edit) in EDITS {
        let machine = Machine::new(0, 16 << 20);
        let mut table = twins(DIRECT, &machine);
        let other = PageTable::new(DIRECT, machine.clone(), Tag(7)).unwrap();
        let (mut own, mut foreign) = (table.gather(), other.gather());
        assert_eq!(edit(&mut table, 0, &mut own), Ok(()), "{name}");
        own.flush();
        let all = range(GIB, GIB);
        let before = (table.mappings(all).collect::<Vec<_>>(), machine.used());
        assert_eq!(edit(&mut table, GIB, &mut foreign), Err(Error::ForeignGather), "{name}");
        assert!(foreign.is_empty(), "{name}");
        assert_eq!((table.mappings(all).collect::<Vec<_>>(), machine.used()), before, "{name}");
    }
}

#[test]
fn all_operations_let_a_gather_follow_its_table_to_another_tag() {
    for (name, edit) in EDITS {
        let machine = Machine::new(0, 16 << 20);
        let (mut table, tags) = (twins(WIDE, &machine), Tags::new(Tag(1), Tag(2)));
        let mut gather = table.gather();
        edit(&mut table, 0, &mut gather).unwrap();
        let is_due = !gather.is_empty();
        table.renew_tag(&tags).unwrap();
        machine.take_log();
        edit(&mut table, GIB, &mut gather).unwrap();
        drop(gather);
        let mut told: Vec<_> = machine.take_log().into_iter().map(|(tag, _)| tag).collect();
        told.dedup();
        // What was due, then what is. Some wait for all that they do, or change nothing that is cached.
        let expected = if is_due { told == [Tag(7), Tag(1)] } else { !told.contains(&Tag(7)) };
        assert!(expected, "{name}: {told:?}");
    }
}

#[test]
fn many_pages_of_a_table_go_together_and_no_others() {
    // The first page, how many, and one that is gone before, if there is: then the others go one by one.
    for (first, pages, gone) in [(1, 511, None), (0, 511, None), (3, 500, None), (3, 500, Some(300)), (1, 1022, None)] {
        let mut rig = Rig::new(DIRECT);
        rig.map(range(0, 1024 * 4096), GIB + 4096, attributes(Rights::RW)).unwrap();
        if let Some(gone) = gone {
            rig.unmap(range(gone * 4096, 4096)).unwrap();
        }
        rig.machine.take_log();
        let part = range(first * 4096, pages * 4096);
        rig.unmap(part).unwrap();
        let covers =
            |set: &Invalidation| matches!(set, Invalidation::Range { range, leaf_only: true, .. } if *range == part);
        assert!(matches!(&log(&rig.machine)[..], [set] if covers(set)), "{first} {pages}");
        for page in 0..1024 {
            let is_left = !(first..first + pages).contains(&page) && Some(page) != gone;
            assert_eq!(rig.table.translate(page * 4096).is_some(), is_left, "{page} of {first} {pages}");
        }
    }
}

/// How many invalidations it takes to give back `pages` frames of a table that keeps others, which came in this order.
/// With `is_full`, there is no free frame.
fn freeing<F: Format>(format: F, pages: u64, order: impl Iterator<Item = u64>, is_full: bool) -> usize {
    let machine = Machine::new(0, 8 << 20);
    let mut table = PageTable::new(format, machine.clone(), Tag(7)).unwrap();
    let mut gather = table.gather();
    table.populate(range(0, 4096), &RW, 12, &mut gather).unwrap();
    let without = machine.used();
    order.for_each(|page| table.populate(range(page * 4096, 4096), &RW, 12, &mut gather).unwrap());
    drop(gather);
    let freed = machine.used() - without;
    while is_full && machine.allocate(12).is_some() {}
    let used = machine.used();
    machine.take_log();
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.depopulate(range(4096, pages * 4096), &mut table.gather()) }.unwrap();
    assert_eq!(machine.used(), used - freed);
    log(&machine).len()
}

#[test]
fn frames_that_follow_each_other_either_way_go_together() {
    for (pages, is_full) in [(20, false), (300, false), (500, false), (500, true)] {
        assert_eq!(freeing(DIRECT, pages, 1..=pages, is_full), 1, "{pages} upwards");
        assert_eq!(freeing(DIRECT, pages, (1..=pages).rev(), is_full), 1, "{pages} downwards");
    }
}

#[test]
fn frames_in_any_order_go_together() {
    // The order is that of a generator of all numbers below a prime.
    let shuffled = |pages: u64| (1..509).map(|step| step * 123 % 509).filter(move |page| (1..=pages).contains(page));
    for pages in [20, 33, 64, 300, 508] {
        assert_eq!(freeing(DIRECT, pages, shuffled(pages), false), 1, "{pages}");
        let others = shuffled(pages).filter(|&page| page != 17);
        assert_eq!(freeing(DIRECT, pages, others, false), 1, "{pages} but one");
    }
}

#[test]
fn runs_and_pages_in_any_order_go_together() {
    let format = stage2_4k::Format::new(&stage2_4k::Config { pa_bits: 40, ..stage2_4k::Config::new(3, 40) }).unwrap();
    for is_full in [false, true] {
        let machine = Machine::new(0, 8 << 20);
        let mut table = PageTable::new(format, machine.clone(), Tag(7)).unwrap();
        let mut gather = table.gather();
        // One in three blocks of 64 KiB is a run.
        for page in (1..509).map(|step| step * 123 % 509) {
            let (pages, size) = match (page / 16 % 3, page % 16) {
                (0, 0) => (16, 16),
                (0, _) => continue,
                _ => (1, 12),
            };
            table.populate(range(page * 4096, pages * 4096), &RW, size, &mut gather).unwrap();
        }
        drop(gather);
        machine.take_log();
        let half = range(1 << 20, 1 << 20);
        let freed: usize = table.mappings(half).map(|leaf| 1 << leaf.size).sum();
        assert!(table.mappings(half).any(|leaf| leaf.size == 16) && table.regions(half).count() > 100);
        if is_full {
            // Then there is no frame for a list of frames.
            while machine.allocate(12).is_some() {}
        }
        let used = machine.used();
        // SAFETY: nobody accesses memory through this table.
        unsafe { table.depopulate(half, &mut table.gather()) }.unwrap();
        assert_eq!(machine.used(), used - freed);
        let invalidations = log(&machine).len();
        assert!(if is_full { invalidations > 1 } else { invalidations == 1 }, "{invalidations}");
    }
}

#[test]
fn tables_that_are_not_needed_any_more_go_together() {
    let mut rig = Rig::new(Witness { hardware: false, ..DIRECT });
    let all = range(0, 128 << 20);
    rig.map(all, GIB, attributes(Rights::RW)).unwrap();
    rig.table.split_to(all, 12, &mut rig.table.gather()).unwrap();
    let tables = rig.table.tables().count();
    rig.machine.take_log();
    // SAFETY: no frame is the HAL's.
    unsafe { rig.table.collapse(all, 21, &mut rig.table.gather()) }.unwrap();
    assert_eq!((log(&rig.machine).len(), tables - rig.table.tables().count()), (1, 64));
}

#[test]
fn an_unmapping_is_invalidated_before_something_else_is_mapped_there() {
    let mut rig = Rig::new(BREAKING);
    rig.map(range(0, 8 * 4096), GIB, attributes(Rights::RW)).unwrap();
    let mut gather = rig.table.gather();
    for page in 0..2 {
        let place = range(page * 4096, 4096);
        rig.table.unmap(place, &mut gather).unwrap();
        rig.machine.take_log();
        if page == 0 {
            // SAFETY: nobody accesses memory through this table.
            unsafe { rig.table.map(place, 2 * GIB, &attributes(Rights::RW), &mut gather) }.unwrap();
        } else {
            rig.table.populate(place, &attributes(Rights::RW), 12, &mut gather).unwrap();
        }
        let log = log(&rig.machine);
        let covers = |set: &Invalidation| matches!(set, Invalidation::Range { range, .. } if range.covers(&place));
        assert!(log.iter().any(covers), "made before the break was complete: {log:x?}");
    }
}

#[test]
fn a_first_leaf_in_an_existing_table_invalidates_no_tables() {
    let mut rig = Rig::new(WIDE);
    let rw = attributes(Rights::RW);
    let leaf_only = |machine: &Machine| match log(machine)[..] {
        [Invalidation::Range { leaf_only, .. }] => leaf_only,
        ref log => panic!("{log:x?}"),
    };
    rig.map(range(0, 4096), 0, rw).unwrap();
    assert!(!leaf_only(&rig.machine), "tables were added");
    rig.map(range(4096, 4096), 0, rw).unwrap();
    assert!(leaf_only(&rig.machine));
    rig.populate(range(2 * 4096, 4096), rw, 12).unwrap();
    assert!(leaf_only(&rig.machine));
    rig.populate(range(GIB, 4096), rw, 12).unwrap();
    assert!(!leaf_only(&rig.machine), "tables were added");
    // SAFETY: nobody accesses memory through this table.
    let fault = |rig: &Rig<_>, ia, size| unsafe { rig.table.fault_in(ia, size, 0, &rw) };
    for (ia, size, adds_tables) in
        [(3 * 4096, 12, false), (2 * GIB, 12, true), (GIB + (2 << 20), 21, false), (3 * GIB, 21, true)]
    {
        assert_eq!(fault(&rig, ia, size), Ok(FaultIn::Installed));
        assert_eq!(leaf_only(&rig.machine), !adds_tables, "{ia:#x}");
    }
}

/// A HAL whose invalidation panics while it is told to.
#[derive(Clone)]
struct Panicking {
    machine: Machine,
    panics: Arc<AtomicBool>,
}

// SAFETY: it does what the machine does, or does not come back.
unsafe impl Hal for Panicking {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        self.machine.allocate(size)
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: as the caller promises.
        unsafe { self.machine.free(frame, size) }
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        self.machine.phys_to_virt(address)
    }

    fn invalidate<F: Format>(&self, format: &F, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        assert!(!self.panics.swap(false, Ordering::Relaxed), "no answer from a CPU");
        self.machine.invalidate(format, root, tag, set);
    }
}

#[test]
fn nothing_is_freed_by_a_gather_whose_invalidation_panicked() {
    let hal = Panicking { machine: Machine::new(0, 1 << 20), panics: Arc::default() };
    let mut table = PageTable::new(DIRECT, hal.clone(), Tag(7)).unwrap();
    let mut gather = table.gather();
    table.populate(range(0, 4096), &attributes(Rights::RW), 12, &mut gather).unwrap();
    // SAFETY: the frames come from `populate`.
    unsafe { table.depopulate(range(0, 4096), &mut gather) }.unwrap();
    let used = hal.machine.used();

    hal.panics.store(true, Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| gather.flush())).is_err());
    assert_eq!(hal.machine.used(), used);
    hal.machine.take_log();
    // The duty is still there.
    drop(gather);
    assert_eq!(log(&hal.machine).len(), 1);
    assert_eq!(hal.machine.used(), 4096);
}
