//! Raw values and their meaning, from the manual.

use super::{At, Class, Facts, FaultAccess, FaultCause, MemoryType};
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
    pub width: Option<u8>,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}
