//! A format with its parameters bound to values: no condition is left, every position is a number.
//!
//! The checker proves its claims on it, the interpreter decodes and walks with it. It borrows nothing from the model.

mod bits;
mod enumerate;
mod error;
mod geometry;
pub mod kind;
mod legal;
mod levels;
mod params;
mod partly;
mod shape;

pub use bits::{Bits, Piece};
pub use enumerate::legal_params;
pub(crate) use enumerate::{MOST_CASES, Values, is_ever_legal, legal_cases};
pub use error::{BindError, Malformed};
pub use geometry::Geometry;
pub(crate) use geometry::{BelowRoot, low_bits, shift_right};
pub use kind::{BoundKind, BoundTest};
pub(crate) use legal::matching_roots;
pub use levels::{BoundRun, Level};
pub(crate) use levels::{Place, blocks};
pub use params::Params;
pub use shape::{BoundField, BoundFix, BoundMeaning, BoundRow, BoundRows, Shape};

use crate::ascending::ascending;
use crate::eval::{Env, eval, holds};
use crate::model::{
    Access, Completion, EditClass, EntryWord, Facts, Fault, FixClass, Format, MemoryType, Raise, Register, TlbOp,
    Translated,
};

/// A format under one combination of parameters.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The parameters.
    pub params: Params,
    /// Sizes of levels and addresses.
    pub geometry: Geometry,
    /// The levels, from 0 to the root's.
    pub levels: Vec<Level>,
    /// An entry in memory.
    pub word: EntryWord,
    /// The rights that every leaf grants.
    pub implies: Facts,
    /// The types to take in place of memory types without a row.
    pub fallbacks: Vec<(MemoryType, MemoryType)>,
    /// Whether an MMU may cache an entry that is not present.
    pub invalid_cached: bool,
    /// Whether the MMU sets the accessed and dirty states by itself; elsewhere an access that would have to set them
    /// faults.
    pub hardware: bool,
    /// The edits of a live entry that need break-before-make.
    pub breaks: Vec<EditClass>,
    pub(crate) tlb: Vec<TlbOp>,
    pub(crate) completions: Vec<Completion>,
    pub(crate) registers: Vec<Register>,
    pub(crate) fault: Option<Fault>,
    pub(crate) translated: Option<Translated>,
    pub(crate) access: Option<Access>,
    pub(crate) raise: Option<Raise>,
}

impl Bound {
    /// Binds `format` to `params`.
    ///
    /// # Errors
    ///
    /// [`BindError`] if the parameters are illegal or something in the file makes no sense under them (which a format
    /// that the checker has passed does not do).
    pub fn new(format: &Format, params: &Params) -> Result<Self, BindError> {
        legal::check(format, params)?;
        let geometry = Geometry::new(format, params)?;
        let env = whole_env(params, &geometry);
        let mut problems = Vec::new();
        let blocks = blocks(format, &env)?;
        let top = geometry.top();
        let bind = |level| Level::bind(format, &geometry, &Place::new(level, top, &blocks), &env, &mut problems);
        let levels = (0..geometry.levels).map(bind).collect();
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem.into());
        }
        let mut fallbacks = Vec::new();
        for fallback in &format.fallbacks {
            if holds(fallback.when.as_ref(), &env)? {
                fallbacks.push((fallback.from, fallback.to));
            }
        }
        let mut breaks = Vec::new();
        for edit in &format.live.breaks {
            if holds(edit.when.as_ref(), &env)? {
                breaks.push(edit.value);
            }
        }
        let invalid_cached = kind::chosen(&format.live.invalid_cached, &env, format.name.span)?;
        let hardware = kind::first(&format.live.hardware, &env)?;
        let hardware = hardware.map(|choice| eval(&choice.value, &env)).transpose()?;
        Ok(Self {
            params: params.clone(),
            geometry,
            levels,
            word: format.word,
            implies: implies(format, &env)?,
            fallbacks,
            invalid_cached: eval(&invalid_cached.value, &env)? != 0,
            hardware: hardware.is_some_and(|sets| sets != 0),
            breaks,
            tlb: format.tlb.clone(),
            completions: format.completions.clone(),
            registers: format.registers.clone(),
            fault: format.fault.clone(),
            translated: format.translated.clone(),
            access: format.access.clone(),
            raise: format.raise.clone(),
        })
    }

    /// A level, if the format has it under these parameters.
    pub fn level(&self, level: u8) -> Option<&Level> {
        self.levels.get(usize::from(level))
    }

    /// The names known to expressions that do not depend on a level.
    pub(crate) fn env(&self) -> Env<'_> {
        whole_env(&self.params, &self.geometry)
    }

    /// log2 of the sizes of leaves at `level`, runs included, ascending. A run larger than the whole input is not
    /// offered: a narrow root has no room for it.
    pub fn page_sizes(&self, level: u8) -> Vec<u8> {
        let Some(level) = self.level(level) else {
            return Vec::new();
        };
        let single = level.leaf.iter().map(|_| level.entry_bits);
        let runs = level.runs.iter().map(|run| run.run_bits);
        let offered = single.chain(runs).filter(|&size| size < 64 && size <= self.geometry.input_bits);
        ascending(offered.collect())
    }

    /// The bits that hardware sets in an entry at `level` for a table when it goes through it.
    pub fn table_accessed(&self, level: u8) -> u64 {
        let fixes = self.level(level).and_then(|level| level.table.as_ref()).map_or(&[][..], |table| &table.fixes);
        fixes.iter().filter(|fix| fix.is == FixClass::Hardware).fold(0, |bits, fix| bits | fix.mask)
    }
}

/// The rights that every leaf grants.
pub(crate) fn implies(format: &Format, env: &Env<'_>) -> Result<Facts, Malformed> {
    Ok(kind::first(&format.implies, env)?.map_or(Facts::empty(), |choice| choice.value))
}

/// The names known to expressions that do not depend on a level.
pub(crate) fn whole_env<'a>(params: &'a Params, geometry: &Geometry) -> Env<'a> {
    Env::new(params).with("page_bits", geometry.page_bits).with("index_bits", geometry.index_bits[0])
}
