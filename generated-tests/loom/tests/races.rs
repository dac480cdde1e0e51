//! Each test is one race between operations of two CPUs on the same table.
#![cfg(loom)]

use loom::sync::Arc;
use loom::thread;
use tablewright::{Attributes, ClosedRange, FaultIn, MemoryType, PageBitmap, PageTable, Relax, Rights, State, Tag};
use tablewright_loom::memory::Memory;
use tablewright_loom::tiny;

type Table = PageTable<tiny::Format, Memory>;

const PAGE: u64 = 0x1000;
const OUTPUT: u64 = 0x10_0000;

/// Who sets accessed and dirty states.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Marks {
    /// There are none.
    None,
    /// Faults.
    Software,
    /// The MMU, too.
    Hardware,
}

/// The ways in which there are such states.
const STATES: [Marks; 2] = [Marks::Software, Marks::Hardware];
const ALL: [Marks; 3] = [Marks::None, Marks::Software, Marks::Hardware];

/// Runs `race` on an empty table of two levels, in every order. `race` returns the number of tables that there are at
/// the end.
fn every_order(marks: Marks, race: impl Fn(&Arc<Table>) -> usize + Send + Sync + 'static) {
    every_order_of(2, marks, race);
}

/// The same on a table of `levels` levels.
fn every_order_of(levels: u8, marks: Marks, race: impl Fn(&Arc<Table>) -> usize + Send + Sync + 'static) {
    loom::model(move || {
        let memory = Memory::default();
        let config = tiny::Config {
            states: marks != Marks::None,
            marking: marks == Marks::Hardware,
            ..tiny::Config::new(levels, 12 + levels)
        };
        let format = tiny::Format::new(&config).unwrap();
        let table = Arc::new(PageTable::new(format, memory.clone(), Tag(1)).unwrap());
        let tables = race(&table);
        assert_eq!(memory.used(), tables, "a frame was lost");
        drop(table);
        assert_eq!(memory.used(), 0, "a frame leaked");
    });
}

fn fault(table: &Table, ia: u64, oa: u64) -> FaultIn {
    let attributes = Attributes { dirty: false, ..Attributes::new(Rights::RW, MemoryType::Inherit) };
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.fault_in(ia, 12, oa, &attributes) }.unwrap()
}

/// Runs both at the same time.
fn race<A: 'static, B: 'static>(
    table: &Arc<Table>,
    one: impl FnOnce(&Table) -> A + 'static,
    other: impl FnOnce(&Table) -> B + 'static,
) -> (A, B) {
    let shared = Arc::clone(table);
    let other = thread::spawn(move || other(&shared));
    let one = one(table);
    (one, other.join().unwrap())
}

#[test]
fn two_pages_that_need_the_same_table() {
    every_order(Marks::None, |table| {
        let found = race(table, |table| fault(table, 0, OUTPUT), |table| fault(table, PAGE, OUTPUT + PAGE));
        assert_eq!(found, (FaultIn::Installed, FaultIn::Installed));
        assert_eq!([0, PAGE].map(|ia| table.translate(ia)), [Some(OUTPUT), Some(OUTPUT + PAGE)]);
        2
    });
}

#[test]
fn two_faults_on_the_same_page_whose_table_is_missing() {
    every_order(Marks::None, |table| {
        let (one, other) = race(table, |table| fault(table, 0, OUTPUT), |table| fault(table, 0, OUTPUT + PAGE));
        let won = [one, other].map(|found| found == FaultIn::Installed);
        assert!(won[0] != won[1], "{one:?}, {other:?}");
        assert_eq!(table.translate(0), Some(if won[0] { OUTPUT } else { OUTPUT + PAGE }));
        2
    });
}

#[test]
fn two_faults_on_the_same_page_whose_table_is_there() {
    every_order(Marks::None, |table| {
        fault(table, PAGE, OUTPUT);
        let (one, other) = race(table, |table| fault(table, 0, OUTPUT), |table| fault(table, 0, OUTPUT + PAGE));
        assert!((one == FaultIn::Installed) != (other == FaultIn::Installed), "{one:?}, {other:?}");
        2
    });
}

#[test]
fn a_fault_against_a_walk() {
    every_order(Marks::None, |table| {
        let ((), seen) =
            race(table, |table| assert_eq!(fault(table, 0, OUTPUT), FaultIn::Installed), |table| table.translate(0));
        assert!(seen.is_none() || seen == Some(OUTPUT));
        2
    });
}

#[test]
fn walks_that_find_out_where_to_begin() {
    /// In another table of pages, and in one that another entry of the root leads to.
    const NEAR: u64 = 2 * PAGE;
    const FAR: u64 = 4 * PAGE;
    every_order_of(3, Marks::None, |table| {
        fault(table, 0, OUTPUT);
        let walks = |table: &Table| [0, NEAR, 0].map(|ia| table.translate(ia));
        let (seen, installed) = race(table, walks, |table| fault(table, FAR, OUTPUT + PAGE));
        assert_eq!((seen, installed), ([Some(OUTPUT), None, Some(OUTPUT)], FaultIn::Installed));
        assert_eq!([FAR, NEAR, 0].map(|ia| table.translate(ia)), [Some(OUTPUT + PAGE), None, Some(OUTPUT)]);
        5
    });
}

#[test]
fn a_walk_that_begins_at_a_table_that_another_found() {
    every_order_of(3, Marks::None, |table| {
        let install = |table: &Table| {
            assert_eq!(fault(table, 0, OUTPUT), FaultIn::Installed);
            table.translate(0)
        };
        let (installed, seen) = race(table, install, |table| table.translate(0));
        assert_eq!(installed, Some(OUTPUT));
        assert!(seen.is_none() || seen == Some(OUTPUT));
        3
    });
}

#[test]
fn a_page_against_the_block_around_it() {
    every_order(Marks::None, |table| {
        let attributes = Attributes::new(Rights::RW, MemoryType::Inherit);
        let (page, block) = race(
            table,
            |table| fault(table, PAGE, OUTPUT),
            // SAFETY: nobody accesses memory through this table.
            move |table| unsafe { table.fault_in(0, 13, 2 * OUTPUT, &attributes) }.unwrap(),
        );
        match (page, block) {
            (FaultIn::Installed, FaultIn::Present(_) | FaultIn::Smaller { size: 12 }) => 2,
            (FaultIn::Present(_), FaultIn::Installed) => 1,
            other => panic!("{other:?}"),
        }
    });
}

/// Whether a harvest finds the first page in a state.
fn harvest(table: &Table, state: State) -> bool {
    let all = ClosedRange::around(0, 14);
    let mut words = [0];
    let mut pages = PageBitmap::new(all, 12, &mut words).unwrap();
    table.harvest(state, &mut pages, &mut table.gather()).unwrap();
    pages.contains(0)
}

fn dirty(table: &Table) -> bool {
    harvest(table, State::Dirty)
}

#[test]
fn a_harvest_against_a_fault() {
    for marks in ALL {
        every_order(marks, move |table| {
            let (early, found) = race(table, dirty, |table| {
                let found = fault(table, 0, OUTPUT);
                table.mark(0, true);
                found
            });
            assert_eq!(found, FaultIn::Installed);
            let late = dirty(table);
            // Without states, what may be written is dirty until it has been harvested.
            assert!(early || late, "a write was lost");
            assert!(!dirty(table) && table.translate(0) == Some(OUTPUT));
            2
        });
    }
}

#[test]
fn a_harvest_against_the_mmu() {
    for marks in STATES {
        every_order(marks, |table| {
            fault(table, 0, OUTPUT);
            let (early, marked) = race(table, dirty, |table| table.mark(0, true));
            assert!(marked && (early != dirty(table)), "the write shows not once");
            2
        });
    }
}

#[test]
fn a_harvest_of_one_state_against_the_mmu_that_sets_the_other() {
    for marks in STATES {
        every_order(marks, |table| {
            // Installed accessed, and not dirty.
            fault(table, 0, OUTPUT);
            let (accessed, marked) = race(table, |table| harvest(table, State::Accessed), |table| table.mark(0, true));
            assert!(accessed && marked && dirty(table), "the write was lost");
            2
        });
    }
}

#[test]
fn a_harvest_of_dirty_pages_against_an_access_after_a_harvest_of_accessed_ones() {
    for marks in STATES {
        every_order(marks, |table| {
            fault(table, 0, OUTPUT);
            table.mark(0, true);
            let (written, ()) = race(table, dirty, |table| {
                assert!(harvest(table, State::Accessed));
                table.mark(0, false);
            });
            assert!(written, "the write was lost");
            assert!(harvest(table, State::Accessed), "the access was lost");
            2
        });
    }
}

#[test]
fn relaxing_against_a_harvest() {
    for marks in ALL {
        every_order(marks, |table| {
            fault(table, 0, OUTPUT);
            // A store that faults until it is allowed.
            let (early, relaxed) = race(table, dirty, |table| table.relax(0, Rights::RW).unwrap());
            assert!(matches!(relaxed, Relax::Relaxed | Relax::Granted), "{relaxed:?}");
            assert!(early | dirty(table), "the write was lost");
            2
        });
    }
}

/// A page with all rights, of which the right to write was taken away until the guest writes to it.
fn protected(table: &Table) {
    let attributes = Attributes::new(Rights::RX, MemoryType::Inherit);
    // SAFETY: nobody accesses memory through this table.
    assert_eq!(unsafe { table.fault_in(0, 12, OUTPUT, &attributes) }, Ok(FaultIn::Installed));
}

#[test]
fn the_first_write_to_a_page_against_another_right() {
    for marks in ALL {
        every_order(marks, |table| {
            let attributes = Attributes::new(Rights::R, MemoryType::Inherit);
            // SAFETY: nobody accesses memory through this table.
            assert_eq!(unsafe { table.fault_in(0, 12, OUTPUT, &attributes) }, Ok(FaultIn::Installed));
            let add = |rights| move |table: &Table| table.relax(0, rights).unwrap();
            let relaxed = race(table, add(Rights::W), add(Rights::X));
            assert_eq!(relaxed, (Relax::Relaxed, Relax::Relaxed));
            assert_eq!(table.relax(0, Rights::RWX), Ok(Relax::Granted), "a right was lost");
            2
        });
    }
}

#[test]
fn the_first_write_to_a_page_against_harvests() {
    for marks in ALL {
        every_order(marks, |table| {
            protected(table);
            let ((early, late), relaxed) =
                race(table, |table| (dirty(table), dirty(table)), |table| table.relax(0, Rights::W).unwrap());
            assert_eq!(relaxed, Relax::Relaxed);
            assert!(early | late | dirty(table), "the write was lost");
            2
        });
    }
}

#[test]
fn the_first_write_to_a_page_against_another() {
    for marks in ALL {
        every_order(marks, move |table| {
            protected(table);
            let write = |table: &Table| table.relax(0, Rights::W).unwrap();
            let relaxed = race(table, write, write);
            assert!(<[_; 2]>::from(relaxed).contains(&Relax::Relaxed), "{relaxed:?}");
            assert!(marks == Marks::None || harvest(table, State::Accessed), "the access was lost");
            assert!(dirty(table), "the write was lost");
            2
        });
    }
}

#[test]
fn the_first_write_to_a_page_against_a_harvest_of_accessed_ones() {
    for marks in STATES {
        every_order(marks, |table| {
            protected(table);
            let (early, relaxed) =
                race(table, |table| harvest(table, State::Accessed), |table| table.relax(0, Rights::W).unwrap());
            assert_eq!(relaxed, Relax::Relaxed);
            assert!(early | harvest(table, State::Accessed), "the access was lost");
            assert!(dirty(table), "the write was lost");
            2
        });
    }
}

#[test]
fn two_harvests() {
    for marks in ALL {
        every_order(marks, |table| {
            fault(table, 0, OUTPUT);
            table.mark(0, true);
            let (one, other) = race(table, dirty, dirty);
            assert!(one | other && !dirty(table), "the write was lost");
            2
        });
    }
}
