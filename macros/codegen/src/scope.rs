//! What names stand for while code is generated: constants if the build fixes them, else places in the generated code.

use std::collections::BTreeMap;
use std::rc::Rc;

use tablewright_archdefs::bound::Geometry;
use tablewright_archdefs::model::{Bind, Build, Domain, Format, Param};

pub(crate) use crate::emit::{Type, ident, param_type};
pub(crate) use crate::fold::{all_of, exclude, int, is, join, name, not, same};
pub(crate) use tablewright_archdefs::linear::Linear;

use crate::layout;
use crate::places::Places;

/// Names and their meaning. Cheap to clone: a narrower scope is a clone with more constants.
#[derive(Clone)]
pub(crate) struct Scope<'a> {
    /// The format that code is generated for.
    pub(crate) format: &'a Format,
    /// The struct in generated code from which expressions read registers.
    pub(crate) registers: Option<&'static str>,
    /// The places of the parts of layouts.
    pub(crate) places: Rc<Places>,
    names: BTreeMap<String, Known>,
}

/// What is known of a name.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known {
    /// Its type, if it is a local variable of the generated code.
    pub(crate) local: Option<Type>,
    /// Its value, if the build, or a narrower scope, fixes it.
    pub(crate) constant: Option<i128>,
    /// Its bounds.
    pub(crate) range: Option<(i128, i128)>,
}

impl<'a> Scope<'a> {
    /// The scope of a module: its build parameters are constants.
    pub(crate) fn new(format: &'a Format, build: Option<&Build>) -> Self {
        let mut scope = Self { format, registers: None, places: Rc::default(), names: BTreeMap::new() };
        for param in format.params.iter().filter(|param| param.bind == Bind::Build) {
            scope.know(&param.name.value).constant = Some(param.default.into());
        }
        for (name, value) in build.iter().flat_map(|build| &build.set) {
            scope.know(&name.value).constant = Some(value.value.into());
        }
        // The checker has made sure that this depends on build parameters only.
        scope.know("page_bits").constant = scope.constant(&format.levels.page_bits.value);
        for param in &format.params {
            // It is never available in this build.
            if param.when.as_ref().is_some_and(|when| is(&scope.fold(when), 0)) {
                scope.know(&param.name.value).constant = Some(0);
            }
            let range = match &param.domain {
                Domain::Bool => (0, 1),
                Domain::Int(values) => {
                    (values.first().copied().unwrap_or(0).into(), values.last().copied().unwrap_or(0).into())
                }
                Domain::Word => (0, u64::MAX.into()),
            };
            scope.know(&param.name.value).range = Some(range);
        }
        let levels = || format.roots.iter().flat_map(|root| &root.levels.value);
        let top = levels().copied().max().unwrap_or(1).into();
        let bottom = levels().copied().min().unwrap_or(1).into();
        let page_bits = scope.number("page_bits").into();
        for (name, range) in [
            ("levels", (bottom, top)),
            ("level", (0, top - 1)),
            ("input_bits", (1, 64)),
            ("leaf_bits", (page_bits, 63)),
            ("run_bits", (page_bits, 63)),
            ("block", (0, 1)),
        ] {
            scope.know(name).range = Some(range);
        }
        // If tables differ in index bits between levels, no expression names them.
        scope.know("index_bits").constant = Some(scope.index_bits(0).into());
        scope.places = Rc::new(layout::places(&scope));
        scope
    }

    /// What is known of a name.
    pub(crate) fn known(&self, name: &str) -> Known {
        self.names.get(name).copied().unwrap_or_default()
    }

    /// As [`Self::known`], for changes.
    pub(crate) fn know(&mut self, name: &str) -> &mut Known {
        self.names.entry(name.to_owned()).or_default()
    }

    /// This scope with a name made constant.
    pub(crate) fn with(&self, name: &str, value: i128) -> Self {
        let mut scope = self.clone();
        scope.know(name).constant = Some(value);
        scope
    }

    /// This scope at level 0, where the size of a leaf is known.
    pub(crate) fn at_level_0(&self) -> Self {
        self.with("level", 0).with("block", 0).with("leaf_bits", self.number("page_bits").into())
    }

    /// This scope above level 0.
    pub(crate) fn above_level_0(&self) -> Self {
        let mut scope = self.clone();
        if let Some(range) = &mut scope.know("level").range {
            range.0 = 1;
        }
        scope
    }

    /// This scope with registers that are read from the struct `place` in generated code.
    pub(crate) fn with_registers(&self, place: &'static str) -> Self {
        let mut scope = self.clone();
        scope.registers = Some(place);
        scope
    }

    /// This scope with more local variables of the generated code.
    pub(crate) fn with_locals<'n>(&self, locals: impl IntoIterator<Item = (&'n str, Type)>) -> Self {
        let mut scope = self.clone();
        for (name, ty) in locals {
            scope.know(name).local = Some(ty);
        }
        scope
    }

    /// The parameters that are fields of `Config`: those that this build leaves open, in the order of the file.
    pub(crate) fn open_params(&self) -> impl Iterator<Item = &'a Param> + use<'a, '_> {
        self.format.params.iter().filter(|param| self.known(&param.name.value).constant.is_none())
    }

    /// The parameters that this build fixes, and their values.
    pub(crate) fn fixed_params(&self) -> impl Iterator<Item = (&'a Param, i128)> + use<'a, '_> {
        let value = |param: &'a Param| self.known(&param.name.value).constant.map(|value| (param, value));
        self.format.params.iter().filter_map(value)
    }

    /// A constant that fits a byte; 0 if it is not constant, which the checker refuses.
    pub(crate) fn number(&self, name: &str) -> u8 {
        self.known(name).constant.and_then(|value| u8::try_from(value).ok()).unwrap_or(0)
    }

    /// Index bits of the tables below the root at `level`, or at the highest level if that is lower.
    fn index_bits(&self, level: u8) -> u8 {
        let level = level.min(self.most_levels().saturating_sub(2));
        let scope = self.with("level", level.into());
        let choices = scope.choices(&self.format.levels.index_bits);
        let value = choices.first().and_then(|(_, value)| scope.constant(value));
        value.and_then(|value| u8::try_from(value).ok()).unwrap_or(0)
    }

    /// log2 of what one entry spans, by level; no more than 64.
    pub(crate) fn entry_bits(&self) -> [u8; Geometry::MAX_LEVELS as usize] {
        let mut bits = self.number("page_bits");
        std::array::from_fn(|level| {
            let below = bits.min(64);
            bits = bits.saturating_add(self.index_bits(level as u8));
            below
        })
    }

    /// Index bits of the tables below the root, by level; at least one value, even if roots have no tables below.
    pub(crate) fn table_index_bits(&self) -> Vec<u8> {
        (0..self.most_levels().saturating_sub(1).max(1)).map(|level| self.index_bits(level)).collect()
    }

    /// The greatest number of levels of any root.
    pub(crate) fn most_levels(&self) -> u8 {
        self.known("levels").range.and_then(|(_, most)| u8::try_from(most).ok()).unwrap_or(u8::MAX)
    }
}
