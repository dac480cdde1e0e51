//! `[capabilities]`: each field of an identification register is read as a whole, and what is read from it is a legal
//! value of its parameter.

use super::Checker;
use crate::diagnostics::Diagnostic;
use crate::eval::slices;
use crate::expr::{Expr, Node};
use crate::model::{Capabilities, Param};
use crate::show;
use crate::source::Span;

pub(super) fn check(checker: &mut Checker<'_>) {
    let format = checker.format;
    if let Some(capabilities) = &format.capabilities {
        constants(checker, capabilities);
        fields(checker, capabilities);
    }
}

/// A row that reads no register always gives the same value.
fn constants(checker: &mut Checker<'_>, capabilities: &Capabilities) {
    for row in &capabilities.values {
        let param = checker.format.params.iter().find(|param| param.name.value == row.param.value);
        if let (Some(param), Node::Int(value)) = (param, &row.value.node)
            && !i64::try_from(*value).is_ok_and(|value| param.domain.contains(value))
        {
            let message = format!("`{}` is never {value}", row.param.value);
            checker.findings.add(out_of_domain(message, row.value.span, param));
        }
    }
}

pub(super) fn out_of_domain(message: String, place: Span, param: &Param) -> Diagnostic {
    Diagnostic::new(message, place, "").and(param.name.span, "its values are declared here")
}

/// Fields of identification registers do not share bits: two ranges that overlap are meant to be the same field, and
/// one of them is wrong.
fn fields(checker: &mut Checker<'_>, capabilities: &Capabilities) {
    let mut known: Vec<(String, u64, Span)> = Vec::new();
    let conditions = capabilities.values.iter().filter_map(|row| row.when.as_ref());
    let exprs: Vec<&Expr> = capabilities.values.iter().map(|row| &row.value).chain(conditions).collect();
    for expr in exprs {
        slices(expr, &mut |name, mask, span| {
            let of_register = || known.iter().filter(|(register, ..)| register == name);
            if let Some((_, bits, other)) = of_register().find(|(_, bits, _)| bits & mask != 0 && *bits != mask) {
                let message = format!("two fields of `{name}` share {}", show::named_bits(bits & mask));
                checker.findings.add(Diagnostic::new(message, span, "this one").and(*other, "and this one"));
            }
            if of_register().all(|(_, bits, _)| *bits != mask) {
                known.push((name.to_owned(), mask, span));
            }
        });
    }
}
