//! Raw values and their meaning, from the manual.

use super::{
    Assignments, At, Class, Code, Facts, FaultAccess, FaultCause, MemoryType, Operand, Scope, Shareability, Signal,
};
use crate::source::Span;

/// `[[example.*]]`: raw values and their meaning, from the manual. They read no other row of the file.
#[derive(Clone, Debug)]
pub enum Example {
    /// `[[example.entry]]`.
    Entry(EntryExample),
    /// `[[example.edit]]`.
    Edit(EditExample),
    /// `[[example.register]]`.
    Register(RegisterExample),
    /// `[[example.fault]]`.
    Fault(FaultExample),
    /// `[[example.access]]`.
    Access(AccessExample),
    /// `[[example.capability]]`.
    Capability(CapabilityExample),
    /// `[[example.invalidation]]`.
    Invalidation(Box<InvalidationExample>),
    /// `[[example.completion]]`.
    Completion(CompletionExample),
    /// `[[example.translated]]`.
    Translated(TranslatedExample),
}

impl Example {
    /// The `[[config]]` it is read under.
    pub const fn config(&self) -> &At<String> {
        match self {
            Self::Entry(example) => &example.config,
            Self::Edit(example) => &example.config,
            Self::Register(example) => &example.config,
            Self::Fault(example) => &example.config,
            Self::Access(example) => &example.config,
            Self::Capability(example) => &example.config,
            Self::Invalidation(example) => &example.config,
            Self::Completion(example) => &example.config,
            Self::Translated(example) => &example.config,
        }
    }

    /// Where it stands.
    pub const fn span(&self) -> Span {
        match self {
            Self::Entry(example) => example.span,
            Self::Edit(example) => example.span,
            Self::Register(example) => example.span,
            Self::Fault(example) => example.span,
            Self::Access(example) => example.span,
            Self::Capability(example) => example.span,
            Self::Invalidation(example) => example.span,
            Self::Completion(example) => example.span,
            Self::Translated(example) => example.span,
        }
    }
}

/// An entry and what it means.
#[derive(Clone, Debug)]
pub struct EntryExample {
    /// The `[[config]]` it is read under.
    pub config: At<String>,
    /// The level it stands at.
    pub level: u8,
    /// The entry.
    pub raw: u64,
    /// What it is.
    pub class: Class,
    /// Output or table address.
    pub address: Option<u64>,
    /// Rights and states of this entry alone.
    pub rights: Option<Facts>,
    /// Memory type.
    pub memory: Option<MemoryType>,
    /// Number of items, if it belongs to a run.
    pub run: Option<u64>,
    /// The manual's number of the level.
    pub label: Option<i64>,
    /// Whether the encoder writes exactly this entry for its meaning.
    pub written: bool,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A live edit and its verdict.
#[derive(Clone, Debug)]
pub struct EditExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The level.
    pub level: u8,
    /// Before.
    pub old: u64,
    /// After.
    pub new: u64,
    /// Whether it needs break-before-make.
    pub needs_break: bool,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A root or control register's value.
#[derive(Clone, Debug)]
pub struct RegisterExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The register.
    pub register: At<String>,
    /// The root table's address.
    pub root: u64,
    /// The tag.
    pub tag: u64,
    /// The value.
    pub raw: u64,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// An access through a leaf, and whether it is allowed.
#[derive(Clone, Debug)]
pub struct AccessExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The level of the leaf.
    pub level: u8,
    /// The leaf.
    pub raw: u64,
    /// The rights that the tables above leave.
    pub limit: Facts,
    /// The right that the access needs.
    pub access: Facts,
    /// The registers, in the order of `[access] registers`.
    pub registers: Vec<u64>,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A fault report and its meaning.
#[derive(Clone, Debug)]
pub struct FaultExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The report's registers, in the order of `[fault] registers`.
    pub report: Vec<u64>,
    /// The input address, if the report has it.
    pub address: Option<u64>,
    /// The access.
    pub access: FaultAccess,
    /// The cause.
    pub cause: FaultCause,
    /// The level, if reported.
    pub level: Option<u8>,
    /// How many bytes the access moves, if reported.
    pub width: Option<u64>,
    /// Whether the fault was met while the guest's own tables were walked.
    pub guest_walk: bool,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A machine's identification registers, and the parameters that follow from them.
#[derive(Clone, Debug)]
pub struct CapabilityExample {
    /// The `[[config]]` that gives the build parameters and the size.
    pub config: At<String>,
    /// The registers, in the order of `[capabilities] registers`.
    pub registers: Vec<u64>,
    /// The parameters, as a `[[config]]` would set them.
    pub set: Assignments,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// What must be invalidated, and how that is done.
#[derive(Clone, Debug)]
pub struct InvalidationExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// What must be invalidated.
    pub scope: Scope,
    /// With scope `address`, the first page.
    pub start: u64,
    /// With scope `address`, the number of pages.
    pub pages: u64,
    /// With scope `address`, log2 of the size of a page; `None`: the smallest.
    pub page_bits: Option<u8>,
    /// Whether only leaves changed.
    pub leaf_only: bool,
    /// The root table's address.
    pub root: u64,
    /// The tag.
    pub tag: u64,
    /// The operation that does it; `None`: the format has none.
    pub operation: Option<At<String>>,
    /// How often it is done.
    pub times: u64,
    /// What is executed, from first to last, if it is done once.
    pub code: Vec<Code>,
    /// The operands of the first times.
    pub operands: Vec<Operand>,
    /// The descriptors of the first times, word by word.
    pub descriptor: Vec<u64>,
    /// The commands of the first times, word by word.
    pub command: Vec<u64>,
    /// The control that is set at the next entry.
    pub at_entry: Option<Operand>,
    /// Whether it reaches every CPU, if that is said.
    pub broadcast: Option<bool>,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A command that reports completion.
#[derive(Clone, Debug)]
pub struct CompletionExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// How the device reports it.
    pub signal: Signal,
    /// With signal `write`, where it writes.
    pub address: u64,
    /// With signal `write`, what it writes.
    pub data: u64,
    /// The command, word by word; none if it is refused.
    pub command: Vec<u64>,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// The result of the machine's own instruction for a translation.
#[derive(Clone, Debug)]
pub struct TranslatedExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The registers, in the order of `[translated] registers`.
    pub registers: Vec<u64>,
    /// Where the page is; `None`: the translation faulted.
    pub address: Option<u64>,
    /// Its memory type, if it has a name.
    pub memory: Option<MemoryType>,
    /// Who shares it, if reported.
    pub shareability: Option<Shareability>,
    /// What was wrong.
    pub cause: Option<FaultCause>,
    /// The level, if reported.
    pub level: Option<u8>,
    /// Whether the fault is one of the second stage.
    pub second_stage: bool,
    /// Whether it was met while the tables of the first stage were walked.
    pub guest_walk: bool,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

impl InvalidationExample {
    /// The last address of the pages, if each has `1 << page_bits` bytes.
    pub fn last(&self, page_bits: u8) -> u64 {
        let bytes = u128::from(self.pages.max(1)) << page_bits.min(63);
        self.start.saturating_add(u64::try_from(bytes - 1).unwrap_or(u64::MAX))
    }
}
