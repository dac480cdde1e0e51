//! The parts that `|` joins in a word of a command or operand share no bit: a value that is too wide for its place
//! would change the value beside it.

use super::Checker;
use super::asked::{Asked, completions, invalidations, words};
use crate::bound::Bound;
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, Node, Op};
use crate::show;

pub(super) fn check(checker: &mut Checker<'_>, configs: &[(&str, Bound)]) {
    for (_, bound) in configs {
        for operation in invalidations(bound) {
            for asked in Asked::of_invalidation(bound, operation) {
                words(operation).for_each(|word| apart(checker, bound, &asked, word));
            }
        }
        for completion in completions(bound) {
            let asked = Asked::of_completion(bound, completion);
            completion.command.iter().for_each(|word| apart(checker, bound, &asked, &word.value));
        }
    }
}

fn apart(checker: &mut Checker<'_>, bound: &Bound, asked: &Asked<'_>, word: &Expr) {
    let mut before: Vec<(&Expr, u64)> = Vec::new();
    for part in parts(word) {
        let bits = asked.bits_of(part);
        let met = before.iter().find(|(_, earlier)| earlier & bits != 0);
        if let Some((other, earlier)) = met {
            checker.findings.under(&bound.params, "parts meet", &[other.span, part.span], || {
                let both = show::named_bits(earlier & bits);
                Diagnostic::new(format!("two parts of a word have {both}"), part.span, "this one")
                    .and(other.span, "and this one")
                    .help("what is too wide for its place changes what stands beside it")
            });
            return;
        }
        before.push((part, bits));
    }
}

/// The parts that `word` joins.
fn parts(word: &Expr) -> Vec<&Expr> {
    match &word.node {
        Node::Binary(Op::Or, left, right) => [parts(left), parts(right)].concat(),
        _ => vec![word],
    }
}
