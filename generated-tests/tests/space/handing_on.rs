//! A backend that hands faults on to one of the library's, with other attributes than the area has.

use core::fmt::{self, Display, Formatter};

use tablewright::{
    AddrSpace, Alloc, Area, Attributes, Backend, BackendError, ClosedRange, Fault, FaultOutcome, Format, FrameCache,
    Gather, Hal, Joinable, PageTable, Rights, Tag, sim::Machine,
};

use crate::{
    rig::{RW, gpa},
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
    ) -> Option<FaultOutcome> {
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

#[test]
fn an_area_is_what_it_says_and_not_what_was_worked_out_for_it() {
    let space = space();
    let range = ClosedRange::from_start_size(0x4000, 0x4000).unwrap();
    let alike = Area::new(range, RW.into(), ReadFirst(Alloc::LAZY));
    assert_eq!(space.find_area(gpa(0x5000)), Some(&alike));
}
