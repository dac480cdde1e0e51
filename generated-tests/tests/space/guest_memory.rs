//! Reading and writing guest memory from the host.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use tablewright::{
    AddrSpace, Alloc, Attributes, Change, FaultOutcome, Format, GuestError, GuestFault, GuestMemoryAccessor,
    MappingFlags, PageBitmap, Rights, State, Tag,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, distant, gpa, range};

in_every_format! {
    bytes_come_back_across_pages
    what_the_host_wrote_is_dirty
    what_was_taken_to_read_is_not_written
    values_may_lie_on_two_pages
    lazy_memory_is_mapped_when_it_is_read
    populated_memory_is_zero_to_the_last_byte
    partial_progress_is_reported
    only_what_the_guest_may_do_is_done
    devices_are_never_touched
    one_access_or_none
    the_limit_is_what_is_mapped_in_one_piece
    buffers_are_pieces_with_rights
    addresses_do_not_wrap_around
    guests_share_memory_with_rights_of_their_own
    atomics_of_many_cpus_lose_nothing
    atomics_keep_to_rights_and_alignment
}

/// A guest with pages that are consecutive for it, but not for the host.
fn scattered<F: Format>(rig: &mut Rig<F>) {
    let page = rig.page();
    let (first, second) = (rig.ram(F::PAGE_BITS), rig.ram(F::PAGE_BITS + 1));
    rig.space.map_linear(gpa(page), second.part(page, page).expect("a part"), RW).unwrap();
    rig.space.map_linear(gpa(2 * page), second.part(0, page).expect("a part"), RW).unwrap();
    rig.space.map_linear(gpa(3 * page), first, RW).unwrap();
}

fn bytes_come_back_across_pages<F: Format>(mut rig: Rig<F>) {
    scattered(&mut rig);
    let page = rig.page();
    for (start, length) in [(page, 3 * page), (2 * page - 3, 7), (2 * page - 13, page + 26), (page + 1, 0)] {
        let written: Vec<u8> = (0..length).map(|number| (number * 7 + start) as u8).collect();
        rig.space.write_buffer(gpa(start), &written).unwrap();
        let mut read = vec![0; length];
        rig.space.read_buffer(gpa(start), &mut read).unwrap();
        assert_eq!(read, written);
    }
}

fn values_may_lie_on_two_pages<F: Format>(mut rig: Rig<F>) {
    scattered(&mut rig);
    let page = rig.page();
    for offset in 0..16 {
        let at = gpa(2 * page - offset);
        rig.space.write_obj(at, 0x0123_4567_89ab_cdef_u64).unwrap();
        assert_eq!(rig.space.read_obj::<u64>(at).unwrap(), 0x0123_4567_89ab_cdef);
        assert_eq!(rig.space.read_obj::<[u16; 4]>(at).unwrap()[0].to_ne_bytes(), 0xcdef_u16.to_le_bytes());
    }
}

fn lazy_memory_is_mapped_when_it_is_read<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 4 * page, RW, false).unwrap();
    assert_eq!(rig.space.read_obj::<u64>(gpa(page - 4)).unwrap(), 0);
    assert!(rig.space.translate(gpa(0)).is_some() && rig.space.translate(gpa(page)).is_some());
    assert_eq!(rig.space.translate(gpa(2 * page)), None);
    rig.machine.fail_allocation(0);
    let refused = rig.space.write_obj(gpa(2 * page), 1_u8).map_err(|error| error.fault);
    assert_eq!(refused, Err(GuestFault::NotResolved(FaultOutcome::OutOfMemory)));
}

fn populated_memory_is_zero_to_the_last_byte<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let small = F::PAGE_BITS;
    rig.space.map_alloc(gpa(0), page, RW, true).unwrap();
    // Where the table is there, in pages and larger frames; and in tables of their own.
    for (start, pages, largest) in [
        (page, 5, small),
        (16 * page, 20, small + 4),
        (block - 2 * page, 2, small),
        (3 * block - 3 * page, 6, small),
        (5 * block, 17, small + 4),
    ] {
        rig.space.map(gpa(start), pages * page, RW, Alloc::POPULATED.up_to(largest)).unwrap();
        let mut bytes = vec![1; pages * page];
        rig.space.read_buffer(gpa(start), &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0), "{pages} pages at {start:#x}");
    }
}

fn partial_progress_is_reported<F: Format>(mut rig: Rig<F>) {
    scattered(&mut rig);
    let page = rig.page();
    let mut buffer = vec![0xff; 4 * page];
    let stopped = GuestError { address: gpa(4 * page), done: 2 * page + 8, fault: GuestFault::NotMapped };
    assert_eq!(rig.space.read_buffer(gpa(2 * page - 8), &mut buffer), Err(stopped));
    assert_eq!(rig.space.write_buffer(gpa(2 * page - 8), &buffer), Err(stopped));
    assert_eq!(rig.space.read_obj::<u8>(gpa(4 * page - 1)).unwrap(), buffer[2 * page + 7]);
    let nothing = GuestError { address: gpa(0), done: 0, fault: GuestFault::NotMapped };
    assert_eq!(rig.space.write_buffer(gpa(0), &[1]), Err(nothing));
}

fn only_what_the_guest_may_do_is_done<F: Format>(mut rig: Rig<F>) {
    scattered(&mut rig);
    let page = rig.page();
    rig.space.protect(gpa(2 * page), page, READ).unwrap();
    rig.space.write_obj(gpa(2 * page - 4), 0_u32).unwrap();
    let denied = GuestError { address: gpa(2 * page), done: 4, fault: GuestFault::Denied };
    assert_eq!(rig.space.write_obj(gpa(2 * page - 4), u64::MAX), Err(denied));
    assert_ne!(rig.space.read_obj::<u8>(gpa(2 * page)).unwrap(), 0xff);
    rig.space.map_device(gpa(8 * page), page, 1).unwrap();
    let execute_only = Change { rights: Some(Rights::X), ..Change::default() };
    if rig.space.protect(gpa(2 * page), page, execute_only).is_ok() {
        assert_eq!(rig.space.read_obj::<u8>(gpa(2 * page)).unwrap_err().fault, GuestFault::Denied);
    }
}

fn devices_are_never_touched<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_device(gpa(0), page, 1).unwrap();
    // The machine would panic if the host touched what is not its memory.
    rig.space.map_linear(gpa(page), distant(1 << 34, page), RW | MappingFlags::DEVICE).unwrap();
    rig.space.map_linear(gpa(2 * page), distant(1 << 35, page), RW).unwrap();
    let ram = rig.ram(F::PAGE_BITS);
    rig.space.map_linear(gpa(3 * page), ram, RW | MappingFlags::DEVICE).unwrap();
    for number in 0..4 {
        let refused = rig.space.read_obj::<u32>(gpa(number * page)).map_err(|error| error.fault);
        assert_eq!(refused, Err(GuestFault::Device), "page {number}");
    }
}

/// Nobody would know of it.
fn what_was_taken_to_read_is_not_written<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 4 * page, RW, true).unwrap();
    rig.space.start_dirty_log(gpa(0), 4 * page).unwrap();
    let slice = rig.space.guest_slice(gpa(page), 8, Rights::R).unwrap();
    assert_eq!(slice.write(&[1]), Err(GuestFault::Denied));
    assert_eq!(slice.atomic::<AtomicU64>().map(|_| ()), Err(GuestFault::Denied));
    let (skipped, taken) = (slice.skip(4), slice.take(4));
    assert_eq!([skipped.write(&[1]), taken.write(&[1])], [Err(GuestFault::Denied); 2]);
    // Whatever can be written shows, once it was asked for.
    let mut written: Vec<_> = rig.space.translated_byte_buffer(gpa(0), 3 * page).unwrap();
    written.push(rig.space.guest_slice(gpa(3 * page), 8, Rights::W).unwrap());
    for (number, slice) in written.into_iter().enumerate() {
        let (here, is_written) = (range(number * page, page), slice.write(&[1]).is_ok());
        let mut words = [0];
        let mut pages = PageBitmap::new(here, F::PAGE_BITS, &mut words).unwrap();
        rig.space.harvest(State::Dirty, &mut pages).unwrap();
        assert_eq!(pages.len(), usize::from(is_written), "page {number}");
    }
}

fn one_access_or_none<F: Format>(mut rig: Rig<F>) {
    scattered(&mut rig);
    let page = rig.page();
    rig.space.write_volatile(gpa(page + 8), 0x55_u64).unwrap();
    assert_eq!(rig.space.read_volatile::<u64>(gpa(page + 8)).unwrap(), 0x55);
    rig.space.write_volatile(gpa(2 * page - 2), 0x1234_u16).unwrap();
    assert_eq!(rig.space.read_volatile::<u16>(gpa(2 * page - 2)).unwrap(), 0x1234);
    let torn = |address| Err(GuestError { address: gpa(address), done: 0, fault: GuestFault::Torn });
    assert_eq!(rig.space.read_volatile::<u64>(gpa(page + 4)), torn(page + 4).map(|()| 0));
    assert_eq!(rig.space.write_volatile(gpa(2 * page - 4), 1_u64), torn(2 * page - 4));
    assert_eq!(rig.space.write_volatile(gpa(page), [1_u8; 3]), torn(page));
}

fn the_limit_is_what_is_mapped_in_one_piece<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    scattered(&mut rig);
    // Not the area's extent: the pages lie apart in the host's memory.
    for number in 1..4 {
        let (start, limit) = rig.space.translate_and_get_limit(gpa(number * page + 0x123)).expect("mapped");
        assert_eq!((Some(start), limit), (rig.space.translate(gpa(number * page + 0x123)), page - 0x123));
    }
    // Lazy memory is not there before it is used, and ends where it was not used yet.
    rig.space.map_alloc(gpa(8 * page), 8 * page, RW, false).unwrap();
    assert_eq!(rig.space.translate_and_get_limit(gpa(8 * page)), None);
    rig.space.handle_fault(gpa(8 * page), Rights::R);
    assert_eq!(rig.space.translate_and_get_limit(gpa(9 * page - 1)).map(|(_, limit)| limit), Some(1));
    // Many pages in one piece are one.
    let ram = rig.ram(F::PAGE_BITS + 2);
    rig.space.map_linear(gpa(33 * page), ram, RW).unwrap();
    assert_eq!(rig.space.translate_and_get_limit(gpa(34 * page)).map(|(_, limit)| limit), Some(3 * page));
}

fn buffers_are_pieces_with_rights<F: Format>(mut rig: Rig<F>) {
    scattered(&mut rig);
    let page = rig.page();
    rig.space.protect(gpa(3 * page), page, READ).unwrap();
    let pieces = rig.space.translated_byte_buffer(gpa(2 * page - 16), page + 32).unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [16, page, 16]);
    assert_eq!(pieces[0].write(&[1, 2, 3]), Ok(3));
    assert_eq!(pieces[0].skip(1).take(9).read(&mut [0; 16]), Ok(9));
    assert_eq!(pieces[2].write(&[1]), Err(GuestFault::Denied));
    let mut all = [0; 3];
    assert_eq!(pieces[0].read(&mut all), Ok(3));
    assert_eq!(all, [1, 2, 3]);
    let stopped = rig.space.translated_byte_buffer(gpa(3 * page), 2 * page).unwrap_err();
    assert_eq!((stopped.address, stopped.done), (gpa(4 * page), page));
}

fn addresses_do_not_wrap_around<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let last = rig.space.end().as_usize() - page;
    rig.space.map_alloc(gpa(last), page, RW, true).unwrap();
    rig.space.write_obj(gpa(last + page - 1), 1_u8).unwrap();
    let beyond = GuestError { address: gpa(last + page), done: 1, fault: GuestFault::NotMapped };
    assert_eq!(rig.space.write_obj(gpa(last + page - 1), 1_u16), Err(beyond));
    let overflow = rig.space.read_obj::<u64>(gpa(usize::MAX - 3)).unwrap_err();
    assert_eq!(overflow.fault, GuestFault::Overflow);
    rig.space.read_buffer(gpa(usize::MAX), &mut []).unwrap();
}

fn guests_share_memory_with_rights_of_their_own<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let shared = rig.ram(F::PAGE_BITS + 2);
    let format = *rig.space.page_table().format();
    let mut peer = AddrSpace::new_empty(format, rig.machine.clone(), Tag(8)).expect("a space");
    rig.space.map_linear(gpa(0), shared, RW).unwrap();
    // The peer sees only some of it, elsewhere, and cannot change it.
    peer.map_linear(gpa(8 * page), shared.part(page, 2 * page).expect("a part"), READ).unwrap();
    rig.space.write_obj(gpa(2 * page - 4), 0x0bad_cafe_dead_beef_u64).unwrap();
    assert_eq!(peer.read_obj::<u64>(gpa(9 * page - 4)), Ok(0x0bad_cafe_dead_beef));
    assert_eq!(peer.write_obj(gpa(9 * page), 1_u8).unwrap_err().fault, GuestFault::Denied);
    assert_eq!(peer.read_obj::<u8>(gpa(10 * page)).unwrap_err().fault, GuestFault::NotMapped);
    // The memory outlives the peer.
    drop(peer);
    assert_eq!(rig.space.read_obj::<u32>(gpa(2 * page)), Ok(0x0bad_cafe));
}

fn what_the_host_wrote_is_dirty<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let clean = Attributes { accessed: false, dirty: false, ..Attributes::from(RW) };
    rig.space.map(gpa(0), 3 * page, clean, Alloc::POPULATED).unwrap();
    rig.space.map(gpa(4 * page), page, clean, Alloc::LAZY).unwrap();
    let states = rig.space.page_table().format().accessed_dirty(0);
    let marks = |rig: &Rig<F>, address| {
        let attributes = rig.space.query(gpa(address)).expect("mapped").attributes;
        (attributes.accessed || states.accessed_mask == 0, attributes.dirty || states.dirty_mask == 0)
    };
    rig.space.read_obj::<u64>(gpa(0)).unwrap();
    rig.space.write_obj(gpa(page), 1_u64).unwrap();
    rig.space.write_volatile(gpa(4 * page), 1_u64).unwrap();
    assert_eq!(marks(&rig, 0), (true, states.dirty_mask == 0));
    assert_eq!((marks(&rig, page), marks(&rig, 4 * page)), ((true, true), (true, true)));
    rig.space.translated_byte_buffer(gpa(2 * page), 8).unwrap()[0].write(&[1]).unwrap();
    assert_eq!(marks(&rig, 2 * page), (true, true));
}

/// Several CPUs of the host's add to a counter and take a lock, as devices do with what they share with a guest.
fn atomics_of_many_cpus_lose_nothing<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 2 * page, RW, false).unwrap();
    let (space, at) = (&rig.space, gpa(page - 8));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    space.atomic::<AtomicU32>(at).unwrap().fetch_add(1, Ordering::Relaxed);
                    let lock = space.atomic::<AtomicU8>(at + 4).unwrap();
                    while lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                        std::thread::yield_now();
                    }
                    let seen: u16 = space.read_obj(at + 5).unwrap();
                    space.write_obj(at + 5, seen + 1).unwrap();
                    lock.store(0, Ordering::Release);
                }
            });
        }
    });
    assert_eq!(space.read_obj::<u32>(at).unwrap(), 400);
    assert_eq!(space.read_obj::<u16>(at + 5).unwrap(), 400);
}

fn atomics_keep_to_rights_and_alignment<F: Format>(mut rig: Rig<F>) {
    scattered(&mut rig);
    let page = rig.page();
    rig.space.protect(gpa(2 * page), page, READ).unwrap();
    let refused = |at: usize, fault| Some(GuestError { address: gpa(at), done: 0, fault });
    assert_eq!(rig.space.atomic::<AtomicU64>(gpa(2 * page)).err(), refused(2 * page, GuestFault::Denied));
    assert_eq!(rig.space.atomic::<AtomicU16>(gpa(page + 1)).err(), refused(page + 1, GuestFault::Torn));
    assert_eq!(rig.space.atomic::<AtomicU64>(gpa(2 * page - 4)).err(), refused(2 * page - 4, GuestFault::Torn));
    assert_eq!(rig.space.atomic::<AtomicU8>(gpa(0)).err(), refused(0, GuestFault::NotMapped));
    // A slice that may be read only is not written through an atomic, either.
    let slice = rig.space.guest_slice(gpa(2 * page), 8, Rights::R).unwrap();
    assert_eq!(slice.atomic::<AtomicU64>().err(), Some(GuestFault::Denied));
    assert_eq!(slice.take(1).atomic::<AtomicU8>().err(), Some(GuestFault::Denied));
    let short = rig.space.guest_slice(gpa(page), 4, Rights::RW).unwrap();
    assert_eq!(short.atomic::<AtomicU64>().err(), Some(GuestFault::Torn));
}
