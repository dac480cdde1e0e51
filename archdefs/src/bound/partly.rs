//! Simplifies a condition of which only some names have known values.

use crate::eval::{Env, eval};
use crate::expr::{Expr, Node, Op};

/// Whether `condition` holds; if the `known` names do not decide that, the part of it that remains to be decided.
pub(super) fn partly(condition: &Expr, known: &Env<'_>) -> Result<bool, Expr> {
    let of = |node| Expr { node, span: condition.span };
    match &condition.node {
        Node::Not(inner) => partly(inner, known).map(|holds| !holds).map_err(|open| of(Node::Not(Box::new(open)))),
        Node::Binary(op @ (Op::AndAlso | Op::OrElse), left, right) => {
            // A side with this value decides the whole; with the other value, it leaves the decision to the other side.
            let decides = *op == Op::OrElse;
            match (partly(left, known), partly(right, known)) {
                (Ok(side), _) | (_, Ok(side)) if side == decides => Ok(decides),
                (Ok(_), other) | (other, Ok(_)) => other,
                (Err(left), Err(right)) => Err(of(Node::Binary(*op, Box::new(left), Box::new(right)))),
            }
        }
        _ => eval(condition, known).map(|value| value != 0).map_err(|_| condition.clone()),
    }
}
