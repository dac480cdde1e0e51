//! A program of steps on a page table, and its own plain idea of what they come to.

use tablewright::{Attributes, Change, ClosedRange, Error, Format, Hal, MemoryType, PageTable, Rights};

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
}

/// Steps, in order.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Step {
    /// The input addresses that it is about.
    pub fn range(&self) -> ClosedRange {
        match *self {
            Self::Map { range, .. } | Self::Unmap { range } | Self::Protect { range, .. } => range,
        }
    }
}

impl Program {
    /// Where `ia` maps to after all steps, and with what rights.
    pub fn expect(&self, ia: u64) -> Option<(u64, Rights)> {
        let steps = self.steps.iter().filter(|step| step.range().contains(ia));
        steps.fold(None, |mapped, step| match *step {
            Step::Map { range, oa, rights, .. } => Some((oa + (ia - range.start()), rights)),
            Step::Unmap { .. } => None,
            Step::Protect { rights, .. } => mapped.map(|(oa, _)| (oa, rights)),
        })
    }

    /// Does the steps.
    pub(super) fn run<F: Format, H: Hal>(&self, table: &mut PageTable<F, H>) -> Result<(), Error> {
        let mut gather = table.gather();
        for step in &self.steps {
            match *step {
                Step::Map { range, oa, rights, memory } => {
                    // SAFETY: nobody translates through the table but MMU models, in memory of their own.
                    unsafe { table.map(range, oa, &Attributes::new(rights, memory), &mut gather) }?;
                }
                Step::Unmap { range } => table.unmap(range, &mut gather)?,
                Step::Protect { range, rights } => {
                    table.protect(range, &Change { rights: Some(rights), ..Change::default() }, &mut gather)?;
                }
            }
        }
        Ok(())
    }
}
