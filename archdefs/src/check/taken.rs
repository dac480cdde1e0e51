//! Where the first of several is taken whose condition holds, each is taken under some parameters and for some contents
//! of the registers that the conditions read.

use std::collections::BTreeMap;

use super::Checker;
use super::preferences::{Knows, Preference, Row, preferences};
use super::projection::Projection;
use crate::bound::{below_root, low_bits};
use crate::diagnostics::Diagnostic;
use crate::eval::{Env, holds};
use crate::expr::{Expr, Node};
use crate::model::{Bind, Domain, Format};
use crate::reader::ACCESS_TRUTHS;

/// Conditions that read more bits of registers than this are not tried with every content.
const MOST_BITS: u32 = 14;

/// What expressions know of an address space beside its parameters.
const SPACE: [&str; 4] = ["levels", "input_bits", "page_bits", "index_bits"];

pub(super) fn check(checker: &mut Checker<'_>) {
    for list in preferences(checker.format) {
        let unreached = match Reads::new(checker.format, &list) {
            Some(reads) => in_all_cases(checker, &list.rows, &reads),
            None => by_text(&list.rows),
        };
        for (row, instead) in list.rows.iter().zip(unreached) {
            let Some(instead) = instead else { continue };
            let message = format!("{} is never taken", row.name);
            let label = if instead.is_empty() { "its condition never holds" } else { "never taken" };
            let diagnostic = Diagnostic::new(message, row.place, label);
            let and = |diagnostic: Diagnostic, index: &usize| diagnostic.and(list.rows[*index].place, "taken instead");
            checker.findings.add(instead.iter().fold(diagnostic, and));
        }
    }
}

/// Of each row that is never taken, those that are wherever its condition holds.
type Unreached = Vec<Option<Vec<usize>>>;

/// Rows after one that always exists, or that has the same condition.
fn by_text(rows: &[Row<'_>]) -> Unreached {
    let text = |row: &Row<'_>| row.when.map(ToString::to_string);
    let covers = |earlier: &Row<'_>, row: &Row<'_>| earlier.when.is_none() || text(earlier) == text(row);
    let first = |(index, row): (usize, &Row<'_>)| rows[..index].iter().position(|earlier| covers(earlier, row));
    rows.iter().enumerate().map(|row| first(row).map(|instead| vec![instead])).collect()
}

/// Goes through all parameters and contents of registers.
fn in_all_cases(checker: &mut Checker<'_>, rows: &[Row<'_>], reads: &Reads<'_>) -> Unreached {
    let mut left: Unreached = vec![Some(Vec::new()); rows.len()];
    for params in Projection::of(checker.format, rows.iter().filter_map(|row| row.when)).cases(checker) {
        let Ok((page_bits, index_bits)) = below_root(checker.format, &params) else { continue };
        let env = Env::new(&params).with("page_bits", page_bits).with("index_bits", index_bits);
        for content in 0..1_u64 << reads.width() {
            if left.iter().all(Option::is_none) {
                return left;
            }
            let env = reads.content(&env, content);
            // A condition that cannot be evaluated may hold.
            let mut holding = (0..rows.len()).filter(|&index| holds(rows[index].when, &env).unwrap_or(true));
            let Some(taken) = holding.next() else { continue };
            left[taken] = None;
            for index in holding {
                if let Some(instead) = left[index].as_mut().filter(|instead| !instead.contains(&taken)) {
                    instead.push(taken);
                }
            }
        }
    }
    // Where some cases are left out, these may be the ones.
    if checker.incomplete { vec![None; rows.len()] } else { left }
}

/// What conditions read that is no parameter: the names, and the bits of each.
struct Reads<'a>(BTreeMap<&'a str, u64>);

impl<'a> Reads<'a> {
    /// `None` if not every content can be gone through, or not every value of a parameter.
    fn new(format: &Format, list: &Preference<'a>) -> Option<Self> {
        let mut reads = Self(BTreeMap::new());
        for condition in list.rows.iter().filter_map(|row| row.when) {
            reads.add(format, list.knows, condition)?;
        }
        (reads.width() <= MOST_BITS).then_some(reads)
    }

    fn add(&mut self, format: &Format, knows: Knows, expr: &'a Expr) -> Option<()> {
        match &expr.node {
            Node::Int(_) => {}
            Node::Not(inner) => self.add(format, knows, inner)?,
            Node::Binary(_, left, right) => {
                self.add(format, knows, left)?;
                self.add(format, knows, right)?;
            }
            Node::Name(name) | Node::Slice(name, ..) => {
                if let Some(param) = format.params.iter().find(|param| param.name.value == *name) {
                    let is_listed = param.domain != Domain::Word;
                    return (is_listed && (knows != Knows::Build || param.bind == Bind::Build)).then_some(());
                }
                if SPACE.contains(&name.as_str()) {
                    return (knows != Knows::Build).then_some(());
                }
                let bits = match &expr.node {
                    Node::Slice(_, high, low) => low_bits(u64::MAX, high + 1 - low) << low,
                    _ if knows == Knows::Access && ACCESS_TRUTHS.contains(&name.as_str()) => 1,
                    _ => u64::MAX,
                };
                *self.0.entry(name).or_default() |= bits;
            }
        }
        Some(())
    }

    fn width(&self) -> u32 {
        self.0.values().map(|bits| bits.count_ones()).sum()
    }

    /// What is read has the bits of `content`, one after the other.
    fn content(&self, env: &Env<'a>, mut content: u64) -> Env<'a> {
        self.0.iter().fold(env.clone(), |env, (name, bits)| {
            let ones = (0..u64::BITS).map(|bit| 1 << bit).filter(|bit| bits & bit != 0);
            let value = ones.fold(0, |value, bit| {
                let is_set = content & 1 != 0;
                content >>= 1;
                if is_set { value | bit } else { value }
            });
            env.with(name, value)
        })
    }
}
