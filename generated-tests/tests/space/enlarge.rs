//! Replacing small frames by larger ones, with their contents.

use tablewright::{Alloc, FaultOutcome, Format, GuestMemoryAccessor, PageBitmap, Rights, Sink, State, sim::Machine};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, gpa, range};
use crate::witness::{BREAKING, DIRECT};

in_every_format! {
    a_block_keeps_what_its_pages_held
    only_what_is_full_and_alike_becomes_larger
    without_a_frame_nothing_changes
    what_was_written_stays_known
}

/// Maps a block of pages, each of which holds its number; `false` if the machine has no memory for that twice.
fn pages<F: Format>(rig: &mut Rig<F>) -> bool {
    let (page, block) = (rig.page(), rig.block());
    if block > 4 << 20 {
        return false;
    }
    let size = block.ilog2() as u8;
    let backend = Alloc::LAZY.up_to(size);
    rig.space.map(gpa(block), block, RW, backend).unwrap();
    // The first page by itself, so that there is no block.
    rig.space.unmap(gpa(block + page), page).unwrap();
    rig.space.handle_fault(gpa(block), Rights::W);
    rig.space.map(gpa(block + page), page, RW, backend).unwrap();
    for number in 0..block / page {
        assert!(rig.space.handle_page_fault(gpa(block + number * page), RW));
        rig.space.write_obj(gpa(block + number * page + 8), number).unwrap();
    }
    assert_eq!(rig.space.statistics().leaves[usize::from(F::PAGE_BITS)], block / page);
    true
}

fn check<F: Format>(rig: &Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    for number in 0..block / page {
        assert_eq!(rig.space.read_obj::<usize>(gpa(block + number * page + 8)), Ok(number));
    }
}

fn a_block_keeps_what_its_pages_held<F: Format>(mut rig: Rig<F>) {
    if !pages(&mut rig) {
        return;
    }
    let (page, block) = (rig.page(), rig.block());
    let (used, table) = (rig.used(), 1 << rig.space.page_table().geometry().table_bits(0));
    for at in [block, block + 7 * page, 2 * block - page] {
        rig.access(at, Rights::R);
    }
    assert_eq!(rig.space.enlarge(gpa(0), 3 * block), Ok(1));
    rig.check_mmu();
    check(&rig);
    assert_eq!(rig.space.statistics().leaves[block.ilog2() as usize], 1);
    assert_eq!(rig.used(), used - table);
    rig.access(block + 7 * page, Rights::W);
    // It is there already, and goes in parts like any other.
    assert_eq!(rig.space.enlarge(gpa(0), 3 * block), Ok(0));
    rig.space.unmap(gpa(block + 3 * page), page).unwrap();
    assert_eq!(rig.used(), used - page);
}

fn only_what_is_full_and_alike_becomes_larger<F: Format>(mut rig: Rig<F>) {
    if !pages(&mut rig) {
        return;
    }
    let (page, block) = (rig.page(), rig.block());
    let before = rig.state();
    // Not all of the block is asked for.
    assert_eq!(rig.space.enlarge(gpa(block), block - page), Ok(0));
    assert_eq!(rig.space.enlarge(gpa(block + page), block), Ok(0));
    assert!(rig.state() == before);
    rig.space.protect(gpa(2 * block - page), page, READ).unwrap();
    assert_eq!(rig.space.enlarge(gpa(block), block), Ok(0));
    rig.space.protect(gpa(2 * block - page), page, RW).unwrap();
    // A hole in what is mapped.
    let backend = Alloc::LAZY.up_to(block.ilog2() as u8);
    rig.space.replace(gpa(block + 5 * page), page, RW, backend).unwrap();
    assert_eq!(rig.space.areas().len(), 1);
    assert_eq!(rig.space.enlarge(gpa(block), block), Ok(0));
    assert_eq!(rig.space.handle_fault(gpa(block + 5 * page), Rights::W), FaultOutcome::Mapped);
    rig.space.write_obj(gpa(block + 5 * page + 8), 5_usize).unwrap();
    assert_eq!(rig.space.enlarge(gpa(block), block), Ok(1));
    check(&rig);
}

fn without_a_frame_nothing_changes<F: Format>(mut rig: Rig<F>) {
    if !pages(&mut rig) {
        return;
    }
    let block = rig.block();
    let before = rig.state();
    rig.machine.fail_allocation(0);
    assert_eq!(rig.space.enlarge(gpa(block), block), Ok(0));
    assert!(!rig.machine.cancel_failure() && rig.state() == before);
}

fn what_was_written_stays_known<F: Format>(mut rig: Rig<F>) {
    if !pages(&mut rig) {
        return;
    }
    let (page, block) = (rig.page(), rig.block());
    let harvest = |rig: &Rig<F>| {
        let mut words = vec![0; PageBitmap::words(range(block, block), F::PAGE_BITS)];
        let mut found = PageBitmap::new(range(block, block), F::PAGE_BITS, &mut words).unwrap();
        rig.space.harvest(State::Dirty, &mut found).unwrap();
        found.len()
    };
    assert_eq!((harvest(&rig), harvest(&rig)), (block / page, 0));
    let says_dirty = rig.space.page_table().format().accessed_dirty(0).dirty_mask != 0;
    if says_dirty {
        // One page speaks for the whole.
        rig.space.write_obj(gpa(block + 9 * page), 1_u64).unwrap();
        rig.access(block + 9 * page, Rights::W);
        assert_eq!(rig.space.enlarge(gpa(block), block), Ok(1));
        assert_eq!((harvest(&rig), harvest(&rig)), (block / page, 0));
    } else {
        assert_eq!(rig.space.enlarge(gpa(block), block), Ok(1));
        assert_eq!(harvest(&rig), 0);
        assert!(rig.space.handle_page_fault(gpa(block + 9 * page), RW));
        assert_eq!(harvest(&rig), block / page);
    }
}

/// Fills a block with pages, where there may be frames of up to `1 << largest` bytes: how many become larger.
fn enlarged(machine: Machine, largest: u8) -> usize {
    let mut rig = Rig::on(machine, DIRECT);
    let (page, block) = (rig.page(), rig.block());
    rig.space.map(gpa(block), block, RW, Alloc::LAZY.up_to(largest)).unwrap();
    for number in 0..block / page {
        rig.space.write_obj(gpa(block + number * page), number).unwrap();
    }
    rig.space.enlarge(gpa(block), block).unwrap()
}

#[test]
fn areas_of_pages_stay_that() {
    assert_eq!(enlarged(Machine::new(0, 16 << 20), 20), 0);
}

#[test]
fn frames_that_go_back_whole_stay_as_they_are() {
    assert_eq!(enlarged(Machine::with_whole_frames(0, 16 << 20), 21), 0);
}

#[test]
fn nothing_is_taken_from_a_device_that_cannot_retry() {
    let mut rig = Rig::new(BREAKING);
    assert!(pages(&mut rig));
    let device = Sink::device(1).unwrap();
    rig.machine.forbid_retries(device);
    rig.space.attach(device);
    let block = rig.block();
    let before = rig.state();
    assert_eq!(rig.space.enlarge(gpa(block), block), Ok(0));
    assert!(rig.state() == before);
    rig.space.detach(device);
    assert_eq!(rig.space.enlarge(gpa(block), block), Ok(1));
    check(&rig);
}
