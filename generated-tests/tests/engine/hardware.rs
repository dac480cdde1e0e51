//! Hardware sets states of leaves while the engine changes these: no state that it sets may be lost.

use std::{
    ptr::NonNull,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tablewright::{
    Change, Format, Gather, Hal, HostPhysAddr, Invalidation, MemoryType, PageBitmap, PageTable, Rights, State, Tag,
    sim::Machine,
};

use crate::{
    rig::{attributes, range, walk},
    witness::{DIRECT, LARGE, WIDE, Witness},
};

/// Accessed and dirty.
const MARKS: u64 = 3 << 7;

/// A HAL that lets the hardware act at certain moments.
#[derive(Clone)]
struct Interleaved {
    machine: Machine,
    moment: Moment,
    turn: Arc<Mutex<Option<u64>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Whenever the engine has allocated a frame: the plan is made, and nothing has changed.
    Allocated,
    /// Whenever the engine has published a store.
    Published,
}

impl Interleaved {
    /// If this is the chosen moment, marks the leaf that maps the chosen address, if one still does.
    fn run_hardware(&self, now: Moment) {
        if let Some(entry) = *self.turn.lock().unwrap()
            && now == self.moment
        {
            mark(&self.machine, entry);
        }
    }
}

/// Marks the entry at `entry` accessed and dirty, if it is a leaf.
fn mark(machine: &Machine, entry: u64) {
    let entry = machine.phys_to_virt(HostPhysAddr::from_usize(entry as usize)).cast::<AtomicU64>();
    // SAFETY: an entry of a table, accessed atomically.
    let entry = unsafe { entry.as_ref() };
    let _ = entry.fetch_update(Ordering::AcqRel, Ordering::Acquire, |raw| (raw & 3 == 3).then_some(raw | MARKS));
}

// SAFETY: it does what the machine does.
unsafe impl Hal for Interleaved {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        let frame = self.machine.allocate(size);
        self.run_hardware(Moment::Allocated);
        frame
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: as the caller promises.
        unsafe { self.machine.free(frame, size) }
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        self.machine.phys_to_virt(address)
    }

    fn publish_table(&self, _: HostPhysAddr, _: usize) {
        self.run_hardware(Moment::Published);
    }

    fn invalidate<F: Format>(&self, format: &F, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        self.machine.invalidate(format, root, tag, set);
    }
}

/// Maps a leaf of `size` bytes, lets the hardware mark its item at `item` as soon as the engine has begun to change the
/// leaf, and expects the mark wherever it is still mapped.
fn keeps_marks<const PAGE: u8>(
    format: Witness<PAGE>,
    size: u64,
    item: u64,
    operation: impl Fn(&mut PageTable<Witness<PAGE>, Interleaved>, &mut Gather<Witness<PAGE>, Interleaved>),
) {
    keeps_marks_of(Moment::Published, format, size, item, operation);
}

/// The same, where the hardware has its turn at another moment.
fn keeps_marks_of<const PAGE: u8>(
    moment: Moment,
    format: Witness<PAGE>,
    size: u64,
    item: u64,
    operation: impl Fn(&mut PageTable<Witness<PAGE>, Interleaved>, &mut Gather<Witness<PAGE>, Interleaved>),
) {
    let hal = Interleaved { machine: Machine::new(0, 16 << 20), moment, turn: Arc::default() };
    let mut table = PageTable::new(format, hal.clone(), Tag(1)).unwrap();
    let mut gather = table.gather();
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.map(range(0, size), 0, &attributes(Rights::RW), &mut gather) }.unwrap();
    let root = table.root().as_usize() as u64;
    let entry = walk(&hal.machine, &format, root, item << PAGE).expect("mapped").entry;

    *hal.turn.lock().unwrap() = Some(entry);
    operation(&mut table, &mut gather);
    *hal.turn.lock().unwrap() = None;
    for mapping in table.mappings(range(0, size)) {
        assert!(mapping.attributes.accessed && mapping.attributes.dirty, "lost a mark at {:x?}", mapping.range);
    }
}

#[test]
fn while_a_block_is_split() {
    keeps_marks(DIRECT, 2 << 20, 0, |table, gather| table.unmap(range(4096, 4096), gather).unwrap());
    let change = Change { rights: Some(Rights::R), ..Change::default() };
    keeps_marks(DIRECT, 2 << 20, 0, |table, gather| table.protect(range(4096, 4096), &change, gather).unwrap());
    // Nothing is published before the block is taken away.
    keeps_marks_of(Moment::Allocated, LARGE, 32 << 20, 0, |table, gather| {
        table.protect(range(1 << 14, 1 << 14), &change, gather).unwrap();
    });
}

/// Splits two blocks of `size` bytes alike, marks the second as soon as the engine has begun, and expects the mark wherever
/// that is still mapped; and that two tables which were reserved are enough.
fn keeps_the_mark_of_another<const PAGE: u8>(format: Witness<PAGE>, size: u64) {
    let hal = Interleaved { machine: Machine::new(0, 16 << 20), moment: Moment::Published, turn: Arc::default() };
    let mut table = PageTable::new(format, hal.clone(), Tag(1)).unwrap();
    let mut gather = table.gather();
    let blocks = [range(0, size), range(2 * size, size)];
    for block in blocks {
        // SAFETY: nobody accesses memory through this table.
        unsafe { table.map(block, block.start(), &attributes(Rights::RW), &mut gather) }.unwrap();
    }
    table.reserve(2).unwrap();
    let (root, allocations) = (table.root().as_usize() as u64, hal.machine.allocations());
    let change = Change { rights: Some(Rights::R), ..Change::default() };
    for block in blocks {
        let entry = walk(&hal.machine, &format, root, block.start()).expect("mapped").entry;
        *hal.turn.lock().unwrap() = Some(entry).filter(|_| block == blocks[1]);
        table.protect(range(block.start() + (1 << PAGE), 1 << PAGE), &change, &mut gather).unwrap();
    }
    *hal.turn.lock().unwrap() = None;
    assert_eq!(hal.machine.allocations(), allocations, "what was reserved was not there");
    for mapping in table.mappings(blocks[1]) {
        assert!(mapping.attributes.accessed && mapping.attributes.dirty, "lost a mark at {:x?}", mapping.range);
    }
}

#[test]
fn while_a_block_is_split_as_another() {
    keeps_the_mark_of_another(DIRECT, 2 << 20);
    keeps_the_mark_of_another(LARGE, 32 << 20);
}

#[test]
fn while_a_run_is_split() {
    // The last item is marked when the first is gone already.
    keeps_marks(LARGE, 1 << 18, 15, |table, gather| table.unmap(range(1 << 14, 1 << 14), gather).unwrap());
    keeps_marks(WIDE, 1 << 16, 15, |table, gather| table.unmap(range(4096, 4096), gather).unwrap());
}

#[test]
fn while_a_run_is_retyped() {
    let change = Change { memory: Some(MemoryType::NonCacheable), ..Change::default() };
    keeps_marks(LARGE, 1 << 18, 15, |table, gather| table.protect(range(0, 1 << 18), &change, gather).unwrap());
}

/// The same for a part of a leaf that moves up by `distance`, and back.
fn keeps_marks_on_the_way<const PAGE: u8>(
    format: Witness<PAGE>,
    size: u64,
    item: u64,
    part: (u64, u64),
    distance: u64,
) {
    keeps_marks(format, size, item, |table, gather| {
        let (start, size) = part;
        table.move_range(range(start, size), start + distance, gather).unwrap();
        *table.hal().turn.lock().unwrap() = None;
        assert_eq!(table.mappings(range(start, size)).count(), 0);
        table.move_range(range(start + distance, size), start, gather).unwrap();
        assert!(table.mappings(range(start, size)).count() > 0);
    });
}

#[test]
fn while_a_leaf_moves() {
    // To a new table.
    keeps_marks_on_the_way(DIRECT, 4096, 0, (0, 4096), 64 << 20);
    // Out of a block.
    keeps_marks_on_the_way(DIRECT, 2 << 20, 0, (4096, 4096), 64 << 20);
    // Runs, of which the last item is marked when the first is gone already: as they are, and as pages.
    keeps_marks_on_the_way(LARGE, 1 << 18, 15, (0, 1 << 18), 1 << 18);
    keeps_marks_on_the_way(LARGE, 1 << 18, 15, (0, 1 << 18), (1 << 18) + (1 << 14));
    keeps_marks_on_the_way(WIDE, 1 << 16, 15, (0, 1 << 16), (1 << 16) + 4096);
}

#[test]
fn while_rights_change() {
    let machine = Machine::new(0, 1 << 20);
    let mut table = PageTable::new(DIRECT, machine.clone(), Tag(1)).unwrap();
    let page = range(1 << 30, 4096);
    let mut gather = table.gather();
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.map(page, 4096, &attributes(Rights::RW), &mut gather) }.unwrap();
    let root = table.root().as_usize() as u64;
    let entry = walk(&machine, &DIRECT, root, page.start()).expect("mapped").entry;

    std::thread::scope(|scope| {
        let hardware = scope.spawn(|| {
            let entry = machine.phys_to_virt(HostPhysAddr::from_usize(entry as usize)).cast::<AtomicU64>();
            // SAFETY: an entry of a table, accessed atomically.
            let entry = unsafe { entry.as_ref() };
            for _ in 0..100_000 {
                entry.fetch_or(MARKS, Ordering::AcqRel);
                for _ in 0..20 {
                    std::hint::spin_loop();
                }
                let found = entry.fetch_and(!MARKS, Ordering::AcqRel);
                assert_eq!(found & MARKS, MARKS, "lost a mark");
            }
        });
        for round in 0.. {
            let rights = if round % 2 == 0 { Rights::R } else { Rights::RW };
            table.protect(page, &Change { rights: Some(rights), ..Change::default() }, &mut gather).unwrap();
            if hardware.is_finished() {
                break;
            }
        }
    });
}

/// Each page is written once, in any order, while the states are harvested: each is found once.
fn finds_each_write_once<const PAGE: u8>(format: Witness<PAGE>, delta: u64) {
    let pages = 512;
    let machine = Machine::new(0, 16 << 20);
    let mut table = PageTable::new(format, machine.clone(), Tag(1)).unwrap();
    let all = range(0, pages << PAGE);
    let mut gather = table.gather();
    // SAFETY: nobody accesses memory through this table.
    unsafe { table.map(all, delta << PAGE, &attributes(Rights::RW), &mut gather) }.unwrap();
    drop(gather);
    let root = table.root().as_usize() as u64;
    let entry = |page: u64| walk(&machine, &format, root, page << PAGE).expect("mapped").entry;
    // Of leaves with several pages, one is written.
    let written: Vec<u64> = table.mappings(all).map(|leaf| leaf.range.last() >> PAGE).collect();
    assert!(written.len() > 1);
    let harvest = || {
        let mut words = [0; 8];
        let mut found = PageBitmap::new(all, PAGE, &mut words).unwrap();
        table.harvest(State::Dirty, &mut found, &mut table.gather()).unwrap();
        written.iter().copied().filter(|page| found.contains(page << PAGE)).collect::<Vec<_>>()
    };
    let mut found = std::thread::scope(|scope| {
        let hardware = scope.spawn(|| {
            for number in 0..written.len() {
                mark(&machine, entry(written[number * 7 % written.len()]));
                std::thread::yield_now();
            }
        });
        let mut found = Vec::new();
        while !hardware.is_finished() {
            found.extend(harvest());
        }
        found
    });
    found.extend(harvest());
    found.sort_unstable();
    assert_eq!(found, written);
}

#[test]
fn while_states_are_harvested() {
    finds_each_write_once(DIRECT, 1);
    finds_each_write_once(LARGE, 1);
    // Runs: the states of their items are one.
    finds_each_write_once(LARGE, 16);
    finds_each_write_once(WIDE, 16);
}
