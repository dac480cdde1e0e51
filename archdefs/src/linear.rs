//! Bit positions as linear sums of names, so that one can be subtracted from another.

use crate::expr::{Expr, Node, Op};

/// `constant + sum of factor * name`.
pub struct Linear {
    constant: i128,
    terms: Vec<(String, i128)>,
}

impl Linear {
    /// The linear form of `expr`, if it has one.
    #[must_use]
    pub fn of(expr: &Expr) -> Option<Self> {
        Self::under(expr, &|_| None)
    }

    /// As [`Linear::of`], with the values of the names that are `known`.
    pub fn under(expr: &Expr, known: &dyn Fn(&str) -> Option<i128>) -> Option<Self> {
        let of = |expr| Self::under(expr, known);
        match &expr.node {
            Node::Int(value) => Some(Self::number(*value)),
            Node::Name(name) => Some(match known(name) {
                Some(value) => Self::number(value),
                None => Self { constant: 0, terms: vec![(name.clone(), 1)] },
            }),
            Node::Binary(Op::Add, a, b) => of(a)?.plus(&of(b)?, 1),
            Node::Binary(Op::Sub, a, b) => of(a)?.minus(&of(b)?),
            Node::Binary(Op::Mul, a, b) => {
                let (a, b) = (of(a)?, of(b)?);
                match (a.constant(), b.constant()) {
                    (Some(factor), _) => Self::number(0).plus(&b, factor),
                    (_, Some(factor)) => Self::number(0).plus(&a, factor),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn number(constant: i128) -> Self {
        Self { constant, terms: Vec::new() }
    }

    /// The difference, unless it overflows.
    #[must_use]
    pub fn minus(self, other: &Self) -> Option<Self> {
        self.plus(other, -1)
    }

    fn plus(mut self, other: &Self, factor: i128) -> Option<Self> {
        self.constant = self.constant.checked_add(other.constant.checked_mul(factor)?)?;
        for (name, count) in &other.terms {
            let more = count.checked_mul(factor)?;
            match self.terms.iter_mut().find(|(known, _)| known == name) {
                Some((_, so_far)) => *so_far = so_far.checked_add(more)?,
                None => self.terms.push((name.clone(), more)),
            }
        }
        self.terms.retain(|(_, count)| *count != 0);
        Some(self)
    }

    /// Its value, if no name is left.
    #[must_use]
    pub fn constant(&self) -> Option<i128> {
        self.terms.is_empty().then_some(self.constant)
    }
}
