//! Conditions under which fields, fixes and rows apply to a level and a kind of entry.

use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::{Class, Field, Fix, LevelSet, LevelTerm, Meaning};

use crate::scope::{Scope, all_of, int, is, join, name, not};

/// The two shapes of present entries. A leaf is a page at level 0 and a block above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A pointer to a table.
    Table,
    /// A page or a block.
    Leaf,
}

/// The condition under which a level is in `set`.
pub(crate) fn in_levels(scope: &Scope<'_>, set: &LevelSet) -> Expr {
    let any =
        |terms: &[LevelTerm]| terms.iter().map(|term| in_term(scope, term)).fold(int(0), |a, b| join(Op::OrElse, a, b));
    scope.fold(&all_of([any(&set.plus), not(any(&set.minus))]))
}

fn in_term(scope: &Scope<'_>, term: &LevelTerm) -> Expr {
    let compare = |op, bound: u8| scope.fold(&join(op, name("level"), int(bound.into())));
    match term {
        LevelTerm::Block => scope.fold(&name("block")),
        LevelTerm::Range(from, Some(to)) if from == to => compare(Op::Eq, *from),
        LevelTerm::Range(from, Some(to)) => all_of([compare(Op::Ge, *from), compare(Op::Le, *to)]),
        LevelTerm::Range(from, None) => compare(Op::Ge, *from),
    }
}

/// The condition under which an entry of `shape` has a field.
pub(crate) fn has_field(scope: &Scope<'_>, shape: Shape, field: &Field) -> Expr {
    has(scope, shape, &field.classes, &field.level, field.when.as_ref())
}

/// The condition under which an entry of `shape` has the bits of a fix.
pub(crate) fn has_fix(scope: &Scope<'_>, shape: Shape, fix: &Fix) -> Expr {
    has(scope, shape, &fix.classes, &fix.level, fix.when.as_ref())
}

fn has(scope: &Scope<'_>, shape: Shape, classes: &[Class], levels: &LevelSet, when: Option<&Expr>) -> Expr {
    let class = match shape {
        Shape::Table => int(classes.contains(&Class::Table).into()),
        Shape::Leaf => match (classes.contains(&Class::Page), classes.contains(&Class::Block)) {
            (false, false) => int(0),
            (true, true) => int(1),
            (true, false) => join(Op::Eq, name("level"), int(0)),
            (false, true) => join(Op::Gt, name("level"), int(0)),
        },
    };
    let when = when.cloned().unwrap_or(int(1));
    scope.fold(&all_of([scope.fold(&when), scope.fold(&class), in_levels(scope, levels)]))
}

/// The fields that an entry of `shape` may have, with their conditions.
pub(crate) fn fields<'a>(scope: &Scope<'a>, shape: Shape) -> Vec<(Expr, &'a Field)> {
    let fields = scope.format.fields.iter().map(|field| (has_field(scope, shape, field), field));
    fields.filter(|(when, _)| !is(when, 0)).collect()
}

/// Those of [`fields`] whose meaning is `wanted`.
pub(crate) fn fields_that<'a>(
    scope: &Scope<'a>,
    shape: Shape,
    wanted: impl Fn(&Meaning) -> bool,
) -> Vec<(Expr, &'a Field)> {
    let mut fields = fields(scope, shape);
    fields.retain(|(_, field)| wanted(&field.meaning));
    fields
}
