//! Each row of `[memory] fallback` is for a type that some leaf has no row for.

use super::{Checker, Site};
use crate::bound::{BoundMeaning, BoundRows};
use crate::diagnostics::Diagnostic;
use crate::eval::{Env, holds};
use crate::model::{Class, Meaning, MemoryType};
use crate::words::Word;

/// Notes which fallbacks this leaf makes use of.
pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>, env: &Env<'_>) {
    if !matches!(site.shape.class, Class::Page | Class::Block) {
        return;
    }
    let mut seen = Vec::new();
    for fallback in &checker.format.fallbacks {
        // A condition that makes no sense is reported elsewhere, and of several for one type the first is taken.
        if !holds(fallback.when.as_ref(), env).unwrap_or(false) || seen.contains(&fallback.from) {
            continue;
        }
        seen.push(fallback.from);
        let set = if has_row(checker, site, fallback.from) { &mut checker.idle } else { &mut checker.used };
        set.insert(fallback.span);
    }
}

/// Whether the leaf has a row for this type, whatever registers hold.
fn has_row(checker: &Checker<'_>, site: &Site<'_>, wanted: MemoryType) -> bool {
    let mut fields = site.shape.fields.iter();
    let field = fields.find_map(|field| match &field.meaning {
        BoundMeaning::Memory(rows) => Some((field, rows)),
        _ => None,
    });
    let writes = |rows: &BoundRows<MemoryType>| rows.writable().any(|row| row.meaning == wanted);
    let through_register = |meaning: &Meaning| matches!(meaning, Meaning::Memory(rows) if rows.through.is_some());
    match field {
        None => wanted == MemoryType::Inherit,
        Some((field, rows)) => {
            let declared = checker.format.fields.iter().find(|declared| declared.name.span == field.span);
            writes(rows) && !declared.is_some_and(|declared| through_register(&declared.meaning))
        }
    }
}

/// Reports those that none made use of, though they were there.
pub(super) fn report(checker: &mut Checker<'_>) {
    for fallback in &checker.format.fallbacks {
        if checker.idle.contains(&fallback.span) && !checker.used.contains(&fallback.span) {
            let label = format!("every leaf has `{}` itself", fallback.from.word());
            checker.findings.add(Diagnostic::new("this fallback is never used", fallback.span, label));
        }
    }
}
