//! What happens to live entries: which edits need a break, and how translations are invalidated.

use super::{At, Choice, Choices, MemoryType};
use crate::expr::Expr;
use crate::source::Span;

/// `[live]`.
#[derive(Clone, Debug)]
pub struct Live {
    /// Whether an MMU may cache an entry that is not present.
    pub invalid_cached: Choices<Expr>,
    /// Whether the MMU sets the accessed and dirty states by itself, so that a live entry may change at any moment;
    /// elsewhere an access that would have to set them faults. Without an item: it does not.
    pub hardware: Choices<Expr>,
    /// The edits of a live entry that need break-before-make.
    pub breaks: Vec<Choice<EditClass>>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// Classes of edits of a live leaf. All but `size` leave it a leaf of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditClass {
    /// `output`: it maps to another address.
    Output,
    /// `memory`: another memory type.
    Memory,
    /// `rights`: other rights.
    Rights,
    /// `restriction`: a right is taken away.
    Restriction,
    /// `option`: other options.
    Option,
    /// `size`: a leaf becomes a table or the reverse, or a run begins or ends.
    Size,
}

/// A row of `[memory] fallback`: `"nc -> wc if .."`.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// The type asked for, which no row of the memory field has.
    pub from: MemoryType,
    /// The type taken in its place.
    pub to: MemoryType,
    /// The condition under which it applies.
    pub when: Option<Expr>,
    /// The whole row.
    pub span: Span,
}

/// `[[tlb]]`: an invalidation.
#[derive(Clone, Debug)]
pub struct TlbOp {
    /// Its id.
    pub id: At<String>,
    /// What it reaches.
    pub scope: Scope,
    /// Whether it reaches every CPU, or only the one that executes it.
    pub broadcast: bool,
    /// Whether it drops final translations only (`covers = "leaf"`), not those of tables.
    pub leaf_only: bool,
    /// Whether it acts on the tag that is loaded (`context = "loaded"`) rather than one named by an operand.
    pub loaded_context: bool,
    /// Above this many pages, use the scope `space`.
    pub limit: Option<u64>,
    /// Where it exists.
    pub when: Option<Expr>,
    /// Executed once, before.
    pub before: Vec<Code>,
    /// Executed with the operands, for scope `address` once per page. Empty if nothing is executed.
    pub code: Vec<Code>,
    /// Executed once, after.
    pub after: Vec<Code>,
    /// Nothing is executed: the control with this name is set to this value at the next entry of each CPU that runs the
    /// guest.
    pub at_entry: Option<Operand>,
    /// Nothing is executed: the words of a command for a queue, for scope `address` one command for each page, whose size
    /// is then known as `leaf_bits` (its log2).
    pub command: Vec<At<Expr>>,
    /// Registers and their values; `ia`, `tag` and `root` stand for the page, the tag and the root table.
    pub operands: Vec<Operand>,
    /// Words in memory, for operands of value `&descriptor`; `root` stands for the root register's value here.
    pub descriptor: Vec<At<Expr>>,
    /// For documentation.
    pub doc: Option<String>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// What an invalidation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `address`: the translations of one page.
    Address,
    /// `space`: everything of one tag.
    Space,
    /// `all`: everything.
    All,
}

/// A machine-code unit: two hex digits are a byte, eight a little-endian 32-bit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A byte.
    Byte(u8),
    /// A word.
    Word(u32),
}

/// An operand: `"x0 = ia >> 12"`.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The machine register.
    pub register: String,
    /// Its value; `None` is `&descriptor`.
    pub value: Option<Expr>,
    /// The whole text.
    pub span: Span,
}
