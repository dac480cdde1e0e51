//! Value rows: each value has at most one row, and every value that can occur has a meaning.

use std::collections::{HashMap, HashSet};

use super::cubes::Cube;
use super::kinds::Patterns;
use super::{Checker, Site};
use crate::bound::{BoundField, BoundMeaning, BoundRows};
use crate::diagnostics::Diagnostic;
use crate::model::{Facts, Other};
use crate::source::Span;

/// Fields wider than this cannot have a row for every value.
const WIDEST_COMPLETE: u8 = 12;

pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>, patterns: &Patterns) {
    for field in &site.shape.fields {
        let possible = Possible::new(site, field, patterns);
        match &field.meaning {
            BoundMeaning::Rights(rows, speaks) => {
                table(checker, site, field, rows, &possible);
                if site.shape.class == crate::model::Class::Table {
                    every_right(checker, site, field, rows, *speaks & Facts::RIGHTS);
                }
            }
            BoundMeaning::Memory(rows) => table(checker, site, field, rows, &possible),
            BoundMeaning::Option(rows, default) => {
                table(checker, site, field, rows, &possible);
                if rows.writable().all(|row| row.value != *default) {
                    checker.findings.under(site.params, "option default", &[field.span], || {
                        let message = format!("the default {default} of field `{}` has no row", field.name);
                        Diagnostic::new(message, field.span, "").help("an entry is written with the default")
                    });
                }
            }
            BoundMeaning::Fixed(_, place) => {
                checker.used.insert(*place);
            }
            _ => {}
        }
    }
}

/// Which values of a field an entry of this kind can show.
struct Possible<'a> {
    field: &'a BoundField,
    shown: HashSet<Cube>,
}

impl<'a> Possible<'a> {
    fn new(site: &Site<'_>, field: &'a BoundField, patterns: &Patterns) -> Self {
        let of_field = |cube: &Cube| Cube::new(cube.mask & field.bits.mask(), cube.value);
        let of_kind = patterns.kinds.iter().filter(|(_, is)| site.shape.class.is_made_by(*is));
        Self { field, shown: of_kind.map(|(cube, _)| of_field(cube)).collect() }
    }

    fn contains(&self, value: u64) -> bool {
        let value = Cube::new(self.field.bits.mask(), self.field.bits.insert(value));
        self.shown.iter().any(|cube| cube.meets(value))
    }
}

fn table<T>(
    checker: &mut Checker<'_>,
    site: &Site<'_>,
    field: &BoundField,
    rows: &BoundRows<T>,
    possible: &Possible<'_>,
) {
    let mut first_of: HashMap<u64, Span> = HashMap::new();
    let (fitting, too_wide): (Vec<_>, Vec<_>) = rows.rows.iter().partition(|row| field.bits.holds(row.value));
    checker.used.extend(too_wide.iter().map(|row| row.span));
    if let Some((row, others)) = too_wide.split_first() {
        checker.findings.under(site.params, "row width", &[row.span, field.choice], || {
            let bits = crate::show::named_bits(field.bits.mask());
            let message = format!("value {:#b} of `{}` does not fit {bits}", row.value, field.name);
            let label = if others.is_empty() { String::new() } else { format!("nor do {} more", others.len()) };
            Diagnostic::new(message, row.span, label).and(field.choice, "its bits")
        });
    }
    for row in fitting {
        if let Some(first) = first_of.insert(row.value, row.span) {
            checker.used.insert(row.span);
            checker.findings.under(site.params, "two rows", &[first, row.span], || {
                let message = format!("value {:#b} of `{}` has two rows", row.value, field.name);
                Diagnostic::new(message, row.span, "this one").and(first, "and this one")
            });
        }
        if possible.contains(row.value) {
            checker.used.insert(row.span);
        }
    }
    let complete = field.bits.width() <= WIDEST_COMPLETE;
    let mut values = 0..if complete { 1 << field.bits.width() } else { 0 };
    let missing = values.find(|value| possible.contains(*value) && !first_of.contains_key(value));
    if missing.is_none() && complete {
        return;
    }
    checker.needs_other.insert(field.span);
    // A row that does not fit was probably meant to be the missing one.
    if rows.other == Other::None && too_wide.is_empty() {
        checker.findings.under(site.params, "missing row", &[field.span], || {
            let value = missing.map_or_else(|| "some values".into(), |value| format!("value {value:#b}"));
            Diagnostic::new(format!("{value} of `{}` in {site} has no row", field.name), field.span, "")
                .help("add it, or say what values without a row are: `other = \"reserved\"` or `other = \"unnamed\"`")
        });
    }
}

/// The value that we write into a table entry grants every right.
fn every_right(checker: &mut Checker<'_>, site: &Site<'_>, field: &BoundField, rows: &BoundRows<Facts>, all: Facts) {
    if !rows.writable().any(|row| row.meaning.contains(all)) {
        checker.findings.under(site.params, "no row of all rights", &[field.span], || {
            let message = format!("no row of `{}` grants every right it speaks of in {site}", field.name);
            Diagnostic::new(message, field.span, "").help("tables are written with every right")
        });
    }
}
