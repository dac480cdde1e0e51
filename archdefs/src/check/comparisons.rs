//! A parameter is compared only with values that it can have: a comparison with any other number is always true or
//! always false.

use super::Checker;
use super::capabilities::out_of_domain;
use crate::expr::{Expr, Node, Op};
use crate::model::{Format, Param};
use crate::visit;

pub(super) fn check(checker: &mut Checker<'_>) {
    let format = checker.format;
    visit::expressions(format, &mut |_, expr| comparisons(checker, format, expr));
}

fn comparisons(checker: &mut Checker<'_>, format: &Format, expr: &Expr) {
    match &expr.node {
        Node::Int(_) | Node::Name(_) | Node::Slice(..) => {}
        Node::Not(inner) => comparisons(checker, format, inner),
        Node::Binary(op, left, right) => {
            if matches!(op, Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge) {
                compared(checker, format, left, right);
                compared(checker, format, right, left);
            }
            comparisons(checker, format, left);
            comparisons(checker, format, right);
        }
    }
}

/// Reports a comparison of a parameter with a number that it never equals.
fn compared(checker: &mut Checker<'_>, format: &Format, name: &Expr, number: &Expr) {
    let (Node::Name(name), Node::Int(value)) = (&name.node, &number.node) else { return };
    let param = format.params.iter().find(|param| param.name.value == *name);
    if let Some(param) = param.filter(|param| !can_be(param, *value)) {
        let message = format!("`{name}` is compared with {value}, which it never is");
        checker.findings.add(out_of_domain(message, number.span, param));
    }
}

/// Where it does not exist, a parameter is 0.
fn can_be(param: &Param, value: i128) -> bool {
    value == 0 && param.when.is_some() || i64::try_from(value).is_ok_and(|value| param.domain.contains(value))
}
