//! Every entry is of exactly one kind, and the empty value is not present.

use super::Checker;
use super::cubes::{self, Cube, MOST_CUBES};
use super::owners::beyond;
use crate::bound::kind::{classify, tested_bits};
use crate::bound::{BoundKind, Level, Params};
use crate::diagnostics::Diagnostic;
use crate::model::Is;
use crate::show;

/// What an entry is for each value of the bits that decide it.
pub(super) struct Patterns {
    /// The bits.
    pub(super) mask: u64,
    /// Their values, and what entries with them are.
    pub(super) kinds: Vec<(Cube, Is)>,
    /// Whether some entry is of two kinds, so that their bits cannot be attributed to either.
    pub(super) ambiguous: bool,
}

pub(super) fn check(checker: &mut Checker<'_>, params: &Params, level: &Level) -> Patterns {
    let mask = level.kinds.iter().fold(0, |mask, kind| mask | kind.tests.as_deref().map_or(0, tested_bits));
    for test in level.kinds.iter().filter_map(|kind| kind.tests.as_deref()).flatten() {
        if test.bits.mask() & !checker.format.word.mask() != 0 {
            beyond(checker, params, test.bits.mask(), test.span);
        }
    }
    let mut patterns = Patterns { mask, kinds: Vec::new(), ambiguous: false };
    let Some(cubes) = cubes::split(&level.kinds) else {
        // Without the cubes, what entries use cannot be found out.
        checker.incomplete = true;
        let place = level.kinds.first().map_or(checker.format.name.span, |kind| kind.span);
        checker.findings.under(params, "too many patterns", &[], || {
            let message = format!("the kinds at level {} tell more than {MOST_CUBES} patterns apart", level.level);
            Diagnostic::new(message, place, "").help("test for less: a few bits are enough to tell kinds apart")
        });
        return patterns;
    };
    let mut matched = vec![false; level.kinds.len()];
    for cube in cubes {
        let Some(winner) = classify(&level.kinds, cube.value) else {
            no_kind(checker, params, level, cube.value, mask);
            continue;
        };
        for (kind, matched) in level.kinds.iter().zip(&mut matched) {
            *matched |= std::ptr::eq(kind, winner);
        }
        patterns.ambiguous |= two_kinds(checker, params, level, cube.value);
        patterns.kinds.push((cube, winner.is));
    }
    for (kind, _) in level.kinds.iter().zip(matched).filter(|(_, matched)| *matched) {
        checker.used.insert(kind.span);
        checker.used.extend(kind.choice);
    }
    patterns
}

fn no_kind(checker: &mut Checker<'_>, params: &Params, level: &Level, raw: u64, mask: u64) {
    let place = level.kinds.last().map_or(checker.format.name.span, place);
    checker.findings.under(params, "no kind", &[place], || {
        let message = format!("an entry at level {} is of no kind", level.level);
        let label = format!("neither this row nor any other matches `{}`", show::pattern(raw, mask));
        Diagnostic::new(message, place, label)
    });
}

/// Rows that are not `reserved` are disjoint, and at most one is `else`. Returns whether that is violated.
fn two_kinds(checker: &mut Checker<'_>, params: &Params, level: &Level, raw: u64) -> bool {
    let mask = level.kinds.iter().fold(0, |mask, kind| mask | kind.tests.as_deref().map_or(0, tested_bits));
    let of_tests = |kind: &&BoundKind| kind.is != Is::Reserved && kind.tests.is_some() && kind.matches(raw);
    let by_tests: Vec<&BoundKind> = level.kinds.iter().filter(of_tests).collect();
    let by_else: Vec<&BoundKind> = level.kinds.iter().filter(|kind| kind.tests.is_none()).collect();
    let mut ambiguous = false;
    for rows in [by_tests, by_else] {
        if let [first, second, ..] = rows.as_slice() {
            checker.findings.under(params, "two kinds", &[place(first), place(second)], || {
                let message = format!("an entry at level {} is of two kinds", level.level);
                let label = |kind: &BoundKind| format!("`{}` matches `{}`", kind.id, show::pattern(raw, mask));
                Diagnostic::new(message, place(second), label(second)).and(place(first), label(first))
            });
            ambiguous = true;
        }
    }
    ambiguous
}

/// The value that is written for "nothing mapped" decodes as not present.
pub(super) fn check_empty(checker: &mut Checker<'_>, params: &Params, level: &Level) {
    let (Some(choice), Some(kind)) = (level.empty_choice, classify(&level.kinds, level.empty)) else {
        return;
    };
    checker.used.extend([Some(choice), level.empty_table.map(|(_, place)| place)].into_iter().flatten());
    if kind.is != Is::Invalid {
        checker.findings.under(params, "empty", &[choice], || {
            let message = format!("the empty value {:#x} is not `invalid` at level {}", level.empty, level.level);
            Diagnostic::new(message, choice, "").and(place(kind), format!("it is `{}`", kind.id))
        });
    }
}

fn place(kind: &BoundKind) -> crate::source::Span {
    kind.choice.unwrap_or(kind.span)
}
