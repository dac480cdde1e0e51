//! The one expression language of the files: integers, parameters, arithmetic, comparisons, logic.

use crate::source::Span;

/// An expression. Truth values are 0 and 1; arithmetic is on `i128`, so that no 64-bit value overflows.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Where it stands.
    pub span: Span,
}

/// The forms of an [`Expr`].
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// An integer: `12`, `0b101`, `0x8000_0000_0000_0000`; also `true` and `false`.
    Int(i128),
    /// A parameter, or one of the built-in names: `levels`, `input_bits`, `page_bits`, `index_bits`, `level`,
    /// `leaf_bits`, `run_bits`, `root`, `tag`, `ia`.
    Name(String),
    /// `register[high:low]` or `register[bit]`.
    Slice(String, u8, u8),
    /// `!a`
    Not(Box<Expr>),
    /// `a op b`
    Binary(Op, Box<Expr>, Box<Expr>),
}

/// Binary operators, in the order of their precedence (tightest first), as in Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `*`
    Mul,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `&`
    And,
    /// `|`
    Or,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `&&`
    AndAlso,
    /// `||`
    OrElse,
}
