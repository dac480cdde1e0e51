//! What is written reads back as what was meant, and never as reserved.

use super::cubes::Cube;
use super::kinds::Patterns;
use super::{Checker, Site};
use crate::ascending::ascending;
use crate::bound::kind::classify;
use crate::bound::{BoundField, BoundMeaning};
use crate::diagnostics::Diagnostic;
use crate::model::FixClass;

pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>, patterns: &Patterns) {
    // Bits outside this mask do not decide what kind an entry is.
    let mut written = vec![site.shape.constant & patterns.mask];
    let mut free = 0;
    for field in &site.shape.fields {
        next_level(checker, site, field);
        let mask = field.bits.mask() & patterns.mask;
        match written_values(field, site.level.level) {
            Written::Any => free |= mask,
            Written::Values(values) if mask != 0 => {
                let with = |so_far: &u64| values.iter().map(|value| so_far | value & mask).collect::<Vec<_>>();
                written = ascending(written.iter().flat_map(with).collect());
            }
            Written::Values(_) => {}
        }
    }
    // Software may set the bits that are free for it, hardware those that it owns.
    for fix in site.shape.fixes.iter().filter(|fix| matches!(fix.is, FixClass::Software | FixClass::Hardware)) {
        free |= fix.mask & patterns.mask;
    }
    let others = || patterns.kinds.iter().filter(|(_, is)| !site.shape.class.is_made_by(*is));
    let misread = written.into_iter().find_map(|raw| {
        let written = Cube::new(!free, raw);
        let (read, _) = others().find(|(cube, _)| cube.meets(written) && !is_empty_table(site, *cube))?;
        let raw = raw | read.value & free;
        Some((raw, classify(&site.level.kinds, raw)?))
    });
    if let Some((raw, kind)) = misread {
        checker.findings.under(site.params, "misread", &[site.kind(), kind.span], || {
            let message = format!("{site} can be written so that it reads as `{}`", kind.id);
            let label = format!("this matches `{}`", crate::show::pattern(raw, patterns.mask));
            Diagnostic::new(message, kind.choice.unwrap_or(kind.span), label).and(site.kind(), "meant to be this")
        });
    }
}

/// Whether these entries point to the table that stands for "nothing mapped", which no entry of ours points to.
fn is_empty_table(site: &Site<'_>, cube: Cube) -> bool {
    let bits =
        site.shape.fields.iter().find(|field| matches!(field.meaning, BoundMeaning::Table)).map(|field| &field.bits);
    let (Some(bits), Some((address, _))) = (bits, site.level.empty_table) else { return false };
    cube.mask & bits.mask() == bits.mask() && cube.value & bits.mask() == bits.insert(address)
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

/// What may be written into a field.
enum Written {
    /// Whatever fits.
    Any,
    /// These entry bits.
    Values(Vec<u64>),
}

fn written_values(field: &BoundField, level: u8) -> Written {
    let insert = |value| field.bits.insert(value);
    Written::Values(match &field.meaning {
        BoundMeaning::Rights(rows, _) => rows.writable().map(|row| insert(row.value)).collect(),
        BoundMeaning::Memory(rows) => rows.writable().map(|row| insert(row.value)).collect(),
        BoundMeaning::Option(rows, _) => rows.writable().map(|row| insert(row.value)).collect(),
        BoundMeaning::NextLevel(plus) => {
            vec![insert(u64::try_from(plus.saturating_add(i64::from(level) - 1)).unwrap_or(0))]
        }
        BoundMeaning::Output | BoundMeaning::Table | BoundMeaning::Software => return Written::Any,
        // Part of the shape's constant bits.
        BoundMeaning::Fixed(..) => vec![0],
    })
}
