//! Accessed and dirty states. Hardware may set them while software changes the leaf's rights, so the bits that hold
//! states must be separate from those that hold rights; and one mask on one field must tell whether a state is set.

use super::{Checker, Site};
use crate::ascending::ascending;
use crate::bound::{BoundField, BoundMeaning};
use crate::diagnostics::Diagnostic;
use crate::interpret::rights::{best, combinations, shown};
use crate::model::{Class, Facts, Field, Meaning};
use crate::show;

const STATES: [(Facts, &str); 2] = [(Facts::ACCESSED, "accessed"), (Facts::DIRTY, "dirty")];

/// One mask tells the rows with a state from those without it.
pub(super) fn check_marks(checker: &mut Checker<'_>) {
    let in_leaves = |field: &&Field| field.classes.iter().any(|class| matches!(class, Class::Page | Class::Block));
    for field in checker.format.fields.iter().filter(in_leaves) {
        let Meaning::Rights(rows) = &field.meaning else { continue };
        for (state, word) in STATES {
            let mut with = rows.rows.iter().filter(|row| row.meaning.contains(state));
            let (Some(first), None) = (with.next(), rows.mark(state)) else { continue };
            let message = format!("no bits of `{}` tell `{word}` from its absence", field.name.value);
            let diagnostic = Diagnostic::new(message, first.span, "shows the state");
            let diagnostic = with.fold(diagnostic, |diagnostic, row| diagnostic.and(row.span, "as does this"));
            checker.findings.add(diagnostic.help(
                "some bits must have one value in all rows with the state, whatever their conditions, and another in \
                 each row without it",
            ));
        }
    }
}

pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>) {
    if site.shape.class == Class::Table {
        return;
    }
    one_field(checker, site);
    unspoken(checker, site);
    let implies = site.implies;
    let combinations = combinations(site.shape);
    // If a value has two rows, that is reported first.
    if combinations.iter().any(|rights| shown(site.shape, rights.raw, implies) != Some(rights.shown(implies))) {
        return;
    }
    let sets = combinations.iter().map(|rights| (rights.shown(implies) & Facts::RIGHTS).bits());
    for rights in ascending(sets.collect()).into_iter().map(Facts::from_bits_truncate) {
        let with = |states| best(&combinations, implies, rights | states).map(|rights| rights.raw);
        let (Some(clear), Some(marked)) = (with(Facts::empty()), with(Facts::ACCESSED | Facts::DIRTY)) else {
            continue;
        };
        let marks = clear ^ marked;
        let kept = combinations.iter().map(|rights| rights.raw & marks);
        let changed = ascending(kept.collect()).into_iter().map(|kept| clear & !marks | kept);
        let mut becomes = changed.map(|raw| shown(site.shape, raw, implies).map(|facts| facts & Facts::RIGHTS));
        if let Some(wrong) = becomes.find(|becomes| *becomes != Some(rights)) {
            report(checker, site, marks, rights, wrong);
        }
    }
}

/// No field of a leaf states a right that every leaf grants.
fn unspoken(checker: &mut Checker<'_>, site: &Site<'_>) {
    for field in &site.shape.fields {
        let BoundMeaning::Rights(_, speaks) = &field.meaning else { continue };
        let both = *speaks & site.implies;
        if !both.is_empty() {
            checker.findings.under(site.params, "implied", &[field.span], || {
                let message = format!("`{}` speaks of `{}`, which every leaf grants", field.name, show::facts(both));
                Diagnostic::new(message, field.span, "in a leaf")
                    .help("`[format] implies` is for what no field can deny")
            });
        }
    }
}

/// No two fields of a leaf state the same state.
fn one_field(checker: &mut Checker<'_>, site: &Site<'_>) {
    for (state, word) in STATES {
        let speaks = |field: &&BoundField| match &field.meaning {
            BoundMeaning::Rights(rows, _) => rows.rows.iter().any(|row| row.meaning.contains(state)),
            _ => false,
        };
        let fields: Vec<&BoundField> = site.shape.fields.iter().filter(speaks).collect();
        if let [first, second, ..] = fields[..] {
            checker.findings.under(site.params, "state twice", &[first.span, second.span], || {
                let message = format!("two fields say whether {site} is {word}");
                Diagnostic::new(message, second.span, "this one").and(first.span, "and this one")
            });
        }
    }
}

fn report(checker: &mut Checker<'_>, site: &Site<'_>, marks: u64, rights: Facts, wrong: Option<Facts>) {
    let marked =
        |field: &&BoundField| matches!(field.meaning, BoundMeaning::Rights(..)) && field.bits.mask() & marks != 0;
    let Some(field) = site.shape.fields.iter().find(marked) else { return };
    checker.findings.under(site.params, "marks grant", &[field.span], || {
        let bits = show::named_bits(marks);
        let becomes = wrong.map_or_else(|| "illegal".to_owned(), |wrong| format!("one with `{}`", show::facts(wrong)));
        let message = format!("{site} that is given the rights `{}` can become {becomes}", show::facts(rights));
        Diagnostic::new(message, field.span, format!("{bits} may be marks, and stay as they are"))
            .help("a bit that shows accessed or dirty stands for no right, whatever the others say")
    });
}
