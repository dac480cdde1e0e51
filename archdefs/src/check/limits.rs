//! Where an invalidation by pages gives way to one of everything, there is one.

use super::Checker;
use crate::bound::Bound;
use crate::diagnostics::Diagnostic;
use crate::eval::holds;
use crate::interpret::Means;
use crate::model::{Scope, TlbOp};

pub(super) fn check(checker: &mut Checker<'_>, configs: &[(&str, Bound)]) {
    for (_, bound) in configs {
        let exists = |op: &&TlbOp| holds(op.when.as_ref(), &bound.env()).unwrap_or(false);
        for limited in bound.tlb.iter().filter(|op| op.limit.is_some()).filter(exists) {
            let is_wider = |op: &TlbOp| op.scope != Scope::Address && Means::of(op) == Means::of(limited);
            if !bound.tlb.iter().filter(exists).any(is_wider) {
                checker.findings.under(&bound.params, "limit", &[limited.id.span], || {
                    let message = format!("nothing takes the place of `{}` beyond its limit", limited.id.value);
                    Diagnostic::new(message, limited.id.span, "has a `limit`")
                        .help("add a row with scope `space` or `all` that is done in the same way")
                });
            }
        }
    }
}
