//! What the checker has found: each mistake once, under the first parameters that show it.

use std::collections::HashSet;

use crate::bound::Params;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::model::Format;
use crate::source::Span;

/// What the checker has found so far.
pub(super) struct Findings<'a> {
    format: &'a Format,
    found: Vec<Diagnostic>,
    seen: HashSet<(&'static str, Vec<Span>)>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(format: &'a Format) -> Self {
        Self { format, found: Vec::new(), seen: HashSet::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds a mistake that does not depend on parameters.
    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    /// Adds a mistake that shows under `params`, unless one with the same rule and places is known.
    pub(super) fn under(
        &mut self,
        params: &Params,
        rule: &'static str,
        places: &[Span],
        diagnostic: impl FnOnce() -> Diagnostic,
    ) {
        if self.seen.insert((rule, places.to_vec())) {
            self.first(params, diagnostic());
        }
    }

    /// Adds a mistake that shows under `params`, without looking whether it is known.
    pub(super) fn first(&mut self, params: &Params, mut diagnostic: Diagnostic) {
        let seen = format!("seen with `{}`", params.changes(self.format));
        let help = diagnostic.help.take().map_or_else(|| seen.clone(), |help| format!("{help}\n{seen}"));
        self.found.push(diagnostic.help(help));
    }

    /// Makes [`Findings::under`] ignore mistakes against `rule` at `place`.
    pub(super) fn know(&mut self, rule: &'static str, place: Span) {
        self.seen.insert((rule, vec![place]));
    }

    /// Whether [`Findings::under`] has seen a mistake against `rule`.
    pub(super) fn knows(&self, rule: &'static str) -> bool {
        self.seen.iter().any(|(known, _)| *known == rule)
    }

    pub(super) fn into_diagnostics(self) -> Diagnostics {
        self.found.into()
    }
}
