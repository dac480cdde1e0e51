//! Runs fit into their tables, and items of different runs can be told apart, from each other and from leaves that
//! stand alone.

use super::Checker;
use crate::bound::{BoundTest, Geometry, Level, Params};
use crate::diagnostics::Diagnostic;
use crate::source::Span;

pub(super) fn check(checker: &mut Checker<'_>, params: &Params, geometry: &Geometry, level: &Level, below_root: bool) {
    for (index, run) in level.runs.iter().enumerate() {
        checker.used.insert(run.span);
        // A run larger than a root is not offered; everywhere else the file is wrong.
        let index_bits = geometry.level_index_bits(level.level);
        if below_root && run.item_bits > index_bits {
            checker.findings.under(params, "run size", &[run.span], || {
                let (items, entries) = (1_u64 << run.item_bits, 1_u64 << index_bits);
                let message = format!("a run of {items} items is larger than its table of {entries} entries");
                Diagnostic::new(message, run.span, "")
            });
        }
        let sizes_before = level.runs.iter().take(index);
        for other in sizes_before.clone().filter(|other| other.run_bits == run.run_bits) {
            checker.findings.under(params, "run twice", &[other.span, run.span], || {
                let message = format!("two runs of 2^{} bytes at level {}", run.run_bits, level.level);
                Diagnostic::new(message, run.span, "this one").and(other.span, "and this one")
            });
        }
        let marks = sizes_before.map(|other| (&other.mark, other.span));
        let singles = level.leaf.iter().map(|leaf| (&leaf.marks, run.span));
        for (tests, _) in marks.chain(singles).filter(|(tests, _)| !are_disjoint(&run.mark, tests)) {
            let [first, second] = [place(&run.mark, run.span), place(tests, run.span)];
            checker.findings.under(params, "ambiguous run", &[first, second], || {
                let message = format!("an entry at level {} can be both an item of a run and not", level.level);
                Diagnostic::new(message, first, "it passes this").and(second, "and this")
            });
        }
    }
}

fn place(tests: &[BoundTest], otherwise: Span) -> Span {
    tests.first().map_or(otherwise, |test| test.span)
}

/// Whether some bit must be one for one of them and zero for the other.
fn are_disjoint(one: &[BoundTest], other: &[BoundTest]) -> bool {
    let conflict = |a: &BoundTest, b: &BoundTest| match (a.written(), b.written()) {
        (Some(first), Some(second)) => (first ^ second) & a.bits.mask() & b.bits.mask() != 0,
        // A test without a single value is reported elsewhere.
        _ => true,
    };
    one.iter().any(|a| other.iter().any(|b| conflict(a, b)))
}
