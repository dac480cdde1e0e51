//! Nothing in the file is without effect under all parameters.

use super::{Checker, fallbacks};
use crate::diagnostics::Diagnostic;
use crate::eval::names;
use crate::expr::Expr;
use crate::interpret::Means;
use crate::model::{Choice, Choices, Domain, Field, Format, Meaning, Other, Rows};
use crate::source::Span;

pub(super) fn check(checker: &mut Checker<'_>) {
    let format = checker.format;
    let mut of = |what: &str, places: Vec<Span>| {
        for place in places.into_iter().filter(|place| !checker.used.contains(place)) {
            checker.findings.add(Diagnostic::new(format!("this {what} is never used"), place, ""));
        }
    };
    of("root", format.roots.iter().map(|root| root.id.span).collect());
    of("item", choices(&format.levels.index_bits));
    of("set of levels", format.levels.blocks.iter().map(|choice| choice.value.span).collect());
    of("run", format.runs.iter().map(|run| run.id.span).collect());
    of("value", choices(&format.empty));
    of("table", choices(&format.empty_table));
    for field in format.registers.iter().flat_map(|register| &register.fields) {
        of("field", vec![field.span]);
    }
    of("`narrow`", format.registers.iter().filter_map(|register| register.narrow).collect());
    let executes = format.tlb.iter().any(|op| Means::of(op) == Means::Code);
    if let Some(feature) = format.execute_feature.as_ref().filter(|_| !executes) {
        let message = "`execute_feature` says nothing";
        checker.findings.add(Diagnostic::new(message, feature.span, "no `[[tlb]]` has `code` that it would allow"));
    }
    fallbacks::report(checker);
    for kind in &format.kinds {
        whole_or_parts(checker, "kind", kind.id.span, kind.matches.iter().flat_map(choices).collect());
    }
    for fix in &format.fixes {
        let parts = choices(&fix.bits).into_iter().chain(choices(&fix.is)).collect();
        whole_or_parts(checker, "fix", fix.id.span, parts);
    }
    for field in &format.fields {
        whole_or_parts(checker, "field", field.name.span, choices(&field.bits));
        if checker.used.contains(&field.name.span) {
            meaning(checker, field);
        }
    }
}

/// Reports a whole that is never used, or else its parts that are not.
fn whole_or_parts(checker: &mut Checker<'_>, what: &str, whole: Span, parts: Vec<Span>) {
    let places = if checker.used.contains(&whole) { parts } else { vec![whole] };
    for (index, place) in places.into_iter().enumerate().filter(|(_, place)| !checker.used.contains(place)) {
        let what = if index == 0 && place == whole { what } else { "item" };
        checker.findings.add(Diagnostic::new(format!("this {what} is never used"), place, ""));
    }
}

fn meaning(checker: &mut Checker<'_>, field: &Field) {
    match &field.meaning {
        Meaning::Rights(rows) => table(checker, field, rows),
        Meaning::Memory(rows) => table(checker, field, rows),
        Meaning::Option(rows, _) => table(checker, field, rows),
        Meaning::Fixed(values) => {
            for place in choices(values).into_iter().filter(|place| !checker.used.contains(place)) {
                checker.findings.add(Diagnostic::new("this value is never used", place, ""));
            }
        }
        Meaning::Output | Meaning::Table | Meaning::NextLevel(_) | Meaning::Software => {}
    }
}

fn table<T>(checker: &mut Checker<'_>, field: &Field, rows: &Rows<T>) {
    // Which values the bytes of a register have is up to whoever programs it.
    if rows.through.is_some() {
        return;
    }
    for row in rows.rows.iter().filter(|row| !checker.used.contains(&row.span)) {
        let unused = Diagnostic::new("this row is never used", row.span, "no entry shows this value");
        checker.findings.add(match row.when.as_ref().and_then(|when| word(checker.format, when)) {
            Some(word) => unused.help(format!("only the default of `{word}` and what configurations set are tried")),
            None => unused,
        });
    }
    if rows.other != Other::None && !checker.needs_other.contains(&field.name.span) {
        let message = format!("every value of `{}` has a row: `other` says nothing", field.name.value);
        checker.findings.add(Diagnostic::new(message, field.name.span, ""));
    }
}

/// A parameter that an expression names and that has more values than can be tried.
fn word<'a>(format: &'a Format, expr: &Expr) -> Option<&'a str> {
    let words = format.params.iter().filter(|param| param.domain == Domain::Word);
    words.map(|param| param.name.value.as_str()).find(|word| {
        let mut named = false;
        names(expr, &mut |name, _| named |= name == *word);
        named
    })
}

fn choices<T>(choices: &Choices<T>) -> Vec<Span> {
    choices.0.iter().map(|choice: &Choice<T>| choice.span).collect()
}
