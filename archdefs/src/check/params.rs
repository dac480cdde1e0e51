//! Every parameter makes a difference somewhere.

use super::Checker;
use crate::diagnostics::Diagnostic;
use crate::eval;
use crate::model::Format;
use crate::visit::{self, Part};

pub(super) fn check(checker: &mut Checker<'_>) {
    for param in checker.format.params.iter().filter(|param| !is_used(checker.format, &param.name.value)) {
        let message = format!("parameter `{}` is never used", param.name.value);
        checker.findings.add(Diagnostic::new(message, param.name.span, "no expression names it"));
    }
}

fn is_used(format: &Format, param: &str) -> bool {
    let mut is_used = false;
    visit::expressions(format, &mut |part, expr| {
        let elsewhere = part != Part::Param(param) && part != Part::Capability;
        eval::names(expr, &mut |name, _| is_used |= elsewhere && name == param);
    });
    is_used
}
