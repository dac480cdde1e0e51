//! The distance between an address's bits and their place in an entry does not depend on parameters: generated code
//! shifts by constants.

use super::Checker;
use super::projection::Projection;
use crate::bound::{BelowRoot, Params};
use crate::diagnostics::Diagnostic;
use crate::linear::Linear;
use crate::model::{Bind, Format, Meaning, Segment};

pub(super) fn check(checker: &mut Checker<'_>) {
    let format = checker.format;
    let holds_address = |meaning: &Meaning| matches!(meaning, Meaning::Output | Meaning::Table);
    for params in &Projection::of_builds(format).cases(checker) {
        for field in format.fields.iter().filter(|field| holds_address(&field.meaning)) {
            for segment in field.bits.0.iter().flat_map(|choice| &choice.value.segments) {
                if !is_still(format, params, segment) {
                    checker.findings.under(params, "moving address", &[segment.span], || {
                        let message = format!("the bits of `{}` move by a distance that parameters change", field.name.value);
                        let help = "the low ends on both sides of `<-` must differ by one number in each build; give each \
                                    distance a choice of its own";
                        Diagnostic::new(message, segment.span, "").help(help)
                    });
                }
            }
        }
    }
}

/// Whether a segment, unless it is empty in this build, holds address bits at a constant distance.
fn is_still(format: &Format, params: &Params, segment: &Segment) -> bool {
    let Some((_, from)) = &segment.from else { return true };
    let below_root = BelowRoot::new(format, params).ok();
    let known = |name: &str| match (name, below_root) {
        ("page_bits", Some(below_root)) => Some(below_root.page_bits.into()),
        ("index_bits", Some(below_root)) => Some(below_root.index_bits[0].into()),
        _ => {
            let param = format.params.iter().find(|param| param.name.value == name)?;
            (param.bind == Bind::Build).then(|| params.number(name)).flatten()
        }
    };
    let difference = |a, b| Linear::under(a, &known)?.minus(&Linear::under(b, &known)?)?.constant();
    difference(from, &segment.low).is_some() || difference(&segment.high, &segment.low).is_some_and(|bits| bits < 0)
}
