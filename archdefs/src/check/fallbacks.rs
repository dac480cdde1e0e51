//! Each row of `[memory] fallback` is for a type that some leaf has no row for, and pages can be ordinary memory.

use super::{Checker, Site};
use crate::bound::{BoundField, BoundMeaning, BoundRows};
use crate::diagnostics::Diagnostic;
use crate::eval::{Env, holds};
use crate::model::{Class, Meaning, MemoryType};
use crate::words::Word;

/// Records the fallbacks that this leaf uses.
pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>, env: &Env<'_>) {
    if !matches!(site.shape.class, Class::Page | Class::Block) {
        return;
    }
    let mut seen = Vec::new();
    let mut taken = Vec::new();
    for fallback in &checker.format.fallbacks {
        // A condition that makes no sense is reported elsewhere, and of several for one type the first is taken.
        if !holds(fallback.when.as_ref(), env).unwrap_or(false) || seen.contains(&fallback.from) {
            continue;
        }
        seen.push(fallback.from);
        taken.push((fallback.from, fallback.to));
        let set = match row(checker, site, fallback.from) {
            HasRow::Always => &mut checker.idle,
            HasRow::Sometimes | HasRow::Never => &mut checker.used,
        };
        set.insert(fallback.span);
    }
    if site.shape.class == Class::Page && site.run.is_none() && !can_be_ordinary(checker, site, &taken) {
        let place = memory_field(site).map_or(site.kind(), |(field, _)| field.span);
        checker.findings.under(site.params, "no ordinary memory", &[place], || {
            Diagnostic::new(format!("{site} cannot be ordinary memory"), place, "no row has the type `wb`")
                .help("name in `[memory] fallback` the type that is taken for it: `wb -> ..`")
        });
    }
}

/// Whether a leaf can be write-back memory, or a type that a fallback takes for it.
fn can_be_ordinary(checker: &Checker<'_>, site: &Site<'_>, fallbacks: &[(MemoryType, MemoryType)]) -> bool {
    let mut wanted = MemoryType::WriteBack;
    // Each fallback is taken once at most: they may lead in a circle.
    for _ in 0..=fallbacks.len() {
        if row(checker, site, wanted) != HasRow::Never {
            return true;
        }
        match fallbacks.iter().find(|(from, _)| *from == wanted) {
            Some((_, to)) => wanted = *to,
            None => return false,
        }
    }
    false
}

/// Whether a leaf has a row for a memory type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HasRow {
    Always,
    /// It depends on what a register holds.
    Sometimes,
    Never,
}

fn row(checker: &Checker<'_>, site: &Site<'_>, wanted: MemoryType) -> HasRow {
    let Some((field, rows)) = memory_field(site) else {
        return if wanted == MemoryType::Inherit { HasRow::Always } else { HasRow::Never };
    };
    let declared = checker.format.fields.iter().find(|declared| declared.name.span == field.span);
    match declared.map(|declared| &declared.meaning) {
        Some(Meaning::Memory(rows)) if rows.through.is_some() => {
            match rows.rows.iter().any(|row| row.meaning == wanted) {
                true => HasRow::Sometimes,
                false => HasRow::Never,
            }
        }
        _ if rows.writable().any(|row| row.meaning == wanted) => HasRow::Always,
        _ => HasRow::Never,
    }
}

/// The field that holds the memory type, and its rows.
fn memory_field<'a>(site: &Site<'a>) -> Option<(&'a BoundField, &'a BoundRows<MemoryType>)> {
    site.shape.fields.iter().find_map(|field| match &field.meaning {
        BoundMeaning::Memory(rows) => Some((field, rows)),
        _ => None,
    })
}

/// Reports the fallbacks that existed under some parameters and that no leaf used.
pub(super) fn report(checker: &mut Checker<'_>) {
    for fallback in &checker.format.fallbacks {
        if checker.idle.contains(&fallback.span) && !checker.used.contains(&fallback.span) {
            let label = format!("every leaf has `{}` itself", fallback.from.word());
            checker.findings.add(Diagnostic::new("this fallback is never used", fallback.span, label));
        }
    }
}
