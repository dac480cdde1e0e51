//! An invalidation that takes a tag or an address uses every bit of it: otherwise it would invalidate another tag's
//! translations, or another page, in place of those asked for.

use super::Checker;
use super::asked::{Asked, invalidations, words};
use super::registers::has_name;
use crate::bound::Bound;
use crate::diagnostics::Diagnostic;
use crate::expr::Expr;
use crate::model::TlbOp;

/// The name in expressions, the word for it in messages, and the label and help of the report.
const SAID: [(&str, &str, &str, &str); 2] = [
    (
        "tag",
        "tag",
        "speaks of a tag without it",
        "registers hold tags with this bit: what is cached of theirs would stay",
    ),
    (
        "ia",
        "address",
        "speaks of an address without it",
        "input addresses have this bit: what is cached of those pages would stay",
    ),
];

pub(super) fn check(checker: &mut Checker<'_>, configs: &[(&str, Bound)]) {
    for (_, bound) in configs {
        for operation in invalidations(bound) {
            for asked in Asked::of_invalidation(bound, operation) {
                whole(checker, bound, operation, &asked);
            }
        }
    }
}

fn whole(checker: &mut Checker<'_>, bound: &Bound, operation: &TlbOp, asked: &Asked<'_>) {
    for (name, what, label, help) in SAID {
        let speaking: Vec<&Expr> = words(operation).filter(|word| has_name(word, name)).collect();
        let Some(first) = speaking.first() else { continue };
        let Some(bit) = asked.unsaid(name, &speaking) else { continue };
        checker.findings.under(&bound.params, name, &[first.span], || {
            let message = format!("`{}` does not have bit {bit} of the {what}", operation.id.value);
            Diagnostic::new(message, first.span, label).help(help)
        });
    }
}
