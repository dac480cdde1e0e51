//! What a processor can be asked: tables under test, and probes.

use crate::mmu::{Chunk, Probe, Verdict};

/// Control registers of the host, to which nested tables of AMD owe their depth and their execute rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// CR4; bit 12 (LA57) makes five levels.
    pub cr4: u64,
    /// EFER; bit 11 (NXE) makes bit 63 of entries forbid execution.
    pub efer: u64,
}

/// CR4.PAE.
pub(super) const PAE: u64 = 1 << 5;
/// CR4.LA57.
const LA57: u64 = 1 << 12;
/// EFER.LME.
pub(super) const LONG_MODE: u64 = 1 << 8;
/// EFER.LMA.
pub(super) const LONG_MODE_ACTIVE: u64 = 1 << 10;

impl Host {
    /// Long mode of four levels, without anything else.
    pub const PLAIN: Self = Self { cr4: PAE, efer: LONG_MODE };

    pub(super) fn five_level(self) -> bool {
        self.cr4 & LA57 != 0
    }
}

/// Nested tables under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// None.
    Off,
    /// Intel's.
    Ept {
        /// The EPT pointer (SDM *Extended-Page-Table Pointer*).
        eptp: u64,
        /// Whether execute rights are by mode (SDM *Mode-Based Execute Control for EPT*): a fetch with [`Probe::user`]
        /// then needs bit 10 in place of bit 2. Without it, `user` makes no difference.
        mode_based_execute: bool,
    },
    /// AMD's, as deep as the host's own.
    Npt {
        /// What is at offset 90h of the VMCB.
        nested_control: u64,
        /// N_CR3.
        n_cr3: u64,
        /// The guest's ASID.
        guest_asid: u64,
    },
}

/// A guest's own tables under test, in long mode: the control registers of the guest. Without nested tables these are
/// tables like any others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// CR0. What a processor needs besides is added, here and below.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// Where the root is in the machine's memory: what CR3 says, if nothing is nested.
    pub root: u64,
}

/// Tables, and questions about them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What is in memory. Chunks must not overlap; the rest of their pages is zero, and other pages hold a tag.
    pub image: &'a [Chunk],
    /// The guest's own tables, if they are under test.
    pub guest: Option<Paging>,
    /// The nested tables, if they are.
    pub nested: Nested,
    /// What is asked, in this order: of guest-physical addresses, or of linear ones if the guest's own tables are under
    /// test, where [`Probe::user`] is privilege level 3.
    pub probes: &'a [Probe],
    /// Words of memory to read afterwards: entries in which the processor may have set flags.
    pub peek: &'a [u64],
}

/// What came of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One for each probe.
    pub verdicts: Vec<Verdict>,
    /// The words asked for.
    pub words: Vec<u64>,
}

impl Nested {
    /// The root in the machine's memory, if there is one.
    pub(super) fn root(self) -> Option<u64> {
        const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
        match self {
            Self::Off => None,
            Self::Ept { eptp, .. } => Some(eptp & ADDRESS),
            Self::Npt { n_cr3, .. } => Some(n_cr3 & ADDRESS),
        }
    }
}

impl Paging {
    pub(super) fn five_level(&self) -> bool {
        self.cr4 & LA57 != 0
    }
}
