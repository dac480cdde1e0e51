//! The words of a completion's command have room for every address and all data that a caller may choose.

use super::Checker;
use super::asked::completions;
use crate::bound::Bound;
use crate::diagnostics::Diagnostic;
use crate::eval::eval;

pub(super) fn check(checker: &mut Checker<'_>, configs: &[(&str, Bound)]) {
    for (_, bound) in configs {
        for completion in completions(bound) {
            // A word grows with the values in it, so if the highest fit, all do.
            let most = completion.record.map_or((0, 0), |record| (record.address_mask(), record.last_data()));
            let env = bound.env().with("address", most.0).with("data", most.1);
            for word in &completion.command {
                if !eval(&word.value, &env).is_ok_and(|value| u64::try_from(value).is_ok()) {
                    checker.findings.under(&bound.params, "command", &[word.span], || {
                        let message = format!("a word of `{}` does not fit 64 bits", completion.id.value);
                        Diagnostic::new(message, word.span, "with the highest address and data")
                    });
                }
            }
        }
    }
}
