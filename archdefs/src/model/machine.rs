//! The machine around the tables: its registers, how it is identified, and its fault reports.

use super::{At, BitMap, Choices};
use crate::expr::Expr;
use crate::source::Span;

/// `[registers.name]`.
#[derive(Clone, Debug)]
pub struct Register {
    /// Its name.
    pub name: At<String>,
    /// What it is for.
    pub role: Role,
    /// The place of `narrow = true`, if given: the register cannot hold every address, and a higher root table is
    /// refused.
    pub narrow: Option<Span>,
    /// Its fields.
    pub fields: Vec<RegisterField>,
    /// For documentation.
    pub doc: Option<String>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// What a register is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `root`: holds the root table's address; loaded to activate an address space.
    Root,
    /// `control`: configures walks; loaded with the root.
    Control,
    /// `bits`: these bits must be set in a register whose other bits belong to others.
    Bits,
}

/// A field of a register: `"7:6 sl0 = 1 if levels == 3"`. Of several with one name, the first whose condition holds.
#[derive(Clone, Debug)]
pub struct RegisterField {
    /// Its bits.
    pub bits: BitMap,
    /// Its name.
    pub name: String,
    /// Its value; `root` and `tag` stand for the root table's address and the tag.
    pub value: Expr,
    /// Where.
    pub when: Option<Expr>,
    /// The whole text.
    pub span: Span,
}

/// A register that the caller reads and passes in: `"cr2: the linear address"`.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its name in expressions.
    pub name: At<String>,
    /// For documentation.
    pub doc: Option<String>,
}

/// `[capabilities]`: parameters from identification registers.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The registers, as names for expressions (`name[high:low]`).
    pub registers: Vec<Reading>,
    /// `"param = value if condition"`; for each parameter, the first whose condition holds.
    pub values: Vec<CapabilityValue>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// A row of `[capabilities] values`.
#[derive(Clone, Debug)]
pub struct CapabilityValue {
    /// The parameter.
    pub param: At<String>,
    /// Its value.
    pub value: Expr,
    /// Where.
    pub when: Option<Expr>,
}

/// `[fault]`: how the hardware's report is read.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The registers of the report.
    pub registers: Vec<Reading>,
    /// The condition under which a report is about a fault of this translation at all.
    pub when: At<Expr>,
    /// The input address; where no item holds, it must be resolved from the guest's virtual address.
    pub address: Choices<Expr>,
    /// What the access was.
    pub access: Choices<FaultAccess>,
    /// What was wrong.
    pub cause: Choices<FaultCause>,
    /// The level, in this project's numbering; no item: not reported.
    pub level: Choices<Expr>,
    /// How many bytes the access moves; no item: not reported.
    pub width: Choices<Expr>,
    /// Whether the fault was met while the guest's own tables were walked.
    pub guest_walk: Option<At<Expr>>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// `[raise.*]`: the report of a fault that software meets while it walks tables, as hardware would have made it for the
/// guest.
#[derive(Clone, Debug)]
pub struct Raise {
    /// The registers of `[fault]`, each with its value.
    pub registers: Vec<RaisedRegister>,
    /// The fields whose values in the leaf are known by their names (0 if it has no such field).
    pub fields: Vec<String>,
}

/// `[raise.name]`.
#[derive(Clone, Debug)]
pub struct RaisedRegister {
    /// Its name, as `[fault]` has it.
    pub name: At<String>,
    /// The condition under which there is such a report at all.
    pub when: Option<Expr>,
    /// Its fields. Known are the fault (`address`, `level`, `entry`, `read` .. `user`, `input` .. `denied`), what leaf
    /// and tables together grant (`pr` .. `ux`), the values of the leaf's fields, and the registers of `[access]`.
    pub fields: Vec<RegisterField>,
    /// For documentation.
    pub doc: Option<String>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// `[access]`: what modifies rights at the time of an access.
#[derive(Clone, Debug)]
pub struct Access {
    /// The registers that do, as names for expressions (`name[high:low]`).
    pub registers: Vec<Reading>,
    /// The fields whose values in the leaf are known by their names (0 if it has no such field).
    pub fields: Vec<String>,
    /// Whether an access is allowed. Known are what it is (`read`, `write`, `execute`, `user`), what leaf and tables
    /// together grant (`granted`: the right it needs; `pr` .. `ux`: each right), and the values of the leaf's fields.
    pub allowed: Choices<Expr>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// The access of a fault report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAccess {
    /// `read`.
    Read,
    /// `write`.
    Write,
    /// `execute`.
    Execute,
    /// `none`: not reported.
    None,
}

/// The cause of a fault report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCause {
    /// `not-mapped`.
    NotMapped,
    /// `permission`.
    Permission,
    /// `access-flag`.
    AccessFlag,
    /// `address-size`.
    AddressSize,
    /// `misconfigured`.
    Misconfigured,
    /// `external`: the walk met a bus error or the like.
    External,
    /// `unspecified`: not reported.
    Unspecified,
}
