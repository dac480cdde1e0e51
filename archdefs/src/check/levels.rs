//! Runs the checks of entries at every level, under all parameters that make a difference to it.

use std::collections::HashSet;

use super::projection::Projection;
use super::{Checker, Site, address, encoder, fallbacks, items, kinds, owners, rows, runs, states};
use crate::bound::{BindError, Geometry, Level, Params, Place, blocks, implies, whole_env};
use crate::diagnostics::Diagnostic;
use crate::eval::Env;
use crate::model::{Facts, Is};
use crate::source::Span;
use crate::visit::Part;

pub(super) fn check(checker: &mut Checker<'_>) {
    let format = checker.format;
    let entries = Projection::of_parts(format, |part| part == Part::Entry);
    let both = Projection::of_parts(format, |part| matches!(part, Part::Entry | Part::Geometry));
    let mut done = HashSet::new();
    for params in &both.cases(checker) {
        let geometry = match Geometry::new(format, params) {
            Ok(geometry) => geometry,
            Err(BindError::Malformed(problem)) => {
                checker.malformed(params, &problem);
                continue;
            }
            Err(error) => {
                let place = format.roots.first().map_or(format.name.span, |root| root.index_bits.span);
                checker.findings.under(params, "geometry", &[place], || Diagnostic::new(error.to_string(), place, ""));
                continue;
            }
        };
        let env = whole_env(params, &geometry);
        let sets = match blocks(format, &env) {
            Ok(sets) => sets,
            Err(problem) => {
                checker.malformed(params, &problem);
                continue;
            }
        };
        checker.used.extend(sets.iter().map(|set| set.span));
        let implies = match implies(format, &env) {
            Ok(implies) => implies,
            Err(problem) => {
                checker.malformed(params, &problem);
                continue;
            }
        };
        for level in 0..geometry.levels {
            let place = Place::new(level, geometry.top(), &sets);
            let below_root = level < geometry.top();
            let widths = (level, geometry.output_bits, geometry.decode_bits, below_root, place.holds_blocks());
            if done.insert((widths, entries.key(params))) {
                let mut problems = Vec::new();
                let level = Level::bind(format, &geometry, &place, &env, &mut problems);
                problems.iter().for_each(|problem| checker.malformed(params, problem));
                block_levels(checker, params, &level, place.holds_blocks(), sets.first().map(|set| set.span));
                if problems.is_empty() {
                    self::level(checker, params, &geometry, &level, implies, &env);
                }
            }
        }
    }
}

fn level(
    checker: &mut Checker<'_>,
    params: &Params,
    geometry: &Geometry,
    level: &Level,
    implies: Facts,
    env: &Env<'_>,
) {
    let patterns = kinds::check(checker, params, level);
    kinds::check_empty(checker, params, level);
    runs::check(checker, params, geometry, level, level.level < geometry.top());
    items::check(checker, params, level);
    let Geometry { output_bits, decode_bits, .. } = *geometry;
    let table_bits = geometry.table_bits(level.level.saturating_sub(1));
    for (shape, run) in level.shapes() {
        let site = Site { params, output_bits, decode_bits, table_bits, level, shape, run, implies };
        owners::check_used(checker, &site);
        if !patterns.ambiguous && owners::check(checker, &site) {
            encoder::check(checker, &site, &patterns);
        }
        address::check(checker, &site);
        rows::check(checker, &site, &patterns);
        states::check(checker, &site);
        fallbacks::check(checker, &site, env);
    }
}

/// Pages are at level 0, tables above, and blocks exactly where `[levels] blocks` says.
fn block_levels(checker: &mut Checker<'_>, params: &Params, level: &Level, said: bool, set: Option<Span>) {
    let row = |is| level.kinds.iter().find(|kind| kind.is == is).map(|kind| kind.span);
    let (number, format) = (level.level, checker.format);
    let mut report = |rule, place: Span, message: String| {
        checker.findings.under(params, rule, &[place], || Diagnostic::new(message, place, ""));
    };
    match (number, row(Is::Leaf), row(Is::Table)) {
        (0, None, _) => report("no page", format.name.span, "no `[[kind]]` row is a leaf at level 0".into()),
        (0, _, Some(table)) => report("table at 0", table, "there is no table below level 0".into()),
        (1.., _, None) => {
            report("no table", format.name.span, format!("no `[[kind]]` row is a table at level {number}"))
        }
        (1.., Some(leaf), _) if !said => {
            let message = format!("`[levels] blocks` says that level {number} holds no blocks");
            report("unsaid block", leaf, message);
        }
        (1.., None, _) if said => {
            let message = format!("no `[[kind]]` row is a leaf at level {number}, which may hold blocks");
            report("missing block", set.unwrap_or(format.name.span), message);
        }
        _ => {}
    }
}
