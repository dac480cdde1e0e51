//! Why there are no verdicts.

use dynasmrt::DynasmError;

use super::Nested;
use crate::mmu::{Probe, pc};

/// Why there are no verdicts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The emulator did not do it.
    #[error(transparent)]
    Pc(#[from] pc::Error),
    /// The stub could not be assembled.
    #[error("the stub: {0}")]
    Stub(#[from] DynasmError),
    /// The processor model lacks a feature.
    #[error("the processor model {model} has no {feature}")]
    Lacks {
        /// The emulator's name of the model.
        model: String,
        /// What it has not.
        feature: &'static str,
    },
    /// A chunk, a root or a word to read is not in [`Machine::RAM`](super::Machine::RAM).
    #[error("{start:#x}..{end:#x} is not in the memory free for tables")]
    OutsideRam {
        /// First address.
        start: u64,
        /// The address after the last one.
        end: u64,
    },
    /// A guest-physical address of more than 52 bits, which no processor has.
    #[error("{address:#x} is not a guest-physical address")]
    NoSuchAddress {
        /// The address of the probe.
        address: u64,
    },
    /// A batch is too large for one run.
    #[error("a batch has {size} bytes, more than the 2 MiB of a ROM")]
    TooLarge {
        /// Size of its tables and probes, as the stub reads them.
        size: usize,
    },
    /// VM entry failed, so the root register is illegal (SDM *Checks on VM-Execution Control Fields*), or another.
    #[error("VM entry with {nested:x?} failed: error {error}")]
    EntryRefused {
        /// The nested tables.
        nested: Nested,
        /// The number of the VM-instruction error (SDM *VM Instruction Error Numbers*); AMD's processors have but one.
        error: u64,
    },
    /// The guest came back in a way that no probe should end with.
    #[error("{probe:x?} ended with {report:x?}")]
    StrangeExit {
        /// What was asked.
        probe: Probe,
        /// What the processor reported.
        report: Vec<(&'static str, u64)>,
    },
}
