//! Backends written by users, beside the library's own: memory that maps one shared frame of zeros until it is written.

use core::{
    cell::Cell,
    fmt::{self, Display, Formatter},
};

use tablewright::{
    AddrSpace, Alloc, Attributes, Backend, BackendError, Builtin, Change, ClosedRange, Fault, FaultIn, FaultOutcome,
    Format, FrameCache, Gather, GuestMemoryAccessor, Hal, Joinable, MappingFlags, Operation, PageTable, PhysFrame,
    Rights, SpaceError, Tag, sim::Machine,
};

use crate::{
    rig::{READ, RW, gpa, range},
    witness::{BREAKING, DIRECT, LARGE, WIDE},
};

#[derive(Clone, Debug)]
enum Memory {
    Builtin(Builtin),
    Zero(ZeroUntilWritten),
}

/// The frame of zeros that all pages share which were only read.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ZeroUntilWritten {
    zeros: u64,
}

impl ZeroUntilWritten {
    /// The pages in `range` that map the shared frame.
    fn shared<F: Format, H: Hal>(&self, range: ClosedRange, table: &PageTable<F, H>) -> Vec<ClosedRange> {
        table.mappings(range).filter(|leaf| leaf.address == self.zeros).map(|leaf| leaf.range).collect()
    }

    fn unshare<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        let shared = self.shared(range, table);
        Ok(shared.into_iter().try_for_each(|page| table.unmap(page, gather))?)
    }
}

impl From<Alloc> for Memory {
    fn from(alloc: Alloc) -> Self {
        Self::Builtin(alloc.into())
    }
}

impl Joinable for Memory {
    fn join(&self, next: &Self) -> Option<Self> {
        match (self, next) {
            (Self::Builtin(this), Self::Builtin(next)) => this.join(next).map(Self::Builtin),
            (Self::Zero(this), Self::Zero(next)) => (this == next).then_some(Self::Zero(*this)),
            _ => None,
        }
    }
}

impl Display for Memory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(builtin) => builtin.fmt(f),
            Self::Zero(_) => f.write_str("zero until written"),
        }
    }
}

// SAFETY: hooks stay inside their range; the shared frame outlives the space, and all others are the HAL's.
unsafe impl Backend for Memory {
    fn is_ram(&self) -> bool {
        matches!(self, Self::Zero(_)) || matches!(self, Self::Builtin(builtin) if builtin.is_ram())
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        match self {
            Self::Builtin(builtin) => builtin.map(range, attributes, table, gather),
            Self::Zero(_) => Ok(()),
        }
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        match self {
            // SAFETY: as the caller promises.
            Self::Builtin(builtin) => unsafe { builtin.unmap(range, table, gather) },
            Self::Zero(zero) => {
                zero.unshare(range, table, gather)?;
                // SAFETY: what is not shared was populated.
                Ok(unsafe { table.depopulate(range, gather) }?)
            }
        }
    }

    fn protect<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        change: &Change,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        if let Self::Zero(zero) = self {
            // The shared frame must not become writable.
            zero.unshare(range, table, gather)?;
        }
        Ok(table.protect(range, change, gather)?)
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        match self {
            Self::Builtin(builtin) => builtin.fault(fault, table, frames),
            Self::Zero(_) if fault.access.intersects(Rights::W) => FaultOutcome::NeedsExclusive(Operation::CopyOnWrite),
            Self::Zero(zero) => {
                let attributes = Attributes { rights: Rights::R, ..fault.attributes };
                // SAFETY: reading zeros harms nobody.
                match unsafe { table.fault_in(fault.address, F::PAGE_BITS, zero.zeros, &attributes) } {
                    Ok(FaultIn::Installed) => FaultOutcome::Mapped,
                    Ok(_) => FaultOutcome::Spurious,
                    Err(error) => FaultOutcome::Failed(error),
                }
            }
        }
    }

    fn fault_exclusive<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        let Self::Zero(zero) = self else { return FaultOutcome::NotMapped };
        let page = ClosedRange::around(fault.address, F::PAGE_BITS);
        let replaced = zero.unshare(page, table, gather);
        match replaced.map(|()| table.populate(page, &fault.attributes, F::PAGE_BITS, gather)) {
            Ok(Ok(())) => FaultOutcome::Mapped,
            _ => FaultOutcome::OutOfMemory,
        }
    }
}

fn a_page_is_copied_when_it_is_written<F: Format>(format: F) {
    let machine = Machine::new(0, 64 << 20);
    let mut zeros = PhysFrame::alloc_sized(&machine, F::PAGE_BITS).unwrap();
    zeros.fill(0);
    let shared = zeros.start_paddr().unwrap();
    let page = 1 << F::PAGE_BITS;
    let zero = Memory::Zero(ZeroUntilWritten { zeros: shared.as_usize() as u64 });

    let mut space = AddrSpace::<_, _, Memory>::with_backend(format, machine.clone(), Tag(1), gpa(0), 1 << 30).unwrap();
    space.map(gpa(0), 64 * page, RW, zero).unwrap();
    space.map_alloc(gpa(64 * page), page, RW, false).unwrap();
    for number in 0..3 {
        assert_eq!(space.read_obj::<u64>(gpa(number * page + 8)).unwrap(), 0);
        assert_eq!(space.translate(gpa(number * page)), Some(shared));
    }
    assert_eq!(space.handle_fault(gpa(page), Rights::W), FaultOutcome::NeedsExclusive(Operation::CopyOnWrite));
    assert!(space.handle_page_fault(gpa(page), RW));
    assert_ne!(space.translate(gpa(page)), Some(shared));
    space.write_obj(gpa(page), u64::MAX).unwrap();
    assert_eq!(space.read_obj::<u64>(gpa(0)).unwrap(), 0);

    // Taking rights away and giving them back does not make the shared frame writable.
    space.protect(gpa(0), 64 * page, READ).unwrap();
    space.protect(gpa(0), 64 * page, RW).unwrap();
    assert_eq!(space.handle_fault(gpa(0), Rights::W), FaultOutcome::NeedsExclusive(Operation::CopyOnWrite));
    assert_eq!(space.read_obj::<u64>(gpa(page)).unwrap(), u64::MAX);

    drop(space);
    assert_eq!(machine.used(), page);
    drop(zeros);
    assert_eq!(machine.used(), 0);
    assert_eq!(machine.take_errors(), []);
}

#[test]
fn a_custom_backend_copies_on_write() {
    a_page_is_copied_when_it_is_written(DIRECT);
    a_page_is_copied_when_it_is_written(WIDE);
    a_page_is_copied_when_it_is_written(BREAKING);
    a_page_is_copied_when_it_is_written(LARGE);
}

thread_local! {
    /// An address of which [`Apart`] does not let go, and which it does not change.
    static HELD: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What the library has, each area on its own: what was cut is never one again, though it may be changed together with
/// others.
#[derive(Clone, Debug)]
struct Apart(Builtin);

impl From<Alloc> for Apart {
    fn from(alloc: Alloc) -> Self {
        Self(alloc.into())
    }
}

impl Joinable for Apart {
    fn join(&self, _next: &Self) -> Option<Self> {
        None
    }
}

impl Display for Apart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// SAFETY: all is as what is inside does it.
unsafe impl Backend for Apart {
    fn is_ram(&self) -> bool {
        self.0.is_ram()
    }

    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        attributes: &Attributes,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        self.0.map(range, attributes, table, gather)
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        if HELD.get().is_some_and(|held| range.contains(held)) {
            return Err(BackendError::Custom("held"));
        }
        // SAFETY: as the caller promises.
        unsafe { self.0.unmap(range, table, gather) }
    }

    fn works_like(&self, other: &Self) -> bool {
        HELD.get().is_none() && self.0.works_like(&other.0)
    }

    fn protect<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        change: &Change,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        if HELD.get().is_some_and(|held| range.contains(held)) {
            return Err(BackendError::Custom("held"));
        }
        self.0.protect(range, change, table, gather)
    }

    unsafe fn discard<F: Format, H: Hal>(&self, range: ClosedRange, table: &mut PageTable<F, H>) {
        // SAFETY: as the caller promises.
        unsafe { self.0.discard(range, table) }
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        self.0.fault(fault, table, frames)
    }
}

#[test]
fn areas_from_the_first_that_does_not_go_are_still_there() {
    let machine = Machine::new(0, 1 << 20);
    let mut space = AddrSpace::<_, _, Apart>::with_backend(DIRECT, machine.clone(), Tag(1), gpa(0), 1 << 30).unwrap();
    for start in [0, 0x4000, 0x6000, 0x8000] {
        space.map(gpa(start), 0x2000, RW, Alloc::POPULATED).unwrap();
    }
    HELD.set(Some(0x6000));
    let (held, error) = (ClosedRange::around(0x6000, 13), BackendError::Custom("held"));
    assert_eq!(space.unmap(gpa(0x1000), 0x8000), Err(SpaceError::Area { area: held, error }));
    let left: Vec<_> = space.areas().map(|area| (area.range().start(), area.range().last())).collect();
    assert_eq!(left, [(0, 0xfff), (0x6000, 0x7fff), (0x8000, 0x9fff)]);
    let mapped: Vec<_> = (0..10).filter(|page| space.translate(gpa(page << 12)).is_some()).collect();
    assert_eq!(mapped, [0, 6, 7, 8, 9]);
    HELD.set(None);
    drop(space);
    assert_eq!((machine.used(), machine.take_errors()), (0, vec![]));
}

#[test]
fn areas_before_one_that_does_not_change_are_as_they_were() {
    let machine = Machine::new(0, 1 << 20);
    let mut space = AddrSpace::<_, _, Apart>::with_backend(DIRECT, machine.clone(), Tag(1), gpa(0), 1 << 30).unwrap();
    for (start, rights) in [(0, RW), (0x2000, READ), (0x6000, RW), (0x8000, READ)] {
        space.map(gpa(start), 0x2000, rights, Alloc::POPULATED).unwrap();
    }
    let state = |space: &AddrSpace<_, _, Apart>| {
        let areas: Vec<_> = space.areas().map(|area| (area.range(), area.attributes().rights)).collect();
        let leaves: Vec<_> = (0..10).map(|page| Some(space.query(gpa(page << 12))?.attributes.rights)).collect();
        (areas, leaves)
    };
    let before = state(&space);
    let (held, error) = (ClosedRange::around(0x6000, 13), BackendError::Custom("held"));
    HELD.set(Some(0x6000));
    let refused = space.protect(gpa(0x1000), 0x8000, MappingFlags::READ | MappingFlags::EXECUTE);
    assert_eq!(refused, Err(SpaceError::Area { area: held, error }));
    assert_eq!(state(&space), before);

    // Together, they differ from what they were only in what was changed.
    HELD.set(None);
    machine.take_log();
    space.protect(gpa(0x1000), 0x8000, MappingFlags::READ | MappingFlags::EXECUTE).unwrap();
    assert_eq!(machine.take_log().len(), 1);
    let (areas, leaves) = state(&space);
    let expected = [(0, 1, Rights::RW), (1, 1, Rights::RX), (2, 2, Rights::RX), (6, 2, Rights::RX), (8, 1, Rights::RX)];
    let expected = expected.into_iter().chain([(9, 1, Rights::R)]);
    let expected = expected.map(|(page, pages, rights)| (range(page << 12, pages << 12), rights)).collect::<Vec<_>>();
    assert_eq!(areas, expected);
    let (rw, rx) = (Some(Rights::RW), Some(Rights::RX));
    assert_eq!(leaves, [rw, rx, rx, rx, None, None, rx, rx, rx, Some(Rights::R)]);
    drop(space);
    assert_eq!((machine.used(), machine.take_errors()), (0, vec![]));
}

/// What is done to a part of a space.
type ToPart<F> = fn(&mut AddrSpace<F, Machine, Apart>, usize, usize);

/// Whatever is done to a part of an area, areas end where leaves do: each frame goes back once, and without any memory.
fn leaves_are_in_one_area<F: Format>(format: F) {
    let edits: [ToPart<F>; 4] = [
        |space, start, size| space.protect(gpa(start), size, RW).unwrap(),
        |space, start, size| space.protect(gpa(start), size, READ).unwrap(),
        |space, start, size| {
            space.start_dirty_log(gpa(start), size).unwrap();
            space.stop_dirty_log(gpa(start), size).unwrap();
        },
        |space, start, size| space.replace(gpa(start), size, RW, Alloc::POPULATED).unwrap(),
    ];
    let (page, block) = (1 << F::PAGE_BITS, 1 << format.geometry().entry_bits(1));
    for ((edit, clear), start) in
        edits.into_iter().flat_map(|edit| [(edit, true), (edit, false)]).flat_map(|of| [(of, 0), (of, page)])
    {
        let machine = Machine::new(0, 128 << 20);
        machine.join_frames();
        let mut space =
            AddrSpace::<_, _, Apart>::with_backend(format, machine.clone(), Tag(1), gpa(0), 1 << 30).unwrap();
        space.map(gpa(0), block, RW, Alloc::POPULATED.up_to(63)).unwrap();
        space.map(gpa(block), block, RW, Alloc::POPULATED.up_to(63)).unwrap();
        for (start, size) in [(start, page), (block - page, 2 * page)] {
            edit(&mut space, start, size);
            for area in space.areas() {
                let mut leaves = space.page_table().mappings(area.range());
                assert!(leaves.all(|leaf| area.range().covers(&leaf.range)), "{space}");
            }
        }
        machine.fail_allocation(0);
        if clear {
            space.clear().unwrap();
        }
        drop(space);
        assert!(machine.cancel_failure(), "it asked for memory");
        assert_eq!((machine.used(), machine.take_errors()), (0, vec![]));
    }
}

#[test]
fn leaves_do_not_reach_beyond_areas_that_are_never_one_again() {
    leaves_are_in_one_area(DIRECT);
    leaves_are_in_one_area(WIDE);
    leaves_are_in_one_area(BREAKING);
    leaves_are_in_one_area(LARGE);
}
