//! Which combinations of parameters are legal, and all of them.

use super::{BindError, Geometry, Params};
use crate::eval::{Env, EvalError, eval, holds, names};
use crate::expr::Expr;
use crate::model::{Bind, Build, Domain, Format, Root};

/// Above this many combinations of one build, integer parameters take their lowest, highest and middle value only: the
/// positions that a width or an address size moves are monotonic in it, so that the ends show what can go wrong.
const ENUMERATED: usize = 100_000;

/// Whether `params` are legal.
///
/// # Errors
///
/// All but [`BindError::Unknown`].
pub(super) fn check(format: &Format, params: &Params, geometry: &Geometry) -> Result<(), BindError> {
    let env = env(params, geometry.page_bits, geometry.index_bits);
    for param in &format.params {
        let value = params.get(&param.name.value).unwrap_or(0);
        match &param.when {
            Some(when) if !holds(Some(when), &env)? => {
                if value != 0 {
                    let param = param.name.value.clone();
                    return Err(BindError::Unavailable { param, span: when.span });
                }
            }
            _ if param.domain.contains(value) => {}
            _ => {
                let param = param.name.value.clone();
                return Err(BindError::Value { param, value });
            }
        }
    }
    for rule in &format.levels.requires {
        if eval(&rule.value, &env)? == 0 {
            return Err(BindError::Rule(rule.span));
        }
    }
    let wanted = (i64::from(geometry.levels), i64::from(geometry.input_bits));
    for root in &format.roots {
        if shapes(root, geometry.page_bits, geometry.index_bits).any(|shape| shape == wanted)
            && holds(root.when.as_ref(), &env)?
        {
            return Ok(());
        }
    }
    let (levels, input_bits) = wanted;
    Err(BindError::Root { levels, input_bits })
}

impl Domain {
    /// Whether `value` is one of it.
    pub fn contains(&self, value: i64) -> bool {
        match self {
            Self::Bool => value == 0 || value == 1,
            Self::Int(values) => values.contains(&value),
        }
    }

    fn values(&self, sampled: bool) -> Vec<i64> {
        match self {
            Self::Bool => vec![0, 1],
            Self::Int(values) if sampled && values.len() > 3 => {
                vec![values[0], values[values.len() / 2], values[values.len() - 1]]
            }
            Self::Int(values) => values.clone(),
        }
    }
}

/// `(levels, input_bits)` of every shape of `root`.
fn shapes(root: &Root, page_bits: u8, index_bits: u8) -> impl Iterator<Item = (i64, i64)> {
    root.levels.value.iter().flat_map(move |&levels| {
        let below = i64::from(page_bits) + i64::from(index_bits) * (levels - 1);
        root.index_bits.value.iter().map(move |&top| (levels, below + top))
    })
}

/// `(levels, input_bits)` of every root whose condition holds, in the order of the file.
pub(super) fn roots(format: &Format, params: &Params) -> Result<Vec<(i64, i64)>, BindError> {
    let (page_bits, index_bits) = super::geometry::below_root(format, params)?;
    let mut found = Vec::new();
    for root in &format.roots {
        for (levels, input_bits) in shapes(root, page_bits, index_bits) {
            let env = env(params, page_bits, index_bits).with("levels", levels).with("input_bits", input_bits);
            if holds(root.when.as_ref(), &env)? && !found.contains(&(levels, input_bits)) {
                found.push((levels, input_bits));
            }
        }
    }
    Ok(found)
}

fn env(params: &Params, page_bits: u8, index_bits: u8) -> Env<'_> {
    Env::new(params).with("page_bits", page_bits).with("index_bits", index_bits)
}

/// Every legal combination of parameters, over all builds; see [`Params`]. A condition that cannot be evaluated makes a
/// combination illegal: the checker reports it.
pub fn legal_params(format: &Format) -> impl Iterator<Item = Params> {
    let builds: Vec<Option<&Build>> = match format.builds.as_slice() {
        [] => vec![None],
        builds => builds.iter().map(Some).collect(),
    };
    let mut found = Vec::new();
    for build in builds {
        let mut params = Params::unset(format);
        let set = build.map_or(&[][..], |build| &build.set);
        if params.assign(set).is_ok()
            && let Ok((page_bits, index_bits)) = super::geometry::below_root(format, &params)
        {
            Enumeration::new(format, &params, page_bits, index_bits).run(0, &mut params, &mut found);
        }
    }
    found.into_iter()
}

/// Assigns one parameter after the other, and tests each condition as soon as all that it speaks of is known.
struct Enumeration<'a> {
    format: &'a Format,
    page_bits: u8,
    index_bits: u8,
    /// The indices of the free parameters and their values.
    free: Vec<(usize, Vec<i64>)>,
    /// At `n`: what is known once the first `n` free parameters are.
    conditions: Vec<Vec<Condition<'a>>>,
}

enum Condition<'a> {
    /// The parameter of this index has a value of its domain where this holds, and is 0 elsewhere.
    Available(usize, &'a Expr),
    /// This holds.
    Rule(&'a Expr),
}

impl<'a> Enumeration<'a> {
    fn new(format: &'a Format, params: &Params, page_bits: u8, index_bits: u8) -> Self {
        let declared = || format.params.iter().enumerate();
        let free = |sampled| {
            let free = declared().filter(|(_, param)| param.bind != Bind::Build);
            free.map(|(index, param)| {
                let mut values = param.domain.values(sampled);
                if param.when.is_some() && !values.contains(&0) {
                    values.push(0);
                }
                (index, values)
            })
            .collect::<Vec<_>>()
        };
        let roots: usize = format.roots.iter().map(|root| shapes(root, page_bits, index_bits).count()).sum();
        let whole = free(false);
        let combinations = whole.iter().fold(roots, |product, (_, values)| product.saturating_mul(values.len()));
        let mut this = Self {
            format,
            page_bits,
            index_bits,
            free: if combinations > ENUMERATED { free(true) } else { whole },
            conditions: Vec::new(),
        };
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

    /// After how many assignments the parameter of this index is known.
    fn position(&self, index: usize) -> usize {
        if index >= self.format.params.len() {
            return self.free.len() + 1;
        }
        self.free.iter().position(|free| free.0 == index).map_or(0, |position| position + 1)
    }

    /// After how many assignments all names of `expr` are known.
    fn depth(&self, params: &Params, expr: &Expr) -> usize {
        let mut depth = 0;
        names(expr, &mut |name, _| {
            let position = params.index(name).map_or(0, |index| self.position(index));
            depth = depth.max(position);
        });
        depth
    }

    fn run(&self, depth: usize, params: &mut Params, found: &mut Vec<Params>) {
        if !self.allowed(depth, params).unwrap_or(false) {
            return;
        }
        if let Some((index, values)) = self.free.get(depth) {
            for &value in values {
                params.set_at(*index, value);
                self.run(depth + 1, params, found);
            }
            return;
        }
        for (levels, input_bits) in roots(self.format, params).unwrap_or_default() {
            let mut params = params.clone();
            let rooted = params.set("levels", levels).and(params.set("input_bits", input_bits));
            if rooted.is_ok() && self.allowed(depth + 1, &params).unwrap_or(false) {
                found.push(params);
            }
        }
    }

    fn allowed(&self, depth: usize, params: &Params) -> Result<bool, EvalError> {
        let env = env(params, self.page_bits, self.index_bits);
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
