//! An invalidation by page with a `limit` needs one of a wider scope to give way to.

use super::Checker;
use super::asked::invalidations;
use crate::bound::Bound;
use crate::diagnostics::Diagnostic;
use crate::interpret::Means;
use crate::model::{Scope, TlbOp};

pub(super) fn check(checker: &mut Checker<'_>, configs: &[(&str, Bound)]) {
    for (_, bound) in configs {
        for limited in invalidations(bound).filter(|op| op.limit.is_some()) {
            let is_wider = |op: &TlbOp| op.scope != Scope::Address && Means::of(op) == Means::of(limited);
            if !invalidations(bound).any(is_wider) {
                checker.findings.under(&bound.params, "limit", &[limited.id.span], || {
                    let message = format!("nothing takes the place of `{}` beyond its limit", limited.id.value);
                    Diagnostic::new(message, limited.id.span, "has a `limit`")
                        .help("add a row with scope `space` or `all` that is done in the same way")
                });
            }
        }
    }
}
