//! Spaces and their areas: what they hold, what is refused, and with which error.

use tablewright::{
    AddrSpace, Alloc, Attributes, BackendError, Change, ClosedRange, ConfigError, Device, Error, FaultOutcome, Format,
    GuestFault, GuestMemoryAccessor, HostRegion, MappingFlags, MemoryType, Rights, SpaceError, Tag, riscv64,
    sim::Machine,
};

use crate::formats::{ept, in_every_format};
use crate::{
    rig::{READ, RW, RX, Rig, distant, gpa, hpa, range},
    witness::DIRECT,
};

in_every_format! {
    no_range_is_too_odd_to_ask_about
    overlaps_name_the_area_in_the_way
    odd_ranges_are_refused
    inexpressible_attributes_are_refused_before_anything_happens
    linear_memory_may_lie_anywhere
    linear_memory_takes_the_largest_pages
    a_region_must_be_large_enough
    neighbours_that_continue_each_other_are_one_area
    unmapping_cuts_areas_and_blocks
    unmapping_crosses_areas_and_holes
    protecting_cuts_areas_and_leaves_what_is_behind
    protecting_to_what_one_area_cannot_be_names_it
    flags_without_a_memory_type_leave_it_alone
    clearing_leaves_only_the_root
    the_last_page_is_an_ordinary_page
    what_no_guest_may_write_is_never_writable
}

#[test]
fn a_space_that_cannot_be_is_refused() {
    let machine = Machine::new(0, 16 << 20);
    let new = |base, size| AddrSpace::new(DIRECT, machine.clone(), Tag(1), gpa(base), size).map(|_| ());
    assert_eq!(new(0x1000, 0), Err(SpaceError::Empty(gpa(0x1000))));
    assert_eq!(new(0x800, 0x1000), Err(SpaceError::Misaligned { value: 0x800, page_bits: 12 }));
    assert_eq!(new(0, 0x1001), Err(SpaceError::Misaligned { value: 0x1001, page_bits: 12 }));
    assert!(matches!(new(usize::MAX - 0xfff, 0x2000), Err(SpaceError::OutOfRange { .. })));
    let beyond = range(0, (1 << 48) + 0x1000);
    assert_eq!(new(0, (1 << 48) + 0x1000), Err(SpaceError::Table(Error::OutOfRange(beyond))));
    assert_eq!(new(0, 1 << 48), Ok(()));
    assert_eq!(machine.used(), 0);
}

#[test]
fn no_frame_for_the_root_is_an_error() {
    let machine = Machine::new(0, 16 << 20);
    machine.fail_allocation(0);
    let space = AddrSpace::new_empty(DIRECT, machine, Tag(1));
    assert_eq!(space.map(|_| ()), Err(SpaceError::Table(Error::NoMemory { size: 12 })));
}

#[test]
fn levels_and_input_size_are_chosen_at_run_time() {
    let reach = |levels, input_bits| {
        let format = riscv64::sv_x4::Format::new(&riscv64::sv_x4::Config::new(levels, input_bits))?;
        let space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1)).expect("a space");
        let root = space.page_table().tables().next().expect("the root").size;
        Ok::<_, ConfigError>((space.size(), root))
    };
    // Two bits more than the satp modes of the same names, in a root of 16 KiB.
    assert_eq!(reach(3, 41), Ok((1 << 41, 14)));
    assert_eq!(reach(4, 50), Ok((1 << 50, 14)));
    assert_eq!(reach(5, 59), Ok((1 << 59, 14)));
    assert_eq!(reach(3, 39), Err(ConfigError::Root { levels: 3, input_bits: 39 }));
}

#[test]
fn a_space_is_shown_as_a_map() {
    let machine = Machine::new(0, 1 << 20);
    let mut space = AddrSpace::new_empty(DIRECT, machine, Tag(1)).unwrap();
    space.map_linear(gpa(0x4000_0000), distant(1 << 30, 3 << 20), RX).unwrap();
    space.map(gpa(0), 1 << 40, RW, Alloc::LAZY.up_to(21)).unwrap_err();
    space.map_alloc(gpa(1 << 40), 1 << 40, RW, false).unwrap();
    space.map_device(gpa(0x1000), 0x3000, 5).unwrap();
    let expected = "\
a format written by hand: 4 levels, 48-bit guest addresses, root at HPA:0x0, Tag(1)
  0x000000001000..=0x000000003fff     12 KiB  rw-  DeviceNGnRE  emulated device 5
  0x000040000000..=0x0000402fffff      3 MiB  r-x  WriteBack  linear, device at HPA:0x40000000
  0x010000000000..=0x01ffffffffff      1 TiB  rw-  WriteBack  allocated on first use";
    assert_eq!(space.to_string(), expected);
}

#[test]
fn a_space_may_begin_anywhere() {
    let machine = Machine::new(0, 16 << 20);
    let mut space = AddrSpace::new(DIRECT, machine, Tag(1), gpa(0x8000_0000), 0x10_0000).unwrap();
    assert_eq!((space.base(), space.end(), space.size()), (gpa(0x8000_0000), gpa(0x8010_0000), 0x10_0000));
    space.map_alloc(gpa(0x800f_f000), 0x1000, RW, true).unwrap();
    let refused = space.map_alloc(gpa(0x8010_0000), 0x1000, RW, true);
    assert!(matches!(refused, Err(SpaceError::OutOfRange { size: 0x1000, .. })));
    assert_eq!(space.translate(gpa(0x7fff_f000)), None);
}

fn no_range_is_too_odd_to_ask_about<F: Format>(rig: Rig<F>) {
    let end = rig.space.end().as_usize();
    assert!(rig.space.contains_range(gpa(0), end));
    assert!(!rig.space.contains_range(gpa(0), end + 1));
    assert!(!rig.space.contains_range(gpa(rig.page()), usize::MAX));
    assert!(!rig.space.contains_range(gpa(usize::MAX), 2));
    assert!(rig.space.contains_range(gpa(end - 1), 0));
    assert!(!rig.space.contains_range(gpa(end), 0));
    assert_eq!(rig.space.translate(gpa(usize::MAX)), None);
    assert_eq!(rig.space.translate_and_get_limit(gpa(usize::MAX)), None);
    assert_eq!(rig.space.find_free_area(range(end, 1), 1, 0), None);
    assert_eq!(rig.space.find_free_area(range(usize::MAX, 1), 1, 0), None);
    assert_eq!(rig.space.find_free_area(ClosedRange::FULL, usize::MAX, 0), None);
    assert_eq!(rig.space.find_free_area(ClosedRange::FULL, 1, u8::MAX), Some(gpa(0)));
}

fn overlaps_name_the_area_in_the_way<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_alloc(gpa(4 * page), 4 * page, RW, false).unwrap();
    for (start, pages) in [(3, 2), (4, 4), (5, 1), (7, 9), (0, 64)] {
        let area = range(4 * page, 4 * page);
        rig.refuses(SpaceError::Overlap(area), |space| space.map_alloc(gpa(start * page), pages * page, RW, true));
    }
    rig.space.map_alloc(gpa(8 * page), page, RX, false).unwrap();
    // A device's first register cannot be above the area where it answers.
    assert!(rig.space.map(gpa(0), page, RW, Device::new(gpa(page), 1)).is_err());
}

fn odd_ranges_are_refused<F: Format>(mut rig: Rig<F>) {
    let (page, page_bits) = (rig.page(), F::PAGE_BITS);
    let (start, space) = (gpa(rig.space.end().as_usize() - page), rig.space.range());
    let misaligned = |value| SpaceError::Misaligned { value, page_bits };
    let outside = |start, size| SpaceError::OutOfRange { start, size, space };
    let wrapping = gpa(page.wrapping_neg());

    rig.refuses(misaligned(1), |space| space.map_alloc(gpa(1), page, RW, true));
    rig.refuses(misaligned(page + 1), |space| space.map_alloc(gpa(0), page + 1, RW, true));
    rig.refuses(misaligned(page / 2), |space| space.map_linear(gpa(0), distant(0, page / 2), RW));
    rig.refuses(SpaceError::Empty(gpa(page)), |space| space.map_alloc(gpa(page), 0, RW, true));
    rig.refuses(outside(start, 2 * page), |space| space.map_alloc(start, 2 * page, RW, false));
    rig.refuses(outside(wrapping, 2 * page), |space| space.map_device(wrapping, 2 * page, 1));
    rig.refuses(outside(start, 2 * page), |space| space.unmap(start, 2 * page));
    rig.refuses(misaligned(1), |space| space.unmap(gpa(1), page));
    rig.refuses(outside(wrapping, 2 * page), |space| space.protect(wrapping, 2 * page, READ));
    // The output need not be aligned by itself, so the table says it.
    let refused = rig.space.map_linear(gpa(0), distant(page / 2, page), RW);
    assert!(matches!(refused, Err(SpaceError::Area { error: BackendError::Table(Error::Misaligned { .. }), .. })));
    // To take nothing away is no mistake.
    rig.space.unmap(gpa(0), 0).unwrap();
    rig.space.protect(gpa(0), 0, READ).unwrap();
    rig.space.unmap(gpa(0), 4 * page).unwrap();
}

fn inexpressible_attributes_are_refused_before_anything_happens<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    // No format has it. A lazy area with it would fail at the first fault, if it were not refused.
    let inexpressible = Attributes::new(Rights::RW, MemoryType::Unnamed);
    for populate in [false, true] {
        let before = rig.state();
        let refused = rig.space.map_alloc(gpa(0), 8 * page, inexpressible, populate);
        assert!(matches!(refused, Err(SpaceError::Area { error: BackendError::Refused(_), .. })), "{refused:?}");
        assert!(rig.state() == before);
    }
    let refused = rig.space.map_linear(gpa(0), distant(0, page), inexpressible);
    assert!(matches!(refused, Err(SpaceError::Area { .. })));
}

fn linear_memory_may_lie_anywhere<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    // Above, below, and at the guest's own address; the host's address 0 is an address like any other.
    for (number, (guest, host)) in [(16, 0), (32, 64), (48, 48)].into_iter().enumerate() {
        rig.space.map_linear(gpa(guest * page), distant(host * page, 8 * page), RW).unwrap();
        for offset in [0, 1, 8 * page - 1] {
            assert_eq!(rig.space.translate(gpa(guest * page + offset)), Some(hpa(host * page + offset)));
        }
        assert_eq!(rig.space.areas().len(), number + 1);
    }
    // None of it is the library's to free.
    rig.space.clear().unwrap();
    assert_eq!(rig.machine.take_errors(), []);
}

fn linear_memory_takes_the_largest_pages<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(block - page), distant(3 * block - page, 2 * block + 2 * page), RW).unwrap();
    let size = |space: &AddrSpace<F, Machine>, at| 1_usize << space.query(gpa(at)).expect("mapped").page_bits;
    assert_eq!(size(&rig.space, block - page), page);
    assert!(size(&rig.space, block) >= block);
    assert!(size(&rig.space, 2 * block) >= block);
    assert!(size(&rig.space, 3 * block) < block);
}

fn a_region_must_be_large_enough<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let region = distant(0, 4 * page);
    let linear = tablewright::Linear::new(gpa(8 * page), region);
    let short = |area| SpaceError::Area { area, error: BackendError::TooShort(region) };
    rig.refuses(short(range(8 * page, 5 * page)), |space| space.map(gpa(8 * page), 5 * page, RW, linear));
    rig.refuses(short(range(7 * page, page)), |space| space.map(gpa(7 * page), page, RW, linear));
    rig.space.map(gpa(9 * page), 3 * page, RW, linear).unwrap();
    assert_eq!(rig.space.translate(gpa(9 * page)), Some(hpa(page)));
}

fn neighbours_that_continue_each_other_are_one_area<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_linear(gpa(0), distant(64 * page, 4 * page), RW).unwrap();
    rig.space.map_linear(gpa(8 * page), distant(72 * page, 4 * page), RW).unwrap();
    rig.space.map_linear(gpa(4 * page), distant(68 * page, 4 * page), RW).unwrap();
    assert_eq!(rig.space.areas().len(), 1);
    // Other rights, another displacement, another kind: areas of their own.
    rig.space.map_linear(gpa(12 * page), distant(76 * page, page), READ).unwrap();
    rig.space.map_linear(gpa(13 * page), distant(76 * page, page), READ).unwrap();
    rig.space.map_alloc(gpa(14 * page), page, READ, false).unwrap();
    rig.space.map_alloc(gpa(15 * page), page, READ, true).unwrap();
    assert_eq!(rig.space.areas().len(), 5);
    // What was joined can be taken apart again.
    rig.space.unmap(gpa(3 * page), 6 * page).unwrap();
    assert_eq!(rig.space.translate(gpa(9 * page)), Some(hpa(73 * page)));
    assert_eq!(rig.space.translate(gpa(8 * page)), None);
}

fn unmapping_cuts_areas_and_blocks<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(block), distant(4 * block, 2 * block), RW).unwrap();
    rig.space.unmap(gpa(block + 3 * page), page).unwrap();
    let ranges: Vec<_> = rig.space.areas().map(|area| area.range()).collect();
    assert_eq!(ranges, [range(block, 3 * page), range(block + 4 * page, 2 * block - 4 * page)]);
    for (offset, mapped) in [(2, true), (3, false), (4, true), (5, true)] {
        let expected = mapped.then_some(hpa(4 * block + offset * page));
        assert_eq!(rig.space.translate(gpa(block + offset * page)), expected);
    }
    assert_eq!(rig.space.translate(gpa(3 * block - 1)), Some(hpa(6 * block - 1)));
}

fn unmapping_crosses_areas_and_holes<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(0, block), RW).unwrap();
    rig.space.map_alloc(gpa(block), 4 * page, RW, true).unwrap();
    rig.space.map_device(gpa(block + 8 * page), page, 1).unwrap();
    rig.space.map_linear(gpa(2 * block), distant(8 * block, block), READ).unwrap();
    rig.space.unmap(gpa(page), 3 * block - 2 * page).unwrap();
    assert_eq!(rig.areas().len(), 2);
    assert_eq!(rig.space.translate(gpa(0)), Some(hpa(0)));
    assert_eq!(rig.space.translate(gpa(page)), None);
    assert_eq!(rig.space.translate(gpa(3 * block - page)), Some(hpa(9 * block - page)));
    assert_eq!(rig.space.translate(gpa(3 * block - page - 1)), None);
}

fn protecting_cuts_areas_and_leaves_what_is_behind<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(4 * block, block), RW).unwrap();
    rig.space.map_alloc(gpa(block), 4 * page, RW, false).unwrap();
    rig.space.protect(gpa(block - page), 2 * page, READ).unwrap();
    let rights = |at: usize| rig.space.find_area(gpa(at)).expect("an area").attributes().rights;
    assert_eq!([0, block - page, block, block + page].map(rights), [Rights::RW, Rights::R, Rights::R, Rights::RW]);
    let found = rig.space.query(gpa(block - page)).expect("mapped");
    assert_eq!((found.address, found.attributes.rights), (hpa(5 * block - page), Rights::R));
    assert_eq!(rig.space.query(gpa(block - page - 1)).expect("mapped").attributes.rights, Rights::RW);
    // Nothing is mapped where nothing was used yet.
    assert_eq!(rig.space.translate(gpa(block)), None);
    // And back: one area again on each side.
    rig.space.protect(gpa(0), 2 * block, RW).unwrap();
    assert_eq!(rig.space.areas().len(), 2);
}

fn protecting_to_what_one_area_cannot_be_names_it<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_device(gpa(0), page, 1).unwrap();
    rig.space.map_alloc(gpa(page), page, RW, false).unwrap();
    let change = Change { memory: Some(MemoryType::Unnamed), ..Change::default() };
    let before = rig.state();
    let refused = rig.space.protect(gpa(0), 2 * page, change);
    let named = range(page, page);
    assert!(matches!(refused, Err(SpaceError::Area { area, .. }) if area == named), "{refused:?}");
    assert!(rig.state() == before);
}

fn flags_without_a_memory_type_leave_it_alone<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    rig.space.map_linear(gpa(0), distant(0, page), RW | MappingFlags::DEVICE).unwrap();
    let memory = |rig: &Rig<F>| rig.space.query(gpa(0)).expect("mapped").attributes.memory;
    let device = memory(&rig);
    rig.space.protect(gpa(0), page, READ).unwrap();
    assert_eq!(memory(&rig), device);
    // Some machines have no memory types at all.
    if rig.space.protect(gpa(0), page, READ | MappingFlags::UNCACHED).is_ok() {
        assert_ne!(memory(&rig), device);
    }
}

fn clearing_leaves_only_the_root<F: Format>(mut rig: Rig<F>) {
    let (page, block) = (rig.page(), rig.block());
    rig.space.map_linear(gpa(0), distant(0, 3 * block + page), RW).unwrap();
    rig.space.map_alloc(gpa(8 * block), 5 * page, RW, true).unwrap();
    rig.space.map_device(gpa(16 * block), page, 3).unwrap();
    rig.space.clear().unwrap();
    assert_eq!((rig.tables(), rig.space.areas().len()), (1, 0));
    rig.space.clear().unwrap();
}

fn the_last_page_is_an_ordinary_page<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let last = rig.space.end().as_usize() - page;
    rig.space.map_alloc(gpa(last), page, RW, true).unwrap();
    assert!(rig.space.translate(gpa(last + page - 1)).is_some());
    assert_eq!(rig.space.find_free_area(range(last, page), page, 0), None);
    rig.space.protect(gpa(last), page, READ).unwrap();
    rig.space.unmap(gpa(last), page).unwrap();
    // All of the space is one range like any other.
    rig.space.map_alloc(gpa(0), rig.space.size(), RW, false).unwrap();
    rig.space.unmap(gpa(last), page).unwrap();
    assert_eq!(rig.areas(), [(range(0, last), Rights::RW, "allocated on first use".into())]);
}

/// More kinds of attributes than a table remembers pages of, one after the other and again.
#[test]
fn what_areas_may_say_does_not_depend_on_what_others_said() {
    let mut rig = ept("baseline");
    let page = rig.page();
    rig.space.map_linear(gpa(0), distant(0, 4 * page), RW).unwrap();
    for _ in 0..2 {
        for memory in [MemoryType::WriteBack, MemoryType::WriteThrough, MemoryType::Uncached] {
            for rights in [Rights::R, Rights::RW, Rights::RX, Rights::RWX] {
                let change = |rights| Change { rights: Some(rights), memory: Some(memory), options: None };
                rig.space.protect(gpa(page), page, change(rights)).unwrap();
                let found = rig.space.query(gpa(page)).expect("mapped").attributes;
                assert_eq!((found.rights, found.memory), (rights, memory));
                let before = rig.state();
                let refused = rig.space.protect(gpa(page), page, change(Rights::W));
                assert!(matches!(refused, Err(SpaceError::Area { .. })), "{refused:?}");
                assert!(rig.state() == before);
            }
        }
    }
}

#[test]
fn a_host_region_cannot_wrap_around() {
    // SAFETY: the region is never mapped.
    let device = |start, size| unsafe { HostRegion::device(hpa(start), size) };
    assert_eq!(device(0, 0), None);
    assert_eq!(device(usize::MAX, 2), None);
    let region = device(usize::MAX, 1).unwrap();
    assert_eq!((region.size(), region.part(0, 2), region.part(1, 1)), (1, None, None));
    let low = device(0, 8).unwrap();
    assert_eq!(low.part(4, 4), device(4, 4));
    assert_eq!(low.join(&device(8, 1).unwrap()), device(0, 9));
    assert_eq!(low.join(&device(9, 1).unwrap()), None);
    // In either order, and where they overlap.
    assert_eq!(device(8, 1).unwrap().join(&low), device(0, 9));
    assert_eq!((low.join(&device(2, 3).unwrap()), device(2, 3).unwrap().join(&low)), (Some(low), Some(low)));
    assert_eq!(low.join(&device(4, 8).unwrap()), device(0, 12));
    assert_eq!(region.join(&device(0, usize::MAX).unwrap()), None, "no size counts it");
}

#[test]
fn the_rest_of_an_area() {
    let mut rig = Rig::new(DIRECT);
    rig.space.map_alloc(gpa(0x1000), 0x3000, RW, false).unwrap();
    let area = rig.space.find_area(gpa(0x2000)).unwrap();
    assert_eq!([0x1000, 0x2fff, 0x3fff].map(|address| area.rest(gpa(address))), [Some(0x3000), Some(0x1001), Some(1)]);
    assert_eq!([0xfff, 0x4000].map(|address| area.rest(gpa(address))), [None, None]);
}

fn what_no_guest_may_write_is_never_writable<F: Format>(mut rig: Rig<F>) {
    let page = rig.page();
    let lent = rig.ram(F::PAGE_BITS);
    // SAFETY: the rig keeps it until the space is gone, and nobody writes it.
    let rom = unsafe { HostRegion::rom(lent.start(), page) }.unwrap();
    let writes = |error: SpaceError| assert!(error.to_string().contains("for reading only"), "{error}");
    let before = rig.state();
    writes(rig.space.map_linear(gpa(0), rom, RW).unwrap_err());
    assert!(rig.state() == before);
    rig.space.map_linear(gpa(0), rom, RX).unwrap();
    let before = rig.state();
    writes(rig.space.protect(gpa(0), page, RW).unwrap_err());
    assert!(rig.state() == before);
    assert!(rig.space.read_obj::<u64>(gpa(0)).is_ok());
    assert_eq!(rig.space.write_obj(gpa(0), 1_u8).unwrap_err().fault, GuestFault::Denied);
    assert_eq!(rig.space.handle_fault(gpa(0), Rights::W), FaultOutcome::Denied);
    assert_eq!((lent.join(&rom), rom.join(&lent)), (None, None));
}
