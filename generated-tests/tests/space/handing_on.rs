//! Backends that pass faults on to one of the library's: with other attributes than the area's, or to another space.

use core::fmt::{self, Display, Formatter};

use tablewright::{
    AddrSpace, Alloc, Area, Attributes, Backend, BackendError, ClosedRange, Fault, FaultOutcome, FirstUse, Format,
    FrameCache, Gather, Hal, Joinable, PageTable, Rights, Tag, sim::Machine, walk, x86_64::npt,
};

use crate::{
    rig::{RW, gpa},
    shy::Shy,
    witness::{DIRECT, Witness},
};

/// Frames on first use, of which the guest may only read at first.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ReadFirst(Alloc);

impl ReadFirst {
    fn narrowed(fault: &Fault) -> Fault {
        let mut fault = *fault;
        fault.attributes.rights -= Rights::W;
        fault
    }
}

impl Joinable for ReadFirst {
    fn join(&self, next: &Self) -> Option<Self> {
        self.0.join(&next.0).map(Self)
    }
}

impl Display for ReadFirst {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// SAFETY: all is handed on to a backend that keeps the contract.
unsafe impl Backend for ReadFirst {
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
        // SAFETY: as the caller promises.
        unsafe { self.0.unmap(range, table, gather) }
    }

    fn first_use<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> Option<FirstUse> {
        self.0.first_use(&Self::narrowed(fault), table, frames)
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        self.0.fault(&Self::narrowed(fault), table, frames)
    }
}

fn space() -> AddrSpace<Witness<12>, Machine, ReadFirst> {
    let mut space = AddrSpace::with_backend(DIRECT, Machine::new(0, 1 << 20), Tag(1), gpa(0), 0x1_0000).unwrap();
    space.map(gpa(0x4000), 0x4000, RW, ReadFirst(Alloc::LAZY)).unwrap();
    space
}

#[test]
fn a_page_has_the_rights_that_the_fault_was_handed_on_with() {
    let space = space();
    assert_eq!(space.handle_fault(gpa(0x5000), Rights::R), FaultOutcome::Mapped);
    assert_eq!(space.query(gpa(0x5000)).map(|translation| translation.attributes.rights), Some(Rights::R));
}

/// Its backend says nothing of populating, so each page is a fault of its own.
#[test]
fn pages_that_are_populated_have_these_rights_too() {
    let mut space = space();
    space.populate(gpa(0x3000), 0x3000, Rights::R).unwrap();
    let rights = |at| space.query(gpa(at)).map(|translation| translation.attributes.rights);
    assert_eq!([0x3000, 0x4000, 0x5000, 0x6000].map(rights), [None, Some(Rights::R), Some(Rights::R), None]);
}

/// Where memory is encrypted, each entry has a bit more: a page of another space's format would be one bit off.
#[test]
fn a_fault_of_another_space_is_written_in_the_format_of_the_one_that_it_is_handed_to() {
    let machine = Machine::new(0, 1 << 20);
    let format = |c_bit| npt::Format::new(&npt::Config { pa_bits: 43, c_bit, ..npt::Config::new(4, 48) }).unwrap();
    let shy = Shy::default();
    let mut plain: AddrSpace<_, _, Shy> =
        AddrSpace::with_backend(format(0), machine.clone(), Tag(1), gpa(0), 0x1_0000).unwrap();
    plain.map(gpa(0x4000), 0x1000, RW, shy.clone()).unwrap();
    assert!(matches!(plain.handle_fault(gpa(0x4000), Rights::W), FaultOutcome::NeedsExclusive(_)));
    let fault = shy.faults.lock().unwrap()[0];
    assert!(fault.page.is_some(), "what is resolved is what this is about");

    let mut encrypted = AddrSpace::new_empty(format(47), machine.clone(), Tag(2)).unwrap();
    encrypted.map_alloc(gpa(0x4000), 0x1000, RW, false).unwrap();
    let (table, alloc) = (encrypted.page_table(), Alloc::LAZY);
    let mut frames = table.frame_cache();
    let first_use = alloc.first_use(&fault, table, &mut frames);
    let outcome = first_use.map_or_else(|| alloc.fault(&fault, table, &mut frames), FaultOutcome::from);
    assert_eq!(outcome, FaultOutcome::Mapped);
    let root = table.root().as_usize() as u64;
    let leaf = walk(table.format(), root, 0x4000, |address| machine.read_word(address), |_| {}).unwrap();
    assert_eq!(leaf.raw >> 47 & 1, 1, "{:#x}", leaf.raw);
}

#[test]
fn an_area_is_what_it_says_and_not_what_was_worked_out_for_it() {
    let space = space();
    let range = ClosedRange::from_start_size(0x4000, 0x4000).unwrap();
    let alike = Area::new(range, RW.into(), ReadFirst(Alloc::LAZY));
    assert_eq!(space.find_area(gpa(0x5000)), Some(&alike));
}
