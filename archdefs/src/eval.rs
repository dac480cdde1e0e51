//! Evaluates expressions. It never panics: every failure is an error value with a place.

use std::fmt;

use crate::bound::{Params, low_bits};
use crate::expr::{Expr, Node, Op};
use crate::source::Span;

/// What the names of an expression stand for: the parameters and what is known at the place of the expression.
#[derive(Clone, Debug, Default)]
pub struct Env<'a> {
    params: Option<&'a Params>,
    locals: Vec<(&'a str, i128)>,
}

impl<'a> Env<'a> {
    /// The parameters, `levels` and `input_bits`, and no other names.
    pub fn new(params: &'a Params) -> Self {
        Self { params: Some(params), locals: Vec::new() }
    }

    /// Only what [`Env::with`] adds: for reports of hardware, whose conditions do not depend on parameters.
    pub fn bare() -> Self {
        Self::default()
    }

    /// This environment with one more name.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: impl Into<i128>) -> Self {
        self.locals.push((name, value.into()));
        self
    }

    fn get(&self, name: &str) -> Option<i128> {
        let local = self.locals.iter().rev().find(|local| local.0 == name);
        match local {
            Some(&(_, value)) => Some(value),
            None => self.params?.number(name),
        }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    /// What is wrong.
    pub kind: EvalErrorKind,
    /// The part of the expression that is wrong.
    pub span: Span,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// A name without a value here.
    Unknown(String),
    /// A result beyond 128 bits.
    Overflow,
    /// A shift by less than 0 or more than 127.
    Shift(i128),
    /// A slice whose high bit is below its low bit.
    Slice,
}

impl fmt::Display for EvalErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "`{name}` means nothing here"),
            Self::Overflow => write!(f, "the result is too large"),
            Self::Shift(by) => write!(f, "a shift by {by} is not between 0 and 127"),
            Self::Slice => write!(f, "the high bit is below the low bit"),
        }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for EvalError {}

/// The value of `expr`. `&&` and `||` do not evaluate their right side if the left decides.
///
/// # Errors
///
/// [`EvalError`] with the offending part.
pub fn eval(expr: &Expr, env: &Env<'_>) -> Result<i128, EvalError> {
    let error = |kind| EvalError { kind, span: expr.span };
    let lookup = |name: &str| env.get(name).ok_or_else(|| error(EvalErrorKind::Unknown(name.into())));
    match &expr.node {
        Node::Int(value) => Ok(*value),
        Node::Name(name) => lookup(name),
        Node::Slice(name, high, low) => {
            let width = high.checked_sub(*low).ok_or_else(|| error(EvalErrorKind::Slice))?;
            let shifted = lookup(name)?.checked_shr(u32::from(*low)).unwrap_or(0);
            let mask = 2_i128.checked_pow(u32::from(width) + 1).map_or(i128::MAX, |limit| limit - 1);
            Ok(shifted & mask)
        }
        Node::Not(inner) => Ok(i128::from(eval(inner, env)? == 0)),
        Node::Binary(Op::AndAlso, left, right) => Ok(i128::from(eval(left, env)? != 0 && eval(right, env)? != 0)),
        Node::Binary(Op::OrElse, left, right) => Ok(i128::from(eval(left, env)? != 0 || eval(right, env)? != 0)),
        Node::Binary(op, left, right) => binary(*op, eval(left, env)?, eval(right, env)?).map_err(error),
    }
}

fn binary(op: Op, left: i128, right: i128) -> Result<i128, EvalErrorKind> {
    let shift = || match u32::try_from(right) {
        Ok(by) if by < 128 => Ok(by),
        _ => Err(EvalErrorKind::Shift(right)),
    };
    let in_range = |value: Option<i128>| value.ok_or(EvalErrorKind::Overflow);
    let truth = |holds| Ok(i128::from(holds));
    match op {
        Op::Mul => in_range(left.checked_mul(right)),
        Op::Add => in_range(left.checked_add(right)),
        Op::Sub => in_range(left.checked_sub(right)),
        Op::Shl => {
            let by = shift()?;
            in_range(Some(left << by).filter(|result| result >> by == left))
        }
        Op::Shr => Ok(left >> shift()?),
        Op::And => Ok(left & right),
        Op::Or => Ok(left | right),
        Op::Eq => truth(left == right),
        Op::Ne => truth(left != right),
        Op::Lt => truth(left < right),
        Op::Le => truth(left <= right),
        Op::Gt => truth(left > right),
        Op::Ge => truth(left >= right),
        Op::AndAlso => truth(left != 0 && right != 0),
        Op::OrElse => truth(left != 0 || right != 0),
    }
}

/// Whether `when` holds; no condition always holds.
///
/// # Errors
///
/// As for [`eval`].
pub fn holds(when: Option<&Expr>, env: &Env<'_>) -> Result<bool, EvalError> {
    match when {
        Some(condition) => Ok(eval(condition, env)? != 0),
        None => Ok(true),
    }
}

/// Calls `see` with each name in `expr` and its place.
pub fn names(expr: &Expr, see: &mut dyn FnMut(&str, Span)) {
    match &expr.node {
        Node::Int(_) => {}
        Node::Name(name) | Node::Slice(name, ..) => see(name, expr.span),
        Node::Not(inner) => names(inner, see),
        Node::Binary(_, left, right) => {
            names(left, see);
            names(right, see);
        }
    }
}

/// Calls `see` with each part of a register that `expr` reads: its name, its bits as a mask, and its place.
pub fn slices(expr: &Expr, see: &mut dyn FnMut(&str, u64, Span)) {
    match &expr.node {
        Node::Int(_) | Node::Name(_) => {}
        Node::Slice(name, high, low) => see(name, low_bits(u64::MAX, high + 1 - low) << low, expr.span),
        Node::Not(inner) => slices(inner, see),
        Node::Binary(_, left, right) => {
            slices(left, see);
            slices(right, see);
        }
    }
}

/// Calls `see` with each number in `expr`.
pub fn literals(expr: &Expr, see: &mut dyn FnMut(i128)) {
    match &expr.node {
        Node::Int(value) => see(*value),
        Node::Name(_) | Node::Slice(..) => {}
        Node::Not(inner) => literals(inner, see),
        Node::Binary(_, left, right) => {
            literals(left, see);
            literals(right, see);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i128) -> Box<Expr> {
        Box::new(Expr { node: Node::Int(value), span: Span::default() })
    }

    fn of(node: Node) -> Result<i128, EvalErrorKind> {
        let env = Env::bare().with("register", 0xabcd_i128);
        let span = Span::default();
        eval(&Expr { node, span }, &env).map_err(|error| error.kind)
    }

    #[test]
    fn slices_are_inclusive() {
        assert_eq!(of(Node::Slice("register".into(), 11, 4)), Ok(0xbc));
        assert_eq!(of(Node::Slice("register".into(), 255, 0)), Ok(0xabcd));
        assert_eq!(of(Node::Slice("register".into(), 255, 200)), Ok(0));
        assert_eq!(of(Node::Slice("register".into(), 0, 1)), Err(EvalErrorKind::Slice));
    }

    #[test]
    fn shifts_out_of_range_and_overflows_are_errors() {
        assert_eq!(of(Node::Binary(Op::Shl, int(1), int(126))), Ok(1 << 126));
        assert_eq!(of(Node::Binary(Op::Shl, int(1), int(127))), Err(EvalErrorKind::Overflow));
        assert_eq!(of(Node::Binary(Op::Shl, int(1), int(128))), Err(EvalErrorKind::Shift(128)));
        assert_eq!(of(Node::Binary(Op::Shr, int(1), int(-1))), Err(EvalErrorKind::Shift(-1)));
        assert_eq!(of(Node::Binary(Op::Add, int(i128::MAX), int(1))), Err(EvalErrorKind::Overflow));
    }

    #[test]
    fn logic_stops_as_soon_as_it_is_decided() {
        let unknown = || Box::new(Expr { node: Node::Name("nobody".into()), span: Span::default() });
        assert_eq!(of(Node::Binary(Op::AndAlso, int(0), unknown())), Ok(0));
        assert_eq!(of(Node::Binary(Op::OrElse, int(7), unknown())), Ok(1));
        assert_eq!(of(Node::Binary(Op::AndAlso, int(1), unknown())), Err(EvalErrorKind::Unknown("nobody".into())));
    }
}
