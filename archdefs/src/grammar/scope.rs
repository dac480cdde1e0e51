//! The names an expression may use, and whether each is a number or a truth value.

use super::Parsed;
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, Node, Op};
use crate::source::Span;
use crate::suggest::advice;

/// The type of an expression. A truth value may stand for a number (0 or 1), but not the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Number,
    Truth,
    /// The content of a register: a number of up to 64 bits.
    Word,
}

/// A set of names. If the file could not be read completely, the scope is `open`: it accepts any name, because the
/// missing part may declare it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    names: Vec<(String, Type)>,
    /// The parameters of a parent that its child removes, and where.
    removed: Vec<(String, Span)>,
    open: bool,
}

impl Scope {
    pub(crate) fn new(names: impl IntoIterator<Item = (String, Type)>, open: bool) -> Self {
        Self { names: names.into_iter().collect(), removed: Vec::new(), open }
    }

    /// This scope, with the parameters that were removed from it, for messages.
    pub(crate) fn without(self, removed: Vec<(String, Span)>) -> Self {
        Self { removed, ..self }
    }

    /// This scope and more names, all of them numbers.
    pub(crate) fn with<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scope = self.clone();
        scope.names.extend(names.into_iter().map(|name| (name.to_owned(), Type::Number)));
        scope
    }

    /// This scope and more names, all of them truth values.
    pub(crate) fn with_truths<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scope = self.clone();
        scope.names.extend(names.into_iter().map(|name| (name.to_owned(), Type::Truth)));
        scope
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// The type of a name.
    pub(crate) fn get(&self, name: &str) -> Option<Type> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, kind)| *kind)
    }

    /// Refuses a name that is not in scope.
    pub(crate) fn check(&self, name: &str, span: Span) -> Parsed<()> {
        if self.open || self.get(name).is_some() {
            return Ok(());
        }
        if let Some((_, removal)) = self.removed.iter().find(|(removed, _)| removed == name) {
            return Err(Diagnostic::new(format!("`{name}` is removed, and still named"), *removal, "removed here")
                .and(span, "named here")
                .help("what names it must be replaced or removed, too"));
        }
        let names: Vec<&str> = self.names().collect();
        Err(Diagnostic::new(format!("`{name}` is not known here"), span, "unknown name").help(advice(
            name,
            "names known here",
            &names,
        )))
    }

    /// Refuses a number where a truth value is needed.
    pub(crate) fn check_truth(&self, expr: &Expr) -> Parsed<()> {
        let truth = match &expr.node {
            Node::Int(value) => matches!(value, 0 | 1),
            Node::Name(name) => self.get(name).is_none_or(|kind| kind == Type::Truth),
            Node::Slice(_, high, low) => high == low,
            Node::Not(_) => true,
            Node::Binary(op, ..) => {
                matches!(op, Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::AndAlso | Op::OrElse)
            }
        };
        if truth {
            return Ok(());
        }
        Err(Diagnostic::new(format!("`{expr}` is a number, but a condition is needed"), expr.span, "a number")
            .help(format!("compare it, as in `{expr} != 0`")))
    }
}
