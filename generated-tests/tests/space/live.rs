//! Operations through `&self` while processors run: harvests, and faults that do not allocate.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use tablewright::sim::{Machine, Observer};
use tablewright::x86_64::long_mode;
use tablewright::{
    Alloc, ClosedRange, Error, FaultOutcome, Format, GuestFault, GuestMemoryAccessor, GuestPhysAddr, GuestSlice,
    GuestTables, HostPhysAddr, Invalidation, Operation, PageBitmap, Rights, SpaceError, State, Tag,
};

use crate::formats::in_every_format;
use crate::rig::{READ, RW, Rig, gpa, range};

in_every_format! {
    what_is_written_shows_in_the_next_harvest
    a_part_of_a_block_is_harvested_by_exclusive_access
    a_block_is_watched_page_by_page_and_whole_again
    a_dirty_log_tells_pages_and_leaves_blocks
    a_dirty_log_of_all_of_a_space_that_is_nearly_empty
    what_a_protected_page_cannot_say_is_harvested
    a_fault_with_frames_at_hand_allocates_nothing
    operations_with_a_reserve_allocate_nothing
    faults_and_harvests_race_with_walks
    first_uses_in_a_dirty_log_are_of_pages
    what_the_host_writes_during_a_harvest_shows_in_the_next
    what_the_host_writes_after_a_harvest_shows_in_the_next
}

/// The numbers of the pages that a harvest finds dirty.
fn dirty<F: Format>(rig: &Rig<F>, range: ClosedRange) -> Vec<usize> {
    let mut words = vec![0; PageBitmap::words(range, F::PAGE_BITS)];
    let mut pages = PageBitmap::new(range, F::PAGE_BITS, &mut words).unwrap();
    rig.space.harvest(State::Dirty, &mut pages).unwrap();
    rig.check_mmu();
    let addresses = (range.start() as usize..=range.last() as usize).step_by(rig.page());
    addresses.filter(|&page| pages.contains(page as u64)).map(|page| page / rig.page()).collect()
}

fn what_is_written_shows_in_the_next_harvest<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    // Pages, not a run: its start is not aligned to more.
    let ram = rig.ram(F::PAGE_BITS + 3);
    rig.space.map_linear(gpa(page), ram, RW).unwrap();
    rig.space.map_alloc(gpa(16 * page), 16 * page, RW, false).unwrap();
    let all = range(0, 64 * page);
    rig.access(3 * page, Rights::R);
    dirty(&rig, all);
    assert_eq!(dirty(&rig, all), []);

    for number in [3, 7, 20] {
        // A guest's store: the MMU sets the state, or the fault does; here the host stands in for both.
        rig.space.write_obj(gpa(number * page + 8), 1_u64).unwrap();
        rig.access(number * page, Rights::W);
    }
    rig.space.read_obj::<u64>(gpa(4 * page)).unwrap();
    assert_eq!(dirty(&rig, all), [3, 7, 20]);
    assert_eq!(dirty(&rig, all), []);
    assert!(rig.space.handle_fault(gpa(7 * page), Rights::W).is_resolved());
    assert_eq!(dirty(&rig, all), [7]);
}

fn a_part_of_a_block_is_harvested_by_exclusive_access<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(block), crate::rig::distant(4 * block, block), RW).unwrap();
    rig.space.handle_fault(gpa(block), Rights::W);
    let part = range(block, page);
    let mut words = [0; 1];
    let mut pages = PageBitmap::new(part, F::PAGE_BITS, &mut words).unwrap();
    let split = SpaceError::Table(Error::NeedsExclusive(Operation::Split));
    assert_eq!(rig.space.harvest(State::Dirty, &mut pages), Err(split));
    rig.access(block, Rights::R);
    rig.space.harvest_exclusive(State::Dirty, &mut pages).unwrap();
    rig.check_mmu();
    assert_eq!(pages.len(), 1);
    assert!(rig.space.handle_fault_exclusive(gpa(block), Rights::W).is_resolved());
    assert_eq!(dirty(&rig, part), [block / page]);
}

fn a_block_is_watched_page_by_page_and_whole_again<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(block), crate::rig::distant(4 * block, block), RW).unwrap();
    rig.space.map_alloc(gpa(2 * block), 2 * page, RW, true).unwrap();
    let size = |rig: &Rig<F>| rig.space.query(gpa(block)).map(|found| found.page_bits);
    let (whole, tables) = (size(&rig), rig.tables());
    rig.access(block + 5 * page, Rights::R);
    rig.space.split(gpa(block), 2 * block, 0).unwrap();
    rig.check_mmu();
    assert_eq!(size(&rig), Some(F::PAGE_BITS));
    dirty(&rig, range(block, block));
    rig.access(block + 9 * page, Rights::R);
    assert!(rig.space.handle_fault_exclusive(gpa(block + 9 * page), Rights::W).is_resolved());
    assert_eq!(dirty(&rig, range(block, block)), [block / page + 9]);
    rig.space.protect(gpa(block), block, RW).unwrap();
    rig.space.collapse(gpa(0), 4 * block).unwrap();
    rig.check_mmu();
    assert_eq!((size(&rig), rig.tables()), (whole, tables));
}

fn a_fault_with_frames_at_hand_allocates_nothing<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_alloc(gpa(0), 4 * block, RW, false).unwrap();
    let mut frames = rig.space.frame_cache();
    rig.space.top_up(&mut frames).unwrap();
    let at_hand = frames.len();
    rig.machine.fail_allocation(0);
    assert_eq!(rig.space.handle_fault_cached(gpa(page), Rights::W, &mut frames), FaultOutcome::Mapped);
    assert_eq!(rig.space.handle_fault_cached(gpa(page), Rights::W, &mut frames), FaultOutcome::Spurious);
    assert!(rig.machine.cancel_failure(), "a frame was asked for");
    assert!(at_hand - frames.len() <= usize::from(rig.space.page_table().geometry().levels));
    // With too few at hand, the HAL is asked.
    while let Some(frame) = (!frames.is_empty()).then(|| frames.take(F::PAGE_BITS)).flatten() {
        // SAFETY: it came from the cache with this size.
        unsafe { tablewright::Hal::free(&rig.machine, frame, F::PAGE_BITS) };
    }
    assert_eq!(rig.space.handle_fault_cached(gpa(2 * page), Rights::W, &mut frames), FaultOutcome::Mapped);
}

/// Two processors fault in areas of their own and in a common one, a third one's MMU walks, and the host harvests.
fn faults_and_harvests_race_with_walks<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let pages = 24;
    for area in 0..3 {
        rig.space.map_alloc(gpa(area * block), pages * page, RW, false).unwrap();
    }
    let rig = &rig;
    let mapped = std::thread::scope(|scope| {
        let processor = |own: usize| {
            move || {
                let mut frames = rig.space.frame_cache();
                let mut mapped = 0;
                for number in 0..pages {
                    rig.space.top_up(&mut frames).unwrap();
                    for area in [own, 2] {
                        let address = gpa(area * block + number * page);
                        let outcome = rig.space.handle_fault_cached(address, Rights::W, &mut frames);
                        assert!(outcome.is_resolved(), "{outcome:?}");
                        let now = rig.space.translate(address);
                        mapped += usize::from(outcome == FaultOutcome::Mapped);
                        assert!(now.is_some() && now == rig.space.translate(address));
                    }
                }
                mapped
            }
        };
        let processors = [scope.spawn(processor(0)), scope.spawn(processor(1))];
        let walks = scope.spawn(move || {
            for number in 0..4 * pages {
                rig.walk_by(number % 3 * block + number % pages * page);
            }
        });
        let all = range(0, 4 * block);
        let mut words = vec![0; PageBitmap::words(all, F::PAGE_BITS)];
        let mut harvested = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
        while processors.iter().any(|processor| !processor.is_finished()) {
            rig.space.harvest(State::Dirty, &mut harvested).unwrap();
        }
        rig.space.harvest(State::Dirty, &mut harvested).unwrap();
        // Every page was written by its fault.
        assert_eq!(harvested.len(), 3 * pages);
        walks.join().unwrap();
        processors.into_iter().map(|processor| processor.join().unwrap()).sum::<usize>()
    });
    rig.check_mmu();
    // A page that a harvest had write-protected before its second fault is mapped by both; none has two frames.
    assert!(mapped >= 3 * pages);
    let tables: usize = rig.space.page_table().tables().map(|table| 1 << table.size).sum();
    assert_eq!(rig.used(), tables + 3 * pages * page);
}

fn operations_with_a_reserve_allocate_nothing<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.reserve(gpa(block - page), 2 * block).unwrap();
    rig.machine.fail_allocation(0);
    rig.space.map_linear(gpa(block - page), crate::rig::distant(0, 2 * block), RW).unwrap();
    assert!(rig.machine.cancel_failure());
    rig.space.reserve(gpa(block + 3 * page), page).unwrap();
    rig.machine.fail_allocation(0);
    rig.space.unmap(gpa(block + 3 * page), page).unwrap();
    assert!(rig.machine.cancel_failure());
    rig.check_mmu();
    drop(rig.space.frame_cache());
    rig.space.release_reserve();
}

fn a_dirty_log_tells_pages_and_leaves_blocks<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(block), crate::rig::distant(4 * block, 2 * block), RW).unwrap();
    rig.space.map_alloc(gpa(8 * block), 4 * page, RW, true).unwrap();
    let leaves = |rig: &Rig<F>| rig.space.page_table().mappings(range(0, 16 * block)).count();
    let before = leaves(&rig);
    // What was written before does not count.
    rig.space.handle_fault(gpa(block), Rights::W);
    rig.space.write_obj(gpa(8 * block), 1_u64).unwrap();
    let (start, size) = (gpa(block), 8 * block);
    rig.space.start_dirty_log(start, size).unwrap();
    let all = range(block, 8 * block);
    assert_eq!(dirty(&rig, all), []);

    let written = [block + 3 * page, 2 * block + page, 8 * block + 2 * page];
    for at in written {
        rig.space.handle_fault(gpa(at), Rights::W);
        rig.access(at, Rights::W);
    }
    rig.space.write_obj(gpa(8 * block + 2 * page), 1_u64).unwrap();
    assert_eq!(dirty(&rig, all), written.map(|at| at / page));
    rig.space.stop_dirty_log(start, size).unwrap();
    rig.check_mmu();
    assert_eq!(leaves(&rig), before);
    // Nothing is write-protected any more.
    let rights = |at| rig.space.query(gpa(at)).map(|found| found.attributes.rights);
    assert_eq!([block, 3 * block - page, 8 * block + page].map(rights), [Some(Rights::RW); 3]);
}

fn a_dirty_log_of_all_of_a_space_that_is_nearly_empty<F: Format>(mut rig: Rig<F>) {
    let (page, end) = (rig.page(), rig.space.end().as_usize());
    let pages = [0, end / 2 - page, end / 2 + 3 * page, end - page];
    for at in pages {
        rig.space.map_alloc(gpa(at), page, RW, true).unwrap();
    }
    let written = |rig: &Rig<F>| pages.map(|at| dirty(rig, range(at, page)).len());
    rig.space.start_dirty_log(gpa(0), end).unwrap();
    assert_eq!(written(&rig), [0; 4]);
    for at in pages {
        rig.space.handle_fault(gpa(at), Rights::W);
        rig.access(at, Rights::W);
    }
    assert_eq!(written(&rig), [1; 4]);
    rig.space.stop_dirty_log(gpa(0), end).unwrap();
    rig.check_mmu();
}

fn what_a_protected_page_cannot_say_is_harvested<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(0), 16 * page, RW, true).unwrap();
    rig.space.start_dirty_log(gpa(0), 16 * page).unwrap();
    for number in [2, 9] {
        rig.space.handle_fault(gpa(number * page), Rights::W);
        rig.space.write_obj(gpa(number * page), 1_u64).unwrap();
    }
    let all = range(0, 16 * page);
    let mut words = [0];
    let mut pages = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
    rig.space.protect_and_harvest(gpa(0), 16 * page, READ, &mut pages).unwrap();
    rig.check_mmu();
    assert!(pages.contains(2 * page as u64) && pages.contains(9 * page as u64));
    assert_eq!(pages.len(), 2);
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::W), FaultOutcome::Denied);
}

/// Stops the first who changed an entry, until another has come, and come again.
struct Stop {
    armed: AtomicBool,
    barrier: Barrier,
}

impl Observer for Stop {
    fn invalidated(&self, _machine: &Machine, _root: HostPhysAddr, _tag: Tag, _set: &Invalidation) {
        if self.armed.swap(false, Ordering::Relaxed) {
            self.barrier.wait();
            self.barrier.wait();
        }
    }
}

/// The host has a page to write to, and a harvest comes before it writes: what is written then is not in what is sent.
fn what_the_host_writes_during_a_harvest_shows_in_the_next<F: Format>(mut rig: Rig<F>) {
    rig.space.map_alloc(gpa(0), rig.page(), RW, true).unwrap();
    let all = range(0, rig.page());
    let writes: [fn(&Rig<F>); 4] = [
        |rig| rig.space.write_obj(gpa(8), 1_u64).unwrap(),
        |rig| rig.space.write_buffer(gpa(3), b"some bytes").unwrap(),
        |rig| rig.space.write_volatile(gpa(4), 1_u32).unwrap(),
        |rig| {
            rig.space.atomic::<AtomicU8>(gpa(1)).unwrap().store(1, Ordering::Relaxed);
            rig.space.mark_written(gpa(1), 1).unwrap();
        },
    ];
    for write in writes {
        dirty(&rig, all);
        let stop = Arc::new(Stop { armed: AtomicBool::new(true), barrier: Barrier::new(2) });
        rig.machine.observe(stop.clone());
        thread::scope(|scope| {
            let harvest = scope.spawn(|| {
                stop.barrier.wait();
                let pages = dirty(&rig, all);
                stop.barrier.wait();
                pages
            });
            write(&rig);
            assert_eq!(harvest.join().unwrap(), [0]);
        });
        assert_eq!(dirty(&rig, all), [0]);
    }
}

/// The guest's memory, harvested as soon as somebody has a slice of it to write to.
struct Harvested<'a, F: Format> {
    rig: &'a Rig<F>,
    armed: AtomicBool,
}

impl<F: Format> GuestMemoryAccessor for Harvested<'_, F> {
    fn guest_slice(&self, at: GuestPhysAddr, length: usize, access: Rights) -> Result<GuestSlice<'_>, GuestFault> {
        let slice = self.rig.space.guest_slice(at, length, access)?;
        if access.intersects(Rights::W) && self.armed.swap(false, Ordering::Relaxed) {
            assert_eq!(dirty(self.rig, range(0, self.rig.page())), [0]);
        }
        Ok(slice)
    }
}

fn what_the_host_writes_after_a_harvest_shows_in_the_next<F: Format>(mut rig: Rig<F>) {
    rig.space.map_alloc(gpa(0), rig.page(), RW, true).unwrap();
    // A table of the guest's that leads to itself at each level, and a page that is to be marked.
    rig.space.write_obj(gpa(0), [0x27_u64, 7]).unwrap();
    let writes: [fn(&Harvested<'_, F>); 4] = [
        |memory| {
            let format = long_mode::Format::new(&long_mode::Config::new(4, 48)).unwrap();
            let tables = GuestTables::new(memory, &format, gpa(0), long_mode::Controls::default());
            tables.translate(0x1000.into(), Rights::PR).unwrap();
        },
        |memory| memory.write_obj(gpa(8), 1_u64).unwrap(),
        |memory| memory.write_buffer(gpa(3), b"some bytes").unwrap(),
        |memory| memory.write_volatile(gpa(4), 1_u32).unwrap(),
    ];
    for write in writes {
        dirty(&rig, range(0, rig.page()));
        let memory = Harvested { rig: &rig, armed: AtomicBool::new(true) };
        write(&memory);
        assert!(!memory.armed.into_inner());
        assert_eq!(dirty(&rig, range(0, rig.page())), [0]);
    }
}

/// What is first used while a log is on, is told page by page, too; where none is on any more, it gets large frames again.
fn first_uses_in_a_dirty_log_are_of_pages<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    if block > rig.machine.memory().1 / 8 {
        return; // There is no such frame.
    }
    let at = |number: usize| gpa(2 * number * block + page);
    for number in 0..6 {
        rig.space.map(gpa(2 * number * block), block, RW, Alloc::LAZY.up_to(63)).unwrap();
    }
    let first_use = |rig: &Rig<F>, number| {
        assert_eq!(rig.space.handle_fault(at(number), Rights::W), FaultOutcome::Mapped);
        rig.access(at(number).as_usize(), Rights::W);
        1 << rig.space.query(at(number)).unwrap().page_bits
    };
    let logged = (gpa(2 * block), 5 * block);
    rig.space.start_dirty_log(logged.0, logged.1).unwrap();
    rig.space.protect(gpa(4 * block), block, READ).unwrap();
    rig.space.protect(gpa(4 * block), block, RW).unwrap();
    assert_eq!([0, 4].map(|number| first_use(&rig, number)), [block; 2]);
    // What joins one before it with an area of the log is in the log, too.
    rig.space.map(gpa(block), block, RW, Alloc::LAZY.up_to(63)).unwrap();
    assert_eq!([1, 2].map(|number| first_use(&rig, number)), [page; 2]);
    // What joins an area of the log with one beyond it does not end it.
    rig.space.map(gpa(7 * block), block, RW, Alloc::LAZY.up_to(63)).unwrap();
    assert_eq!(first_use(&rig, 3), page);
    assert_eq!(dirty(&rig, range(2 * block, 5 * block)), [1, 2, 3].map(|number| at(number).as_usize() / page));
    rig.space.stop_dirty_log(logged.0, logged.1).unwrap();
    assert_eq!(first_use(&rig, 5), block);
}
