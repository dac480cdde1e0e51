//! Apart from its mark and its address, an item of a run is like a leaf alone: generated code has one set of masks for all
//! leaves of a level.

use super::Checker;
use crate::bound::{BoundField, BoundMeaning, BoundRun, Level, Params, Shape};
use crate::diagnostics::Diagnostic;
use crate::model::FixClass;
use crate::show;
use crate::source::Span;
use crate::words::Word;

pub(super) fn check(checker: &mut Checker<'_>, params: &Params, level: &Level) {
    let Some(alone) = &level.leaf else { return };
    for run in &level.runs {
        let item = &run.shape;
        let in_item = item.fields.iter().find(|field| !alone.fields.iter().any(|other| is_alike(field, other)));
        let in_alone = alone.fields.iter().find(|field| !item.fields.iter().any(|other| is_alike(other, field)));
        if let Some(field) = in_item.or(in_alone) {
            other_field(checker, params, run, alone, field);
        } else if let Some(bits) = other_fixes(item, alone) {
            checker.findings.under(params, "item fixes", &[run.span], || {
                let message = format!("an item differs from a leaf alone in {}", show::named_bits(bits));
                Diagnostic::new(message, run.span, "items of this run").help(HELP)
            });
        }
    }
}

const HELP: &str = "apart from its mark and its address, an item must be like a leaf alone";

fn other_field(checker: &mut Checker<'_>, params: &Params, run: &BoundRun, alone: &Shape, field: &BoundField) {
    checker.findings.under(params, "item field", &[run.span, field.span], || {
        let message = format!("an item differs from a leaf alone in `{}`", field.name);
        let diagnostic = Diagnostic::new(message, run.span, "items of this run");
        let sites = [(&run.shape, "in an item"), (alone, "alone")];
        let said = sites.into_iter().filter_map(|(shape, site)| {
            let field = shape.fields.iter().find(|other| other.span == field.span)?;
            Some((field.choice, format!("{} {site}", show::named_bits(field.bits.mask()))))
        });
        said.fold(diagnostic, |diagnostic, (place, label)| diagnostic.and(place, label)).help(HELP)
    });
}

/// Whether a field of an item is the same as in a leaf alone. The address of a leaf alone may have more bits.
fn is_alike(item: &BoundField, alone: &BoundField) -> bool {
    let is_placed = match item.meaning {
        BoundMeaning::Output => (0..u64::BITS).map(|bit| 1 << bit).all(|bit| {
            let placed = item.bits.insert(bit);
            placed == 0 || placed == alone.bits.insert(bit)
        }),
        _ => item.bits == alone.bits,
    };
    item.span == alone.span && is_placed && rows(item) == rows(alone)
}

/// The values to which a field gives a meaning, with the places that give it.
fn rows(field: &BoundField) -> Vec<(u64, Span)> {
    match &field.meaning {
        BoundMeaning::Rights(rows, _) => rows.rows.iter().map(|row| (row.value, row.span)).collect(),
        BoundMeaning::Memory(rows) => rows.rows.iter().map(|row| (row.value, row.span)).collect(),
        BoundMeaning::Option(rows, _) => rows.rows.iter().map(|row| (row.value, row.span)).collect(),
        BoundMeaning::Fixed(value, span) => vec![(*value, *span)],
        _ => Vec::new(),
    }
}

/// The `[[fix]]` bits of which an item and a leaf alone differ in class. Two differences are allowed: in the bits of
/// the run's mark, and in address bits of a leaf alone that the item ignores.
fn other_fixes(item: &Shape, alone: &Shape) -> Option<u64> {
    let of =
        |shape: &Shape, class| shape.fixes.iter().filter(|fix| fix.is == class).fold(0, |mask, fix| mask | fix.mask);
    let output = alone.fields.iter().find(|field| matches!(field.meaning, BoundMeaning::Output));
    let address = output.map_or(0, |field| field.bits.mask());
    let marks = item.marks.iter().fold(0, |mask, test| mask | test.bits.mask());
    FixClass::WORDS.iter().map(|(_, class)| *class).find_map(|class| {
        let ignored = matches!(class, FixClass::WriteZero | FixClass::Ignored | FixClass::Hardware);
        let differ = (of(item, class) ^ of(alone, class)) & !marks & !(if ignored { address } else { 0 });
        (differ != 0).then_some(differ)
    })
}
