//! Every bit of an address has exactly one place in an entry.

use super::{Checker, Site};
use crate::bound::{BoundField, BoundMeaning, low_bits};
use crate::diagnostics::Diagnostic;
use crate::model::Class;
use crate::show;

pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>) {
    let is_table = site.shape.class == Class::Table;
    let wanted = |field: &&BoundField| match field.meaning {
        BoundMeaning::Output => !is_table,
        BoundMeaning::Table => is_table,
        _ => false,
    };
    let misplaced = site.shape.fields.iter().find(|field| match field.meaning {
        BoundMeaning::Output => is_table,
        BoundMeaning::Table | BoundMeaning::NextLevel(_) => !is_table,
        BoundMeaning::Memory(_) | BoundMeaning::Option(..) => is_table,
        _ => false,
    });
    if let Some(field) = misplaced {
        checker.findings.under(site.params, "misplaced field", &[field.span], || {
            let help = match is_table {
                true => "fields of tables are `address = \"table\"`, `next`, `rights`, `software` and `value`",
                false => "`address = \"table\"` and `next` are for tables",
            };
            Diagnostic::new(format!("field `{}` means nothing in {site}", field.name), field.span, "").help(help)
        });
    }
    let fields: Vec<&BoundField> = site.shape.fields.iter().filter(wanted).collect();
    match fields.as_slice() {
        [field] => map(checker, site, field),
        [] => checker.findings.under(site.params, "no address", &[site.kind()], || {
            let word = if is_table { "table" } else { "output" };
            Diagnostic::new(format!("{site} holds no address"), site.kind(), "entries of this kind")
                .help(format!("a field with `address = \"{word}\"` holds it"))
        }),
        [first, second, ..] => two_fields(checker, site, first, second),
    }
    let memory: Vec<&BoundField> = fields_of(site, |meaning| matches!(meaning, BoundMeaning::Memory(_)));
    let next: Vec<&BoundField> = fields_of(site, |meaning| matches!(meaning, BoundMeaning::NextLevel(_)));
    for fields in [memory, next] {
        if let [first, second, ..] = fields.as_slice() {
            two_fields(checker, site, first, second);
        }
    }
}

fn fields_of<'a>(site: &Site<'a>, wanted: impl Fn(&BoundMeaning) -> bool) -> Vec<&'a BoundField> {
    site.shape.fields.iter().filter(|field| wanted(&field.meaning)).collect()
}

fn two_fields(checker: &mut Checker<'_>, site: &Site<'_>, first: &BoundField, second: &BoundField) {
    checker.findings.under(site.params, "two fields", &[first.span, second.span], || {
        Diagnostic::new(format!("{site} says the same in two fields"), second.span, "here").and(first.span, "and here")
    });
}

fn map(checker: &mut Checker<'_>, site: &Site<'_>, field: &BoundField) {
    let is_table = site.shape.class == Class::Table;
    let lowest = match site.run {
        _ if is_table => site.table_bits,
        Some(run) if run.shared => run.run_bits,
        _ => site.level.entry_bits,
    };
    let needed = low_bits(u64::MAX, site.output_bits) & !low_bits(u64::MAX, lowest);
    let held = field.bits.value_mask();
    let only_read =
        if is_table { 0 } else { low_bits(u64::MAX, site.decode_bits) & !low_bits(u64::MAX, site.output_bits) };
    let mut report = |rule, message: String| {
        checker.findings.under(site.params, rule, &[field.choice], || Diagnostic::new(message, field.choice, ""));
    };
    if needed & !held != 0 {
        let bits = show::named_bits(needed & !held);
        report("address hole", format!("no place for address {bits} in {site}"));
    }
    let excess = held & !needed & !only_read;
    if excess != 0 {
        let bits = show::named_bits(excess);
        let range = match site.output_bits.checked_sub(lowest) {
            None | Some(0) => "none".into(),
            Some(_) => show::bits(needed),
        };
        report("address excess", format!("{site} holds address {bits}, but its address is only {range}"));
    }
    if u32::from(field.bits.width()) != held.count_ones() {
        report("address twice", format!("some address bits have two places in {site}"));
    }
}
