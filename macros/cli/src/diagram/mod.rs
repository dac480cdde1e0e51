//! `tablewright diagram`.

mod svg;
mod text;

use clap::ValueEnum;
use tablewright_archdefs::bound::{Bound, Geometry};
use tablewright_archdefs::explain::{self, Layout, Owner};
use tablewright_archdefs::model::{FixClass, InputExtension};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use crate::Console;
use crate::failure::{Outcome, Result};
use crate::format::{FormatArgs, Found};

/// Draw the bits of entries, one row for each kind and level, and how an address is split
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright diagram sv_x4
  tablewright diagram ept --set five_level,levels=5 --format svg > ept.svg

Bits that can have one value only show it; in parentheses, if hardware ignores another.")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
    /// As text, or as a picture
    #[arg(long = "format", value_name = "FORM", default_value = "text", id = "form")]
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Svg,
}

/// Cells with a title: a row of the drawing.
struct Row {
    title: String,
    cells: Vec<Cell>,
}

/// Bits with a label.
struct Cell {
    high: u8,
    low: u8,
    label: String,
    /// A longer description, shown where there is room.
    remark: String,
    /// A class of the picture's style, which says what they are for.
    role: &'static str,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let found = Found::noting(&args.format.format, console)?;
    let bound = found.bind(&args.format.params)?;
    let rows: Vec<Row> =
        bound.layouts(&found.format).iter().map(|layout| entry(&bound, layout)).chain([address(&bound)]).collect();
    let (title, params) = (found.title(), bound.params.changes(&found.format));
    match args.form {
        Form::Text => text::write(title, &params, &rows, console)?,
        Form::Svg => write!(console.out, "{}", svg::drawing(title, &params, &rows))?,
    }
    Ok(Outcome::Yes)
}

/// The row of a kind of entry.
fn entry(bound: &Bound, layout: &Layout) -> Row {
    let cells = layout.cells.iter().map(|cell| Cell {
        high: cell.high,
        low: cell.low,
        label: cell.label.clone(),
        remark: remark(cell),
        role: match cell.part.owner {
            Owner::Field => "field",
            Owner::Fix(FixClass::MustBeZero | FixClass::MustBeOne) => "fixed",
            Owner::Fix(_) => "free",
            Owner::Run | Owner::Kind => "kind",
        },
    });
    let plural = if layout.levels.len() == 1 { "" } else { "s" };
    let join = |numbers: Vec<String>| numbers.join(", ");
    let levels = join(layout.levels.iter().map(u8::to_string).collect());
    let labels = layout.levels.iter().filter_map(|level| bound.level(*level)).map(|level| level.label.to_string());
    let size = layout.size.map_or_else(String::new, |size| format!(" of {}", show::size(size)));
    let run = layout.run.as_ref().map_or_else(String::new, |(items, _)| format!(", an item of a run of {items}"));
    let what = layout.class.word();
    let labels = join(labels.collect());
    Row { title: format!("{what}{size}{run}, level{plural} {levels} ({labels} in the manual)"), cells: cells.collect() }
}

fn remark(cell: &explain::Cell) -> String {
    let part = &cell.part;
    let parts = [Some(part.name.to_string()), part.doc.clone(), part.cite.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The row of an input address.
fn address(bound: &Bound) -> Row {
    let geometry = &bound.geometry;
    let mut cells = Vec::new();
    let mut push = |high: u8, low: u8, label: String, role| {
        cells.push(Cell { high, low, label, remark: String::new(), role });
    };
    if geometry.input_bits < 64 {
        push(63, geometry.input_bits, extension(geometry).into(), "fixed");
    }
    for level in bound.levels.iter().rev() {
        let low = geometry.entry_bits(level.level);
        if let Some(high) = (low + geometry.level_index_bits(level.level)).checked_sub(1).filter(|high| *high >= low) {
            push(high, low, format!("level {}", level.level), "kind");
        }
    }
    push(geometry.page_bits - 1, 0, "in the page".into(), "field");
    Row { title: "input address: which bits are the index at which level".into(), cells }
}

fn extension(geometry: &Geometry) -> &'static str {
    match geometry.extension {
        InputExtension::Zero => "0",
        InputExtension::One => "1",
        InputExtension::Sign => "as the highest",
    }
}
