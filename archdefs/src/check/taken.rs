//! In a list of which the first row is taken whose condition holds, each row is taken under some parameters, with some
//! values of the registers that the conditions read.

use super::Checker;
use super::preferences::{Preference, Row, preferences};
use super::projection::Projection;
use super::reads::Reads;
use crate::bound::BelowRoot;
use crate::diagnostics::Diagnostic;
use crate::eval::holds;

pub(super) fn check(checker: &mut Checker<'_>) {
    for list in preferences(checker.format) {
        let unreached = match Reads::new(checker.format, &list) {
            Some(reads) => in_all_cases(checker, &list, &reads),
            None => by_text(&list.rows),
        };
        for (row, instead) in list.rows.iter().zip(unreached) {
            let Some(instead) = instead else { continue };
            let message = format!("{} is never taken", row.name);
            let label = match (instead.is_empty(), list.given.is_empty()) {
                (true, true) => "its condition never holds",
                (true, false) => "its condition never holds where those of the whole report do",
                (false, _) => "never taken",
            };
            let diagnostic = Diagnostic::new(message, row.place, label);
            let and = |diagnostic: Diagnostic, index: &usize| diagnostic.and(list.rows[*index].place, "taken instead");
            checker.findings.add(instead.iter().fold(diagnostic, and));
        }
    }
}

/// For each row that is never taken, the rows that are taken where its condition holds; `None` for a row that is taken.
type Unreached = Vec<Option<Vec<usize>>>;

/// Finds rows that follow one without a condition, or one with the same condition.
fn by_text(rows: &[Row<'_>]) -> Unreached {
    let text = |row: &Row<'_>| row.when.map(ToString::to_string);
    let covers = |earlier: &Row<'_>, row: &Row<'_>| earlier.when.is_none() || text(earlier) == text(row);
    let first = |(index, row): (usize, &Row<'_>)| rows[..index].iter().position(|earlier| covers(earlier, row));
    rows.iter().enumerate().map(|row| first(row).map(|instead| vec![instead])).collect()
}

/// Goes through all parameters and all values that the conditions read.
fn in_all_cases(checker: &mut Checker<'_>, list: &Preference<'_>, reads: &Reads<'_>) -> Unreached {
    let rows = &list.rows;
    let mut left: Unreached = vec![Some(Vec::new()); rows.len()];
    let mut matters = false;
    for params in Projection::of(checker.format, list.conditions()).cases(checker) {
        let Ok(below_root) = BelowRoot::new(checker.format, &params) else { continue };
        let env = below_root.env(&params);
        for content in reads.contents(&params) {
            if left.iter().all(Option::is_none) {
                return left;
            }
            let env = content.into_iter().fold(env.clone(), |env, (name, value)| env.with(name, value));
            // A condition that cannot be evaluated may hold.
            let may_hold = |when| holds(when, &env).unwrap_or(true);
            if !list.given.iter().all(|given| may_hold(Some(*given))) {
                continue;
            }
            matters = true;
            let mut holding = (0..rows.len()).filter(|&index| may_hold(rows[index].when));
            let Some(taken) = holding.next() else { continue };
            left[taken] = None;
            for index in holding {
                if let Some(instead) = left[index].as_mut().filter(|instead| !instead.contains(&taken)) {
                    instead.push(taken);
                }
            }
        }
    }
    // If some cases were left out, the row may be taken there. If the conditions of the whole list never hold, the list
    // that these conditions form reports that.
    if checker.incomplete || !matters { vec![None; rows.len()] } else { left }
}
