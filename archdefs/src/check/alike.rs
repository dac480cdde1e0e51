//! An expression that names `index_bits` takes it for one number, so in a format whose tables below the root differ in
//! size, none may name it.

use super::Checker;
use super::projection::Projection;
use crate::bound::BelowRoot;
use crate::diagnostics::Diagnostic;
use crate::eval;
use crate::visit;

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut named = Vec::new();
    visit::expressions(checker.format, &mut |_, expr| {
        eval::names(expr, &mut |name, span| named.extend((name == "index_bits").then_some(span)));
    });
    for params in Projection::of_builds(checker.format).cases(checker) {
        let Ok(BelowRoot { index_bits, choices, .. }) = BelowRoot::new(checker.format, &params) else { continue };
        checker.used.extend(choices);
        let Some(other) = index_bits.iter().find(|bits| **bits != index_bits[0]) else { continue };
        for span in &named {
            checker.findings.under(&params, "index bits", &[*span], || {
                let message = format!("tables at level 0 have {} index bits, others {other}", index_bits[0]);
                Diagnostic::new(message, *span, "no number").help("give the number that is meant")
            });
        }
    }
}
