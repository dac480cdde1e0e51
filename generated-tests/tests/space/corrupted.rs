//! Pages that somebody else wrote over, with anything: every operation gives an answer, and none panics.

use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use tablewright::{
    AddrSpace, Change, EntryWord, Format, Hal, HostPhysAddr, PageBitmap, PageTable, Rights, State, Tag, sim::Machine,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, distant, gpa, range};

in_every_format! { anything_may_stand_in_a_table_of_pages }

fn anything_may_stand_in_a_table_of_pages<F: Format>(rig: Rig<F>) {
    let mut random = Rng::with_seed(0xc0de);
    let (format, page, block) = (*rig.space.page_table().format(), rig.page(), rig.block());
    for _ in 0..60 {
        // Its end, too, is among the operations.
        let mut space = AddrSpace::new_empty(format, Machine::new(0, 16 << 20), Tag(9)).unwrap();
        space.map_linear(gpa(page), distant((1 << 34) + 2 * page, 2 * block), RW).unwrap();
        write_over(space.page_table(), &mut random);
        look(&space, block, &mut random);
        for _ in 0..8 {
            change(&mut space, (page, block), &mut random);
        }
        let _ = space.unmap(gpa(0), 16 * block);
    }
}

/// Puts anything into some entries of the tables of pages, and changes one bit of others.
fn write_over<F: Format>(table: &PageTable<F, Machine>, random: &mut Rng) {
    for table_of_pages in table.tables().filter(|table| table.level == 0) {
        for slot in (0..1 << table_of_pages.size).step_by(1 << F::Word::SIZE) {
            let entry = table.hal().phys_to_virt(HostPhysAddr::from_usize(table_of_pages.address.as_usize() + slot));
            // SAFETY: an entry of a table, accessed atomically.
            let entry = unsafe { entry.cast::<AtomicU64>().as_ref() };
            match random.u8(0..8) {
                0 => entry.store(random.u64(..), Ordering::Relaxed),
                1 => _ = entry.fetch_xor(1 << random.u8(0..64), Ordering::Relaxed),
                _ => {}
            }
        }
    }
}

/// Everything that only reads.
fn look<F: Format>(space: &AddrSpace<F, Machine>, block: usize, random: &mut Rng) {
    let (table, all) = (space.page_table(), range(0, 4 * block));
    assert!(table.regions(all).count() <= table.mappings(all).count());
    space.statistics();
    for _ in 0..64 {
        let at = gpa(random.usize(0..3 * block));
        // A leaf that says nothing this format knows is one that grants nothing.
        assert_eq!(space.translate(at).is_some(), space.query(at).is_some());
        space.translate_and_get_limit(at);
    }
    table.tables_needed(all).unwrap();
}

/// Something that changes a part of it, or refuses. No moves: they rely on runs being whole.
fn change<F: Format>(space: &mut AddrSpace<F, Machine>, (page, block): (usize, usize), random: &mut Rng) {
    let first = random.usize(0..3 * block / page);
    let count = random.usize(1..=3 * block / page - first);
    let (at, size) = (gpa(first * page), count * page);
    let access = *random.choice([Rights::R, Rights::W, Rights::X].iter()).expect("one");
    let mut words = vec![0; PageBitmap::words(range(first * page, size), F::PAGE_BITS)];
    let mut pages = PageBitmap::new(range(first * page, size), F::PAGE_BITS, &mut words).unwrap();
    let _ = match random.u8(0..10) {
        0 => space.protect(at, size, if random.bool() { READ } else { RW }),
        1 => space.harvest(State::Dirty, &mut pages),
        2 => space.harvest(State::Accessed, &mut pages),
        3 => space.harvest_exclusive(State::Dirty, &mut pages),
        4 => space.start_dirty_log(at, size),
        5 => space.stop_dirty_log(at, size),
        6 => space.collapse(at, size),
        7 => space.populate(at, size, access),
        8 => space.protect_and_harvest(at, size, Change { rights: Some(Rights::R), ..Change::default() }, &mut pages),
        _ => {
            space.handle_fault_exclusive(at, access);
            Ok(())
        }
    };
}
