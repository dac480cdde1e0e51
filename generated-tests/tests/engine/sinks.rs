//! The invalidations that are requested from sinks: for how much at once, when they are complete, and what a device
//! must not see.

use tablewright::{
    Change, Error, Format, Invalidation, MemoryType, PageBitmap, PageTable, Refusal, Rights, Sink, State, Tag, Tags,
    aarch64::stage2_4k,
    riscv64::sv_x4,
    sim::{Machine, Mmu, built_in},
    x86_64::ept,
};

use crate::{
    rig::{Rig, attributes, range},
    rules,
    witness::{BREAKING, DIRECT, LARGE},
};

const RW: Rights = Rights::RW;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn log(machine: &Machine) -> Vec<Invalidation> {
    machine.take_log().into_iter().map(|(_, set)| set).collect()
}

/// What is asked for when pages in these ranges are unmapped with one gather, while their neighbours keep the tables.
fn unmapping<F: Format>(format: F, ranges: &[(u64, u64)]) -> Vec<Invalidation> {
    let mut rig = Rig::new(format);
    for &(start, pages) in ranges {
        rig.map(range(start, (pages + 1) * 4096), start + (1 << 37) + 4096, attributes(RW)).unwrap();
    }
    rig.machine.take_log();
    let mut gather = rig.table.gather();
    for &(start, pages) in ranges {
        rig.table.unmap(range(start, pages * 4096), &mut gather).unwrap();
    }
    drop(gather);
    log(&rig.machine)
}

#[test]
fn ranges_far_apart_are_asked_for_one_by_one() {
    let page = |start| Invalidation::Range { range: range(start, 4096), leaf_only: true, granule: 12 };
    assert_eq!(unmapping(DIRECT, &[(0, 1), (64 * GIB, 1)]), [page(0), page(64 * GIB)]);
    // What touches is one range, in whatever order it comes.
    let both = Invalidation::Range { range: range(0, 8192), leaf_only: true, granule: 12 };
    let mut rig = Rig::new(DIRECT);
    rig.map(range(0, 3 * 4096), GIB + 4096, attributes(RW)).unwrap();
    rig.machine.take_log();
    let mut gather = rig.table.gather();
    for page in [1, 0] {
        rig.table.unmap(range(page * 4096, 4096), &mut gather).unwrap();
    }
    drop(gather);
    assert_eq!(log(&rig.machine), [both]);
    // More than the gather tells apart: some are put together, and all are covered.
    let many: Vec<_> = (0..20).map(|number| (number * GIB, 1)).collect();
    let asked = unmapping(DIRECT, &many);
    assert!(asked.len() <= 8);
    for (start, _) in many {
        let covers = |set: &Invalidation| matches!(set, Invalidation::Range { range, .. } if range.contains(start));
        assert!(asked.iter().any(covers), "{start:#x}");
    }
}

#[test]
fn from_the_formats_limit_on_the_whole_tag_is_cheaper() {
    let gstage = sv_x4::Format::new(&sv_x4::Config::new(3, 41)).unwrap();
    assert_eq!((gstage.invalidation_limit(true), gstage.invalidation_limit(false)), (64, 0));
    let apart = |pages| (0..3).map(|number| (number * GIB, pages)).collect::<Vec<_>>();
    assert_eq!(unmapping(gstage, &apart(20)).len(), 3);
    assert_eq!(unmapping(gstage, &apart(22)), [Invalidation::Space]);
    // No operation by address: one for all ranges.
    let ept = ept::Format::new(&ept::Config { pa_bits: 46, ..ept::Config::new(4, 48) }).unwrap();
    assert_eq!(ept.invalidation_limit(true), 0);
    assert_eq!(unmapping(ept, &apart(1)), [Invalidation::Space]);
    let stage2 = stage2_4k::Format::new(&stage2_4k::Config { pa_bits: 40, ..stage2_4k::Config::new(3, 40) }).unwrap();
    assert_eq!([true, false].map(|leaf_only| stage2.invalidation_limit(leaf_only)), [512; 2]);
}

#[test]
fn nothing_is_freed_before_a_deferred_invalidation_is_complete() {
    let mut rig = Rig::new(DIRECT);
    rig.machine.defer_invalidations();
    rig.populate(range(0, 16 * 4096), attributes(RW), 12).unwrap();
    let used = rig.machine.used();
    let mut gather = rig.table.gather();
    // SAFETY: the frames come from `populate`.
    unsafe { rig.table.depopulate(range(0, 4 * 4096), &mut gather) }.unwrap();
    gather.begin();
    assert!(!gather.is_complete() && !gather.is_empty());
    assert_eq!((log(&rig.machine).len(), rig.machine.used()), (0, used));
    // More joins it meanwhile; nothing new stands where something is under way.
    // SAFETY: as above.
    unsafe { rig.table.depopulate(range(4 * 4096, 4096), &mut gather) }.unwrap();
    assert_eq!(rig.machine.used(), used);
    // SAFETY: nobody accesses memory through this table.
    unsafe { rig.table.map(range(0, 4096), GIB, &attributes(RW), &mut gather) }.unwrap();
    assert!(gather.is_complete() && gather.is_empty());
    assert_eq!((log(&rig.machine).len(), rig.machine.used()), (2, used - 5 * 4096));
}

/// A table that a CPU and a device use.
fn shared(attached: bool) -> (Rig<ept::Format>, std::sync::Arc<Mmu>) {
    let bound = built_in("ept", "server").unwrap();
    let mut config = ept::Config::new(4, 48);
    assert!(bound.params.iter().all(|(name, value)| config.set(name, value)));
    let mut rig = Rig::judged(ept::Format::new(&config).unwrap(), bound.clone(), rules::of("ept", &bound));
    let device = Mmu::of_sink(&rig.machine, 2, sink());
    device.load(rig.table.tag(), rig.table.root(), bound);
    if attached {
        rig.table.attach(sink());
    }
    (rig, device)
}

fn sink() -> Sink {
    Sink::device(1).unwrap()
}

#[test]
fn a_device_is_told_what_the_cpus_are() {
    let (mut rig, device) = shared(true);
    rig.map(range(0, 4 * MIB), GIB, attributes(RW)).unwrap();
    device.access(&rig.machine, rig.table.tag(), 2 * MIB, RW);
    rig.machine.take_log();
    rig.machine.take_device_log();
    rig.unmap(range(2 * MIB, 4096)).unwrap();
    device.check(&rig.machine);
    assert_eq!(device.take_violations(), []);
    let cpus = rig.machine.take_log();
    let devices: Vec<_> = rig.machine.take_device_log().into_iter().map(|(_, tag, set)| (tag, set)).collect();
    assert!(!cpus.is_empty() && cpus == devices, "{cpus:?}, {devices:?}");

    rig.table.detach(sink());
    assert_eq!(rig.machine.take_device_log(), [(sink(), rig.table.tag(), Invalidation::Space)]);
    device.unload(rig.table.tag());
    rig.unmap(range(0, 4 * MIB)).unwrap();
    assert_eq!(rig.machine.take_device_log(), []);
}

#[test]
fn a_device_that_is_not_attached_sees_stale_translations() {
    let (mut rig, device) = shared(false);
    rig.map(range(0, 4 * MIB), GIB, attributes(RW)).unwrap();
    device.access(&rig.machine, rig.table.tag(), 2 * MIB, RW);
    rig.unmap(range(2 * MIB, 4096)).unwrap();
    device.check(&rig.machine);
    assert!(!device.take_violations().is_empty(), "the negative control found nothing");
}

/// What takes a break is refused, and nothing has changed.
fn is_refused<F: Format>(rig: &mut Rig<F>, operation: impl FnOnce(&mut Rig<F>) -> Result<(), Error>) {
    let before = rig.snapshot();
    let result = operation(rig);
    assert!(matches!(result, Err(Error::NeedsBreak { level: 1, .. })), "{result:?}");
    assert!(rig.snapshot() == before);
}

#[test]
fn nothing_is_broken_under_a_device_that_cannot_retry() {
    let machine = Machine::new(0x4000_0000, 64 << 20);
    machine.forbid_retries(sink());
    let read_only = Change { rights: Some(Rights::R), ..Change::default() };
    let retyped = Change { memory: Some(MemoryType::NonCacheable), ..Change::default() };

    let mut rig = Rig::on(machine.clone(), BREAKING);
    rig.idle = true;
    rig.map(range(0, 4 * MIB), GIB, attributes(RW)).unwrap();
    rig.table.attach(sink());
    is_refused(&mut rig, |rig| rig.unmap(range(4096, 4096)));
    is_refused(&mut rig, |rig| rig.protect(range(4096, 4096), read_only));
    is_refused(&mut rig, |rig| rig.protect(range(0, 2 * MIB), retyped));
    is_refused(&mut rig, |rig| rig.split_to(range(0, 4 * MIB), 12));
    is_refused(&mut rig, |rig| rig.move_range(range(4096, 4096), GIB));
    is_refused(&mut rig, |rig| {
        let part = range(4096, 4096);
        let mut words = [0];
        let mut pages = PageBitmap::new(part, 12, &mut words).unwrap();
        let mut gather = rig.table.gather();
        rig.table.harvest_exclusive(State::Dirty, &mut pages, &mut gather)
    });
    // Whole leaves come and go, and rights change in place.
    rig.protect(range(0, 2 * MIB), read_only).unwrap();
    rig.unmap(range(0, 2 * MIB)).unwrap();
    // They move, also to where they are pages: no address leads to something else than before.
    rig.move_range(range(2 * MIB, 2 * MIB), GIB).unwrap();
    rig.move_range(range(GIB, 2 * MIB), 2 * GIB + 4096).unwrap();
    rig.unmap(range(2 * GIB, 4 * MIB)).unwrap();
    // Pages stay pages.
    rig.map(range(0, 2 * MIB - 4096), 2 * GIB, attributes(RW)).unwrap();
    rig.map(range(2 * MIB - 4096, 4096), 2 * GIB + 2 * MIB - 4096, attributes(RW)).unwrap();
    let before = rig.snapshot();
    rig.collapse(range(0, 2 * MIB)).unwrap();
    assert!(rig.snapshot() == before);
    rig.table.detach(sink());
    rig.collapse(range(0, 2 * MIB)).unwrap();
    assert_eq!(rig.table.mappings(range(0, 2 * MIB)).count(), 1);
    rig.check();

    // The capability removes the need.
    let mut rig = Rig::on(Machine::new(0x4000_0000, 64 << 20), DIRECT);
    rig.machine.forbid_retries(sink());
    rig.table.attach(sink());
    rig.map(range(0, 4 * MIB), GIB, attributes(RW)).unwrap();
    rig.unmap(range(4096, 4096)).unwrap();
    rig.protect(range(2 * MIB, 4096), retyped).unwrap();
    rig.check();
    // The items of a run that hardware marks cannot be exchanged together.
    let mut rig = Rig::on(Machine::new(0x4000_0000, 64 << 20), LARGE);
    rig.machine.forbid_retries(sink());
    rig.table.attach(sink());
    rig.map(range(0, 16 << 14), GIB, attributes(RW)).unwrap();
    assert!(matches!(rig.unmap(range(0, 1 << 14)), Err(Error::NeedsBreak { level: 0, .. })));
}

#[test]
fn a_new_generation_of_tags_voids_those_before() {
    let machine = Machine::new(0, 1 << 20);
    let tags = Tags::new(Tag(1), Tag(2));
    let mut tables = [0; 3].map(|_| PageTable::new(DIRECT, machine.clone(), Tag(0)).unwrap());
    let renewed = |table: &mut PageTable<_, _>| table.renew_tag(&tags).map(|new| (new, table.tag()));
    assert_eq!(renewed(&mut tables[0]), Ok((true, Tag(1))));
    assert_eq!(renewed(&mut tables[0]), Ok((false, Tag(1))));
    assert_eq!(renewed(&mut tables[1]), Ok((true, Tag(2))));
    // Each left a tag that was for good.
    assert_eq!((log(&machine), tags.generation()), (vec![Invalidation::Space; 2], 1));
    // No tag is left.
    assert_eq!(renewed(&mut tables[2]), Ok((true, Tag(1))));
    assert_eq!((log(&machine), tags.generation()), (vec![Invalidation::All], 2));
    assert_eq!(tables[2].registers().map(|(_, tag)| tag), Ok(1));
    assert_eq!(renewed(&mut tables[0]), Ok((true, Tag(2))));
    assert_eq!(renewed(&mut tables[1]), Ok((true, Tag(1))));
    assert_eq!(tags.generation(), 3);
}

#[test]
fn a_tag_that_is_left_holds_no_translations() {
    let machine = Machine::new(0, 1 << 20);
    let mut table = PageTable::new(DIRECT, machine.clone(), Tag(5)).unwrap();
    let tags = Tags::new(Tag(5), Tag(6));
    machine.take_log();
    table.renew_tag(&tags).unwrap();
    assert_eq!(machine.take_log(), [(Tag(5), Invalidation::Space)]);
    // From one generation to the next, everything goes.
    for _ in 0..2 {
        PageTable::new(DIRECT, machine.clone(), Tag(9)).unwrap().renew_tag(&tags).unwrap();
    }
    machine.take_log();
    table.renew_tag(&tags).unwrap();
    assert_eq!(machine.take_log(), []);
}

#[test]
fn a_tag_stays_while_devices_translate_under_it() {
    let machine = Machine::new(0, 1 << 20);
    let tags = Tags::new(Tag(1), Tag(2));
    let mut table = PageTable::new(DIRECT, machine.clone(), Tag(9)).unwrap();
    // Of this tag the device may hold what another table said.
    table.attach(sink());
    assert_eq!(machine.take_device_log(), [(sink(), Tag(9), Invalidation::Space)]);
    table.attach(sink());
    assert_eq!(machine.take_device_log(), []);
    assert_eq!((table.renew_tag(&tags), table.tag()), (Err(Error::Attached), Tag(9)));
    table.detach(sink());
    // None was used up.
    assert_eq!((table.renew_tag(&tags), table.tag()), (Ok(true), Tag(1)));
    // A tag that holds need not be renewed.
    table.attach(sink());
    assert_eq!(table.renew_tag(&tags), Ok(false));
}

#[test]
fn a_tag_of_others_does_not_hold() {
    let machine = Machine::new(0, 1 << 20);
    let [these, others] = [1, 5].map(|first| Tags::new(Tag(first), Tag(first + 1)));
    let mut table = PageTable::new(DIRECT, machine.clone(), Tag(9)).unwrap();
    assert_eq!((table.renew_tag(&these), table.tag()), (Ok(true), Tag(1)));
    machine.take_log();
    assert_eq!((table.renew_tag(&others), table.tag()), (Ok(true), Tag(5)));
    // Those who gave the old one know nothing of that.
    assert_eq!(machine.take_log(), [(Tag(1), Invalidation::Space)]);
    assert_eq!(table.renew_tag(&others), Ok(false));
}

#[test]
fn a_gather_follows_the_tag_and_the_devices_of_its_table() {
    let machine = Machine::new(0, 1 << 20);
    let tags = Tags::new(Tag(1), Tag(2));
    let mut table = PageTable::new(DIRECT, machine.clone(), Tag(9)).unwrap();
    let mut gather = table.gather();
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.map(range(0, 8192), GIB, &attributes(RW), &mut gather) }.unwrap();
    table.unmap(range(0, 4096), &mut gather).unwrap();
    table.renew_tag(&tags).unwrap();
    table.attach(sink());
    machine.take_log();
    machine.take_device_log();
    table.unmap(range(4096, 4096), &mut gather).unwrap();
    gather.flush();
    let told: Vec<_> = machine.take_log().into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(told, [Tag(9), Tag(1)]);
    let told: Vec<_> = machine.take_device_log().into_iter().map(|(sink, tag, _)| (sink, tag)).collect();
    assert_eq!(told, [(sink(), Tag(1))]);
}

#[test]
fn a_generation_is_not_entered_before_all_is_invalidated() {
    let machine = Machine::new(0, 1 << 20);
    // The one who begins each generation cannot hold the tag that it gets: it has two bits less than the other's.
    let tags = Tags::new(Tag(0x4000), Tag(0x4001));
    let narrow = sv_x4::Format::new(&sv_x4::Config::new(3, 41)).unwrap();
    let mut narrow = PageTable::new(narrow, machine.clone(), Tag(9)).unwrap();
    let mut wide = [0; 2].map(|_| PageTable::new(DIRECT, machine.clone(), Tag(9)).unwrap());
    for (table, generation) in wide.iter_mut().zip(1..) {
        assert_eq!(narrow.renew_tag(&tags), Err(Error::Refused { level: 2, refusal: Refusal::Tag(Tag(0x4000)) }));
        machine.take_log();
        assert_eq!((table.renew_tag(&tags), table.tag(), tags.generation()), (Ok(true), Tag(0x4001), generation));
        assert_eq!(log(&machine).contains(&Invalidation::All), generation > 1);
    }
}

#[test]
fn no_table_takes_the_place_of_one_that_may_be_cached() {
    let machine = Machine::new(0, 1 << 20);
    let mut table = PageTable::new(DIRECT, machine.clone(), Tag(1)).unwrap();
    let mut gather = table.gather();
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.map(range(0, 4096), GIB, &attributes(RW), &mut gather) }.unwrap();
    table.unmap(range(0, 4096), &mut gather).unwrap();
    machine.take_log();
    // Another page, but where the table was that was taken out with the last of its pages.
    // SAFETY: as above.
    unsafe { table.map(range(4096, 4096), GIB, &attributes(RW), &mut gather) }.unwrap();
    assert_ne!(log(&machine), []);
    // Nor does one that moves, which is invalidated where it was, too.
    // SAFETY: as above.
    unsafe { table.map(range(2 * MIB, 2 * MIB), GIB + 4096, &attributes(RW), &mut gather) }.unwrap();
    table.unmap(range(4096, 2 * MIB - 4096), &mut gather).unwrap();
    log(&machine);
    table.move_range(range(2 * MIB, 2 * MIB), 0, &mut gather).unwrap();
    // Both are side by side: together, one would be enough.
    let asked = log(&machine);
    assert_eq!(asked.len(), 2, "{asked:?}");
}
