//! Which combinations of parameters are legal.

use super::partly::partly;
use super::{BelowRoot, BindError, Params};
use crate::eval::{Env, eval, holds, names};
use crate::model::{Bind, Domain, Format, Root};

/// Whether `params` are legal.
///
/// # Errors
///
/// All but [`BindError::Unknown`].
pub(super) fn check(format: &Format, params: &Params) -> Result<(), BindError> {
    let below_root = BelowRoot::new(format, params)?;
    let env = below_root.env(params);
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
    if matching_roots(format, params)?.is_empty() {
        return Err(no_root(format, params)?);
    }
    for rule in &format.levels.requires {
        if eval(&rule.value, &env)? == 0 {
            return Err(BindError::Rule(rule.span));
        }
    }
    Ok(())
}

/// Why no root fits: of the roots' conditions, what is left when the build's parameters are known, as nobody can change
/// those.
fn no_root(format: &Format, params: &Params) -> Result<BindError, BindError> {
    let (levels, input_bits) = (params.levels(), params.input_bits());
    let below_root = BelowRoot::new(format, params)?;
    let built = format.params.iter().filter(|param| param.bind == Bind::Build).map(|param| &param.name.value);
    let known = built.fold(Env::bare(), |env, name| env.with(name, params.get(name).unwrap_or(0)));
    let known = known.with("levels", levels).with("input_bits", input_bits);
    let known = known.with("page_bits", below_root.page_bits).with("index_bits", below_root.index_bits[0]);
    let fitting = fitting_roots(format, params)?;
    let conditions = fitting.iter().filter_map(|root| root.when.as_ref()).filter_map(|when| partly(when, &known).err());
    Ok(match conditions.map(|condition| condition.to_string()).collect::<Vec<_>>().join(" || ") {
        condition if condition.is_empty() => BindError::Root { levels, input_bits },
        condition => BindError::RootNeeds { levels, input_bits, condition },
    })
}

/// The roots with the parameters' number of levels and input size whose conditions hold.
pub(crate) fn matching_roots<'a>(format: &'a Format, params: &Params) -> Result<Vec<&'a Root>, BindError> {
    let below_root = BelowRoot::new(format, params)?;
    let mut found = Vec::new();
    for root in fitting_roots(format, params)? {
        if holds(root.when.as_ref(), &below_root.env(params))? {
            found.push(root);
        }
    }
    Ok(found)
}

/// The roots with the parameters' number of levels and input size, whether their conditions hold or not.
fn fitting_roots<'a>(format: &'a Format, params: &Params) -> Result<Vec<&'a Root>, BindError> {
    let below_root = BelowRoot::new(format, params)?;
    let wanted = (params.levels(), params.input_bits());
    let fits = |root: &&Root| shapes(root, &below_root).any(|shape| shape == wanted);
    Ok(format.roots.iter().filter(fits).collect())
}

impl Domain {
    /// Whether `value` is one of its values.
    pub fn contains(&self, value: i64) -> bool {
        match self {
            Self::Bool => value == 0 || value == 1,
            Self::Int(values) => values.contains(&value),
            Self::Word => true,
        }
    }
}

/// `(levels, input_bits)` of every shape of `root`.
pub(super) fn shapes(root: &Root, below_root: &BelowRoot) -> impl Iterator<Item = (i64, i64)> {
    root.levels.value.iter().flat_map(move |&levels| {
        let below = below_root.root_entry_bits(levels);
        root.index_bits.value.iter().map(move |&top| (levels, below.saturating_add(top)))
    })
}

/// `(levels, input_bits)` of every root, whether its condition holds or not, in the order of the file.
pub(super) fn all_roots(format: &Format, params: &Params) -> Result<Vec<(i64, i64)>, BindError> {
    let below_root = BelowRoot::new(format, params)?;
    Ok(format.roots.iter().flat_map(|root| shapes(root, &below_root)).collect())
}

/// `(levels, input_bits)` of every root whose condition holds, in the order of the file.
pub(super) fn roots(format: &Format, params: &Params) -> Result<Vec<(i64, i64)>, BindError> {
    let below_root = BelowRoot::new(format, params)?;
    let env = below_root.env(params);
    let mut found = Vec::new();
    for root in &format.roots {
        let mut depends_on_size = false;
        root.when.iter().for_each(|when| {
            names(when, &mut |name, _| depends_on_size |= matches!(name, "levels" | "input_bits"));
        });
        if !depends_on_size && !holds(root.when.as_ref(), &env)? {
            continue;
        }
        for (levels, input_bits) in shapes(root, &below_root) {
            let sized = || env.clone().with("levels", levels).with("input_bits", input_bits);
            if (!depends_on_size || holds(root.when.as_ref(), &sized())?) && !found.contains(&(levels, input_bits)) {
                found.push((levels, input_bits));
            }
        }
    }
    Ok(found)
}
