//! Every bit of an entry has exactly one owner.

use super::{Checker, Site};
use crate::bound::kind::tested_bits;
use crate::bound::{BoundTest, Params};
use crate::diagnostics::Diagnostic;
use crate::show;
use crate::source::Span;

/// Who owns some bits.
struct Owner<'a> {
    mask: u64,
    name: &'a str,
    place: Span,
}

/// Checks the owners of a shape's bits. Returns whether it is clear what to write into every bit.
pub(super) fn check(checker: &mut Checker<'_>, site: &Site<'_>) -> bool {
    let shape = site.shape;
    let fields =
        shape.fields.iter().map(|field| Owner { mask: field.bits.mask(), name: &field.name, place: field.choice });
    let fixes = shape.fixes.iter().map(|fix| Owner { mask: fix.mask, name: &fix.id, place: fix.choice });
    let marks = Owner {
        mask: tested_bits(&shape.marks),
        name: site.run.map_or("single", |run| &run.id),
        place: shape.marks.first().map_or_else(Span::default, |test| test.span),
    };
    let owners: Vec<Owner<'_>> = fields.chain(fixes).chain([marks]).collect();
    for (index, second) in owners.iter().enumerate() {
        for first in owners.iter().take(index).filter(|first| first.mask & second.mask != 0) {
            two_owners(checker, site, first, second);
        }
    }
    let word = checker.format.word.mask();
    for owner in owners.iter().filter(|owner| owner.mask & !word != 0) {
        beyond(checker, site.params, owner.mask, owner.place);
    }
    let owned = owners.iter().fold(0, |mask, owner| mask | owner.mask);
    let marks_clear = written_tests(checker, site, &shape.marks, u64::MAX);
    let tests_clear = written_tests(checker, site, &shape.tested, !owned);
    no_owner(checker, site, word & !owned & !tested_bits(&shape.tested));
    marks_clear && tests_clear
}

/// Reports bits in `mask`, at `place`, that lie outside an entry.
pub(super) fn beyond(checker: &mut Checker<'_>, params: &Params, mask: u64, place: Span) {
    let word = checker.format.word;
    checker.findings.under(params, "beyond the entry", &[place], || {
        let message = format!("an entry has {} bits, and no {}", word.bits(), show::named_bits(mask & !word.mask()));
        Diagnostic::new(message, place, "").help("`[format] entry_bits` says how many there are")
    });
}

/// Records the owners of bits as used.
pub(super) fn check_used(checker: &mut Checker<'_>, site: &Site<'_>) {
    let shape = site.shape;
    for field in &shape.fields {
        checker.used.insert(field.choice);
        if field.bits.mask() != 0 {
            checker.used.insert(field.span);
        }
    }
    for fix in &shape.fixes {
        checker.used.extend([fix.choice, fix.is_choice]);
        if fix.mask != 0 {
            checker.used.insert(fix.span);
        }
    }
}

fn two_owners(checker: &mut Checker<'_>, site: &Site<'_>, first: &Owner<'_>, second: &Owner<'_>) {
    checker.findings.under(site.params, "two owners", &[first.place, second.place], || {
        let message = format!("two owners for {} of {site}", show::named_bits(first.mask & second.mask));
        let label = |owner: &Owner<'_>| format!("`{}` owns {}", owner.name, show::bits(owner.mask));
        Diagnostic::new(message, second.place, label(second)).and(first.place, label(first))
    });
}

/// The encoder must know what to write into the bits in `mask` that tests own. Returns whether it does.
fn written_tests(checker: &mut Checker<'_>, site: &Site<'_>, tests: &[BoundTest], mask: u64) -> bool {
    let owners = || tests.iter().filter(|test| test.bits.mask() & mask != 0);
    let clear = owners().filter(|test| test.written().is_some()).fold(0, |bits, test| bits | test.bits.mask());
    let is_vague = |test: &&BoundTest| test.written().is_none() && test.bits.mask() & mask & !clear != 0;
    let vague: Vec<&BoundTest> = owners().filter(is_vague).collect();
    if let [first, others @ ..] = vague.as_slice() {
        checker.findings.under(site.params, "unwritable test", &[first.span], || {
            let bits = vague.iter().fold(0, |bits, test| bits | test.bits.mask()) & mask & !clear;
            let message = format!("nobody says what to write into {} of {site}", show::named_bits(bits));
            let label = "several values pass this test";
            let diagnostic = others
                .iter()
                .fold(Diagnostic::new(message, first.span, label), |diagnostic, test| diagnostic.and(test.span, label));
            diagnostic.help("test for one value with `==`, or give the bits to a field or a `[[fix]]`")
        });
    }
    for test in owners() {
        let Some(written) = test.written() else { continue };
        let bits = test.bits.mask() & mask;
        let differs =
            |other: &&BoundTest| other.written().is_some_and(|value| (value ^ written) & bits & other.bits.mask() != 0);
        if let Some(other) = owners().find(differs) {
            checker.findings.under(site.params, "contradiction", &[other.span, test.span], || {
                let message = format!("{} of {site} are to be written in two ways", show::named_bits(bits));
                Diagnostic::new(message, test.span, "so").and(other.span, "and so")
            });
        }
    }
    vague.is_empty()
}

/// The bits of one kind of entry that nobody owns.
pub(super) struct Gap {
    diagnostic: Diagnostic,
    params: Params,
    first: u64,
    all: u64,
}

fn no_owner(checker: &mut Checker<'_>, site: &Site<'_>, bits: u64) {
    if bits == 0 {
        return;
    }
    let gap = checker.gaps.entry(site.shape.class).or_insert_with(|| Gap {
        diagnostic: Diagnostic::new(
            format!("no owner for {} of {site}", show::named_bits(bits)),
            site.kind(),
            "entries of this kind",
        ),
        params: site.params.clone(),
        first: bits,
        all: bits,
    });
    gap.all |= bits;
}

/// Reports each kind of entry with a gap once, whatever bits it lacks elsewhere, and kinds with the same gap together.
pub(super) fn report_gaps(checker: &mut Checker<'_>) {
    let mut gaps: Vec<Gap> = Vec::new();
    for gap in std::mem::take(&mut checker.gaps).into_values() {
        match gaps.iter_mut().find(|known| known.first == gap.first) {
            Some(known) => {
                known.diagnostic.labels.extend(gap.diagnostic.labels);
                known.all |= gap.all;
            }
            None => gaps.push(gap),
        }
    }
    for gap in gaps {
        let advice = "a field, a `[[run]]` or a `[[fix]]` says what they are";
        let help = match gap.all & !gap.first {
            0 => advice.into(),
            others => format!("{advice}; {} at other levels or with other parameters", show::named_bits(others)),
        };
        checker.findings.first(&gap.params, gap.diagnostic.help(help));
    }
}
