//! Makes the Nth frame allocation fail, for every N, in every operation: nothing must change, and nothing leak.

use tablewright::{
    Change, Error, FaultIn, Format, Hal, MemoryType, PageTable, Refusal, Region, Rights, State, Tag, sim::Machine,
    x86_64::ept,
};

use crate::{
    rig::{Rig, attributes, range},
    witness::{BREAKING, DIRECT, LARGE, STATELESS, WIDE},
};

/// An operation on a rig.
type Operation<F> = (&'static str, fn(&mut Rig<F>) -> Result<(), Error>);

const MIB: u64 = 1 << 20;
const RW: Rights = Rights::RW;

/// A table with blocks, runs, pages and holes.
fn furnished<F: Format>(format: F, machine: Machine) -> Rig<F> {
    let mut rig = Rig::on(machine, format);
    rig.idle = true;
    let page = rig.page();
    rig.map(range(0, 256 * MIB), 1 << 40, attributes(RW)).unwrap();
    rig.map(range(512 * MIB, 32 * page), (1 << 41) + 16 * page, attributes(RW)).unwrap();
    rig.populate(range(1024 * MIB, 64 * page), attributes(RW), 20).unwrap();
    rig
}

fn operations<F: Format>() -> Vec<Operation<F>> {
    fn change(rights: Option<Rights>, memory: Option<MemoryType>) -> Change {
        Change { rights, memory, options: None }
    }
    vec![
        ("map pages", |rig| {
            let page = rig.page();
            rig.map(range(767 * MIB, 70 * MIB), (1 << 40) + page, attributes(RW))
        }),
        ("map blocks and edges", |rig| {
            let page = rig.page();
            rig.map(range(768 * MIB - page, 64 * MIB + 2 * page), (1 << 40) + 768 * MIB - page, attributes(RW))
        }),
        ("populate around what is mapped", |rig| rig.populate(range(1023 * MIB, 2 * MIB), attributes(RW), 12)),
        ("populate large", |rig| rig.populate(range(1022 * MIB, 3 * MIB), attributes(RW), 30)),
        ("unmap inside a block", |rig| {
            let page = rig.page();
            rig.unmap(range(65 * MIB + page, page))
        }),
        ("unmap across blocks", |rig| {
            let page = rig.page();
            rig.unmap(range(65 * MIB + page, 100 * MIB))
        }),
        ("unmap inside a run", |rig| {
            let page = rig.page();
            rig.unmap(range(512 * MIB + 3 * page, 20 * page))
        }),
        ("protect inside a block", |rig| {
            let page = rig.page();
            rig.protect(range(65 * MIB + page, page), change(Some(Rights::R), None))
        }),
        ("retype across blocks and holes", |rig| {
            let page = rig.page();
            rig.protect(range(65 * MIB + page, 1024 * MIB), change(None, Some(MemoryType::NonCacheable)))
        }),
        ("split to pages", |rig| {
            let page = rig.page();
            rig.split_to(range(65 * MIB + page, 100 * MIB), 0)
        }),
        ("move blocks to other tables", |rig| {
            let page = rig.page();
            rig.move_range(range(65 * MIB + page, 100 * MIB), 2048 * MIB + page)
        }),
        ("move blocks and a run to where they are pages", |rig| {
            let page = rig.page();
            rig.move_range(range(128 * MIB, 500 * MIB), 2048 * MIB + 7 * page)
        }),
        ("move frames", |rig| {
            let page = rig.page();
            rig.move_range(range(1024 * MIB + page, 40 * page), 1600 * MIB)
        }),
        ("harvest a part", |rig| {
            let page = rig.page();
            rig.harvest(State::Dirty, range(65 * MIB + page, 100 * MIB))
        }),
        ("fault in a run", |rig| {
            let size = rig.table.format().page_sizes(0).iter().last().unwrap();
            let at = range(896 * MIB, 1 << size);
            let mut gather = rig.table.gather();
            // SAFETY: nobody accesses memory through this table.
            let done = unsafe { rig.table.fault_in_exclusive(at.start(), size, 1 << 42, &attributes(RW), &mut gather) };
            rig.model.insert(Region { range: at, address: 1 << 42, attributes: attributes(RW) });
            match done {
                Ok(done) => {
                    assert_eq!(done, FaultIn::Installed);
                    Ok(())
                }
                Err(error) => {
                    rig.model.remove(at);
                    Err(error)
                }
            }
        }),
        ("depopulate a part", |rig| {
            let page = rig.page();
            rig.depopulate(range(1024 * MIB + page, 40 * page))
        }),
    ]
}

fn every_allocation_fails<F: Format>(format: F, machine: fn(u64, usize) -> Machine) {
    for (name, operation) in operations() {
        let mut failures = 0;
        let furnished = || furnished(format, machine(0x4000_0000, 64 << 20));
        let mut rig = furnished();
        loop {
            let (tables, used) = (rig.snapshot(), rig.machine.used());
            rig.machine.fail_allocation(failures);
            let result = operation(&mut rig);
            if rig.machine.cancel_failure() {
                // It needs no more frames than were allowed, and succeeded.
                assert!(matches!(result, Ok(()) | Err(Error::PartialFrame { .. })), "{name}: {result:?}");
                rig.check();
                break;
            }
            if result.is_ok() {
                // Instead of a large frame, smaller ones will do, or fewer frames altogether.
                rig.check();
                rig = furnished();
            } else {
                assert!(matches!(result, Err(Error::NoMemory { .. })), "{name}: {result:?}");
                assert!(rig.snapshot() == tables, "{name}: allocation {failures} failed and left changes");
                assert_eq!(rig.machine.used(), used, "{name}: allocation {failures} failed and leaked");
            }
            failures += 1;
        }
        assert!(failures > 0 || name.contains("run") || name.contains("part"), "{name} takes no frames: no test");
    }
}

#[test]
fn with_direct_edits() {
    every_allocation_fails(DIRECT, Machine::new);
}

#[test]
fn with_shared_runs() {
    every_allocation_fails(WIDE, Machine::new);
}

#[test]
fn with_break_before_make() {
    every_allocation_fails(BREAKING, Machine::new);
}

#[test]
fn with_a_larger_granule() {
    every_allocation_fails(LARGE, Machine::new);
}

#[test]
fn with_frames_that_are_freed_whole() {
    every_allocation_fails(BREAKING, Machine::with_whole_frames);
}

#[test]
fn without_states() {
    every_allocation_fails(STATELESS, Machine::new);
}

/// The frames that were reserved are enough: none is allocated from the HAL.
#[test]
fn not_with_a_reserve() {
    fn all<F: Format>(format: F) {
        for (name, operation) in operations().into_iter().filter(|(name, _)| !name.contains("populate")) {
            let mut rig = furnished(format, Machine::new(0x4000_0000, 64 << 20));
            let used = rig.machine.used();
            let needed = rig.table.tables_needed(rig.everything()[0]).unwrap().min(2000);
            rig.table.reserve(needed).unwrap();
            assert_eq!(rig.machine.used() - used, needed << F::PAGE_BITS);
            rig.machine.fail_allocation(0);
            assert_eq!(operation(&mut rig), Ok(()), "{name}");
            assert!(rig.machine.cancel_failure(), "{name} asked for a frame");
            rig.table.release_reserve();
            rig.check();
        }
    }
    all(DIRECT);
    all(BREAKING);
    all(LARGE);
}

#[test]
fn of_the_root() {
    let machine = Machine::new(0, 1 << 20);
    machine.fail_allocation(0);
    assert_eq!(PageTable::new(DIRECT, machine.clone(), Tag(1)).err(), Some(Error::NoMemory { size: 12 }));
    assert!(matches!(PageTable::new(DIRECT, machine.clone(), Tag(1 << 16)), Err(Error::Refused { level: 3, .. })));
    assert_eq!(machine.used(), 0);
}

#[test]
fn of_a_fault() {
    for failing in 0.. {
        let rig = furnished(DIRECT, Machine::new(0x4000_0000, 64 << 20));
        let (tables, used) = (rig.snapshot(), rig.machine.used());
        rig.machine.fail_allocation(failing);
        // SAFETY: nobody accesses memory through this table.
        let result = unsafe { rig.table.fault_in(1 << 40, 12, 1 << 41, &attributes(RW)) };
        if rig.machine.cancel_failure() {
            assert_eq!(failing, 3, "the fault takes three tables");
            break;
        }
        assert_eq!(result, Err(Error::NoMemory { size: 12 }));
        assert!(rig.snapshot() == tables && rig.machine.used() == used);
    }
}

/// Memory for exactly what is missing is enough, though a populate uses more where there is more.
#[test]
fn not_with_exactly_what_is_needed() {
    const PAGE: u64 = 4096;
    // Parts of two tables that are there, and of one that is not.
    let (filled, all) = (412..1024, range(412 * PAGE, 700 * PAGE));
    let needed = filled.clone().count() / 2 + (1112 - 1024) + 1;
    for left in [0, 1, 50, 52, 200, needed - 2, needed - 1, needed, needed + 1, needed + 2, needed + 3] {
        let mut rig = Rig::on(Machine::new(0x4000_0000, 4 << 20), DIRECT);
        rig.idle = true;
        for page in filled.clone().step_by(2) {
            rig.populate(range(page * PAGE, PAGE), attributes(RW), 12).unwrap();
        }
        let machine = rig.machine.clone();
        let mut others: Vec<_> = std::iter::from_fn(|| machine.allocate(12)).collect();
        let free = |frame| {
            // SAFETY: it was allocated with this size, and nobody used it.
            unsafe { machine.free(frame, 12) }
        };
        others.drain(..left).for_each(free);
        let (tables, used) = (rig.snapshot(), machine.used());
        let result = rig.populate(all, attributes(RW), 12);
        if left < needed {
            assert_eq!(result, Err(Error::NoMemory { size: 12 }), "{left} of {needed} frames");
            assert!(rig.snapshot() == tables && machine.used() == used, "{left} of {needed} frames");
        } else {
            assert_eq!(result, Ok(()), "{left} of {needed} frames");
            assert_eq!(machine.used() - used, needed * PAGE as usize);
        }
        others.into_iter().for_each(free);
        rig.check();
    }
}

#[test]
fn frames_that_no_entry_can_hold_go_back() {
    let (bits, page) = (36, 4096);
    let format = ept::Format::new(&ept::Config { pa_bits: bits, ..ept::Config::new(4, 48) }).unwrap();
    for pages in [1, 2] {
        // Enough below that limit for the tables, and for the first pages.
        let machine = Machine::new((1 << bits) - 16 * page, 32 * page as usize);
        let mut table = PageTable::new(format, machine.clone(), Tag(1)).unwrap();
        let mut gather = table.gather();
        let mut populate = |number: u64| {
            let used = machine.used();
            let part = range(number * pages * page, pages * page);
            let populated = table.populate(part, &attributes(RW), 12, &mut gather);
            (populated, machine.used() - used)
        };
        let refused = (0..32).map(&mut populate).find(|(populated, _)| populated.is_err()).unwrap();
        let (Err(Error::Refused { level: 0, refusal: Refusal::Address(address) }), 0) = refused else {
            panic!("{refused:x?}")
        };
        assert!(address >= 1 << bits, "{address:x}");
    }
}
