//! The one expression language of the files: integers, parameters, arithmetic, comparisons, logic.

use crate::source::Span;
use std::fmt;

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

impl Op {
    /// Every operator. A longer one comes before the shorter one that it begins with, so that it is found first.
    pub(crate) const ALL: [Self; 15] = [
        Self::AndAlso,
        Self::OrElse,
        Self::Eq,
        Self::Ne,
        Self::Le,
        Self::Ge,
        Self::Shl,
        Self::Shr,
        Self::Mul,
        Self::Add,
        Self::Sub,
        Self::And,
        Self::Or,
        Self::Lt,
        Self::Gt,
    ];

    /// How it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Mul => "*",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Shl => "<<",
            Self::Shr => ">>",
            Self::And => "&",
            Self::Or => "|",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::AndAlso => "&&",
            Self::OrElse => "||",
        }
    }

    /// How tightly it binds.
    pub(crate) fn precedence(self) -> Precedence {
        match self {
            Self::OrElse => Precedence::OrElse,
            Self::AndAlso => Precedence::AndAlso,
            Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => Precedence::Compare,
            Self::Or => Precedence::Or,
            Self::And => Precedence::And,
            Self::Shl | Self::Shr => Precedence::Shift,
            Self::Add | Self::Sub => Precedence::Sum,
            Self::Mul => Precedence::Product,
        }
    }
}

/// How tightly operators bind, loosest first. Comparisons do not chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precedence {
    OrElse,
    AndAlso,
    Compare,
    Or,
    And,
    Shift,
    Sum,
    Product,
    Atom,
}

impl Precedence {
    /// The next tighter one.
    pub(crate) fn tighter(self) -> Self {
        match self {
            Self::OrElse => Self::AndAlso,
            Self::AndAlso => Self::Compare,
            Self::Compare => Self::Or,
            Self::Or => Self::And,
            Self::And => Self::Shift,
            Self::Shift => Self::Sum,
            Self::Sum => Self::Product,
            Self::Product | Self::Atom => Self::Atom,
        }
    }
}

impl Default for Expr {
    fn default() -> Self {
        Self { node: Node::Int(0), span: Span::default() }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, Precedence::OrElse, f)
    }
}

/// Writes an expression, in parentheses if it binds less tightly than `least`.
fn write(expr: &Expr, least: Precedence, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &expr.node {
        Node::Int(value) if *value > 0xffff => write!(f, "{value:#x}"),
        Node::Int(value) => write!(f, "{value}"),
        Node::Name(name) => f.write_str(name),
        Node::Slice(name, high, low) if high == low => write!(f, "{name}[{high}]"),
        Node::Slice(name, high, low) => write!(f, "{name}[{high}:{low}]"),
        Node::Not(inner) => {
            f.write_str("!")?;
            write(inner, Precedence::Atom, f)
        }
        Node::Binary(op, left, right) => {
            let precedence = op.precedence();
            let left_least = if precedence == Precedence::Compare { precedence.tighter() } else { precedence };
            let parentheses = precedence < least;
            f.write_str(if parentheses { "(" } else { "" })?;
            write(left, left_least, f)?;
            write!(f, " {} ", op.symbol())?;
            write(right, precedence.tighter(), f)?;
            f.write_str(if parentheses { ")" } else { "" })
        }
    }
}
