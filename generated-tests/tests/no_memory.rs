//! Makes the host's Nth heap allocation fail, for every N, in every operation that records areas: the operation must
//! return an error, and change nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use tablewright::{
    AddrSpace, Alloc, Area, Attributes, Change, ClosedRange, Format, GuestPhysAddr, Hal, HostPhysAddr, HostRegion,
    Invalidation, Joinable, Linear, MappingFlags, MemorySet, MemoryType, Rights, SpaceError, Tag, x86_64::ept,
};

/// Allocations that a thread may still make; `None`: any number.
struct Scarce;

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

thread_local! {
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

// SAFETY: what it gives is the system's.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let left = LEFT.get();
        if left == Some(0) {
            return ptr::null_mut();
        }
        LEFT.set(left.map(|left| left - 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Frames of the system's, beside the allocations that are counted.
#[derive(Clone)]
struct Frames;

fn layout(size: u8) -> Layout {
    Layout::from_size_align(1 << size, 1 << size).expect("a size")
}

// SAFETY: frames are the system's memory; there is no MMU.
unsafe impl Hal for Frames {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        // SAFETY: the size is not 0.
        let frame = unsafe { System.alloc(layout(size)) };
        (!frame.is_null()).then(|| HostPhysAddr::from_usize(frame.expose_provenance()))
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: it was allocated so.
        unsafe { System.dealloc(ptr::with_exposed_provenance_mut(frame.as_usize()), layout(size)) };
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        NonNull::new(ptr::with_exposed_provenance_mut(address.as_usize())).expect("no frame is at 0")
    }

    fn invalidate<F: Format>(&self, _: &F, _: HostPhysAddr, _: Tag, _: &Invalidation) {}
}

/// As many areas as there is room for beside each other, so that one more takes memory; each of four pages, with four
/// between.
const AREAS: usize = 128;
const STEP: usize = 0x8000;

/// Lets every allocation of `operation` fail in turn, each time on something that `make` made: `shape` says what of it must
/// stay as it was.
fn every_allocation_fails<T, S: PartialEq>(
    name: &str,
    make: impl Fn() -> T,
    shape: impl Fn(&T) -> S,
    operation: impl Fn(&mut T) -> Result<(), SpaceError>,
) {
    for allocation in 0.. {
        let mut made = make();
        let before = shape(&made);
        LEFT.set(Some(allocation));
        let result = operation(&mut made);
        LEFT.set(None);
        if result.is_ok() {
            assert!(allocation > 0, "{name} takes no memory: it tests nothing");
            assert!(shape(&made) != before, "{name} does nothing");
            return;
        }
        assert_eq!(result, Err(SpaceError::NoMemory), "{name}");
        assert!(shape(&made) == before, "{name}: allocation {allocation} failed, and something changed");
    }
}

fn ranges<'a, B: Joinable + 'a>(areas: impl Iterator<Item = &'a Area<B>>) -> Vec<(ClosedRange, Rights)> {
    areas.map(|area| (area.range(), area.attributes().rights)).collect()
}

const RW: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);

fn gpa(address: usize) -> GuestPhysAddr {
    GuestPhysAddr::from_usize(address)
}

fn space() -> AddrSpace<ept::Format, Frames> {
    let format = ept::Format::new(&ept::Config { pa_bits: 52, ..ept::Config::new(4, 48) }).unwrap();
    let mut space = AddrSpace::new_empty(format, Frames, Tag(1)).unwrap();
    for number in 0..AREAS {
        space.map(gpa(number * STEP), STEP / 2, RW, Alloc::LAZY).unwrap();
    }
    space
}

#[test]
fn spaces_have_all_that_they_had() {
    let fails = |name, operation: fn(&mut AddrSpace<ept::Format, Frames>) -> Result<(), SpaceError>| {
        every_allocation_fails(name, space, |space| ranges(space.areas()), operation);
    };
    fails("map", |space| space.map(gpa(0x6000), 0x1000, RW, Alloc::LAZY));
    fails("unmap", |space| space.unmap(gpa(0x1000), 0x1000));
    fails("protect", |space| space.protect(gpa(0x1000), 0x1000, MappingFlags::READ));
    fails("replace", |space| {
        // SAFETY: nobody translates through the space.
        let memory =
            unsafe { HostRegion::device(HostPhysAddr::from_usize(0x1000), 0x1000) }.ok_or(SpaceError::NoMemory)?;
        space.replace(gpa(0x1000), 0x1000, RW, Linear::new(gpa(0x1000), memory))
    });
    fails("move a part", |space| space.move_range(gpa(0x1000), 0x1000, gpa(0x6000)));
    fails("move all", |space| space.move_range(gpa(0), AREAS * STEP, gpa(AREAS * STEP)));
    fails("reserve", |space| {
        space.reserve(gpa(0), 0x1000)?;
        space.map(gpa(0x6000), 0x1000, RW, Alloc::LAZY)
    });
}

#[derive(Clone, Debug, PartialEq)]
struct Anything;

impl Joinable for Anything {
    fn join(&self, next: &Self) -> Option<Self> {
        (self == next).then_some(Self)
    }
}

fn area(start: usize, size: usize) -> Area<Anything> {
    let range = ClosedRange::from_start_size(start as u64, size as u64).expect("a range");
    Area::new(range, Attributes::new(Rights::RW, MemoryType::WriteBack), Anything)
}

fn set() -> MemorySet<Anything> {
    let mut set = MemorySet::default();
    for number in 0..AREAS {
        set.insert(area(number * STEP, STEP / 2)).unwrap();
    }
    set
}

#[test]
fn sets_of_areas_have_all_that_they_had() {
    let fails = |name, operation: fn(&mut MemorySet<Anything>) -> Result<(), SpaceError>| {
        every_allocation_fails(name, set, |set| ranges(set.iter()), operation);
    };
    let read_only = Change { rights: Some(Rights::R), ..Change::default() };
    fails("insert", |set| set.insert(area(0x6000, 0x1000)));
    fails("remove", |set| set.remove(ClosedRange::around(0x1000, 12)));
    every_allocation_fails(
        "change",
        set,
        |set| ranges(set.iter()),
        |set| set.change(ClosedRange::around(0x1000, 12), &read_only),
    );
    every_allocation_fails(
        "the first",
        MemorySet::default,
        |set| ranges(set.iter()),
        |set| set.insert(area(0, 0x1000)),
    );
}
