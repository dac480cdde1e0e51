//! The layout of entries, as manuals draw it.

use std::sync::Arc;

use super::entry::{Cites, parts};
use super::{Owner, Part};
use crate::bound::{Bound, BoundRun, BoundTest, Level, Shape};
use crate::model::{Class, FixClass, Format};

/// The layout of one kind of entry, at the levels where it is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Table, page or block.
    pub class: Class,
    /// The number of items and the id of its run, if it is an item of one.
    pub run: Option<(u64, Arc<str>)>,
    /// The levels.
    pub levels: Vec<u8>,
    /// log2 of the size of a leaf, run included; `None` for tables.
    pub size: Option<u8>,
    /// All 64 bits, from the highest down.
    pub cells: Vec<Cell>,
}

/// Adjacent bits that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The highest bit.
    pub high: u8,
    /// The lowest bit.
    pub low: u8,
    /// A name, or the only value that the bits can have; in parentheses if hardware ignores the bits.
    pub label: String,
    /// What owns them, and its description.
    pub part: Part,
}

impl Bound {
    /// The layouts of all entries that are present, from level 0 up. `format` is the model that this was bound from.
    pub fn layouts(&self, format: &Format) -> Vec<Layout> {
        let mut layouts: Vec<Layout> = Vec::new();
        for level in &self.levels {
            for (shape, run) in level.shapes() {
                let layout = layout(format, level, shape, run);
                let same = |known: &&mut Layout| {
                    (known.class, &known.run, known.size, &known.cells)
                        == (layout.class, &layout.run, layout.size, &layout.cells)
                };
                match layouts.iter_mut().find(same) {
                    Some(known) => known.levels.push(level.level),
                    None => layouts.push(layout),
                }
            }
        }
        layouts
    }
}

fn layout(format: &Format, level: &Level, shape: &Shape, run: Option<&BoundRun>) -> Layout {
    let cites = Cites { format };
    let id = run.map(|run| run.id.clone());
    let mut parts = parts(shape, 0, id.as_ref(), &cites);
    let mut owned = parts.iter().fold(0, |mask, part| mask | part.bits);
    for kind in level.kinds.iter().filter(|kind| shape.class.is_made_by(kind.is)) {
        for test in kind.tests.iter().flatten() {
            let bits = test.bits.mask() & !owned;
            if bits != 0 {
                owned |= bits;
                parts.push(Part::of_kind(kind, bits, 0, &cites));
            }
        }
    }
    let tests: Vec<&BoundTest> = shape.marks.iter().chain(&shape.tested).collect();
    let mut cells: Vec<Cell> = parts.iter().flat_map(|part| cells(part, &tests)).collect();
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.high));
    Layout {
        class: shape.class,
        run: run.map(|run| (1 << run.item_bits, run.id.clone())),
        levels: vec![level.level],
        size: (shape.class != Class::Table).then(|| run.map_or(level.entry_bits, |run| run.run_bits)),
        cells,
    }
}

/// The cells of a part, one for each range of bits.
fn cells(part: &Part, tests: &[&BoundTest]) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut left = part.bits;
    while left != 0 {
        let high = 63 - left.leading_zeros() as u8;
        let width = (left << (63 - high)).leading_ones() as u8;
        let low = high + 1 - width;
        let bits = u64::MAX >> (64 - width) << low;
        left &= !bits;
        cells.push(Cell { high, low, label: label(part, bits, low, tests), part: part.clone() });
    }
    cells
}

fn label(part: &Part, bits: u64, low: u8, tests: &[&BoundTest]) -> String {
    let width = bits.count_ones() as usize;
    let digits = |value: u64| format!("{value:0width$b}");
    let one_for_all = |digit: &str| if width > 3 { digit.to_owned() } else { digit.repeat(width) };
    match part.owner {
        Owner::Field => part.name.to_string(),
        Owner::Fix(FixClass::MustBeZero) => one_for_all("0"),
        Owner::Fix(FixClass::MustBeOne) => one_for_all("1"),
        Owner::Fix(FixClass::WriteZero) => "(0)".into(),
        Owner::Fix(FixClass::WriteOne) => "(1)".into(),
        Owner::Fix(FixClass::Ignored) => "ignored".into(),
        Owner::Fix(FixClass::Software) => "software".into(),
        Owner::Fix(FixClass::Hardware) => part.name.to_string(),
        Owner::Run | Owner::Kind => {
            let written = tests.iter().find(|test| test.bits.mask() & bits == bits).and_then(|test| test.written());
            written.map_or_else(|| part.name.to_string(), |value| digits((value & bits) >> low))
        }
    }
}
