//! Every parameter makes a difference somewhere.

use std::collections::HashSet;

use super::Checker;
use crate::diagnostics::Diagnostic;
use crate::eval;
use crate::visit::{self, Part};

pub(super) fn check(checker: &mut Checker<'_>) {
    let mut used = HashSet::new();
    visit::expressions(checker.format, &mut |part, expr| {
        eval::names(expr, &mut |name, _| {
            if part != Part::Param(name) && part != Part::Capability {
                used.insert(name.to_owned());
            }
        });
    });
    for param in checker.format.params.iter().filter(|param| !used.contains(&param.name.value)) {
        let message = format!("parameter `{}` is never used", param.name.value);
        checker.findings.add(Diagnostic::new(message, param.name.span, "no expression names it"));
    }
}
