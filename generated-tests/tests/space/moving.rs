//! Areas that move: their backends, the sizes of their leaves, their accessed and dirty states, and what is in the way.

use tablewright::{
    AddrSpace, Alloc, Area, BackendError, ClosedRange, CopyOnWrite, Device, DeviceAccess, Error, FaultOutcome, Format,
    GuestMemoryAccessor, Linear, PageBitmap, PartialChange, Rights, Shared, SharedMemory, SpaceError, State,
    Statistics, Tag, sim::Machine,
};

use crate::formats::{ept, in_every_format, stage2_4k};
use crate::rig::{READ, RW, Rig, distant, gpa, hpa, range};
use crate::shy::Shy;
use crate::witness::DIRECT;

in_every_format! {
    what_is_behind_an_area_moves_with_it
    a_part_moves_to_below_where_its_whole_began
    leaves_stay_as_large_as_the_new_place_allows
    a_table_moves_with_all_that_is_in_it
    what_was_written_shows_at_the_new_place
    the_place_must_be_free
    a_place_that_overlaps_where_there_is_no_area_is_free
    nothing_moves_out_of_the_space
    neighbours_of_one_piece_are_joined
}

fn ranges<F: Format>(rig: &Rig<F>) -> Vec<ClosedRange> {
    rig.space.areas().map(Area::range).collect()
}

/// Five pages of each kind, and holes between them, at `start`.
fn all_kinds<F: Format>(rig: &mut Rig<F>, start: usize) {
    let page = rig.page();
    // SAFETY: the only space is on this machine.
    let memory = unsafe { SharedMemory::new(&rig.machine, 8 * page, F::PAGE_BITS, F::PAGE_BITS) }.unwrap();
    let at = |number: usize| gpa(start + 10 * number * page);
    // Behind each is more than is mapped.
    let before = |number: usize| gpa(start + 10 * number * page - 2 * page);
    rig.space.map(at(0), 5 * page, READ, Linear::new(before(0), distant(64 * page, 8 * page))).unwrap();
    rig.space.map(at(1), 5 * page, RW, Alloc::LAZY).unwrap();
    rig.space.map(at(2), 5 * page, RW, Shared::new(before(2), memory.clone())).unwrap();
    rig.space.map(at(3), 5 * page, RW, CopyOnWrite::new(before(3), &memory)).unwrap();
    rig.space.map(at(4), 5 * page, RW, Device::new(before(4), 7)).unwrap();
    // One of the shared memory's pages, of which the copy has one of its own.
    rig.space.write_obj(at(2) + page, 2_u64).unwrap();
    assert!(rig.space.handle_page_fault(at(3) + page, RW));
    rig.space.write_obj(at(3) + page, 3_u64).unwrap();
    rig.space.write_obj(at(1) + page, 1_u64).unwrap();
    rig.space.write_obj(at(2) + 2 * page, 4_u64).unwrap();
}

fn check_all_kinds<F: Format>(rig: &Rig<F>, start: usize) {
    let page = rig.page();
    let at = |number: usize| gpa(start + 10 * number * page);
    assert_eq!(rig.space.translate(at(0) + page), Some(hpa(67 * page)));
    assert_eq!(rig.space.query(at(0)).unwrap().attributes.rights, Rights::R);
    assert_eq!(rig.space.translate(at(1)), None, "it was not used yet");
    let values = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)].map(|(number, offset)| {
        let value = rig.space.read_obj::<u64>(at(number) + offset * page);
        value.unwrap()
    });
    assert_eq!(values, [1, 2, 4, 3, 4]);
    let access = DeviceAccess { handle: 7, offset: 2 * page + 8, access: Rights::R, width: None };
    assert_eq!(rig.space.handle_fault(at(4) + 8, Rights::R), FaultOutcome::Device(access));
    let rest = ranges(rig);
    assert_eq!(rest, (0..5).map(|number| range(at(number).as_usize(), 5 * page)).collect::<Vec<_>>());
}

fn what_is_behind_an_area_moves_with_it<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    all_kinds(&mut rig, 2 * block);
    check_all_kinds(&rig, 2 * block);
    let mut at = 2 * block;
    // Into the same tables and into others, up and down, and with whole tables.
    for to in [2 * block + 60 * page, 2 * block + 3 * page, 600 * block + 3 * page, 7 * block - 9 * page, block] {
        for number in 0..6 {
            rig.access(at + 10 * number * page + page, Rights::R);
            rig.access(to + 10 * number * page + page, Rights::R);
        }
        let (used, tables) = (rig.used(), rig.tables());
        rig.space.move_range(gpa(at), 50 * page, gpa(to)).unwrap();
        rig.check_mmu();
        check_all_kinds(&rig, to);
        let table = 1 << rig.space.page_table().geometry().table_bits(0);
        assert_eq!(rig.used() + tables * table, used + rig.tables() * table, "frames came or went");
        at = to;
    }
    // First uses find their places, too.
    rig.space.write_obj(gpa(at + 10 * page), 5_u64).unwrap();
    assert!(rig.space.handle_page_fault(gpa(at + 33 * page), RW));
    assert_eq!(rig.space.read_obj::<u64>(gpa(at + 10 * page)), Ok(5));
    rig.space.unmap(gpa(at + 20 * page), 10 * page).unwrap();
}

fn a_part_moves_to_below_where_its_whole_began<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    // SAFETY: the only space is on this machine.
    let memory = unsafe { SharedMemory::new(&rig.machine, 8 * page, F::PAGE_BITS, F::PAGE_BITS) }.unwrap();
    rig.space.map_shared(gpa(4 * block), &memory, RW).unwrap();
    rig.space.map_copy_on_write(gpa(5 * block), &memory, RW).unwrap();
    rig.space.map_linear(gpa(6 * block), distant(64 * page, 8 * page), RW).unwrap();
    rig.space.map_device(gpa(7 * block), 8 * page, 7).unwrap();
    rig.space.write_obj(gpa(4 * block + 6 * page), 6_u64).unwrap();
    for (number, from) in [4, 5, 6, 7].into_iter().enumerate() {
        rig.space.move_range(gpa(from * block + 6 * page), page, gpa(number * page)).unwrap();
    }
    assert_eq!(rig.space.read_obj::<u64>(gpa(0)), Ok(6));
    assert_eq!(rig.space.read_obj::<u64>(gpa(page)), Ok(6));
    assert!(rig.space.handle_page_fault(gpa(page), RW));
    assert_eq!(rig.space.read_obj::<u64>(gpa(page)), Ok(6));
    assert_eq!(rig.space.translate(gpa(2 * page)), Some(hpa(70 * page)));
    let access = DeviceAccess { handle: 7, offset: 6 * page + 4, access: Rights::W, width: None };
    assert_eq!(rig.space.handle_fault(gpa(3 * page + 4), Rights::W), FaultOutcome::Device(access));
    // What is behind such a part is there for more, too.
    let backend = rig.space.find_area(gpa(0)).expect("it moved").backend().clone();
    rig.space.unmap(gpa(0), 2 * page).unwrap();
    rig.space.map(gpa(0), 2 * page, RW, backend.clone()).unwrap();
    assert_eq!(rig.space.read_obj::<u64>(gpa(0)), Ok(6));
    let refused = rig.space.map(gpa(16 * block), page, RW, backend);
    assert!(matches!(refused, Err(SpaceError::Area { error: BackendError::Custom(_), .. })), "{refused:?}");
}

fn leaves_stay_as_large_as_the_new_place_allows<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(4 * block), distant(64 * block, 2 * block), RW).unwrap();
    let leaves = |rig: &Rig<F>, at: usize| {
        let table = rig.space.page_table();
        table.mappings(range(at, 2 * block)).map(|leaf| 1 << leaf.size).collect::<Vec<usize>>()
    };
    let large = leaves(&rig, 4 * block);
    assert!(large.contains(&block) || large.contains(&(2 * block)));
    rig.space.move_range(gpa(4 * block), 2 * block, gpa(64 * block)).unwrap();
    assert_eq!(leaves(&rig, 64 * block), large);

    rig.access(64 * block, Rights::R);
    rig.space.move_range(gpa(64 * block), 2 * block, gpa(7 * block + page)).unwrap();
    rig.check_mmu();
    let small = leaves(&rig, 7 * block + page);
    assert_eq!(small, vec![page; 2 * block / page]);
    // Back again, tables and all, and pages do not become blocks by that alone.
    rig.space.move_range(gpa(7 * block + page), 2 * block, gpa(64 * block)).unwrap();
    assert_eq!(leaves(&rig, 64 * block), small);
    rig.space.collapse(gpa(64 * block), 2 * block).unwrap();
    assert_eq!(leaves(&rig, 64 * block), large);

    // A block that is cut.
    rig.space.move_range(gpa(64 * block + block / 2), block, gpa(8 * block)).unwrap();
    for (address, output) in [
        (64 * block + block / 2 - page, Some(64 * block + block / 2 - page)),
        (64 * block + block / 2, None),
        (65 * block + block / 2 - page, None),
        (65 * block + block / 2, Some(65 * block + block / 2)),
        (8 * block, Some(64 * block + block / 2)),
        (9 * block - page, Some(65 * block + block / 2 - page)),
        (9 * block, None),
    ] {
        assert_eq!(rig.space.translate(gpa(address)), output.map(hpa), "at {address:#x}");
    }
}

fn a_table_moves_with_all_that_is_in_it<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    // Pages, for host and guest are not aligned alike.
    rig.space.map_linear(gpa(4 * block), distant(64 * block + page, 2 * block), RW).unwrap();
    let table = |rig: &Rig<F>, at: usize| {
        let tables: Vec<_> = rig.space.page_table().tables().collect();
        tables.into_iter().find(|table| table.range == range(at, block)).map(|table| table.address)
    };
    let moved = table(&rig, 4 * block);
    assert!(moved.is_some());
    // What a processor knows of the way there, it must forget.
    for at in [4 * block + 3 * page, 5 * block, 9 * block + 5 * page] {
        rig.access(at, Rights::R);
    }
    rig.space.move_range(gpa(4 * block), block, gpa(9 * block)).unwrap();
    rig.check_mmu();
    assert_eq!((table(&rig, 4 * block), table(&rig, 9 * block)), (None, moved));
    for at in [4 * block + 3 * page, 5 * block, 9 * block + 5 * page] {
        rig.access(at, Rights::R);
    }
    assert_eq!(rig.space.translate(gpa(9 * block + 5 * page)), Some(hpa(64 * block + 6 * page)));
}

/// The pages that a harvest finds, as numbers.
fn dirty<F: Format>(rig: &Rig<F>, start: usize, pages: usize) -> Vec<usize> {
    let all = range(start, pages * rig.page());
    let mut words = vec![0; PageBitmap::words(all, F::PAGE_BITS)];
    let mut found = PageBitmap::new(all, F::PAGE_BITS, &mut words).unwrap();
    rig.space.harvest(State::Dirty, &mut found).unwrap();
    rig.check_mmu();
    (0..pages).filter(|number| found.contains((start + number * rig.page()) as u64)).collect()
}

fn what_was_written_shows_at_the_new_place<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    let whole = 32;
    let ram = rig.ram(F::PAGE_BITS + 5);
    rig.space.map_linear(gpa(2 * block), ram, RW).unwrap();
    rig.space.start_dirty_log(gpa(0), 40 * block).unwrap();
    let mut at = 2 * block;
    for to in [8 * block, 16 * block + 3 * page, 4 * block - page] {
        assert_eq!(dirty(&rig, at, whole), []);
        for number in [0, 7, whole - 1] {
            rig.space.write_obj(gpa(at + number * page), 1_u64).unwrap();
            rig.access(at + number * page, Rights::W);
        }
        rig.space.move_range(gpa(at), whole * page, gpa(to)).unwrap();
        assert_eq!(dirty(&rig, at, whole), []);
        assert_eq!(dirty(&rig, to, whole), [0, 7, whole - 1]);
        // What was clean tells of the first write.
        rig.space.write_obj(gpa(to + 5 * page), 1_u64).unwrap();
        rig.access(to + 5 * page, Rights::W);
        assert_eq!(dirty(&rig, to, whole), [5]);
        at = to;
    }
    rig.space.stop_dirty_log(gpa(0), 40 * block).unwrap();
}

fn the_place_must_be_free<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_alloc(gpa(block), 4 * page, RW, true).unwrap();
    rig.space.map_device(gpa(2 * block), page, 1).unwrap();
    let area = range(2 * block, page);
    rig.refuses(SpaceError::Overlap(area), |space| space.move_range(gpa(block), 4 * page, gpa(2 * block - 3 * page)));
    // Its own place, and a part of that.
    let area = range(block, 4 * page);
    for to in [block, block + page, block - 3 * page] {
        rig.refuses(SpaceError::Overlap(area), |space| space.move_range(gpa(block), 4 * page, gpa(to)));
    }
    let before = rig.state();
    assert_eq!(rig.space.move_range(gpa(block), 0, gpa(2 * block)), Ok(()));
    assert_eq!(rig.space.move_range(gpa(8 * block), block, gpa(10 * block)), Ok(()));
    assert!(rig.state() == before, "something changed");
}

fn a_place_that_overlaps_where_there_is_no_area_is_free<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(2 * page), 2 * page, RW, true).unwrap();
    rig.space.write_obj(gpa(3 * page), 3_u64).unwrap();
    // 16 pages up of 32, and 8 down of 16.
    rig.space.move_range(gpa(0), 32 * page, gpa(16 * page)).unwrap();
    assert_eq!((ranges(&rig), rig.space.read_obj(gpa(19 * page))), (vec![range(18 * page, 2 * page)], Ok(3_u64)));
    rig.space.move_range(gpa(8 * page), 16 * page, gpa(0)).unwrap();
    assert_eq!((ranges(&rig), rig.space.read_obj(gpa(11 * page))), (vec![range(10 * page, 2 * page)], Ok(3_u64)));
}

fn nothing_moves_out_of_the_space<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(page), 2 * page, RW, true).unwrap();
    let space = rig.space.range();
    let end = space.last() as usize + 1;
    let (start, size) = (gpa(end - page), 2 * page);
    rig.refuses(SpaceError::OutOfRange { start, size, space }, |space| space.move_range(gpa(page), size, start));
    let (start, size) = (gpa(end - page), 2 * page);
    rig.refuses(SpaceError::OutOfRange { start, size, space }, |space| space.move_range(start, size, gpa(page)));
    let misaligned = |value| SpaceError::Misaligned { value, page_bits: F::PAGE_BITS };
    rig.refuses(misaligned(8), |space| space.move_range(gpa(page), page, gpa(8)));
    // To the last page, and to the first.
    rig.space.move_range(gpa(page), 2 * page, gpa(end - 2 * page)).unwrap();
    rig.space.move_range(gpa(end - 2 * page), 2 * page, gpa(0)).unwrap();
    assert_eq!(ranges(&rig), [range(0, 2 * page)]);
}

fn neighbours_of_one_piece_are_joined<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_linear(gpa(0), distant(64 * page, 8 * page), RW).unwrap();
    rig.space.move_range(gpa(2 * page), 2 * page, gpa(100 * page)).unwrap();
    rig.space.move_range(gpa(4 * page), 4 * page, gpa(102 * page)).unwrap();
    assert_eq!(ranges(&rig), [range(0, 2 * page), range(100 * page, 6 * page)]);
    rig.space.move_range(gpa(100 * page), 6 * page, gpa(2 * page)).unwrap();
    assert_eq!(ranges(&rig), [range(0, 8 * page)]);
}

#[test]
fn whole_tables_move_without_a_look_at_their_pages() {
    let mut rig = ept("baseline");
    let (page, gib) = (rig.page(), 1 << 30);
    // Pages, for host and guest are not aligned alike.
    rig.space.map_linear(gpa(4 * gib), distant(16 * gib + page, gib), RW).unwrap();
    let tables = |rig: &Rig<_>| -> Vec<_> {
        let of_pages = rig.space.page_table().tables().filter(|table| table.level == 0);
        of_pages.map(|table| table.address).collect()
    };
    let (statistics, before): (Statistics, _) = (rig.space.statistics(), tables(&rig));
    rig.machine.take_log();
    let asked = rig.machine.allocations();
    rig.space.move_range(gpa(4 * gib), gib, gpa(9 * gib)).unwrap();
    assert_eq!((rig.machine.allocations() - asked, rig.machine.take_log().len()), (0, 1));
    assert_eq!((rig.space.statistics(), tables(&rig)), (statistics, before.clone()));
    // By half of that: all but the uppermost tables go on.
    rig.space.move_range(gpa(9 * gib), gib, gpa(13 * gib - gib / 2)).unwrap();
    assert_eq!((rig.machine.allocations() - asked, rig.machine.take_log().len()), (2, 1));
    assert_eq!(tables(&rig), before);
    assert_eq!(rig.space.translate(gpa(13 * gib - page)), Some(hpa(16 * gib + gib / 2)));
}

#[test]
fn leaves_that_would_be_cut_are_left_alone_where_that_is_refused() {
    let mut rig = stage2_4k("4k-48");
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(block), distant(64 * block, block), RW).unwrap();
    rig.space.set_partial_change(PartialChange::Refuse);
    let partial = Error::Partial { address: block as u64, size: block.ilog2() as u8 };
    rig.refuses(SpaceError::Table(partial), |space| space.move_range(gpa(block), page, gpa(4 * block)));
    rig.space.move_range(gpa(block), block, gpa(4 * block)).unwrap();
}

#[test]
fn a_backend_moves_only_if_it_says_how() {
    let machine = Machine::new(0, 1 << 20);
    let mut space = AddrSpace::<_, _, Shy>::with_backend(DIRECT, machine, Tag(1), gpa(0), 1 << 30).unwrap();
    space.map(gpa(0), 0x2000, RW, Shy::default()).unwrap();
    let refused = SpaceError::Area { area: range(0x1000, 0x1000), error: BackendError::Immovable };
    assert_eq!(space.move_range(gpa(0x1000), 0x1000, gpa(0x8000)), Err(refused));
    assert_eq!(space.areas().map(Area::range).collect::<Vec<_>>(), [range(0, 0x2000)]);
}
