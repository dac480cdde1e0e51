//! The parameters that a claim depends on: combinations that differ only in other parameters need no proof of their
//! own.

use std::collections::HashSet;

use super::Checker;
use crate::bound::{Params, Values, legal_cases};
use crate::eval;
use crate::expr::Expr;
use crate::model::{Bind, Format, Param};
use crate::visit::{self, Part};

/// How many combinations to check where there are too many for all.
const SOME_CASES: usize = 1 << 10;

/// Names of parameters: those of the build, and those in the expressions that the claim is about.
pub(super) struct Projection(Vec<String>);

impl Projection {
    /// The names in the expressions of some parts of the file.
    pub(super) fn of_parts(format: &Format, wanted: impl Fn(Part<'_>) -> bool) -> Self {
        let mut exprs = Vec::new();
        visit::expressions(format, &mut |part, expr| exprs.extend(wanted(part).then_some(expr)));
        Self::of(format, exprs.into_iter())
    }

    /// The names in these expressions.
    pub(super) fn of<'a>(format: &Format, exprs: impl Iterator<Item = &'a Expr>) -> Self {
        let mut projection = Self::of_builds(format);
        exprs.for_each(|expr| projection.name(expr));
        projection
    }

    /// The build parameters.
    pub(super) fn of_builds(format: &Format) -> Self {
        let build = format.params.iter().filter(|param| param.bind == Bind::Build);
        Self(build.map(|param| param.name.value.clone()).collect())
    }

    /// Adds the names in `expr`.
    fn name(&mut self, expr: &Expr) {
        eval::names(expr, &mut |name, _| self.add(name));
    }

    /// Adds a name.
    pub(super) fn and(mut self, name: &str) -> Self {
        self.add(name);
        self
    }

    fn add(&mut self, name: &str) {
        if !self.names(name) {
            self.0.push(name.to_owned());
        }
    }

    fn names(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }

    /// One legal combination of parameters for each combination of these and of `levels`.
    pub(super) fn cases(&self, checker: &mut Checker<'_>) -> Vec<Params> {
        let format = checker.format;
        let mut seen = HashSet::new();
        let wanted = |name: &str| if self.names(name) { Values::Sampled } else { Values::Needed };
        let (mut cases, complete) = legal_cases(format, &wanted);
        if !complete {
            let of_these = |param: &&Param| self.names(&param.name.value);
            checker.incomplete(&format.params.iter().filter(of_these).collect::<Vec<_>>());
            // These suffice to show a mistake that most combinations have.
            cases.truncate(SOME_CASES);
        }
        cases.retain(|params| seen.insert((params.levels(), self.key(params))));
        cases
    }

    /// The values of these parameters; `None` for a name that is not a parameter.
    pub(super) fn key(&self, params: &Params) -> Vec<Option<i64>> {
        self.0.iter().map(|name| params.get(name)).collect()
    }
}
