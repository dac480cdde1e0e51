//! Memory that several guests share, and copies of it that are made page by page on write.

use tablewright::{
    AddrSpace, BackendError, CopyOnWrite, Error, FaultOutcome, Format, FrameCache, GuestFault, GuestMemoryAccessor,
    Hal, MappingFlags, Operation, Refusal, Rights, Shared, SharedMemory, Sink, SpaceError, Tag, sim::Machine,
};

use crate::formats::{in_every_format, stage2_4k};
use crate::{
    rig::{READ, RW, RX, Rig, gpa, range},
    witness::{BREAKING, DIRECT, LARGE},
};

in_every_format! {
    guests_see_the_same_bytes_with_rights_of_their_own
    shared_memory_goes_when_nobody_maps_it
    shared_memory_takes_the_largest_pages
    frames_are_mapped_where_they_are
    a_copy_changes_and_its_base_does_not
    a_page_that_was_read_is_copied_by_exclusive_access
    the_base_never_becomes_writable
    a_copy_is_cut_page_by_page
    no_frame_for_a_copy_changes_nothing
}

const COPY: FaultOutcome = FaultOutcome::NeedsExclusive(Operation::CopyOnWrite);

fn shared(machine: &Machine, size: usize, page_bits: u8) -> SharedMemory {
    // SAFETY: all spaces of a test are on this machine.
    unsafe { SharedMemory::new(machine, size, page_bits, 24) }.expect("the machine has memory")
}

/// A second guest on the rig's machine.
fn other<F: Format>(rig: &Rig<F>) -> AddrSpace<F, Machine> {
    let format = *rig.space.page_table().format();
    AddrSpace::new_empty(format, rig.machine.clone(), Tag(9)).expect("a space")
}

fn guests_see_the_same_bytes_with_rights_of_their_own<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig.machine, 5 * page, F::PAGE_BITS);
    let mut peer = other(&rig);
    rig.space.map_shared(gpa(3 * page), &memory, RW).unwrap();
    peer.map_shared(gpa(8 * page), &memory.read_only(), RX).unwrap();
    for number in 0..5 {
        let at = gpa((3 + number) * page + 16);
        rig.space.write_obj(at, number as u64 + 1).unwrap();
        rig.access(at.as_usize(), Rights::W);
        assert_eq!(peer.read_obj::<u64>(gpa((8 + number) * page + 16)), Ok(number as u64 + 1));
    }
    assert_eq!(peer.write_obj(gpa(8 * page), 1_u8).map_err(|error| error.fault), Err(GuestFault::Denied));

    // A read-only handle gives no right to write, not later either.
    let error = SpaceError::Area { area: range(8 * page, 5 * page), error: Refusal::ReadOnly.into() };
    assert_eq!(peer.protect(gpa(8 * page), page, RW), Err(error));
    let error = SpaceError::Area { area: range(32 * page, 5 * page), error: Refusal::ReadOnly.into() };
    rig.refuses(error, |space| space.map_shared(gpa(32 * page), &memory.read_only(), RW));
}

fn shared_memory_goes_when_nobody_maps_it<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let before = rig.machine.used();
    let memory = shared(&rig.machine, 3 * page, F::PAGE_BITS);
    assert_eq!(rig.machine.used(), before + 3 * page);
    rig.space.map_shared(gpa(page), &memory, RW).unwrap();
    // In the middle it is gone; both sides still hold it.
    rig.space.unmap(gpa(2 * page), page).unwrap();
    drop(memory);
    rig.access(page, Rights::W);
    rig.access(3 * page, Rights::R);
    rig.space.unmap(gpa(page), page).unwrap();
    rig.access(3 * page, Rights::R);
    assert!(rig.machine.used() > before + 3 * page);
    // The last area: the frames are free only after the invalidation, or the machine complains.
    rig.space.unmap(gpa(3 * page), page).unwrap();
    rig.check_mmu();
    assert_eq!(rig.machine.used(), before);
}

fn shared_memory_takes_the_largest_pages<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    if block > 4 << 20 {
        // The machine has no such frames.
        return;
    }
    let memory = shared(&rig.machine, block + page, F::PAGE_BITS);
    assert_eq!(memory.size(), block + page);
    rig.space.map_shared(gpa(4 * block), &memory, RW).unwrap();
    let sizes: Vec<usize> = rig.space.page_table().mappings(range(0, 8 * block)).map(|leaf| 1 << leaf.size).collect();
    assert_eq!(sizes, [block, page]);
    // A part of it, elsewhere.
    rig.space.map(gpa(2 * block), 2 * page, READ, Shared::new(gpa(block), memory.clone())).unwrap_err();
    rig.space.map(gpa(2 * block), page, READ, Shared::new(gpa(3 * block), memory.clone())).unwrap_err();
    rig.space.map(gpa(2 * block), page, READ, Shared::new(gpa(block), memory.clone())).unwrap();
    rig.space.write_obj(gpa(5 * block), 7_u32).unwrap();
    assert_eq!(rig.space.read_obj::<u32>(gpa(2 * block)), Ok(7));
}

/// Some frames follow each other in the host's memory, and some do not.
fn frames_are_mapped_where_they_are<F: Format>(mut rig: Rig<F>) {
    let (page, pages) = (rig.page(), 24);
    let frames: Vec<_> = (0..pages).map(|_| rig.machine.allocate(F::PAGE_BITS).unwrap()).collect();
    let (kept, freed): (Vec<_>, Vec<_>) = frames.into_iter().enumerate().partition(|(number, _)| number % 5 == 3);
    // SAFETY: allocated with this size, and not in use.
    let free = |frame| unsafe { rig.machine.free(frame, F::PAGE_BITS) };
    freed.into_iter().for_each(|(_, frame)| free(frame));
    let memory = shared(&rig.machine, pages * page, F::PAGE_BITS);
    kept.into_iter().for_each(|(_, frame)| free(frame));

    let mut peer = other(&rig);
    for number in 0..pages {
        let at = gpa(number * page);
        peer.map(at, page, RW, Shared::new(gpa(0), memory.clone())).unwrap();
        peer.write_obj(at, number).unwrap();
    }
    let (start, size) = (gpa(64 * page), pages * page);
    rig.space.map(start, size - 2 * page, READ, Shared::new(start, memory.clone())).unwrap();
    for number in 0..pages - 2 {
        let at = (64 + number) * page;
        assert_eq!(rig.space.translate(gpa(at)), peer.translate(gpa(number * page)), "page {number}");
        assert_eq!(rig.space.read_obj::<usize>(gpa(at)), Ok(number));
        rig.access(at, Rights::R);
    }
    assert_eq!(rig.space.translate(start + size - 2 * page), None);
    peer.clear().unwrap();
}

fn a_copy_changes_and_its_base_does_not<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig.machine, 8 * page, F::PAGE_BITS);
    let mut template = other(&rig);
    template.map_shared(gpa(0), &memory, RW).unwrap();
    template.write_obj(gpa(2 * page + 8), 5_u64).unwrap();
    template.write_obj(gpa(2 * page + 16), 6_u64).unwrap();

    let before = rig.used();
    rig.space.map_copy_on_write(gpa(0), &memory, RW).unwrap();
    assert_eq!(rig.used(), before, "a clone takes no frame");
    // Never read: the copy is made at once.
    rig.space.write_obj(gpa(2 * page + 8), 50_u64).unwrap();
    rig.access(2 * page + 8, Rights::W);
    assert_eq!(rig.space.read_obj::<u64>(gpa(2 * page + 8)), Ok(50));
    assert_eq!(rig.space.read_obj::<u64>(gpa(2 * page + 16)), Ok(6), "the rest of the page was copied");
    assert_eq!(template.read_obj::<u64>(gpa(2 * page + 8)), Ok(5));
    assert_eq!(rig.space.read_obj::<u64>(gpa(3 * page)), Ok(0));
    assert_eq!(rig.space.translate(gpa(3 * page)), template.translate(gpa(3 * page)));
}

fn a_page_that_was_read_is_copied_by_exclusive_access<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig.machine, 8 * page, F::PAGE_BITS);
    rig.space.map_copy_on_write(gpa(8 * page), &memory, RW).unwrap();
    for number in 8..12 {
        assert_eq!(rig.space.handle_fault(gpa(number * page), Rights::R), FaultOutcome::Mapped);
        rig.access(number * page, Rights::R);
    }
    assert_eq!(rig.space.handle_fault(gpa(9 * page), Rights::W), COPY);
    let error = rig.space.write_obj(gpa(9 * page), 1_u8).map_err(|error| error.fault);
    assert_eq!(error, Err(GuestFault::NotResolved(COPY)));
    let shared = rig.space.translate(gpa(9 * page));
    assert_eq!(rig.space.handle_fault_exclusive(gpa(9 * page), Rights::W), FaultOutcome::Mapped);
    rig.check_mmu();
    rig.access(9 * page, Rights::W);
    assert_ne!(rig.space.translate(gpa(9 * page)), shared);
    assert_eq!(rig.space.handle_fault_exclusive(gpa(9 * page), Rights::W), FaultOutcome::Spurious);
    rig.space.write_obj(gpa(9 * page), 1_u8).unwrap();
    assert_eq!(rig.space.read_obj::<u8>(gpa(8 * page)), Ok(0));
}

fn the_base_never_becomes_writable<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig.machine, 4 * page, F::PAGE_BITS);
    rig.space.map_copy_on_write(gpa(0), &memory, RW).unwrap();
    rig.space.write_obj(gpa(0), 1_u64).unwrap();
    let own = rig.space.translate(gpa(0));
    assert_eq!(rig.space.handle_fault(gpa(page), Rights::R), FaultOutcome::Mapped);
    rig.access(page, Rights::R);

    rig.space.protect(gpa(0), 4 * page, READ).unwrap();
    rig.check_mmu();
    assert_eq!(rig.space.handle_fault(gpa(page), Rights::W), FaultOutcome::Denied);
    assert_eq!(rig.space.handle_fault(gpa(page), Rights::R), FaultOutcome::Spurious, "it is there still");
    rig.space.protect(gpa(0), 4 * page, RW).unwrap();
    rig.check_mmu();
    assert_eq!(rig.space.handle_fault(gpa(page), Rights::R), FaultOutcome::Spurious, "it is there still");
    rig.access(page, Rights::R);
    assert_eq!(rig.space.handle_fault(gpa(page), Rights::W), COPY);
    rig.space.write_obj(gpa(0), 2_u64).unwrap();
    assert_eq!(rig.space.translate(gpa(0)), own, "its own page stays");
    assert!(rig.space.handle_fault_exclusive(gpa(page), Rights::W).is_resolved());
    rig.space.write_obj(gpa(page), 3_u64).unwrap();

    let mut base = other(&rig);
    base.map_shared(gpa(0), &memory, READ).unwrap();
    assert_eq!([0, page].map(|at| base.read_obj::<u64>(gpa(at))), [Ok(0); 2]);
}

fn a_copy_is_cut_page_by_page<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig.machine, 64 * page, F::PAGE_BITS);
    rig.space.map_copy_on_write(gpa(0), &memory, RW).unwrap();
    for number in 0..64 {
        let access = if number % 3 == 0 { Rights::W } else { Rights::R };
        if number % 5 != 0 {
            assert_eq!(rig.space.handle_fault(gpa(number * page), access), FaultOutcome::Mapped);
            rig.access(number * page, access);
        }
    }
    drop(memory);
    rig.space.unmap(gpa(7 * page), 20 * page).unwrap();
    rig.check_mmu();
    assert_eq!(rig.areas().len(), 2);
    rig.space.unmap(gpa(40 * page), page).unwrap();
    assert_eq!(rig.space.read_obj::<u64>(gpa(41 * page)), Ok(0));
    // The rest goes when the rig is dropped, which finds what leaks.
}

fn no_frame_for_a_copy_changes_nothing<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let memory = shared(&rig.machine, 4 * page, F::PAGE_BITS);
    rig.space.map_copy_on_write(gpa(0), &memory, RW).unwrap();
    for mapped in [false, true] {
        let before = rig.state();
        rig.machine.fail_allocation(0);
        assert_eq!(rig.space.handle_fault_exclusive(gpa(0), Rights::W), FaultOutcome::OutOfMemory);
        assert!(!rig.machine.cancel_failure());
        assert!(rig.state() == before, "mapped: {mapped}");
        assert!(rig.space.handle_fault(gpa(0), Rights::R).is_resolved());
    }
    // A page and its table come from the cache of the virtual CPU.
    let mut frames: FrameCache<Machine> = rig.space.frame_cache();
    rig.space.top_up(&mut frames).unwrap();
    let (taken, before) = (frames.len(), rig.machine.allocations());
    assert!(rig.space.handle_fault_cached(gpa(page), Rights::W, &mut frames).is_resolved());
    if rig.space.page_table().geometry().table_bits(0) == F::PAGE_BITS {
        assert_eq!((frames.len(), rig.machine.allocations()), (taken - 1, before));
    }
}

#[test]
fn shared_memory_is_made_whole_or_not_at_all() {
    let machine = Machine::new(0, 16 << 20);
    // SAFETY: no space maps it.
    let new = |size, smallest| unsafe { SharedMemory::new(&machine, size, smallest, 24) };
    let mut failed = 0;
    loop {
        machine.fail_allocation(failed);
        let made = new(0x7000, 12);
        let whole = machine.cancel_failure();
        // A smaller frame may do in place of a larger one.
        assert!(made.is_ok() || !whole);
        drop(made);
        assert_eq!(machine.used(), 0);
        if whole {
            break;
        }
        failed += 1;
    }
    assert!(failed > 0);
    assert!(matches!(new(32 << 20, 12), Err(Error::NoMemory { .. })));
    assert_eq!(new(0x1800, 12).err(), Some(Error::Misaligned { address: 0x1800, size: 12 }));
    assert_eq!(new(0x1000, 16).err(), Some(Error::Misaligned { address: 0x1000, size: 16 }));
    assert_eq!(new(0, u8::MAX).err(), Some(Error::Misaligned { address: 0, size: u8::MAX }));
    assert_eq!(new(0, 64).map(|memory| memory.size()).ok(), Some(0));
    assert_eq!((machine.used(), machine.take_errors()), (0, vec![]));
}

#[test]
fn a_map_of_shared_memory_that_fails_leaves_nothing() {
    let mut rig = Rig::new(DIRECT);
    // Across the end of a table, so that a second one is needed when the first pages are mapped already.
    let memory = shared(&rig.machine, 0x7000, 12);
    let start = gpa(rig.block() - 0x3000);
    let mut failed = 0;
    loop {
        let before = rig.state();
        rig.machine.fail_allocation(failed);
        let result = rig.space.map_shared(start, &memory, RW);
        if rig.machine.cancel_failure() {
            assert_eq!(result, Ok(()));
            break;
        }
        assert!(matches!(result, Err(SpaceError::Area { error: BackendError::Table(Error::NoMemory { .. }), .. })));
        assert!(rig.state() == before, "frame {failed} failed, and something changed");
        failed += 1;
    }
    assert!(failed > 1, "two tables");
}

#[test]
fn pages_larger_than_its_frames_cannot_map_it() {
    let mut rig = Rig::new(LARGE);
    let memory = shared(&rig.machine, 0x1_1000, 12);
    let page = rig.page();
    for result in [
        rig.space.map(gpa(0), page, RW, Shared::new(gpa(0), memory.clone())),
        rig.space.map(gpa(0), page, RW, CopyOnWrite::new(gpa(0), &memory)),
    ] {
        assert!(matches!(result, Err(SpaceError::Area { error: BackendError::Custom(_), .. })), "{result:?}");
    }
}

/// A device that cannot retry would meet the moment in which nothing is there.
#[test]
fn a_copy_that_takes_a_break_is_refused_where_a_device_cannot_retry() {
    let device = Sink::device(1).expect("a sink");
    let copy = |mut rig: Rig<_>| {
        let memory = shared(&rig.machine, 0x4000, 12);
        rig.machine.forbid_retries(device);
        rig.space.attach(device);
        rig.space.map_copy_on_write(gpa(0), &memory, RW).unwrap();
        assert_eq!(rig.space.handle_fault(gpa(0), Rights::R), FaultOutcome::Mapped);
        let before = rig.state();
        let outcome = rig.space.handle_fault_exclusive(gpa(0), Rights::W);
        (outcome, rig.state() == before)
    };
    assert_eq!(copy(Rig::new(DIRECT)), (FaultOutcome::Mapped, false));
    let (outcome, same) = copy(Rig::new(BREAKING));
    assert!(matches!(outcome, FaultOutcome::Failed(Error::NeedsBreak { .. })) && same, "{outcome:?}");
}

#[test]
fn where_a_page_of_a_clone_cannot_change_none_does() {
    let mut rig = stage2_4k("4k-48");
    let page = rig.page();
    // SAFETY: the only space is on this machine.
    let template = unsafe { SharedMemory::new(&rig.machine, 4 * page, 12, 12) }.unwrap();
    rig.space.map_copy_on_write(gpa(0), &template, RW).unwrap();
    // A page of the template's, and one of the clone's own.
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::R), FaultOutcome::Mapped);
    assert_eq!(rig.space.handle_fault(gpa(page), Rights::W), FaultOutcome::Mapped);
    let device = Sink::device(1).expect("a number");
    rig.machine.forbid_retries(device);
    rig.space.attach(device);
    let before = rig.state();
    let refused = rig.space.protect(gpa(0), 4 * page, RW | MappingFlags::UNCACHED);
    let needs_break = |error| matches!(error, BackendError::Table(Error::NeedsBreak { .. }));
    assert!(matches!(refused, Err(SpaceError::Area { error, .. }) if needs_break(error)), "{refused:?}");
    assert!(rig.state() == before, "something changed");
    rig.space.detach(device);
    rig.space.protect(gpa(0), 4 * page, RW | MappingFlags::UNCACHED).unwrap();
}
