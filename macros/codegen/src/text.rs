//! Parts of a file as text, for documentation and errors.

use tablewright_archdefs::expr::{Expr, Node, Op};
use tablewright_archdefs::model::{BitMap, Choices};

use crate::literal::grouped_hex;
use crate::scope::Scope;

/// An expression as a file would write it.
pub(crate) fn expr(expr: &Expr) -> String {
    match &expr.node {
        Node::Int(value) => match u64::try_from(*value) {
            Ok(large) if large >= 4096 => grouped_hex(large),
            _ => value.to_string(),
        },
        Node::Name(name) => name.clone(),
        Node::Slice(name, high, low) if high == low => format!("{name}[{high}]"),
        Node::Slice(name, high, low) => format!("{name}[{high}:{low}]"),
        Node::Not(inner) => format!("!{}", operand(inner)),
        Node::Binary(op, left, right) => format!("{} {} {}", side(left, *op), symbol(*op), side(right, *op)),
    }
}

fn side(inner: &Expr, op: Op) -> String {
    match &inner.node {
        Node::Binary(other, ..) if *other == op && matches!(op, Op::AndAlso | Op::OrElse | Op::Add) => expr(inner),
        Node::Binary(other, ..) if logic(op) && !logic(*other) => expr(inner),
        _ => operand(inner),
    }
}

const fn logic(op: Op) -> bool {
    matches!(op, Op::AndAlso | Op::OrElse)
}

fn operand(inner: &Expr) -> String {
    match inner.node {
        Node::Binary(..) => format!("({})", expr(inner)),
        _ => expr(inner),
    }
}

const fn symbol(op: Op) -> &'static str {
    match op {
        Op::Mul => "*",
        Op::Add => "+",
        Op::Sub => "-",
        Op::Shl => "<<",
        Op::Shr => ">>",
        Op::And => "&",
        Op::Or => "|",
        Op::Eq => "==",
        Op::Ne => "!=",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
        Op::AndAlso => "&&",
        Op::OrElse => "||",
    }
}

/// The bits of a field under each condition: ``"51:12"``, ``"49:12, 9:8 if lpa2; 47:12"``.
pub(crate) fn bits(scope: &Scope<'_>, choices: &Choices<BitMap>) -> String {
    let items = scope.choices(choices).into_iter().map(|(when, map)| {
        let bits = bit_map(scope, map);
        match when {
            Some(when) => format!("{bits} if {}", expr(&when)),
            None => bits,
        }
    });
    items.collect::<Vec<_>>().join("; ")
}

fn bit_map(scope: &Scope<'_>, map: &BitMap) -> String {
    let segments = map.segments.iter().map(|segment| {
        let (high, low) = (expr(&scope.fold(&segment.high)), expr(&scope.fold(&segment.low)));
        let bits = if high == low { high } else { format!("{high}:{low}") };
        match &segment.from {
            Some((high, low)) => format!("{bits} <- {}:{}", expr(&scope.fold(high)), expr(&scope.fold(low))),
            None => bits,
        }
    });
    segments.collect::<Vec<_>>().join(", ")
}

/// Ascending numbers, neighbours taken together: `"32, 36..=52"`.
pub(crate) fn numbers(values: &[i64]) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for value in values {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *value => *last = *value,
            _ => ranges.push((*value, *value)),
        }
    }
    let texts = ranges.into_iter().map(|(first, last)| match last - first {
        0 => format!("{first}"),
        1 => format!("{first}, {last}"),
        _ => format!("{first}..={last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}
