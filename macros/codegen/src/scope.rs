//! What names stand for while code is generated: constants where the build fixes them, places in the generated code
//! elsewhere.

use std::collections::BTreeMap;

use tablewright_archdefs::model::{Domain, Format, Param};

pub(crate) use crate::emit::{Type, ident, param_type};
pub(crate) use crate::fold::{all_of, exclude, int, is, join, name, not, same};
pub(crate) use tablewright_archdefs::linear::Linear;

/// Names and their meaning. Cheap to clone: a narrower scope is a clone with more constants.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    /// The format that code is generated for.
    pub(crate) format: &'a Format,
    /// Where the registers of expressions live: a struct of the generated code.
    pub(crate) registers: Option<&'static str>,
    /// Local variables of the generated code.
    pub(crate) locals: BTreeMap<String, Type>,
    /// What the build, or a narrower scope, fixes.
    pub(crate) constants: BTreeMap<String, i128>,
    /// Bounds of what is not constant.
    pub(crate) ranges: BTreeMap<String, (i128, i128)>,
}

impl<'a> Scope<'a> {
    /// The scope of a module: its build parameters are constants.
    pub(crate) fn new(format: &'a Format, build: &BTreeMap<String, i128>) -> Self {
        let mut scope = Self {
            format,
            registers: None,
            locals: BTreeMap::new(),
            constants: build.clone(),
            ranges: BTreeMap::new(),
        };
        for (name, expr) in [("page_bits", &format.levels.page_bits), ("index_bits", &format.levels.index_bits)] {
            // The checker has made sure that these depend on build parameters only.
            if let Some(value) = scope.constant(&expr.value) {
                scope.constants.insert(name.into(), value);
            }
        }
        for param in &format.params {
            // Nowhere available under this build.
            if param.when.as_ref().is_some_and(|when| is(&scope.fold(when), 0)) {
                scope.constants.insert(param.name.value.clone(), 0);
            }
            let range = match &param.domain {
                Domain::Bool => (0, 1),
                Domain::Int(values) => {
                    (values.first().copied().unwrap_or(0).into(), values.last().copied().unwrap_or(0).into())
                }
                Domain::Word => (0, u64::MAX.into()),
            };
            scope.ranges.insert(param.name.value.clone(), range);
        }
        let levels = || format.roots.iter().flat_map(|root| &root.levels.value);
        let top = levels().copied().max().unwrap_or(1).into();
        let bottom = levels().copied().min().unwrap_or(1).into();
        scope.ranges.insert("levels".into(), (bottom, top));
        scope.ranges.insert("level".into(), (0, top - 1));
        scope.ranges.insert("input_bits".into(), (1, 64));
        let page_bits = scope.number("page_bits").into();
        scope.ranges.insert("leaf_bits".into(), (page_bits, 63));
        scope.ranges.insert("run_bits".into(), (page_bits, 63));
        scope.ranges.insert("block".into(), (0, 1));
        scope
    }

    /// This scope, with a name made constant.
    pub(crate) fn with(&self, name: &str, value: i128) -> Self {
        let mut scope = self.clone();
        scope.constants.insert(name.into(), value);
        scope
    }

    /// This scope at level 0, where the size of a leaf is known.
    pub(crate) fn at_level_0(&self) -> Self {
        self.with("level", 0).with("block", 0).with("leaf_bits", self.number("page_bits").into())
    }

    /// This scope above level 0.
    pub(crate) fn above_level_0(&self) -> Self {
        let mut scope = self.clone();
        if let Some(range) = scope.ranges.get_mut("level") {
            range.0 = 1;
        }
        scope
    }

    /// This scope, with registers that live in the value `place` of the generated code.
    pub(crate) fn with_registers(&self, place: &'static str) -> Self {
        let mut scope = self.clone();
        scope.registers = Some(place);
        scope
    }

    /// This scope, with more local variables of the generated code.
    pub(crate) fn with_locals<'n>(&self, locals: impl IntoIterator<Item = (&'n str, Type)>) -> Self {
        let mut scope = self.clone();
        scope.locals.extend(locals.into_iter().map(|(name, ty)| (name.to_owned(), ty)));
        scope
    }

    /// The parameters that are fields of `Config`: those that this build leaves open, in the order of the file.
    pub(crate) fn open_params(&self) -> impl Iterator<Item = &'a Param> + use<'a, '_> {
        self.format.params.iter().filter(|param| !self.constants.contains_key(&param.name.value))
    }

    /// The parameters that this build fixes, and their values.
    pub(crate) fn fixed_params(&self) -> impl Iterator<Item = (&'a Param, i128)> + use<'a, '_> {
        let value = |param: &'a Param| self.constants.get(&param.name.value).map(|value| (param, *value));
        self.format.params.iter().filter_map(value)
    }

    /// A constant that fits a byte; 0 if it is unknown, which the checker has refused.
    pub(crate) fn number(&self, name: &str) -> u8 {
        self.constants.get(name).and_then(|value| u8::try_from(*value).ok()).unwrap_or(0)
    }

    /// The greatest number of levels of any root.
    pub(crate) fn most_levels(&self) -> u8 {
        u8::try_from(self.ranges["levels"].1).unwrap_or(u8::MAX)
    }
}
