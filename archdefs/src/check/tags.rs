//! An invalidation that speaks of a tag has all of it: two tags that registers tell apart would be one otherwise.

use super::Checker;
use super::registers::has_name;
use crate::bound::Bound;
use crate::diagnostics::Diagnostic;
use crate::eval::{eval, holds};
use crate::expr::Expr;
use crate::model::TlbOp;

pub(super) fn check(checker: &mut Checker<'_>, configs: &[(&str, Bound)]) {
    for (_, bound) in configs {
        let held: Vec<u32> = (0..u32::BITS).filter(|bit| bound.registers(0, 1 << bit).is_ok()).collect();
        for operation in bound.tlb.iter().filter(|op| holds(op.when.as_ref(), &bound.env()).unwrap_or(false)) {
            let said: Vec<&Expr> = words(operation).filter(|word| has_name(word, "tag")).collect();
            let Some(first) = said.first() else { continue };
            let with = |tag: u64| {
                let env = bound.env().with("ia", 0).with("root", 0).with("tag", tag);
                let env = env.with("leaf_bits", bound.geometry.page_bits);
                said.iter().map(|word| eval(word, &env).ok().map(|value| value as u64)).collect::<Vec<_>>()
            };
            let of_none = with(0);
            if let Some(bit) = held.iter().find(|bit| with(1 << **bit) == of_none) {
                checker.findings.under(&bound.params, "tag cut", &[first.span], || {
                    let message = format!("`{}` does not have bit {bit} of the tag", operation.id.value);
                    Diagnostic::new(message, first.span, "speaks of a tag without it")
                        .help("registers hold tags with this bit: what is cached of theirs would stay")
                });
            }
        }
    }
}

/// Everything that an invalidation says.
fn words(operation: &TlbOp) -> impl Iterator<Item = &Expr> {
    let operands = operation.operands.iter().chain(&operation.at_entry).filter_map(|operand| operand.value.as_ref());
    operands.chain(operation.descriptor.iter().chain(&operation.command).map(|word| &word.value))
}
