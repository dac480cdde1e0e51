//! The handling of faults, and its outcomes.

use std::sync::Barrier;

use tablewright::{
    Alloc, Attributes, BackendError, Change, DeviceAccess, Error, FaultOutcome, Format, GuestMemoryAccessor,
    PageBitmap, Rights, SpaceError, State, x86_64,
};

use crate::formats::{self, in_every_format};
use crate::rig::{READ, RW, RX, Rig, distant, gpa, range};

in_every_format! {
    lazy_areas_touch_nothing_until_they_are_used
    outcomes_are_told_apart
    a_fault_takes_the_largest_frame_that_fits
    a_second_fault_keeps_the_page
    many_processors_fault_at_once
    states_that_no_hardware_sets_are_set_by_the_fault
    a_written_page_faults_once
    what_is_there_gets_what_an_access_lacks
    the_bool_form_says_whether_to_go_on
}

fn lazy_areas_touch_nothing_until_they_are_used<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let before = (rig.used(), rig.tables());
    rig.space.map_alloc(gpa(0), 64 * block, RW, false).unwrap();
    assert_eq!((rig.used(), rig.tables()), before);
    assert_eq!(rig.space.handle_fault(gpa(block + 5), Rights::R), FaultOutcome::Mapped);
    let tables: usize = rig.space.page_table().tables().map(|table| 1 << table.size).sum();
    assert_eq!(rig.used(), tables + page);
}

fn outcomes_are_told_apart<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 2 * page, RX, false).unwrap();
    rig.space.map_device(gpa(4 * page), 2 * page, 42).unwrap();
    rig.space.map_linear(gpa(8 * page), distant(0, page), READ).unwrap();
    let fault = |at: usize, access| rig.space.handle_fault(gpa(at), access);
    assert_eq!(fault(3 * page, Rights::R), FaultOutcome::NotMapped);
    assert_eq!(fault(usize::MAX, Rights::R), FaultOutcome::NotMapped);
    assert_eq!(fault(0, Rights::W), FaultOutcome::Denied);
    assert_eq!(fault(0, Rights::PX), FaultOutcome::Mapped);
    assert_eq!(fault(0, Rights::R), FaultOutcome::Spurious);
    assert_eq!(fault(0, Rights::W), FaultOutcome::Denied);
    assert_eq!(fault(8 * page, Rights::R), FaultOutcome::Spurious);
    assert_eq!(fault(8 * page, Rights::X), FaultOutcome::Denied);
    let device = |access| FaultOutcome::Device(DeviceAccess { handle: 42, offset: page + 4, access, width: None });
    assert_eq!(fault(5 * page + 4, Rights::W), device(Rights::W));
    assert_eq!(fault(4 * page, Rights::X), FaultOutcome::Denied);
    // A device keeps its registers' offsets when a part of it is taken away.
    rig.space.unmap(gpa(4 * page), page).unwrap();
    let outcome = rig.space.handle_fault(gpa(5 * page + 4), Rights::R);
    assert_eq!(outcome, device(Rights::R));
}

fn a_fault_takes_the_largest_frame_that_fits<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    // The largest pages are larger than all of the machine's memory: smaller ones will do.
    let has_blocks = block < rig.machine.memory().1;
    rig.space.map(gpa(block - page), 2 * block, RW, Alloc::LAZY.up_to(63)).unwrap();
    // The page before the first block, a block, and a page after it: not all of the last block is in the area.
    for (at, is_block) in [(block - page, false), (block + 7, has_blocks), (2 * block, false)] {
        assert_eq!(rig.space.handle_fault(gpa(at), Rights::W), FaultOutcome::Mapped, "{at:#x}");
        let size = 1 << rig.space.query(gpa(at)).expect("mapped").page_bits;
        assert_eq!(size, if is_block { block } else { page }, "{at:#x}");
    }
    // A hole in the block gives one page back, and takes one for the table that maps the rest.
    let used = rig.used();
    rig.space.unmap(gpa(block + 3 * page), page).unwrap();
    assert_eq!(rig.space.translate(gpa(block + 4 * page)).is_some(), has_blocks);
    assert_eq!(rig.used(), used);
}

fn a_second_fault_keeps_the_page<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), page, RW, false).unwrap();
    rig.space.write_obj(gpa(8), 0x1234_u64).unwrap();
    let before = (rig.space.translate(gpa(0)), rig.used());
    assert_eq!(rig.space.handle_fault(gpa(8), Rights::W), FaultOutcome::Spurious);
    assert_eq!((rig.space.translate(gpa(0)), rig.used()), before);
    assert_eq!(rig.space.read_obj::<u64>(gpa(8)).unwrap(), 0x1234);
}

fn many_processors_fault_at_once<F: Format>(mut rig: Rig<F>) {
    const PROCESSORS: usize = 4;
    let (page, block) = (rig.page(), rig.block());
    let pages = 24;
    rig.space.map_alloc(gpa(block - 8 * page), pages * page, RW, false).unwrap();
    let barrier = Barrier::new(PROCESSORS);
    let (space, barrier) = (&rig.space, &barrier);
    let mapped: usize = std::thread::scope(|scope| {
        let processor = || {
            scope.spawn(move || {
                barrier.wait();
                let fault = |at| space.handle_fault(gpa(block - 8 * page + at * page), Rights::W);
                let outcomes: Vec<_> = (0..pages).map(fault).collect();
                assert!(outcomes.iter().all(|outcome| outcome.is_resolved()), "{outcomes:?}");
                outcomes.iter().filter(|&&outcome| outcome == FaultOutcome::Mapped).count()
            })
        };
        let processors: Vec<_> = (0..PROCESSORS).map(|_| processor()).collect();
        processors.into_iter().map(|processor| processor.join().expect("no panic")).sum()
    });
    assert!(mapped >= pages);
    let tables: usize = rig.space.page_table().tables().map(|table| 1 << table.size).sum();
    assert_eq!(rig.used(), tables + pages * page);
}

fn states_that_no_hardware_sets_are_set_by_the_fault<F: Format>(mut rig: Rig<F>) {
    let (page, states) = (rig.page(), rig.space.page_table().format().accessed_dirty(0));
    // Read-only at first, and so not dirty.
    rig.space.map_alloc(gpa(0), page, READ, true).unwrap();
    rig.space.protect(gpa(0), page, RW).unwrap();
    assert!(rig.space.handle_fault(gpa(0), Rights::W).is_resolved());
    assert!(states.dirty_mask == 0 || rig.space.query(gpa(0)).expect("mapped").attributes.dirty);
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::W), FaultOutcome::Spurious);
    // The next store after a harvest is told from one that needs a mapping or a right.
    let mut words = [0; 1];
    let mut pages = PageBitmap::new(range(0, page), F::PAGE_BITS, &mut words).unwrap();
    rig.space.harvest(State::Dirty, &mut pages).unwrap();
    assert!(pages.contains(0));
    let expected = if states.dirty_mask == 0 { FaultOutcome::Mapped } else { FaultOutcome::Marked };
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::W), expected);
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::W), FaultOutcome::Spurious);
}

fn a_written_page_faults_once<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    // The area was read-only, so that nothing in it was to be dirty.
    rig.space.map_alloc(gpa(0), page, READ, false).unwrap();
    rig.space.protect(gpa(0), page, RW).unwrap();
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::W), FaultOutcome::Mapped);
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::W), FaultOutcome::Spurious);
}

/// Areas that are mapped from the start, whose faults are dealt with before anything is looked up.
fn what_is_there_gets_what_an_access_lacks<F: Format>(mut rig: Rig<F>) {
    let (page, states) = (rig.page(), rig.space.page_table().format().accessed_dirty(0));
    rig.space.map_linear(gpa(0), distant(0, page), RW).unwrap();
    rig.space.map(gpa(page), page, RW, Alloc::POPULATED.up_to(63)).unwrap();
    for at in [0, page] {
        let harvest = |state| {
            let mut words = [0; 1];
            let mut pages = PageBitmap::new(range(at, page), F::PAGE_BITS, &mut words).unwrap();
            rig.space.harvest(state, &mut pages).unwrap();
            assert_eq!(pages.len(), 1);
        };
        let marked = |mask: u64| if mask == 0 { FaultOutcome::Mapped } else { FaultOutcome::Marked };
        harvest(State::Dirty);
        // A read is no reason for a right to write.
        assert_eq!(rig.space.handle_fault(gpa(at), Rights::R), FaultOutcome::Spurious);
        assert_eq!(rig.space.handle_fault(gpa(at), Rights::W), marked(states.dirty_mask));
        assert_eq!(rig.space.handle_fault(gpa(at), Rights::W), FaultOutcome::Spurious);
        if states.accessed_mask != 0 {
            harvest(State::Accessed);
            assert_eq!(rig.space.handle_fault(gpa(at), Rights::R), FaultOutcome::Marked);
        }
        let leaf = rig.space.query(gpa(at)).expect("mapped").attributes;
        assert_eq!((leaf.rights, leaf.accessed), (Rights::RW, states.accessed_mask != 0));
    }
}

fn the_bool_form_says_whether_to_go_on<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), page, READ, false).unwrap();
    assert!(rig.space.handle_page_fault(gpa(0), READ));
    assert!(rig.space.handle_page_fault(gpa(0), READ));
    assert!(!rig.space.handle_page_fault(gpa(0), RW));
    assert!(!rig.space.handle_page_fault(gpa(page), READ));
}

#[test]
fn what_only_pages_can_say_is_refused_of_blocks() {
    let mut rig = formats::ept("baseline");
    let (page, block) = (rig.page(), rig.block());
    let change = Change { options: Some(x86_64::ept::SUB_PAGE_WRITE), ..Change::default() };
    // Pages, a block, and pages.
    rig.space.map_linear(gpa(block - 2 * page), distant(8 * block - 2 * page, block + 4 * page), READ).unwrap();
    let area = range(block - 2 * page, block + 4 * page);
    let before = rig.state();
    for (start, size) in [(block - 2 * page, block + 4 * page), (block - page, 2 * page), (2 * block - page, 2 * page)]
    {
        let refused = rig.space.protect(gpa(start), size, change);
        let named = range(start, size);
        assert!(
            matches!(refused, Err(SpaceError::Area { area, error: BackendError::Table(Error::Refused { level: 1, .. }) })
                if area == named),
            "{refused:?}"
        );
        assert!(rig.state() == before, "{start:#x}");
    }
    for start in [block - 2 * page, 2 * block] {
        rig.space.protect(gpa(start), 2 * page, change).unwrap();
        let options = rig.space.query(gpa(start + page)).map(|found| found.attributes.options);
        assert_eq!(options, Some(x86_64::ept::SUB_PAGE_WRITE));
    }
    assert_eq!(rig.space.areas().map(|part| part.range()).reduce(|all, part| all.hull(&part)), Some(area));
}

#[test]
fn what_only_pages_can_say_is_faulted_in_by_pages() {
    let mut rig = formats::ept("baseline");
    let (page, block) = (rig.page(), rig.block());
    let attributes = Attributes { options: x86_64::ept::SUB_PAGE_WRITE, ..Attributes::from(READ) };
    rig.space.map(gpa(0), block, attributes, Alloc::LAZY.up_to(21)).unwrap();
    let allocations = rig.machine.allocations();
    assert_eq!(rig.space.handle_fault(gpa(page), Rights::R), FaultOutcome::Mapped);
    assert_eq!(rig.space.query(gpa(page)).map(|found| found.page_bits), Some(12));
    assert_eq!(rig.machine.allocations() - allocations, 4, "a page and its tables");
}
