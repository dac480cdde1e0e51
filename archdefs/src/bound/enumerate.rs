//! All legal combinations of parameters.

use std::collections::HashSet;

use super::legal::roots;
use super::{BelowRoot, Params};
use crate::ascending::ascending;
use crate::eval::{EvalError, eval, literals, names};
use crate::expr::Expr;
use crate::model::{Bind, Build, Domain, Format, Param};
use crate::visit::{self, Part};

/// A parameter with more values than this is sampled. A larger width moves bits by one position at a time, so mistakes
/// show at the ends of its range, or next to a number that the file compares it with.
const WIDE: usize = 8;

/// The most combinations to find, and the most assignments to try for them: some lead to no legal combination.
pub(crate) const MOST_CASES: usize = 1 << 18;
const MOST_ASSIGNMENTS: usize = MOST_CASES * 8;

/// Every legal combination of parameters, over all builds. A parameter with many values is sampled: its lowest and
/// highest value, one in the middle, and those at or next to a number in an expression that names the parameter. A
/// combination under which a condition cannot be evaluated counts as illegal; the checker reports the condition. It
/// also reports when there are too many combinations to go through.
pub fn legal_params(format: &Format) -> impl Iterator<Item = Params> {
    legal_cases(format, &|_| Values::Sampled).0.into_iter()
}

/// Which values of a parameter to try.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// As [`Self::Sampled`] for a parameter that decides whether other parameters or roots are legal; else its default.
    Needed,
    /// Those that [`legal_params`] tries.
    Sampled,
    /// Every one; of a register's contents, only those that the file names.
    All,
}

/// The legal combinations with the `wanted` values of each parameter and of `input_bits`, and whether the list is
/// complete.
pub(crate) fn legal_cases(format: &Format, wanted: &dyn Fn(&str) -> Values) -> (Vec<Params>, bool) {
    first_cases(format, wanted, MOST_CASES)
}

/// Whether any combination of parameters is legal. `None` if there are too many to know.
pub(crate) fn is_ever_legal(format: &Format, wanted: &dyn Fn(&str) -> Values) -> Option<bool> {
    let (found, complete) = first_cases(format, wanted, 1);
    (complete || !found.is_empty()).then_some(!found.is_empty())
}

/// At most `most` legal combinations, and whether the list is complete.
fn first_cases(format: &Format, wanted: &dyn Fn(&str) -> Values, most: usize) -> (Vec<Params>, bool) {
    let builds: Vec<Option<&Build>> = match format.builds.as_slice() {
        [] => vec![None],
        builds => builds.iter().map(Some).collect(),
    };
    let mut found = Vec::new();
    let mut left = MOST_ASSIGNMENTS;
    for build in builds {
        let mut params = Params::unset(format);
        let set = build.map_or(&[][..], |build| &build.set);
        if params.assign(set).is_ok()
            && let Ok(below_root) = BelowRoot::new(format, &params)
        {
            let enumeration = Enumeration::new(format, &params, below_root, wanted, most);
            enumeration.run(0, &mut params, &mut found, &mut left);
        }
    }
    let complete = left > 0 && found.len() < most;
    (found, complete)
}

/// Assigns one parameter after the other, and tests each condition as soon as every name in it has a value.
struct Enumeration<'a> {
    format: &'a Format,
    below_root: BelowRoot,
    /// The parameters that the build leaves open, by index, each with the values to try.
    free: Vec<(usize, Vec<i64>)>,
    /// At `n`: the conditions that can be tested once the first `n` free parameters have values. Those that depend on
    /// the root come last.
    conditions: Vec<Vec<Condition<'a>>>,
    /// Which input sizes to try for each number of levels; [`Values::Needed`] means the smallest.
    input_bits: Values,
    /// How many to find.
    most: usize,
    /// Each parameter with the numbers in expressions that name it.
    named: HashSet<(String, i64)>,
}

enum Condition<'a> {
    /// The parameter with this index has a value of its domain where the expression holds, and is 0 elsewhere.
    Available(usize, &'a Expr),
    /// The expression must hold.
    Rule(&'a Expr),
}

impl<'a> Enumeration<'a> {
    fn new(
        format: &'a Format,
        params: &Params,
        below_root: BelowRoot,
        wanted: &dyn Fn(&str) -> Values,
        most: usize,
    ) -> Self {
        let constrained = constrained(format);
        let named = named_values(format);
        let declared = || format.params.iter().enumerate();
        let values = |param: &Param| {
            let name = param.name.value.as_str();
            let wanted = wanted(name);
            if !constrained.contains(name) && wanted == Values::Needed {
                return vec![param.default];
            }
            let mut values = match &param.domain {
                Domain::Bool => vec![0, 1],
                Domain::Int(values) if wanted == Values::All => values.clone(),
                Domain::Int(values) => sample(name, values, &named),
                Domain::Word => contents(format, param),
            };
            if param.when.is_some() && !values.contains(&0) {
                values.push(0);
            }
            values
        };
        let free = declared().filter(|(_, param)| param.bind != Bind::Build);
        let free = free.map(|(index, param)| (index, values(param))).collect();
        let mut this =
            Self { format, below_root, free, conditions: Vec::new(), input_bits: wanted("input_bits"), most, named };
        this.conditions.resize_with(this.free.len() + 2, Vec::new);
        for (index, param) in declared() {
            if let Some(when) = &param.when {
                let depth = this.depth(params, when).max(this.position(index));
                this.conditions[depth].push(Condition::Available(index, when));
            }
        }
        for rule in &format.levels.requires {
            let depth = this.depth(params, &rule.value);
            this.conditions[depth].push(Condition::Rule(&rule.value));
        }
        this
    }

    /// The number of assignments after which the parameter with this index has its value.
    fn position(&self, index: usize) -> usize {
        if index >= self.format.params.len() {
            return self.free.len() + 1;
        }
        self.free.iter().position(|free| free.0 == index).map_or(0, |position| position + 1)
    }

    /// The number of assignments after which all names in `expr` have values.
    fn depth(&self, params: &Params, expr: &Expr) -> usize {
        let mut depth = 0;
        names(expr, &mut |name, _| {
            let position = params.index(name).map_or(0, |index| self.position(index));
            depth = depth.max(position);
        });
        depth
    }

    /// Adds to `found` what is legal with the first `depth` free parameters as they are. `left` is the number of
    /// assignments that may still be tried.
    fn run(&self, depth: usize, params: &mut Params, found: &mut Vec<Params>, left: &mut usize) {
        if *left == 0 || found.len() >= self.most || !self.allowed(depth, params).unwrap_or(false) {
            return;
        }
        *left -= 1;
        if let Some((index, values)) = self.free.get(depth) {
            for &value in values {
                params.set_at(*index, value);
                self.run(depth + 1, params, found, left);
            }
            return;
        }
        let mut sizes: Vec<(i64, i64)> = Vec::new();
        for (levels, input_bits) in roots(self.format, params).unwrap_or_default() {
            if self.size(params, levels, input_bits) && self.allowed(depth + 1, params).unwrap_or(false) {
                sizes.push((levels, input_bits));
            }
        }
        for levels in ascending(sizes.iter().map(|size| size.0).collect()) {
            let of_levels = sizes.iter().filter(|size| size.0 == levels);
            let input_bits = ascending(of_levels.map(|size| size.1).collect());
            let input_bits = match self.input_bits {
                Values::All => input_bits,
                Values::Sampled => sample("input_bits", &input_bits, &self.named),
                Values::Needed => input_bits.into_iter().take(1).collect(),
            };
            for input_bits in input_bits {
                if self.size(params, levels, input_bits) {
                    found.push(params.clone());
                }
            }
        }
    }

    /// Sets both; returns whether the format has such parameters.
    fn size(&self, params: &mut Params, levels: i64, input_bits: i64) -> bool {
        params.set("levels", levels).and(params.set("input_bits", input_bits)).is_ok()
    }

    fn allowed(&self, depth: usize, params: &Params) -> Result<bool, EvalError> {
        let env = self.below_root.env(params);
        for condition in &self.conditions[depth] {
            let holds = match condition {
                Condition::Available(index, when) if eval(when, &env)? != 0 => {
                    self.format.params[*index].domain.contains(params.at(*index))
                }
                Condition::Available(index, _) => params.at(*index) == 0,
                Condition::Rule(rule) => eval(rule, &env)? != 0,
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The parameters that decide whether others, or roots, are legal.
fn constrained(format: &Format) -> HashSet<&str> {
    let mut constrained = HashSet::new();
    visit::expressions(format, &mut |part, expr| {
        if let Part::Param(name) = part {
            constrained.insert(name);
        }
        if matches!(part, Part::Param(_) | Part::Root | Part::Rule) {
            for param in &format.params {
                names(expr, &mut |name, _| {
                    if name == param.name.value {
                        constrained.insert(&param.name.value);
                    }
                });
            }
        }
    });
    constrained
}

/// Each parameter with the numbers in expressions that name it.
fn named_values(format: &Format) -> HashSet<(String, i64)> {
    let mut found = HashSet::new();
    visit::expressions(format, &mut |_, expr| {
        names(expr, &mut |name, _| {
            literals(expr, &mut |value| {
                found.extend(i64::try_from(value).ok().map(|value| (name.to_owned(), value)));
            });
        });
    });
    found
}

/// The contents of a register that the file names: its default, and those of configurations.
fn contents(format: &Format, param: &Param) -> Vec<i64> {
    let set = format.configs.iter().flat_map(|config| &config.set);
    let named = set.filter(|(name, _)| name.value == param.name.value).map(|(_, value)| value.value);
    ascending(named.chain([param.default]).collect())
}

/// All of a parameter's values, ascending; a sample if they are many.
fn sample(name: &str, values: &[i64], named: &HashSet<(String, i64)>) -> Vec<i64> {
    if values.len() <= WIDE {
        return values.to_vec();
    }
    let ends = [values[0], values[values.len() / 2], values[values.len() - 1]];
    let is_near =
        |value: &&i64| [-1, 0, 1].iter().any(|by| named.contains(&(name.to_owned(), value.saturating_add(*by))));
    let near = values.iter().filter(is_near).copied();
    ascending(near.chain(ends).collect())
}
