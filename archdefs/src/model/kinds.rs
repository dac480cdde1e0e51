//! What an entry is: the kinds, the levels at which they exist, and the tests that tell them apart.

use super::{At, BitMap, Choices};
use crate::expr::Expr;
use crate::source::Span;

/// Kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Not present.
    Invalid,
    /// Points to a table of the level below.
    Table,
    /// A leaf at level 0.
    Page,
    /// A leaf above level 0.
    Block,
    /// An illegal encoding: hardware faults.
    Reserved,
}

/// `is = ".."` of a `[[kind]]` row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// Not present.
    Invalid,
    /// A pointer to the next table.
    Table,
    /// A page at level 0, a block above.
    Leaf,
    /// Illegal; overrides any other row that matches too.
    Reserved,
}

/// `[[kind]]`: a row of the decision table. Rows that are not `reserved` are disjoint; a `reserved` row wins over them.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its id.
    pub id: At<String>,
    /// What an entry that matches is.
    pub is: Is,
    /// The levels it is for (default: all).
    pub level: LevelSet,
    /// What the entry must match; `None` is `match = "else"`: whatever no other row of the level matches.
    pub matches: Option<Choices<Match>>,
    /// Where the row exists.
    pub when: Option<Expr>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// A set of levels as written: a union of terms minus a union of terms.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelSet {
    /// The terms that are added.
    pub plus: Vec<LevelTerm>,
    /// The terms that are subtracted.
    pub minus: Vec<LevelTerm>,
    /// The whole text.
    pub span: Span,
}

/// A term of a [`LevelSet`].
#[derive(Clone, Debug, PartialEq)]
pub enum LevelTerm {
    /// `n` or `n..=m` or `n..` (up to the top).
    Range(u8, Option<u8>),
    /// `block`: the levels in `[levels] blocks`.
    Block,
}

/// A conjunction of tests on an entry: `"0 == 1 & 3:1 != 0"`.
#[derive(Clone, Debug, Default)]
pub struct Match(pub Vec<Test>);

/// One test of a [`Match`].
#[derive(Clone, Debug)]
pub struct Test {
    /// The bits tested, taken together as one number.
    pub bits: BitMap,
    /// True for `!=`.
    pub negated: bool,
    /// The alternatives (`|`).
    pub values: Vec<TestValue>,
    /// The whole test.
    pub span: Span,
}

/// An alternative of a [`Test`].
#[derive(Clone, Debug)]
pub enum TestValue {
    /// One value.
    Value(Expr),
    /// `a..=b`.
    Range(Expr, Expr),
    /// `ones`: every bit one.
    Ones,
}
