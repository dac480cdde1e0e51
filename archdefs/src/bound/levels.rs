//! One level of a bound format.

use std::sync::Arc;

use super::kind::{self, BoundKind, BoundTest, all_hold, chosen, first};
use super::{Geometry, Malformed, Shape};
use crate::eval::{Env, eval, holds};
use crate::model::{Class, Format, Is, LevelSet, LevelTerm, Run};
use crate::source::Span;

/// What entries at one level look like.
#[derive(Clone, Debug)]
pub struct Level {
    /// 0 holds the smallest pages.
    pub level: u8,
    /// The manual's number.
    pub label: i64,
    /// log2 of what one entry spans.
    pub entry_bits: u8,
    /// The rows of `[[kind]]`, in the order they are tried.
    pub kinds: Vec<BoundKind>,
    /// The layout of an entry that points to a table, where there may be one.
    pub table: Option<Shape>,
    /// The layout of a leaf that is no item of a run, where there may be leaves.
    pub leaf: Option<Shape>,
    /// The runs, one for each number of items.
    pub runs: Vec<BoundRun>,
    /// The value written where nothing is mapped.
    pub empty: u64,
    /// The place of that value in the file.
    pub empty_choice: Option<Span>,
    /// The table that this value leads to, where walks do not stop at it, and the place that says so.
    pub empty_table: Option<(u64, Span)>,
}

/// A run of a certain number of items.
#[derive(Clone, Debug)]
pub struct BoundRun {
    /// Its id.
    pub id: Arc<str>,
    /// log2 of the number of items.
    pub item_bits: u8,
    /// log2 of its size.
    pub run_bits: u8,
    /// Whether all items hold the address of the run's start.
    pub shared: bool,
    /// What an item shows.
    pub mark: Vec<BoundTest>,
    /// What any other leaf shows.
    pub single: Vec<BoundTest>,
    /// The layout of an item.
    pub shape: Shape,
    /// Its id's place.
    pub span: Span,
}

/// The level being bound, with what it takes to say whether a [`LevelSet`] contains it.
pub(crate) struct Place<'a> {
    level: u8,
    top: u8,
    blocks: &'a [&'a LevelSet],
}

impl<'a> Place<'a> {
    pub(crate) fn new(level: u8, top: u8, blocks: &'a [&'a LevelSet]) -> Self {
        Self { level, top, blocks }
    }

    /// Whether the level is in `set`.
    pub(super) fn is_in(&self, set: &LevelSet) -> bool {
        set.plus.iter().any(|term| self.is_of(term)) && !set.minus.iter().any(|term| self.is_of(term))
    }

    /// Whether `[levels] blocks` says that the level may hold blocks.
    pub(crate) fn holds_blocks(&self) -> bool {
        self.blocks.iter().any(|set| self.is_in(set))
    }

    fn is_of(&self, term: &LevelTerm) -> bool {
        match *term {
            LevelTerm::Range(first, last) => (first..=last.unwrap_or(self.top)).contains(&self.level),
            // `blocks` itself cannot be said in terms of `block`.
            LevelTerm::Block => Self::new(self.level, self.top, &[]).in_any(self.blocks),
        }
    }

    fn in_any(&self, sets: &[&LevelSet]) -> bool {
        sets.iter().any(|set| self.is_in(set))
    }
}

/// The sets of levels that may hold blocks under the parameters.
pub(crate) fn blocks<'a>(format: &'a Format, env: &Env<'_>) -> Result<Vec<&'a LevelSet>, Malformed> {
    let mut sets = Vec::new();
    for choice in &format.levels.blocks {
        if holds(choice.when.as_ref(), env)? {
            sets.push(&choice.value);
        }
    }
    Ok(sets)
}

impl Level {
    /// Binds a level; `env` knows the parameters and what is the same at every level. What cannot be evaluated is added
    /// to `problems` and left out.
    pub(crate) fn bind(
        format: &Format,
        geometry: &Geometry,
        place: &Place<'_>,
        env: &Env<'_>,
        problems: &mut Vec<Malformed>,
    ) -> Self {
        let level = place.level;
        let entry_bits = geometry.entry_bits(level);
        let env = env.clone().with("level", level).with("leaf_bits", entry_bits);
        let kinds = bind_kinds(format, place, &env, problems);
        let has = |is| kinds.iter().any(|kind: &BoundKind| kind.is == is);
        let table =
            has(Is::Table).then(|| Shape::bind(format, Class::Table, place, &env, &kinds, Vec::new(), problems));
        let mut leaf = None;
        let mut runs = Vec::new();
        if has(Is::Leaf) {
            for run in &format.runs {
                match bind_run(format, run, entry_bits, place, &env, &kinds, problems) {
                    Ok(bound) => runs.extend(bound),
                    Err(problem) => problems.push(problem),
                }
            }
            let single = runs.iter().flat_map(|run: &BoundRun| run.single.clone()).collect();
            leaf = Some(Shape::bind(format, leaf_class(level), place, &env, &kinds, single, problems));
        }
        let mut bound = Self {
            level,
            label: 0,
            entry_bits,
            kinds,
            table,
            leaf,
            runs,
            empty: 0,
            empty_choice: None,
            empty_table: None,
        };
        if let Err(problem) = bound.bind_values(format, &env) {
            problems.push(problem);
        }
        bound
    }

    fn bind_values(&mut self, format: &Format, env: &Env<'_>) -> Result<(), Malformed> {
        let label = &format.levels.label;
        let no_label = |_| Malformed::new("too large for a level's number", label.span);
        self.label = i64::try_from(eval(&label.value, env)?).map_err(no_label)?;
        let empty = chosen(&format.empty, env, format.name.span)?;
        let no_entry = || Malformed::new("does not fit an entry", empty.span);
        self.empty = u64::try_from(eval(&empty.value, env)?).map_err(|_| no_entry())?;
        if self.empty & !format.word.mask() != 0 {
            return Err(no_entry());
        }
        self.empty_choice = Some(empty.span);
        if let Some(table) = first(&format.empty_table, env)? {
            let no_address = |_| Malformed::new("is no address", table.span);
            self.empty_table = Some((u64::try_from(eval(&table.value, env)?).map_err(no_address)?, table.span));
        }
        Ok(())
    }

    /// The class of leaves here.
    pub fn leaf_class(&self) -> Class {
        leaf_class(self.level)
    }

    /// The run that `raw`, a leaf here, is an item of, and its layout. `None`: it is neither an item of a run nor
    /// a leaf that stands alone.
    pub fn leaf_shape(&self, raw: u64) -> Option<(Option<&BoundRun>, &Shape)> {
        if let Some(run) = self.runs.iter().find(|run| all_hold(&run.mark, raw)) {
            return Some((Some(run), &run.shape));
        }
        let leaf = self.leaf.as_ref()?;
        all_hold(&leaf.marks, raw).then_some((None, leaf))
    }

    /// All layouts of entries here.
    pub fn shapes(&self) -> impl Iterator<Item = (&Shape, Option<&BoundRun>)> {
        let alone = self.table.iter().chain(&self.leaf).map(|shape| (shape, None));
        alone.chain(self.runs.iter().map(|run| (&run.shape, Some(run))))
    }
}

const fn leaf_class(level: u8) -> Class {
    if level == 0 { Class::Page } else { Class::Block }
}

fn bind_kinds(format: &Format, place: &Place<'_>, env: &Env<'_>, problems: &mut Vec<Malformed>) -> Vec<BoundKind> {
    let mut kinds = Vec::new();
    for row in &format.kinds {
        let bound = match holds(row.when.as_ref(), env) {
            Ok(true) if place.is_in(&row.level) => kind::bind(row, env),
            Ok(_) => continue,
            Err(error) => Err(error.into()),
        };
        match bound {
            Ok(bound) => kinds.push(bound),
            Err(problem) => problems.push(problem),
        }
    }
    kind::sort(&mut kinds);
    kinds
}

fn bind_run(
    format: &Format,
    run: &Run,
    entry_bits: u8,
    place: &Place<'_>,
    env: &Env<'_>,
    kinds: &[BoundKind],
    problems: &mut Vec<Malformed>,
) -> Result<Vec<BoundRun>, Malformed> {
    let mut bound = Vec::new();
    if !place.is_in(&run.level) || !holds(run.when.as_ref(), env)? {
        return Ok(bound);
    }
    for &items in &run.items.value {
        let Some(item_bits) = u64::try_from(items).ok().filter(|items| items.is_power_of_two() && *items > 1) else {
            return Err(Malformed::new(format!("{items} is no power of two above 1"), run.items.span));
        };
        let item_bits = item_bits.trailing_zeros() as u8;
        let run_bits = entry_bits + item_bits;
        if run_bits > 63 {
            return Err(Malformed::new("larger than the address space", run.items.span));
        }
        let mut env = env.clone().with("run_bits", run_bits);
        if run.shared {
            env = env.with("leaf_bits", run_bits);
        }
        let mark = kind::tests(&run.mark, &env)?;
        let class = leaf_class(place.level);
        bound.push(BoundRun {
            id: run.id.value.as_str().into(),
            item_bits,
            run_bits,
            shared: run.shared,
            shape: Shape::bind(format, class, place, &env, kinds, mark.clone(), problems),
            mark,
            single: kind::tests(&run.single, &env)?,
            span: run.id.span,
        });
    }
    Ok(bound)
}
