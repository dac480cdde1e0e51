//! A value for every parameter of a format.

use std::fmt;
use std::sync::Arc;

use super::{BindError, Geometry};
use crate::eval::{Env, eval, holds};
use crate::model::{At, Bind, Build, Config, Domain, Format};

type Assignment = (At<String>, At<i64>);

/// A value for every parameter of a format, `levels` and `input_bits` included.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Params {
    names: Arc<[Name]>,
    values: Vec<i64>,
}

#[derive(PartialEq, Eq, Hash)]
struct Name {
    text: String,
    kind: Kind,
}

/// What kind of value a parameter has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Flag,
    Number,
    Word,
}

impl Kind {
    const fn of(domain: &Domain) -> Self {
        match domain {
            Domain::Bool => Self::Flag,
            Domain::Int(_) => Self::Number,
            Domain::Word => Self::Word,
        }
    }
}

impl Params {
    /// The parameters' defaults for one of the format's builds, with the format's first root.
    ///
    /// # Errors
    ///
    /// [`BindError::Unknown`] if the build sets a parameter that does not exist, [`BindError::Malformed`] if a
    /// condition or the geometry cannot be evaluated.
    pub fn of_build(format: &Format, build: Option<&Build>) -> Result<Self, BindError> {
        let mut params = Self::unset(format);
        let set = build.map_or(&[][..], |build| &build.set);
        params.assign(set)?;
        if let Some((levels, input_bits)) = super::legal::roots(format, &params)?.first() {
            params.set("levels", *levels)?;
            params.set("input_bits", *input_bits)?;
        }
        params.clear_unavailable(format, |name| set.iter().any(|(set, _)| set.value == name))?;
        Ok(params)
    }

    /// The parameters of a `[[config]]`.
    ///
    /// # Errors
    ///
    /// As for [`Params::of_build`].
    pub fn of_config(format: &Format, config: &Config) -> Result<Self, BindError> {
        let mut params = Self::unset(format);
        params.assign(&config.set)?;
        params.clear_unavailable(format, |name| config.set.iter().any(|(set, _)| set.value == name))?;
        Ok(params)
    }

    /// The parameters of the `[[config]]` with this id.
    ///
    /// # Errors
    ///
    /// [`BindError::Unknown`] if there is none; else as for [`Params::of_build`].
    pub fn named(format: &Format, id: &str) -> Result<Self, BindError> {
        let config = format.configs.iter().find(|config| config.id.value == id);
        Self::of_config(format, config.ok_or_else(|| BindError::Unknown(id.into()))?)
    }

    /// The parameters of a machine whose identification registers, in the order of `[capabilities] registers`, have
    /// these values (missing ones count as 0). Parameters that they do not give have their defaults. Build parameters,
    /// `levels` and `input_bits` stay.
    ///
    /// # Errors
    ///
    /// [`BindError::Malformed`] if a row cannot be evaluated; else as for [`Params::of_build`].
    pub fn of_machine(&self, format: &Format, registers: &[u64]) -> Result<Self, BindError> {
        let mut params = self.otherwise_default(format, &[])?;
        let Some(capabilities) = &format.capabilities else { return Ok(params) };
        let values = registers.iter().copied().chain(std::iter::repeat(0));
        let registers: Vec<_> =
            capabilities.registers.iter().map(|register| register.name.value.as_str()).zip(values).collect();
        for param in &format.params {
            let env = registers.iter().fold(Env::new(&params), |env, (name, value)| env.with(name, *value));
            let mut rows = capabilities.values.iter().filter(|row| row.param.value == param.name.value);
            let row = rows.find_map(|row| match holds(row.when.as_ref(), &env) {
                Ok(false) => None,
                Ok(true) => Some(eval(&row.value, &env)),
                Err(error) => Some(Err(error)),
            });
            if let Some(value) = row.transpose()? {
                let value = match param.domain {
                    Domain::Bool => (value != 0).into(),
                    Domain::Int(_) => value as i64,
                    Domain::Word => (value as u64).cast_signed(),
                };
                params.set(&param.name.value, value)?;
            }
        }
        // What is not available depends on other parameters, which may come later.
        params.clear_unavailable(format, |name| capabilities.values.iter().all(|row| row.param.value != name))?;
        Ok(params)
    }

    /// Build parameters, `levels` and `input_bits` as they are here, the parameters in `set` as given there, and the
    /// defaults of all others.
    ///
    /// # Errors
    ///
    /// As for [`Params::of_build`].
    pub fn otherwise_default(&self, format: &Format, set: &[Assignment]) -> Result<Self, BindError> {
        let mut params = Self::unset(format);
        let kept =
            format.params.iter().filter(|param| param.bind == Bind::Build).map(|param| param.name.value.as_str());
        let kept: Vec<&str> = kept.chain(["levels", "input_bits"]).collect();
        for name in &kept {
            params.set(name, self.get(name).unwrap_or(0))?;
        }
        params.assign(set)?;
        let named = |name: &str| kept.contains(&name) || set.iter().any(|(set, _)| set.value == name);
        params.clear_unavailable(format, named)?;
        Ok(params)
    }

    /// Every parameter at its default, `levels` and `input_bits` 0.
    pub(super) fn unset(format: &Format) -> Self {
        let declared =
            format.params.iter().map(|param| Name { text: param.name.value.clone(), kind: Kind::of(&param.domain) });
        let built_in = ["levels", "input_bits"].map(|text| Name { text: text.into(), kind: Kind::Number });
        let defaults = format.params.iter().map(|param| param.default);
        Self { names: declared.chain(built_in).collect(), values: defaults.chain([0, 0]).collect() }
    }

    pub(super) fn assign(&mut self, set: &[Assignment]) -> Result<(), BindError> {
        set.iter().try_for_each(|(name, value)| self.set(&name.value, value.value))
    }

    /// A parameter that is not available under the others, and was not `named` by the caller, becomes 0.
    fn clear_unavailable(&mut self, format: &Format, named: impl Fn(&str) -> bool) -> Result<(), BindError> {
        for (index, param) in format.params.iter().enumerate() {
            if !named(&param.name.value) && !holds(param.when.as_ref(), &Env::new(self))? {
                self.values[index] = 0;
            }
        }
        Ok(())
    }

    /// These parameters with other values for some. A parameter that is then not available, and is not among those
    /// given, becomes 0. If only one of `levels` and `input_bits` is given, the other becomes that of the first root
    /// that fits, of those that exist under the parameters if there are any.
    ///
    /// # Errors
    ///
    /// [`BindError::Value`] if a parameter never has its value; else as for [`Params::of_build`].
    pub fn with(&self, format: &Format, set: &[(&str, i64)]) -> Result<Self, BindError> {
        let mut params = self.clone();
        for (name, value) in set {
            let domain = format.params.iter().find(|param| param.name.value == *name).map(|param| &param.domain);
            if *value != 0 && domain.is_some_and(|domain| !domain.contains(*value)) {
                return Err(BindError::Value { param: (*name).into(), value: *value });
            }
            params.set(name, *value)?;
        }
        let named = |name: &str| set.iter().any(|(set, _)| *set == name);
        params.clear_unavailable(format, named)?;
        let fits = |size: &(i64, i64)| match named("levels") {
            true => size.0 == params.levels(),
            false => size.1 == params.input_bits(),
        };
        if named("levels") != named("input_bits") {
            let existing = params.sizes(format)?.into_iter().find(fits);
            let all = super::legal::all_roots(format, &params)?;
            if let Some((levels, input_bits)) = existing.or(all.into_iter().find(fits)) {
                params.set("levels", levels)?;
                params.set("input_bits", input_bits)?;
            }
        }
        Ok(params)
    }

    /// Whether an address space may have these parameters.
    pub fn is_legal(&self, format: &Format) -> bool {
        super::legal::check(format, self).and_then(|()| Geometry::new(format, self)).is_ok()
    }

    /// `levels` and `input_bits` of every root that exists under the other parameters, in the order of the file.
    ///
    /// # Errors
    ///
    /// [`BindError::Malformed`] if a condition or the geometry cannot be evaluated.
    pub fn sizes(&self, format: &Format) -> Result<Vec<(i64, i64)>, BindError> {
        super::legal::roots(format, self)
    }

    /// Gives a parameter another value. [`super::Bound::new`] checks whether it is legal.
    ///
    /// # Errors
    ///
    /// [`BindError::Unknown`] if there is no such parameter.
    pub fn set(&mut self, name: &str, value: i64) -> Result<(), BindError> {
        let index = self.index(name).ok_or_else(|| BindError::Unknown(name.into()))?;
        self.values[index] = value;
        Ok(())
    }

    /// The value of a parameter; of the content of a register, the `i64` that has its bits.
    pub fn get(&self, name: &str) -> Option<i64> {
        self.index(name).map(|index| self.values[index])
    }

    /// The value of a parameter, as expressions see it.
    pub(crate) fn number(&self, name: &str) -> Option<i128> {
        let index = self.index(name)?;
        let value = self.values[index];
        Some(match self.names[index].kind {
            Kind::Word => value.cast_unsigned().into(),
            Kind::Flag | Kind::Number => value.into(),
        })
    }

    /// Number of levels.
    pub fn levels(&self) -> i64 {
        self.values[self.values.len() - 2]
    }

    /// Width of an input address.
    pub fn input_bits(&self) -> i64 {
        self.values[self.values.len() - 1]
    }

    /// Every parameter and its value: those of the file in their order, then `levels` and `input_bits`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.names.iter().map(|name| name.text.as_str()).zip(self.values.iter().copied())
    }

    /// The parameters that differ from their defaults, and the size, as a `[[config]]` would set them.
    pub fn changes(&self, format: &Format) -> String {
        let defaults = Self::unset(format);
        let texts = self.texts();
        let (declared, size) = texts.split_at(format.params.len());
        let changed = declared.iter().zip(self.values.iter().zip(&defaults.values));
        let changed = changed.filter(|(_, (value, default))| value != default).map(|(text, _)| text.as_str());
        size.iter().map(String::as_str).chain(changed).collect::<Vec<_>>().join(", ")
    }

    fn texts(&self) -> Vec<String> {
        let text = |(name, value): (&Name, &i64)| match (name.kind, value) {
            (Kind::Flag, 0) => format!("!{}", name.text),
            (Kind::Flag, _) => name.text.clone(),
            (Kind::Number, _) => format!("{} = {value}", name.text),
            (Kind::Word, _) => format!("{} = {value:#x}", name.text),
        };
        self.names.iter().zip(&self.values).map(text).collect()
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.text == name)
    }

    pub(super) fn set_at(&mut self, index: usize, value: i64) {
        self.values[index] = value;
    }

    pub(super) fn at(&self, index: usize) -> i64 {
        self.values[index]
    }
}

/// As a `[[config]]` would set them: `"pa_bits = 46, huge_1g, !execute_only, levels = 4, input_bits = 48"`.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(", "))
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Params({self})")
    }
}
