//! MMU models that nobody here wrote, behind one small interface: load an image of physical memory, set the root
//! registers, ask what an access does.

pub mod aarch64;
pub mod deviations;
pub mod iommu;
pub mod loongarch64;
pub mod pc;
pub mod qemu;
mod rings;
pub mod riscv;
pub mod s390x;
pub mod shared;
pub mod stopped;
pub mod x86_64;

/// A piece of physical memory: its address and its bytes.
pub type Chunk = (u64, Vec<u8>);

/// What the guest does at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A data load.
    Read,
    /// A data store.
    Write,
    /// An instruction fetch.
    Execute,
}

/// One question to an MMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The input address (for nested tables the guest-physical one).
    pub address: u64,
    /// What is done there.
    pub access: Access,
    /// Whether the guest does it in its unprivileged mode.
    pub user: bool,
}

/// What an MMU says to a [`Probe`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The access was translated; the output address where the model lets us see it.
    Translated(Option<u64>),
    /// The access faulted.
    Fault(Fault),
}

/// A fault, as the model reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind, read from the report by the manual's encoding (not by generated code).
    pub kind: FaultKind,
    /// The level of the walk in this project's numbering (0 is leaf-most), where the report has it.
    pub level: Option<u8>,
    /// The raw report: register names as in the manual, lower case, with their values.
    pub report: Vec<(&'static str, u64)>,
}

/// Kinds of fault that some architecture tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing is mapped there, or the architecture does not tell this from `Permission`.
    NotMapped,
    /// Mapped, but without the right.
    Permission,
    /// Mapped, but the accessed flag is clear and hardware does not set it.
    AccessFlag,
    /// An address does not fit the configured size.
    AddressSize,
    /// An illegal encoding (EPT misconfiguration).
    Misconfigured,
    /// The MMU faulted, and the architecture does not say why (RISC-V: one cause for all).
    Unspecified,
    /// The access reached memory that does not exist.
    Bus,
}
