//! What is written reads back as what was meant, and never as reserved.

use super::kinds::{Patterns, submasks};
use super::{Checker, Site};
use crate::bound::kind::classify;
use crate::bound::{BoundField, BoundMeaning};
use crate::diagnostics::Diagnostic;
use crate::model::FixClass;

pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>, patterns: &Patterns) {
    // Other bits have no part in what an entry is.
    let mut written = vec![site.shape.constant & patterns.mask];
    for field in &site.shape.fields {
        let mask = field.bits.mask() & patterns.mask;
        if mask == 0 || matches!(field.meaning, BoundMeaning::Fixed(..)) {
            continue;
        }
        let values = written_values(field, site.level.level, mask);
        written = written.iter().flat_map(|so_far| values.iter().map(move |value| so_far | value)).collect();
        written.sort_unstable();
        written.dedup();
    }
    // Software may set the bits that are free for it, hardware those that it owns.
    for fix in site.shape.fixes.iter().filter(|fix| matches!(fix.is, FixClass::Software | FixClass::Hardware)) {
        let mask = fix.mask & patterns.mask;
        written = written.iter().flat_map(|so_far| submasks(mask).map(move |value| so_far | value)).collect();
    }
    for field in &site.shape.fields {
        next_level(checker, site, field);
    }
    let misread = written.into_iter().find_map(|raw| {
        let kind = classify(&site.level.kinds, raw)?;
        (!site.shape.class.is_made_by(kind.is)).then_some((raw, kind))
    });
    if let Some((raw, kind)) = misread {
        checker.findings.under(site.params, "misread", &[site.kind(), kind.span], || {
            let message = format!("{site} can be written so that it reads as `{}`", kind.id);
            let label = format!("this matches `{}`", crate::show::pattern(raw, patterns.mask));
            Diagnostic::new(message, kind.choice.unwrap_or(kind.span), label).and(site.kind(), "meant to be this")
        });
    }
}

/// A table is always linked below the next higher level, whose number must fit the field.
fn next_level(checker: &mut Checker<'_>, site: &Site<'_>, field: &BoundField) {
    let BoundMeaning::NextLevel(plus) = field.meaning else { return };
    let below = i128::from(site.level.level) - 1;
    let value = i128::from(plus) + below;
    if !u64::try_from(value).is_ok_and(|value| field.bits.holds(value)) {
        checker.findings.under(site.params, "next level", &[field.span], || {
            let bits = crate::show::named_bits(field.bits.mask());
            let message = format!("{value} of `{}` does not fit {bits}", field.name);
            Diagnostic::new(message, field.choice, format!("for a table at level {below} below {site}"))
        });
    }
}

/// The entry bits in `mask` for every value that is ever written into `field`.
fn written_values(field: &BoundField, level: u8, mask: u64) -> Vec<u64> {
    let insert = |value| field.bits.insert(value) & mask;
    let mut values: Vec<u64> = match &field.meaning {
        BoundMeaning::Rights(rows, _) => rows.writable().map(|row| insert(row.value)).collect(),
        BoundMeaning::Memory(rows) => rows.writable().map(|row| insert(row.value)).collect(),
        BoundMeaning::Option(rows, _) => rows.writable().map(|row| insert(row.value)).collect(),
        BoundMeaning::NextLevel(plus) => {
            vec![insert(u64::try_from(plus.saturating_add(i64::from(level) - 1)).unwrap_or(0))]
        }
        BoundMeaning::Output | BoundMeaning::Table | BoundMeaning::Software => submasks(mask).collect(),
        BoundMeaning::Fixed(..) => Vec::new(),
    };
    values.sort_unstable();
    values.dedup();
    values
}
