//! Leaves that a dirty log has split are collapsed when it ends, whatever their backend.

use tablewright::{Alloc, Format, GuestMemoryAccessor, PageBitmap, Rights, SharedMemory, State};

use crate::formats::in_every_format;
use crate::rig::{RW, Rig, distant, gpa, range};

in_every_format! {
    leaves_of_every_backend_become_what_they_were
    frames_that_cannot_be_joined_stay_apart
    a_frame_that_was_exchanged_keeps_its_place
    pages_that_should_be_pages_stay_pages
}

/// Where leaves of `at` begin, and their sizes.
fn leaves<F: Format>(rig: &Rig<F>, at: usize, size: usize) -> Vec<(u64, u8)> {
    rig.space.page_table().mappings(range(at, size)).map(|leaf| (leaf.range.start(), leaf.size)).collect()
}

/// A log of all that is there, in which one page of each of `written` is found.
fn logged<F: Format>(rig: &mut Rig<F>, written: &[usize]) {
    let page = rig.page();
    let all = range(0, 32 * rig.block());
    rig.space.start_dirty_log(gpa(0), 32 * rig.block()).unwrap();
    assert!(leaves(rig, 0, 32 * rig.block()).iter().all(|&(_, size)| size == F::PAGE_BITS));
    for &at in written {
        rig.space.handle_fault(gpa(at), Rights::W);
        rig.access(at, Rights::W);
        // What the host cannot reach, it cannot write either.
        let _ = rig.space.write_obj(gpa(at), at);
    }
    let mut words = vec![0; PageBitmap::words(all, F::PAGE_BITS)];
    let mut pages = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
    rig.space.harvest(State::Dirty, &mut pages).unwrap();
    assert!(written.iter().all(|&at| pages.contains(at as u64)), "{pages:?}");
    assert_eq!(pages.len(), written.len(), "{page:#x}");
    rig.space.stop_dirty_log(gpa(0), 32 * rig.block()).unwrap();
    rig.check_mmu();
}

/// Whether the machine has memory for some blocks.
fn has_blocks<F: Format>(rig: &Rig<F>) -> bool {
    rig.block() <= 2 << 20
}

fn leaves_of_every_backend_become_what_they_were<F: Format>(mut rig: Rig<F>) {
    if !has_blocks(&rig) {
        return;
    }
    let (page, block) = (rig.page(), rig.block());
    let size = block.ilog2() as u8;
    rig.machine.join_frames();
    // SAFETY: the guest runs on this machine.
    let shared = unsafe { SharedMemory::new(&rig.machine, block + page, F::PAGE_BITS, size) }.unwrap();
    rig.space.map_linear(gpa(2 * block), distant(4 * block, 2 * block), RW).unwrap();
    rig.space.map_shared(gpa(6 * block), &shared, RW).unwrap();
    rig.space.map(gpa(10 * block), block + 3 * page, RW, Alloc::LAZY.up_to(size)).unwrap();
    rig.space.map(gpa(14 * block), block + page, RW, Alloc::POPULATED.up_to(size)).unwrap();
    rig.space.map_copy_on_write(gpa(20 * block), &shared, RW).unwrap();
    for at in [10 * block, 11 * block + page, 20 * block] {
        assert!(rig.space.handle_fault(gpa(at), Rights::W).is_resolved());
    }
    let before = leaves(&rig, 0, 32 * block);
    assert!(before.iter().filter(|(_, leaf)| *leaf == size).count() >= 4, "{before:x?}");
    let written = [2, 6, 10, 14].map(|number| number * block + 3 * page);
    logged(&mut rig, &written);
    assert_eq!(leaves(&rig, 0, 32 * block), before);
    for at in written {
        let read = rig.space.read_obj::<usize>(gpa(at));
        assert!(read.is_err() || read == Ok(at));
    }
    // It goes in parts like any other.
    rig.space.unmap(gpa(10 * block + 7 * page), page).unwrap();
    rig.space.unmap(gpa(14 * block - page), 3 * page).unwrap();
    rig.check_mmu();
}

fn frames_that_cannot_be_joined_stay_apart<F: Format>(mut rig: Rig<F>) {
    if !has_blocks(&rig) {
        return;
    }
    let (page, block) = (rig.page(), rig.block());
    let size = block.ilog2() as u8;
    rig.space.map(gpa(block), block, RW, Alloc::POPULATED.up_to(size)).unwrap();
    logged(&mut rig, &[block + page]);
    assert_eq!(leaves(&rig, block, block).len(), block / page);
    // A copy has a frame of its own.
    assert_eq!(rig.space.enlarge(gpa(block), block), Ok(1));
    assert_eq!(rig.space.read_obj::<usize>(gpa(block + page)), Ok(block + page));
}

fn a_frame_that_was_exchanged_keeps_its_place<F: Format>(mut rig: Rig<F>) {
    if !has_blocks(&rig) {
        return;
    }
    let (page, block) = (rig.page(), rig.block());
    let backend = Alloc::LAZY.up_to(block.ilog2() as u8);
    rig.machine.join_frames();
    rig.space.map(gpa(block), block, RW, backend).unwrap();
    for number in 0..block / page {
        rig.space.write_obj(gpa(block + number * page), number).unwrap();
    }
    rig.space.start_dirty_log(gpa(block), block).unwrap();
    // Two pages change their frames, or get them back in another order.
    for number in [3, 5] {
        rig.space.unmap(gpa(block + number * page), page).unwrap();
    }
    for number in [5, 3] {
        rig.space.map(gpa(block + number * page), page, RW, backend).unwrap();
        rig.space.write_obj(gpa(block + number * page), number).unwrap();
    }
    rig.space.stop_dirty_log(gpa(block), block).unwrap();
    rig.check_mmu();
    for number in 0..block / page {
        assert_eq!(rig.space.read_obj::<usize>(gpa(block + number * page)), Ok(number));
    }
}

fn pages_that_should_be_pages_stay_pages<F: Format>(mut rig: Rig<F>) {
    if !has_blocks(&rig) {
        return;
    }
    let (page, block) = (rig.page(), rig.block());
    rig.machine.join_frames();
    rig.space.map_alloc(gpa(block), block, RW, true).unwrap();
    let consecutive = |rig: &Rig<F>| rig.space.translate_and_get_limit(gpa(block)).map(|(_, limit)| limit);
    assert_eq!(consecutive(&rig), Some(block), "they could be one");
    logged(&mut rig, &[]);
    assert_eq!(leaves(&rig, block, block).len(), block / page);
}
