//! Each test is one race between an operation with exclusive access to the table and an MMU that uses it and sets
//! states.
//!
//! These operations take `&mut self`, so only hardware can run at the same time.
#![cfg(loom)]

use loom::thread;
use tablewright::{
    Attributes, Change, ClosedRange, FaultIn, MemoryType, PageBitmap, PageTable, Relax, Rights, State, Tag,
};
use tablewright_loom::{memory::Memory, mmu::Mmu, tiny};

type Table = PageTable<tiny::Format, Memory>;

const PAGE: u64 = 0x1000;
const OUTPUT: u64 = 0x10_0000;
/// What the guest stores.
const VALUE: u64 = 0x600d;

/// Runs `change` against a store of the guest's at `at`, in every order, on a table that translates 8 pages. `check`
/// gets whether the guest stored.
fn against_a_store(
    at: u64,
    set_up: impl Fn(&mut Table) + Send + Sync + 'static,
    change: impl Fn(&mut Table) + Send + Sync + 'static,
    check: impl Fn(&mut Table, bool) + Send + Sync + 'static,
) {
    loom::model(move || {
        let memory = Memory::with_mmu();
        let config = tiny::Config { states: true, marking: true, ..tiny::Config::new(3, 15) };
        let format = tiny::Format::new(&config).unwrap();
        let mut table = PageTable::new(format, memory.clone(), Tag(1)).unwrap();
        set_up(&mut table);
        let mmu = Mmu { memory: memory.clone(), format, root: table.root() };
        let store = thread::spawn(move || mmu.store(at, VALUE));
        change(&mut table);
        let stored = store.join().unwrap();
        check(&mut table, stored);
        drop(table);
        assert_eq!(memory.used(), 0, "a frame leaked");
    });
}

/// Maps `1 << size` bytes at `ia`, accessed and not dirty.
fn map(table: &mut Table, ia: u64, size: u8, oa: u64) {
    let attributes = Attributes { dirty: false, ..Attributes::new(Rights::RW, MemoryType::Inherit) };
    // SAFETY: the model's memory is all that is accessed through this table.
    assert_eq!(unsafe { table.fault_in(ia, size, oa, &attributes) }, Ok(FaultIn::Installed));
}

/// Which pages are dirty.
fn dirty(table: &Table) -> Vec<u64> {
    let mut words = [0];
    let mut pages = PageBitmap::new(ClosedRange::around(0, 15), 12, &mut words).unwrap();
    table.harvest(State::Dirty, &mut pages, &mut table.gather()).unwrap();
    (0..8).map(|page| page * PAGE).filter(|&page| pages.contains(page)).collect()
}

/// `range` moves to `to`, while the guest stores at its start, before and after.
fn moves(range: ClosedRange, to: u64, set_up: fn(&mut Table), dirties: &'static [u64]) {
    for at in [range.start(), to] {
        let change = move |table: &mut Table| {
            let mut gather = table.gather();
            table.move_range(range, to, &mut gather).unwrap();
        };
        against_a_store(at, set_up, change, move |table, stored| {
            let dirty = dirty(table);
            // After the move, only the page that was stored to is dirty.
            let expected = if at == to { &[to][..] } else { dirties };
            assert_eq!(dirty, if stored { expected } else { &[] }, "the store shows where it went, and nowhere else");
            assert_eq!((table.translate(range.start()), table.translate(to)), (None, Some(OUTPUT)));
        });
    }
}

#[test]
fn a_page_that_moves_in_its_table() {
    moves(ClosedRange::around(0, 12), PAGE, |table| map(table, 0, 12, OUTPUT), &[PAGE]);
}

#[test]
fn a_page_that_moves_to_another_table() {
    let set_up = |table: &mut Table| {
        map(table, 0, 12, OUTPUT);
        map(table, 3 * PAGE, 12, 2 * OUTPUT);
    };
    moves(ClosedRange::around(0, 12), 2 * PAGE, set_up, &[2 * PAGE]);
}

#[test]
fn a_page_that_moves_to_a_table_that_is_missing() {
    moves(ClosedRange::around(0, 12), 4 * PAGE, |table| map(table, 0, 12, OUTPUT), &[4 * PAGE]);
}

#[test]
fn a_table_that_moves_with_its_pages() {
    let set_up = |table: &mut Table| {
        map(table, 0, 12, OUTPUT);
        map(table, PAGE, 12, OUTPUT + 3 * PAGE);
    };
    moves(ClosedRange::around(0, 13), 2 * PAGE, set_up, &[2 * PAGE]);
}

#[test]
fn a_block_that_moves_by_pages() {
    moves(ClosedRange::around(0, 13), 3 * PAGE, |table| map(table, 0, 13, OUTPUT), &[3 * PAGE, 4 * PAGE]);
}

#[test]
fn a_part_of_a_block_that_moves() {
    // The rest of the leaf stays, and the store may have been to it.
    let set_up = |table: &mut Table| map(table, 0, 13, OUTPUT);
    for at in [0, 4 * PAGE] {
        let change = |table: &mut Table| {
            let mut gather = table.gather();
            table.move_range(ClosedRange::around(0, 12), 4 * PAGE, &mut gather).unwrap();
        };
        against_a_store(at, set_up, change, |table, stored| {
            let dirty = dirty(table);
            assert_eq!(dirty.contains(&(4 * PAGE)), stored, "{dirty:x?}");
            assert!(stored || dirty.is_empty(), "{dirty:x?}");
        });
    }
}

#[test]
fn a_page_that_gets_a_right() {
    let change = |table: &mut Table| {
        let change = Change { rights: Some(Rights::RWX), ..Change::default() };
        let mut gather = table.gather();
        table.protect(ClosedRange::around(0, 12), &change, &mut gather).unwrap();
        assert_eq!(gather.forgotten(), None);
    };
    let set_up = |table: &mut Table| map(table, 0, 12, OUTPUT);
    against_a_store(0, set_up, change, |table, stored| {
        assert_eq!(dirty(table), if stored { &[0][..] } else { &[] });
        assert_eq!(table.relax(0, Rights::X), Ok(Relax::Granted));
    });
}

#[test]
fn pages_that_become_one_frame() {
    let set_up = |table: &mut Table| {
        for ia in [0, PAGE] {
            let frame = table.hal().data().as_usize() as u64;
            map(table, ia, 12, frame);
        }
    };
    let change = |table: &mut Table| {
        let mut gather = table.gather();
        // SAFETY: they are frames of the HAL, and only the guest writes there.
        assert_eq!(unsafe { table.enlarge(ClosedRange::around(0, 13), 13, &mut gather) }, Ok(1));
    };
    against_a_store(PAGE, set_up, change, |table, stored| {
        assert_eq!(dirty(table), if stored { vec![0, PAGE] } else { vec![] });
        let address = table.translate(PAGE).unwrap();
        assert_eq!(table.translate(0), Some(address - PAGE));
        let datum = table.hal().datum(address).expect("it is data");
        // SAFETY: of the model's threads, only one runs at a time.
        assert_eq!(unsafe { datum.read_volatile() }, if stored { VALUE } else { 0 }, "the store is lost");
        let mut gather = table.gather();
        // SAFETY: it is a frame of the HAL.
        unsafe { table.depopulate(ClosedRange::around(0, 13), &mut gather) }.unwrap();
    });
}

#[test]
fn pages_that_become_one_leaf() {
    let set_up = |table: &mut Table| {
        map(table, 0, 12, OUTPUT);
        map(table, PAGE, 12, OUTPUT + PAGE);
    };
    let change = |table: &mut Table| {
        let mut gather = table.gather();
        // SAFETY: they are no frames of the HAL.
        unsafe { table.collapse(ClosedRange::around(0, 13), 13, &mut gather) }.unwrap();
    };
    against_a_store(PAGE, set_up, change, |table, stored| {
        assert_eq!(dirty(table), if stored { vec![0, PAGE] } else { vec![] });
        assert_eq!(table.translate(PAGE), Some(OUTPUT + PAGE));
        assert_eq!(table.mappings(ClosedRange::around(0, 13)).count(), 1);
    });
}

#[test]
fn a_leaf_that_becomes_pages() {
    let set_up = |table: &mut Table| map(table, 0, 13, OUTPUT);
    let change = |table: &mut Table| {
        let mut gather = table.gather();
        table.split_to(ClosedRange::around(0, 13), 12, &mut gather).unwrap();
    };
    against_a_store(PAGE, set_up, change, |table, stored| {
        let dirty = dirty(table);
        assert!(stored == dirty.contains(&PAGE) && (stored || dirty.is_empty()), "{dirty:x?}");
        assert_eq!(table.translate(PAGE), Some(OUTPUT + PAGE));
    });
}
