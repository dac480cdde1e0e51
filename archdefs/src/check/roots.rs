//! There are legal parameters, in every build, and each root shape is one way to reach its input size.

use super::projection::Projection;
use super::{Checker, MALFORMED};
use crate::bound::{BelowRoot, BindError, Geometry, Params, matching_roots};
use crate::diagnostics::Diagnostic;
use crate::model::{Bind, Build, Format, Root};
use crate::visit::Part;

/// Whether any combination of parameters is legal.
pub(super) fn check(checker: &mut Checker<'_>) -> bool {
    let format = checker.format;
    if format.roots.iter().filter(|root| is_too_deep(checker, root)).count() > 0 {
        return false;
    }
    let legal = Projection::of_parts(format, |part| part == Part::Root).and("input_bits").cases(checker);
    if format.builds.is_empty() {
        build(checker, None, &legal);
    }
    for module in &format.builds {
        build(checker, Some(module), &legal);
    }
    for params in &legal {
        shapes(checker, params);
    }
    if !checker.incomplete {
        for root in format.roots.iter().filter(|root| checker.used.contains(&root.id.span)).collect::<Vec<_>>() {
            ends(checker, root, &legal);
        }
    }
    !legal.is_empty()
}

/// Reports a root with more levels than the engine supports.
fn is_too_deep(checker: &mut Checker<'_>, root: &Root) -> bool {
    let most = Geometry::MAX_LEVELS;
    let Some(levels) = root.levels.value.iter().find(|levels| **levels > most.into()) else { return false };
    let message = format!("root `{}` has {levels} levels", root.id.value);
    checker.findings.add(Diagnostic::new(message, root.levels.span, format!("at most {most} can be")));
    true
}

fn build(checker: &mut Checker<'_>, build: Option<&Build>, legal: &[Params]) {
    let format = checker.format;
    let place = build.map_or(format.name.span, |build| build.name.span);
    for (name, value) in build.iter().flat_map(|build| &build.set) {
        let param = format.params.iter().find(|param| param.name.value == name.value && param.bind == Bind::Build);
        match param {
            None => {
                let message = format!("`{}` is no build parameter", name.value);
                checker.findings.add(Diagnostic::new(message, name.span, ""));
                return;
            }
            Some(param) if !param.domain.contains(value.value) => {
                let message = format!("`{}` cannot be {}", name.value, value.value);
                checker.findings.add(Diagnostic::new(message, value.span, "").and(param.name.span, "declared here"));
                return;
            }
            Some(_) => {}
        }
    }
    match Params::of_build(format, build) {
        Err(BindError::Malformed(problem)) => {
            checker.findings.know(MALFORMED, problem.span);
            checker.findings.add(Diagnostic::new(problem.message, problem.span, ""));
        }
        Err(error) => checker.findings.add(Diagnostic::new(error.to_string(), place, "")),
        Ok(defaults) => {
            let builds = Projection::of_builds(format);
            let of_build = builds.key(&defaults);
            if !legal.iter().any(|params| builds.key(params) == of_build) {
                let message = "no combination of parameters is legal";
                let diagnostic = Diagnostic::new(message, place, "")
                    .help("no `[[root]]` fits, or a rule of `[levels] requires` never holds");
                checker.findings.add(diagnostic);
            }
        }
    }
}

fn shapes(checker: &mut Checker<'_>, params: &Params) {
    let format = checker.format;
    let holding = match matching_roots(format, params) {
        Ok(roots) => roots,
        Err(BindError::Malformed(problem)) => return checker.malformed(params, &problem),
        Err(_) => return,
    };
    checker.used.extend(holding.iter().map(|root| root.id.span));
    if let [first, second, ..] = holding.as_slice() {
        checker.findings.under(params, "two roots", &[first.id.span, second.id.span], || {
            let message = format!("two roots have {} levels and {} input bits", params.levels(), params.input_bits());
            Diagnostic::new(message, second.id.span, "this one").and(first.id.span, "and this one")
        });
    }
}

/// The lowest and the highest value of a root's ranges are legal under some parameters, so no range is wider than
/// needed.
fn ends(checker: &mut Checker<'_>, root: &Root, legal: &[Params]) {
    let (levels, index_bits) = (&root.levels, &root.index_bits);
    let of_levels = |value| index_bits.value.iter().map(|&bits| (value, bits)).collect();
    let of_index_bits = |value| levels.value.iter().map(|&levels| (levels, value)).collect();
    let levels_ends = ends_of(&levels.value).map(|value| (levels.span, value, "levels", of_levels(value)));
    let index_ends =
        ends_of(&index_bits.value).map(|value| (index_bits.span, value, "index bits", of_index_bits(value)));
    for (place, value, what, shapes) in levels_ends.chain(index_ends) {
        let shapes: Vec<(i64, i64)> = shapes;
        if !shapes.iter().any(|shape| legal.iter().any(|params| reaches(checker.format, params, root, *shape))) {
            let message = format!("root `{}` never has {value} {what}", root.id.value);
            checker.findings.add(Diagnostic::new(message, place, "no legal parameters do"));
        }
    }
}

fn ends_of(values: &[i64]) -> impl Iterator<Item = i64> {
    let lowest = values.iter().min().copied();
    lowest.into_iter().chain(values.iter().max().copied().filter(|highest| Some(*highest) != lowest))
}

/// Whether these parameters are legal with this number of levels and this number of index bits of the root.
fn reaches(format: &Format, params: &Params, root: &Root, (levels, index_bits): (i64, i64)) -> bool {
    let Ok(below_root) = BelowRoot::new(format, params) else { return false };
    let input_bits = below_root.root_entry_bits(levels);
    let mut params = params.clone();
    let set = params.set("levels", levels).and(params.set("input_bits", input_bits.saturating_add(index_bits)));
    let is_root = || matching_roots(format, &params).is_ok_and(|roots| roots.iter().any(|found| found.id == root.id));
    set.is_ok() && is_root() && params.is_legal(format)
}
