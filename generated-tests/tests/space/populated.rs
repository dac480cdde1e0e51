//! Populating parts of a space ahead of time: what faults would have done, and nothing else.

use tablewright::{
    AddrSpace, Alloc, BackendError, Error, FaultOutcome, Format, GuestMemoryAccessor, PageBitmap, Rights, SharedMemory,
    SpaceError, State, Tag, sim::Machine,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, RX, Rig, distant, gpa, range};

in_every_format! {
    pages_are_as_faults_would_have_left_them
    only_what_is_asked_for_gets_frames
    what_is_there_stays
    what_is_shared_is_copied_only_for_writes
    pages_that_watch_for_writes_get_their_rights_back
    a_logged_area_gets_pages
    what_cannot_be_had_leaves_the_rest
}

/// Areas of all kinds side by side, some of their pages in use.
fn furnish<F: Format>(space: &mut AddrSpace<F, Machine>, memory: &SharedMemory) {
    let (page, block) = (1 << F::PAGE_BITS, 1 << space.page_table().geometry().entry_bits(1));
    space.map_linear(gpa(0), distant(8 * block, 3 * page), RW).unwrap();
    space.map_alloc(gpa(4 * page), 9 * page, RW, false).unwrap();
    space.map_alloc(gpa(13 * page), 3 * page, READ, false).unwrap();
    space.map_device(gpa(20 * page), 2 * page, 3).unwrap();
    space.map_copy_on_write(gpa(24 * page), memory, RW).unwrap();
    space.map_copy_on_write(gpa(34 * page), memory, RX).unwrap();
    space.map_shared(gpa(44 * page), memory, RW).unwrap();
    for (number, access) in [(5, Rights::R), (6, Rights::W), (14, Rights::R), (24, Rights::R), (26, Rights::W)] {
        assert!(space.handle_fault(gpa(number * page), access).is_resolved());
    }
}

fn shared<F: Format>(rig: &Rig<F>, pages: usize) -> SharedMemory {
    // SAFETY: all spaces of a test are on this machine.
    unsafe { SharedMemory::new(&rig.machine, pages * rig.page(), F::PAGE_BITS, F::PAGE_BITS + 2) }.unwrap()
}

/// A second guest, in which each page faults for itself, ends up the same.
fn pages_are_as_faults_would_have_left_them<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig, 8);
    for access in [Rights::R, Rights::W, Rights::R | Rights::X, Rights::R] {
        let mut other = AddrSpace::new_empty(*rig.space.page_table().format(), rig.machine.clone(), Tag(9)).unwrap();
        furnish(&mut rig.space, &memory);
        furnish(&mut other, &memory);
        rig.space.populate(gpa(page), 50 * page, access).unwrap();
        rig.check_mmu();
        for number in 1..51 {
            other.handle_fault_exclusive(gpa(number * page), access);
        }
        for at in (0..60).map(|number| gpa(number * page)) {
            let [ours, others] = [&rig.space, &other].map(|space| space.query(at));
            assert_eq!(ours.map(|ours| ours.attributes), others.map(|other| other.attributes), "{at:?} for {access}");
            let [ours, others] = [&rig.space, &other].map(|space| space.handle_fault(at, access));
            assert_eq!(ours, others, "{at:?} for {access}");
        }
        other.clear().unwrap();
        rig.space.clear().unwrap();
    }
}

fn only_what_is_asked_for_gets_frames<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let before = rig.used();
    rig.space.map_alloc(gpa(0), 4 * block, RW, false).unwrap();
    rig.space.populate(gpa(block - 2 * page), 5 * page, Rights::W).unwrap();
    let statistics = rig.space.statistics();
    assert_eq!(statistics.mapped_bytes(), 5 * page as u64);
    assert_eq!(rig.used() - before, 5 * page + statistics.table_bytes as usize - root_bytes(&rig));
    for number in 0..5 {
        let at = block - 2 * page + number * page;
        rig.access(at, Rights::W);
        assert_eq!(rig.space.handle_fault(gpa(at), Rights::W), FaultOutcome::Spurious);
        assert_eq!(rig.space.read_obj::<u64>(gpa(at)), Ok(0));
    }
    // It does not take more the second time.
    let state = rig.state();
    rig.space.populate(gpa(block - 2 * page), 5 * page, Rights::W).unwrap();
    rig.space.populate(gpa(0), 0, Rights::W).unwrap();
    // Nobody may do this, and nothing is there.
    rig.space.populate(gpa(0), 8 * block, Rights::X).unwrap();
    rig.space.populate(gpa(4 * block), block, Rights::W).unwrap();
    assert!(rig.state() == state);
    let error = SpaceError::Misaligned { value: page / 2, page_bits: F::PAGE_BITS };
    rig.refuses(error, |space| space.populate(gpa(page / 2), page, Rights::W));
}

fn root_bytes<F: Format>(rig: &Rig<F>) -> usize {
    1 << rig.space.page_table().tables().next().expect("the root").size
}

fn what_is_there_stays<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 64 * page, RW, false).unwrap();
    for number in [0, 7, 8, 40, 63] {
        rig.space.write_obj(gpa(number * page), number + 1).unwrap();
    }
    rig.space.populate(gpa(0), 64 * page, Rights::W).unwrap();
    rig.check_mmu();
    for number in 0..64 {
        let expected = if [0, 7, 8, 40, 63].contains(&number) { number + 1 } else { 0 };
        assert_eq!(rig.space.read_obj::<usize>(gpa(number * page)), Ok(expected));
    }
}

fn what_is_shared_is_copied_only_for_writes<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig, 6);
    rig.space.map_copy_on_write(gpa(page), &memory, RW).unwrap();
    rig.space.populate(gpa(page), 6 * page, Rights::R).unwrap();
    let used = rig.used();
    let base = rig.space.translate(gpa(page));
    for number in 1..7 {
        rig.access(number * page, Rights::R);
    }
    rig.space.populate(gpa(page), 6 * page, Rights::R).unwrap();
    assert_eq!((rig.used(), rig.space.translate(gpa(page))), (used, base));
    rig.space.populate(gpa(page), 6 * page, Rights::W).unwrap();
    rig.check_mmu();
    assert_eq!(rig.used(), used + 6 * page);
    for number in 1..7 {
        assert_eq!(rig.space.handle_fault(gpa(number * page), Rights::W), FaultOutcome::Spurious);
        rig.access(number * page, Rights::W);
    }
}

fn pages_that_watch_for_writes_get_their_rights_back<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 16 * page, RW, true).unwrap();
    let mut words = [0; 1];
    let mut pages = PageBitmap::new(range(0, 16 * page), F::PAGE_BITS, &mut words).unwrap();
    rig.space.harvest(State::Dirty, &mut pages).unwrap();
    let outcome = |rig: &Rig<F>, number: usize| rig.space.handle_fault(gpa(number * page), Rights::W);
    rig.space.populate(gpa(0), 2 * page, Rights::R).unwrap();
    rig.space.populate(gpa(3 * page), 4 * page, Rights::W).unwrap();
    rig.check_mmu();
    for number in [0, 1, 2, 7] {
        assert_ne!(outcome(&rig, number), FaultOutcome::Spurious, "page {number}");
    }
    for number in 3..7 {
        assert_eq!(outcome(&rig, number), FaultOutcome::Spurious, "page {number}");
    }
}

fn a_logged_area_gets_pages<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    if block > 4 << 20 {
        // The machine has no such frames.
        return;
    }
    let backend = Alloc::LAZY.up_to(block.ilog2() as u8);
    rig.space.map(gpa(0), block, RW, backend).unwrap();
    rig.space.map(gpa(block), block, RW | RX, backend).unwrap();
    rig.space.start_dirty_log(gpa(0), block).unwrap();
    rig.space.populate(gpa(0), block, Rights::W).unwrap();
    let leaves = |rig: &Rig<F>| rig.space.statistics().leaves;
    assert_eq!(leaves(&rig)[block.ilog2() as usize], 0);
    rig.space.populate(gpa(block), block, Rights::W).unwrap();
    assert_eq!(leaves(&rig)[usize::from(F::PAGE_BITS)..].iter().sum::<usize>(), block / page + 1);
}

fn what_cannot_be_had_leaves_the_rest<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig, 8);
    let writable = || (4..13).chain(24..32).map(|number| gpa(number * page));
    let mut failed = 0;
    loop {
        furnish(&mut rig.space, &memory);
        rig.machine.fail_allocation(failed);
        let result = rig.space.populate(gpa(0), 60 * page, Rights::W);
        let complete = rig.machine.cancel_failure();
        rig.check_mmu();
        match result {
            Ok(()) => {}
            Err(SpaceError::Area { area, error: BackendError::Table(Error::NoMemory { .. }) }) => {
                // What is before it is populated, and the operation can be repeated.
                for at in writable().filter(|&at| at < gpa(area.start() as usize)) {
                    assert_eq!(rig.space.handle_fault(at, Rights::W), FaultOutcome::Spurious);
                }
                rig.space.populate(gpa(0), 60 * page, Rights::W).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
        for at in writable() {
            assert_eq!(rig.space.handle_fault(at, Rights::W), FaultOutcome::Spurious);
        }
        rig.space.clear().unwrap();
        if complete {
            break;
        }
        failed += 1;
    }
    assert!(failed > 10);
}
