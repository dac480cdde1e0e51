//! Programs of steps on an address space.

use tablewright::{
    AddrSpace, Attributes, Change, ClosedRange, Format, GuestPhysAddr, Hal, HostPhysAddr, HostRegion, MemoryType,
    Rights, SpaceError,
};

use super::shift::Shift;

/// One call of the library.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Maps a range.
    Map {
        /// The input addresses.
        range: ClosedRange,
        /// The output address of the first.
        oa: u64,
        /// The rights.
        rights: Rights,
        /// The memory type.
        memory: MemoryType,
    },
    /// Unmaps a range, or a part of it.
    Unmap {
        /// The input addresses.
        range: ClosedRange,
    },
    /// Changes rights.
    Protect {
        /// The input addresses.
        range: ClosedRange,
        /// The new rights.
        rights: Rights,
    },
    /// Moves a range to where nothing is.
    Move {
        /// The input addresses.
        range: ClosedRange,
        /// The new address of the first of them.
        to: u64,
    },
}

/// Steps, in order.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Step {
    /// The input addresses of the step.
    pub fn range(&self) -> ClosedRange {
        match *self {
            Self::Map { range, .. }
            | Self::Unmap { range }
            | Self::Protect { range, .. }
            | Self::Move { range, .. } => range,
        }
    }

    /// The move, if it is one.
    pub(super) fn shift(&self) -> Option<Shift> {
        match *self {
            Self::Move { range, to } => Shift::new(range, to),
            _ => None,
        }
    }
}

impl Program {
    /// Does the steps. What they map is marked accessed and dirty.
    pub(super) fn run<F: Format, H: Hal>(&self, space: &mut AddrSpace<F, H>) -> Result<(), SpaceError> {
        self.run_with(space, Attributes::new)
    }

    /// Does the steps. What they map is marked neither accessed nor dirty.
    pub(super) fn run_unseen<F: Format, H: Hal>(&self, space: &mut AddrSpace<F, H>) -> Result<(), SpaceError> {
        self.run_with(space, unseen)
    }

    fn run_with<F: Format, H: Hal>(
        &self,
        space: &mut AddrSpace<F, H>,
        attributes: fn(Rights, MemoryType) -> Attributes,
    ) -> Result<(), SpaceError> {
        for step in &self.steps {
            let (start, size) = (step.range().start(), step.range().span() + 1);
            let (start, size) = (GuestPhysAddr::from_usize(start as usize), size as usize);
            match *step {
                Step::Map { oa, rights, memory, .. } => {
                    // SAFETY: nobody translates through the space but MMU models, in memory of their own.
                    let region = unsafe { HostRegion::ram(HostPhysAddr::from_usize(oa as usize), size) };
                    let region = region.expect("a step is about some memory");
                    space.map_linear(start, region, attributes(rights, memory))?;
                }
                Step::Unmap { .. } => space.unmap(start, size)?,
                Step::Protect { rights, .. } => {
                    space.protect(start, size, Change { rights: Some(rights), ..Change::default() })?;
                }
                Step::Move { to, .. } => space.move_range(start, size, GuestPhysAddr::from_usize(to as usize))?,
            }
        }
        Ok(())
    }
}

/// Attributes without the accessed and dirty states.
pub(super) fn unseen(rights: Rights, memory: MemoryType) -> Attributes {
    Attributes { accessed: false, dirty: false, ..Attributes::new(rights, memory) }
}
