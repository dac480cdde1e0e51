//! Mistakes that others have made with address spaces, as far as no other test here covers them.

use std::sync::{Arc, Mutex};

use tablewright::{
    AddrSpace, Alloc, Attributes, Edit, Format, GuestMemoryAccessor, HostPhysAddr, Invalidation, MappingFlags,
    MemoryType, Rights, SharedMemory, SpaceError, Tag,
    sim::{Machine, Observer},
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, RX, Rig, distant, gpa, hpa, range};

in_every_format! {
    no_frame_is_freed_before_the_invalidation
    a_range_is_not_invalidated_page_by_page
    a_fault_outside_all_areas_installs_nothing
    an_area_without_rights_can_be_unmapped
    frames_are_not_lost_when_rights_were_taken_to_none
    a_block_fits_where_pages_were
    an_unmap_that_starts_inside_a_block_goes_on_after_it
    addresses_beyond_the_output_size_are_refused
    what_is_written_is_read_back
    a_failed_unmap_keeps_both_sides
    dropping_a_space_needs_no_memory
    a_space_that_is_dropped_is_invalidated_once_before_all_else
    frames_come_zeroed
    a_huge_frame_is_kept_whole_where_the_host_frees_no_parts
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Invalidated,
    Freed,
}

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Observer for Events {
    fn invalidated(&self, _: &Machine, _: HostPhysAddr, _: Tag, _: &Invalidation) {
        self.0.lock().unwrap().push(Event::Invalidated);
    }

    fn freed(&self, _: &Machine, _: HostPhysAddr, _: u8) {
        self.0.lock().unwrap().push(Event::Freed);
    }
}

fn no_frame_is_freed_before_the_invalidation<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 8 * page, RW, true).unwrap();
    let events = Arc::new(Events::default());
    rig.machine.observe(events.clone());
    rig.space.unmap(gpa(2 * page), 3 * page).unwrap();
    let seen = core::mem::take(&mut *events.0.lock().unwrap());
    assert_eq!(seen, [Event::Invalidated, Event::Freed, Event::Freed, Event::Freed]);
    rig.space.clear().unwrap();
    let seen = core::mem::take(&mut *events.0.lock().unwrap());
    assert_eq!(seen.first(), Some(&Event::Invalidated));
    assert_eq!(seen.iter().filter(|&&event| event == Event::Invalidated).count(), 1);
}

fn a_range_is_not_invalidated_page_by_page<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 100 * page, RW, true).unwrap();
    rig.machine.take_log();
    rig.space.protect(gpa(page), 50 * page, READ).unwrap();
    let log = rig.machine.take_log();
    // Some machines want each entry broken before it is made.
    let format = rig.space.page_table().format();
    let prototype = |rights| format.prototype(0, F::PAGE_BITS, &Attributes::new(rights, MemoryType::WriteBack));
    let [before, after] = [Rights::RW, Rights::R].map(|rights| prototype(rights).expect("such a page").bits);
    if format.edit(0, before, after) == Edit::BreakBeforeMake {
        return;
    }
    let named = |set: &Invalidation| {
        matches!(set, Invalidation::Range { range: named, leaf_only: true, .. }
        if named.covers(&range(page, 50 * page)) && named.span() < 100 * page as u64)
    };
    assert!(matches!(&log[..], [(Tag(7), set)] if named(set)), "{log:x?}");
}

fn a_fault_outside_all_areas_installs_nothing<F: Format>(mut rig: Rig<F>) {
    let before = rig.state();
    assert!(!rig.space.handle_page_fault(gpa(0), READ));
    assert!(!rig.space.handle_page_fault(gpa(usize::MAX), READ));
    assert!(rig.state() == before);
}

fn an_area_without_rights_can_be_unmapped<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    for populate in [false, true] {
        // Some formats cannot say it, others can: no harm in either.
        match rig.space.map_alloc(gpa(0), page, MappingFlags::empty(), populate) {
            Ok(()) => assert!(!rig.space.handle_page_fault(gpa(0), READ)),
            Err(error) => assert!(matches!(error, SpaceError::Area { .. })),
        }
        rig.space.unmap(gpa(0), page).unwrap();
        assert_eq!(rig.tables(), 1);
    }
}

fn frames_are_not_lost_when_rights_were_taken_to_none<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 4 * page, RW, true).unwrap();
    rig.space.write_obj(gpa(page), 7_u32).unwrap();
    let taken = rig.space.protect(gpa(0), 4 * page, MappingFlags::empty()).is_ok();
    assert_eq!(rig.space.read_obj::<u32>(gpa(page)).is_ok(), !taken);
    rig.space.protect(gpa(0), 4 * page, READ).unwrap();
    assert_eq!(rig.space.read_obj::<u32>(gpa(page)), Ok(7));
}

fn a_block_fits_where_pages_were<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_alloc(gpa(block), 3 * page, RW, true).unwrap();
    rig.space.unmap(gpa(block), 3 * page).unwrap();
    rig.space.map_linear(gpa(block), distant(block, block), RW).unwrap();
    assert_eq!(1 << rig.space.query(gpa(block)).expect("mapped").page_bits, block);
}

fn an_unmap_that_starts_inside_a_block_goes_on_after_it<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(0, 4 * block), RW).unwrap();
    rig.space.unmap(gpa(block + 5 * page), 2 * block).unwrap();
    for at in [block + 5 * page, 2 * block - page, 2 * block, 3 * block, 3 * block + 4 * page] {
        assert_eq!(rig.space.translate(gpa(at)), None, "{at:#x}");
    }
    for at in [0, block + 5 * page - 1, 3 * block + 5 * page, 4 * block - 1] {
        assert_eq!(rig.space.translate(gpa(at)), Some(hpa(at)), "{at:#x}");
    }
}

fn addresses_beyond_the_output_size_are_refused<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let last = rig.space.page_table().geometry().last_output() as usize;
    for start in [last + 1, last + 1 - page, usize::MAX - 2 * page + 1] {
        let before = rig.state();
        assert!(rig.space.map_linear(gpa(0), distant(start, 2 * page), RW).is_err(), "{start:#x}");
        assert!(rig.state() == before);
    }
    rig.space.map_linear(gpa(0), distant(last + 1 - page, page), RW).unwrap();
    assert_eq!(rig.space.translate(gpa(page - 1)), Some(hpa(last)));
}

fn what_is_written_is_read_back<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memories = [MemoryType::WriteBack, MemoryType::NonCacheable, MemoryType::Uncached, MemoryType::DeviceNGnRE];
    let rights = [Rights::R, Rights::RW, Rights::RX, Rights::RWX, Rights::X];
    for (memory, rights) in memories.into_iter().flat_map(|memory| rights.map(|rights| (memory, rights))) {
        match rig.space.map_linear(gpa(0), distant(0, page), Attributes::new(rights, memory)) {
            Ok(()) => assert_eq!(rig.space.query(gpa(0)).expect("mapped").attributes.rights, rights),
            Err(error) => assert!(matches!(error, SpaceError::Area { .. })),
        }
        rig.space.unmap(gpa(0), page).unwrap();
    }
}

fn a_failed_unmap_keeps_both_sides<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(0, block), RW).unwrap();
    rig.machine.fail_allocation(0);
    assert!(rig.space.unmap(gpa(4 * page), page).is_err());
    assert_eq!(rig.areas().len(), 1);
    assert_eq!(rig.space.translate(gpa(block - 1)), Some(hpa(block - 1)));
    rig.space.unmap(gpa(4 * page), page).unwrap();
    assert_eq!(rig.areas().len(), 2);
}

fn dropping_a_space_needs_no_memory<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(0, 2 * block), RX).unwrap();
    rig.space.map_alloc(gpa(3 * block - page), 3 * page, RW, true).unwrap();
    // The rig clears the space when it ends, and counts the frames.
    rig.machine.fail_allocation(0);
}

fn a_space_that_is_dropped_is_invalidated_once_before_all_else<F: Format>(rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let machine = Machine::new(0, 64 << 20);
    let mut space = AddrSpace::new_empty(*rig.space.page_table().format(), machine.clone(), Tag(1)).unwrap();
    // SAFETY: the guest runs on this machine.
    let shared = unsafe { SharedMemory::new(&machine, 4 * page, F::PAGE_BITS, F::PAGE_BITS) }.unwrap();
    space.map_linear(gpa(0), distant(0, 2 * block), RX).unwrap();
    space.map_alloc(gpa(3 * block - page), 3 * page, RW, true).unwrap();
    space.map_alloc(gpa(3 * block + 2 * page), page, READ, true).unwrap();
    space.map(gpa(4 * block), 2 * block, RW, Alloc::LAZY.up_to(21)).unwrap();
    space.map_shared(gpa(6 * block), &shared, RW).unwrap();
    space.map_copy_on_write(gpa(6 * block + 4 * page), &shared, RW).unwrap();
    space.map_device(gpa(7 * block), page, 1).unwrap();
    for at in [4 * block, 5 * block + page, 6 * block + 5 * page] {
        assert!(space.handle_page_fault(gpa(at), RW));
        assert!(space.handle_page_fault(gpa(at + page), READ));
    }
    space.unmap(gpa(page), page).unwrap();
    space.unmap(gpa(4 * block + page), page).unwrap();
    drop(shared);

    let events = Arc::new(Events::default());
    machine.observe(events.clone());
    drop(space);
    let seen = core::mem::take(&mut *events.0.lock().unwrap());
    let (first, freed) = seen.split_first().unwrap();
    assert_eq!(*first, Event::Invalidated);
    assert!(freed.iter().all(|event| *event == Event::Freed));
    assert_eq!((machine.used(), machine.take_errors()), (0, vec![]));
}

fn frames_come_zeroed<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    // The machine's free memory is full of junk.
    rig.space.map_alloc(gpa(0), 4 * page, RW, true).unwrap();
    rig.space.map_alloc(gpa(4 * page), 4 * page, RW, false).unwrap();
    let mut all = vec![1; 8 * page];
    rig.space.read_buffer(gpa(0), &mut all).unwrap();
    assert!(all.iter().all(|&byte| byte == 0));
}

fn a_huge_frame_is_kept_whole_where_the_host_frees_no_parts<F: Format>(rig: Rig<F>) {
    let format = *rig.space.page_table().format();
    drop(rig);
    let mut rig = Rig::on(Machine::with_whole_frames(0, 64 << 20), format);
    let (page, block) = (rig.page(), rig.block());
    if block > 1 << 22 {
        return;
    }
    rig.space.map(gpa(0), block, RW, Alloc::POPULATED.up_to(63)).unwrap();
    rig.space.map(gpa(block), block, RW, Alloc::LAZY.up_to(63)).unwrap();
    assert!(rig.space.handle_page_fault(gpa(block), RW));
    // Only pages were used, so that any of them can go.
    rig.space.unmap(gpa(page), page).unwrap();
    rig.space.unmap(gpa(block), page).unwrap();
}
