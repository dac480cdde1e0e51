//! Every `[[config]]` is legal and has the page sizes that it restates.

use super::Checker;
use crate::ascending::ascending;
use crate::bound::{BindError, Bound, Params};
use crate::diagnostics::Diagnostic;
use crate::model::Config;
use crate::show;

/// The configurations that can be bound, with their ids.
pub(super) fn check<'a>(checker: &mut Checker<'a>) -> Vec<(&'a str, Bound)> {
    let format = checker.format;
    let mut found = Vec::new();
    for config in &format.configs {
        match Params::of_config(format, config) {
            Err(error) => illegal(checker, config, &error),
            Ok(params) => match Bound::new(format, &params) {
                // What cannot be evaluated is reported at its own place.
                Err(BindError::Malformed(problem)) => checker.malformed(&params, &problem),
                Err(error) => illegal(checker, config, &error),
                Ok(bound) => {
                    sizes(checker, config, &bound);
                    found.push((config.id.value.as_str(), bound));
                }
            },
        }
    }
    found
}

fn sizes(checker: &mut Checker<'_>, config: &Config, bound: &Bound) {
    let bits = ascending((0..bound.geometry.levels).flat_map(|level| bound.page_sizes(level)).collect());
    let sizes: Vec<u64> = bits.iter().map(|bits| 1 << bits).collect();
    if sizes != config.page_sizes.value {
        let rows: Vec<String> = bits.into_iter().map(show::size).collect();
        let message = format!("configuration `{}` has other page sizes", config.id.value);
        let label = format!("the rows give `{}`", rows.join(" "));
        checker.findings.add(Diagnostic::new(message, config.page_sizes.span, label));
    }
}

fn illegal(checker: &mut Checker<'_>, config: &Config, error: &BindError) {
    let set = |name: &str| config.set.iter().find(|(param, _)| param.value == name);
    let value = |name| set(name).map_or(config.id.span, |(_, value)| value.span);
    let place = match error {
        BindError::Unknown(name) => set(name).map_or(config.id.span, |(param, _)| param.span),
        BindError::Value { param, .. } | BindError::Unavailable { param, .. } => value(param),
        BindError::Rule(_) | BindError::Root { .. } | BindError::RootNeeds { .. } | BindError::Malformed(_) => {
            config.id.span
        }
    };
    let message = format!("configuration `{}` is not legal: {error}", config.id.value);
    let diagnostic = Diagnostic::new(message, place, "");
    checker.findings.add(match error {
        BindError::Unavailable { span, .. } => diagnostic.and(*span, "this condition"),
        BindError::Rule(span) => diagnostic.and(*span, "this rule"),
        _ => diagnostic,
    });
}
