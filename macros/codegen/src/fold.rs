//! Folds expressions: computes constants, and decides conditions that the bounds of names decide.

use tablewright_archdefs::expr::{Expr, Node, Op};
use tablewright_archdefs::linear::Linear;

use crate::scope::Scope;

impl Scope<'_> {
    /// `expr` with constants replaced and computed.
    pub(crate) fn fold(&self, expr: &Expr) -> Expr {
        let node = match &expr.node {
            Node::Name(name) => match self.known(name).constant {
                Some(value) => Node::Int(value),
                None => expr.node.clone(),
            },
            Node::Not(inner) => negate(self.fold(inner)),
            Node::Binary(op, left, right) => {
                let (left, right) = (self.fold(left), self.fold(right));
                match self.decided(*op, &left, &right) {
                    Some(truth) => Node::Int(truth.into()),
                    None => binary(*op, left, right),
                }
            }
            node => node.clone(),
        };
        Expr { node, span: expr.span }
    }

    /// The value of `expr`, if it does not depend on names without a value.
    pub(crate) fn constant(&self, expr: &Expr) -> Option<i128> {
        match self.fold(expr).node {
            Node::Int(value) => Some(value),
            _ => Linear::of(&self.fold(expr)).and_then(|linear| linear.constant()),
        }
    }

    /// The result of a comparison, if it is the same for all legal values.
    fn decided(&self, op: Op, left: &Expr, right: &Expr) -> Option<bool> {
        let (a, b) = (self.range(left)?, self.range(right)?);
        let (below, above) = (a.1 < b.0, a.0 > b.1);
        let (at_most, at_least) = (a.1 <= b.0, a.0 >= b.1);
        let (yes, no) = match op {
            Op::Lt => (below, at_least),
            Op::Le => (at_most, above),
            Op::Gt => (above, at_most),
            Op::Ge => (at_least, below),
            Op::Eq => (false, below || above),
            Op::Ne => (below || above, false),
            _ => return None,
        };
        (yes || no).then_some(yes)
    }

    /// Bounds of an expression's value, if they are known.
    pub(crate) fn range(&self, expr: &Expr) -> Option<(i128, i128)> {
        match &expr.node {
            Node::Int(value) => Some((*value, *value)),
            Node::Name(name) => self.known(name).range,
            Node::Slice(_, high, low) if high >= low => Some((0, (1 << (high - low + 1)) - 1)),
            Node::Binary(op, left, right) => {
                let (a, b) = (self.range(left)?, self.range(right)?);
                match op {
                    Op::Add => Some((a.0 + b.0, a.1 + b.1)),
                    Op::Sub => Some((a.0 - b.1, a.1 - b.0)),
                    Op::Mul if a.0 >= 0 && b.0 >= 0 => Some((a.0 * b.0, a.1 * b.1)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Whether `expr` is the constant `value`.
pub(crate) fn is(expr: &Expr, value: i128) -> bool {
    expr.node == Node::Int(value)
}

/// Whether two expressions are alike, wherever they stand.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    a.to_string() == b.to_string()
}

/// `all` taken together with `&&`, folded.
pub(crate) fn all_of(conditions: impl IntoIterator<Item = Expr>) -> Expr {
    conditions.into_iter().reduce(|a, b| Expr { span: a.span, node: binary(Op::AndAlso, a, b) }).unwrap_or(int(1))
}

/// Whether two conditions never hold together, because a part of one is the opposite of a part of the other.
pub(crate) fn exclude(a: &Expr, b: &Expr) -> bool {
    let opposite = |part: &&Expr| parts(b).iter().any(|other| same(other, &not((*part).clone())));
    parts(a).iter().any(|part| opposite(part) || is(part, 0))
}

/// The parts that `expr` joins with `&&`.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match &expr.node {
        Node::Binary(Op::AndAlso, left, right) => [parts(left), parts(right)].concat(),
        _ => vec![expr],
    }
}

/// Whether an expression names `wanted`.
pub(crate) fn speaks(expr: &Expr, wanted: &str) -> bool {
    match &expr.node {
        Node::Name(name) | Node::Slice(name, ..) => name == wanted,
        Node::Int(_) => false,
        Node::Not(inner) => speaks(inner, wanted),
        Node::Binary(_, left, right) => speaks(left, wanted) || speaks(right, wanted),
    }
}

/// An integer as an expression.
pub(crate) fn int(value: i128) -> Expr {
    Expr { node: Node::Int(value), span: Default::default() }
}

/// A name as an expression.
pub(crate) fn name(name: &str) -> Expr {
    Expr { node: Node::Name(name.into()), span: Default::default() }
}

/// `left op right`, folded.
pub(crate) fn join(op: Op, left: Expr, right: Expr) -> Expr {
    Expr { span: left.span, node: binary(op, left, right) }
}

/// `!expr`, folded.
pub(crate) fn not(expr: Expr) -> Expr {
    Expr { span: expr.span, node: negate(expr) }
}

fn negate(expr: Expr) -> Node {
    match expr.node {
        Node::Int(value) => Node::Int((value == 0).into()),
        Node::Not(inner) => inner.node,
        _ => Node::Not(Box::new(expr)),
    }
}

fn binary(op: Op, left: Expr, right: Expr) -> Node {
    match (&left.node, &right.node, op) {
        (Node::Int(a), Node::Int(b), _) => {
            if let Some(value) = compute(op, *a, *b) {
                return Node::Int(value);
            }
        }
        (Node::Int(0), _, Op::AndAlso) | (_, Node::Int(0), Op::AndAlso) => return Node::Int(0),
        (Node::Int(0), _, Op::OrElse) => return right.node,
        (_, Node::Int(0), Op::OrElse) => return left.node,
        (Node::Int(_), _, Op::AndAlso) => return right.node,
        (_, Node::Int(_), Op::AndAlso) => return left.node,
        (Node::Int(_), _, Op::OrElse) | (_, Node::Int(_), Op::OrElse) => return Node::Int(1),
        (_, Node::Int(0), Op::Add | Op::Sub | Op::Shl | Op::Shr | Op::Or) => return left.node,
        _ => {}
    }
    Node::Binary(op, Box::new(left), Box::new(right))
}

fn compute(op: Op, a: i128, b: i128) -> Option<i128> {
    let shift = u32::try_from(b).ok().filter(|shift| *shift < 127);
    Some(match op {
        Op::Mul => a.checked_mul(b)?,
        Op::Add => a.checked_add(b)?,
        Op::Sub => a.checked_sub(b)?,
        Op::Shl => a << shift?,
        Op::Shr => a >> shift?,
        Op::And => a & b,
        Op::Or => a | b,
        Op::Eq => (a == b).into(),
        Op::Ne => (a != b).into(),
        Op::Lt => (a < b).into(),
        Op::Le => (a <= b).into(),
        Op::Gt => (a > b).into(),
        Op::Ge => (a >= b).into(),
        Op::AndAlso => (a != 0 && b != 0).into(),
        Op::OrElse => (a != 0 || b != 0).into(),
    })
}
