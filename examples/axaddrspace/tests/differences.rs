//! Tests each row of the README's table of differences from the original, as far as a host can.

mod support;

use axaddrspace::{AddrSpace, Backend, GuestMemoryAccessor, GuestPhysAddr, MappingFlags, NestedPageTable};
use axerrno::AxError;
use memory_set::{MemoryArea, MemorySet};
use support::Frames;

const RW: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);
const HEAP: GuestPhysAddr = GuestPhysAddr::from_usize(0x8000_0000);

fn space() -> AddrSpace<Frames> {
    AddrSpace::new_empty(4, 0.into(), 1 << 40).unwrap()
}

#[test]
fn a_fault_on_a_resident_page_keeps_its_data() {
    let mut space = space();
    space.map_alloc(HEAP, 0x2000, RW, false).unwrap();
    assert!(space.handle_page_fault(HEAP, MappingFlags::WRITE));
    space.write_obj(HEAP, 42_u64).unwrap();
    let (frame, frames) = (space.translate(HEAP), Frames::allocated());
    assert!(space.handle_page_fault(HEAP, MappingFlags::WRITE));
    assert_eq!((space.translate(HEAP), Frames::allocated()), (frame, frames));
    assert_eq!(space.read_obj::<u64>(HEAP), Ok(42));
    assert!(!space.handle_page_fault(HEAP, MappingFlags::EXECUTE));
}

#[test]
fn frames_are_zeroed_and_lazy_areas_take_none() {
    let mut space = space();
    let before = Frames::allocated();
    space.map_alloc(HEAP, 1 << 30, RW, false).unwrap();
    assert_eq!(Frames::allocated(), before);
    assert_eq!(space.read_obj::<[u64; 8]>(HEAP + 0x12_3000), Ok([0; 8]));
}

#[test]
fn host_memory_may_lie_above_the_guest_address() {
    let mut space = space();
    space.map_linear(0x20_0000.into(), 0x8020_0000.into(), 0x20_0000, RW).unwrap();
    assert_eq!(space.translate(0x23_4567.into()), Some(0x8023_4567.into()));
}

#[test]
fn a_part_of_a_large_page_is_unmapped_and_the_rest_stays() {
    let mut space = space();
    space.map_linear(0x4000_0000.into(), 0x8000_0000.into(), 0x40_0000, RW).unwrap();
    let (.., size) = space.page_table().query(0x4000_0000.into()).unwrap();
    assert_eq!(size, page_table_multiarch::PageSize::Size2M);
    space.unmap(0x4000_1000.into(), 0x1000).unwrap();
    assert_eq!(space.translate(0x4000_0000.into()), Some(0x8000_0000.into()));
    assert_eq!(space.translate(0x4000_1000.into()), None);
    assert_eq!(space.translate(0x4000_2000.into()), Some(0x8000_2000.into()));
}

#[test]
fn a_failed_operation_changes_and_leaks_nothing() {
    let mut space = space();
    let before = Frames::allocated();
    for left in 0..7 {
        Frames::limit(left);
        assert_eq!(space.map_alloc(HEAP, 0x4000, RW, true), Err(AxError::NoMemory), "{left} frames");
        assert_eq!((Frames::allocated(), space.translate(HEAP)), (before, None));
    }
    Frames::limit(usize::MAX);
    space.map_alloc(HEAP, 0x4000, RW, true).unwrap();
    assert_eq!(space.map_alloc(HEAP + 0x3000, 0x2000, RW, true), Err(AxError::AlreadyExists));
    assert_eq!(space.map_alloc(HEAP + 0x4000, 0x1000, MappingFlags::empty(), true), Err(AxError::InvalidInput));
    space.unmap(HEAP, 0x4000).unwrap();
    assert_eq!(Frames::allocated(), before);
    drop(space);
    assert_eq!(Frames::allocated(), 0);
}

#[test]
fn edges_of_the_address_space_are_ordinary() {
    let mut space = space();
    let end = GuestPhysAddr::from_usize(usize::MAX - 0xfff);
    assert!(!space.contains_range(end, 0x2000));
    assert_eq!(space.map_linear(end, end.as_usize().into(), 0x2000, RW), Err(AxError::InvalidInput));
    assert_eq!(space.unmap(end, 0x2000), Err(AxError::InvalidInput));
    assert!(AddrSpace::<Frames>::new_empty(4, 0.into(), 1 << 50).is_err());
    assert!(AddrSpace::<Frames>::new_empty(usize::MAX, 0.into(), 1 << 30).is_err());
    space.clear();
}

#[test]
fn the_limit_is_the_rest_of_the_area_and_accesses_go_page_by_page() {
    let mut space = space();
    space.map_alloc(HEAP, 0x3000, RW, true).unwrap();
    let (_, limit) = AddrSpace::translate_and_get_limit(&space, HEAP + 0x123).unwrap();
    assert_eq!(limit, 0x3000 - 0x123);
    let text: Vec<u8> = (0..0x2345).map(|index| (index * 7) as u8).collect();
    space.write_buffer(HEAP + 0x321, &text).unwrap();
    let mut read = vec![0; text.len()];
    space.read_buffer(HEAP + 0x321, &mut read).unwrap();
    assert_eq!(read, text);
    let pieces = space.translated_byte_buffer(HEAP + 0x321, text.len()).unwrap();
    assert_eq!(pieces.concat(), text);
    assert_eq!(space.read_obj::<u32>(HEAP + 0x2ffe), Err(AxError::InvalidInput));
}

#[test]
fn the_host_does_not_touch_devices_nor_write_what_the_guest_may_not() {
    let mut space = space();
    space.map_linear(0x1000.into(), 0xfee0_0000.into(), 0x1000, RW | MappingFlags::DEVICE).unwrap();
    assert_eq!(space.read_obj::<u32>(0x1000.into()), Err(AxError::InvalidInput));
    assert!(space.translated_byte_buffer(0x1000.into(), 4).is_none());
    space.map_alloc(HEAP, 0x1000, MappingFlags::READ, true).unwrap();
    assert_eq!(space.write_obj(HEAP, 1_u8), Err(AxError::InvalidInput));
}

#[test]
fn a_set_of_a_clients_own_works_on_a_table_of_its_own() {
    let mut table = NestedPageTable::<Frames>::new(4).unwrap();
    let mut areas = MemorySet::<Backend<Frames>>::new();
    let linear = MemoryArea::new(0x40_0000.into(), 0x40_0000, RW, Backend::new_linear(0x20_0000));
    areas.map(linear, &mut table, false).unwrap();
    areas.map(MemoryArea::new(HEAP, 0x4000, RW, Backend::new_alloc(true)), &mut table, false).unwrap();
    areas.map(MemoryArea::new(HEAP + 0x10_0000, 0x4000, RW, Backend::new_alloc(false)), &mut table, false).unwrap();
    assert_eq!(table.translate(0x41_2345.into()), Some(0x21_2345.into()));
    assert!(table.translate(HEAP + 0x3000).is_some() && table.translate(HEAP + 0x10_0000).is_none());

    areas.protect(HEAP, 0x1000, |_| Some(MappingFlags::READ), &mut table).unwrap();
    assert_eq!(table.query(HEAP).unwrap().1, MappingFlags::READ);
    assert_eq!(table.query(HEAP + 0x1000).unwrap().1, RW);

    areas.unmap(0x40_1000.into(), 0x1000, &mut table).unwrap();
    assert_eq!(table.translate(0x40_1000.into()), None);
    assert_eq!(table.translate(0x40_2000.into()), Some(0x20_2000.into()));
    areas.clear(&mut table).unwrap();
    assert_eq!(Frames::allocated(), 1, "the root");
    drop(table);
    assert_eq!(Frames::allocated(), 0);
}

#[test]
fn a_table_of_a_clients_own_is_changed_page_by_page_and_by_regions() {
    use memory_set::MappingError;
    use page_table_multiarch::PageSize;

    let mut table = NestedPageTable::<Frames>::new(4).unwrap();
    const ROOT: fn(&NestedPageTable<Frames>) -> axaddrspace::HostPhysAddr = {
        const fn root(table: &NestedPageTable<Frames>) -> axaddrspace::HostPhysAddr {
            table.root_paddr()
        }
        root
    };
    assert_eq!(table.root_paddr(), ROOT(&table));
    table.map(0x40_0000.into(), 0x80_0000.into(), PageSize::Size2M, RW).unwrap();
    assert_eq!(table.map(0x40_1000.into(), 0.into(), PageSize::Size4K, RW), Err(MappingError::AlreadyExists));
    assert_eq!(table.query(0x40_1234.into()), Ok((0x80_1234.into(), RW, PageSize::Size2M)));
    assert!(table.remap(0x40_0000.into(), 0xa0_0000.into(), MappingFlags::READ));
    assert_eq!(table.unmap(0x40_1234.into()), Ok((0xa0_0000.into(), MappingFlags::READ, PageSize::Size2M)));
    assert_eq!(table.unmap(0x40_1234.into()), Err(MappingError::BadState));
    assert!(!table.remap(0x40_0000.into(), 0xa0_0000.into(), RW));

    // Each page where the function says; the last two are taken by another's turn.
    let scattered = |at: GuestPhysAddr| axaddrspace::HostPhysAddr::from_usize(at.as_usize() ^ 0x1000);
    table.map_region(0x1000.into(), scattered, 0x3000, RW, true).unwrap();
    assert_eq!(
        [0x1000, 0x2000, 0x3000].map(|at| table.translate(at.into())),
        [Some(0.into()), Some(0x3000.into()), Some(0x2000.into())]
    );
    let same = |at: GuestPhysAddr| axaddrspace::HostPhysAddr::from_usize(at.as_usize());
    assert_eq!(table.map_region(0.into(), same, 0x2000, RW, true), Err(MappingError::AlreadyExists));
    assert_eq!(table.translate(0.into()), None, "all or nothing");
    for (huge, size) in [(true, PageSize::Size2M), (false, PageSize::Size4K)] {
        table.map_region(0x20_0000.into(), same, 0x20_0000, RW, huge).unwrap();
        assert_eq!(table.query(0x20_0000.into()).unwrap().2, size);
        assert!(table.protect_region(0x20_1000.into(), 0x1000, MappingFlags::READ));
        assert_eq!(table.query(0x20_1000.into()).unwrap().1, MappingFlags::READ);
        table.unmap_region(0x20_0000.into(), 0x1000).unwrap();
        assert_eq!(table.query(0x20_2000.into()).unwrap().1, RW);
        table.unmap_region(0x20_0000.into(), 0x20_0000).unwrap();
    }
    // At the end of the addresses, and beyond.
    let end = GuestPhysAddr::from_usize(usize::MAX - 0xfff);
    assert_eq!(table.map_region(end, same, 0x2000, RW, false), Err(MappingError::InvalidParam));
    assert_eq!(table.unmap_region(0x123.into(), 0x1000), Err(MappingError::InvalidParam));
    assert!(!table.protect_region(end, 0x1000, RW));
    assert_eq!((table.unmap_region(0.into(), 0), table.map_region(0.into(), same, 0, RW, true)), (Ok(()), Ok(())));
    table.unmap_region(0.into(), 0x1_0000).unwrap();
    assert_eq!(Frames::allocated(), 1, "the root");
}

/// A client's own translation, with pages that are not consecutive for the host.
struct Scattered([Box<[u8; 0x1000]>; 2]);

impl GuestMemoryAccessor for Scattered {
    fn translate_and_get_limit(&self, address: GuestPhysAddr) -> Option<(axaddrspace::HostPhysAddr, usize)> {
        let (page, offset) = (address.as_usize() >> 12, address.as_usize() & 0xfff);
        let start = self.0.get(page)?.as_ptr() as usize;
        Some(((start + offset).into(), 0x2000 - address.as_usize()))
    }
}

#[test]
fn a_translation_of_the_clients_is_asked_for_each_page() {
    let memory = Scattered([Box::new([1; 0x1000]), Box::new([2; 0x1000])]);
    assert_eq!(memory.read_obj::<[u8; 4]>(0xffe.into()), Ok([1, 1, 2, 2]));
    assert_eq!(memory.read_obj::<u32>(0x1ffe.into()), Err(AxError::InvalidInput));
    assert_eq!(memory.read_obj::<u32>(usize::MAX.into()), Err(AxError::InvalidInput));
}
