//! `tablewright dump`.

mod json;
mod progress;
mod text;
mod tree;

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::mappings::{Change, Extent, Extents, Visited, changes};

use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::{FormatArgs, Found};
use crate::image::{ImageArgs, Memory};
use crate::number;
use crate::walk::{remark_root, remarks};
use progress::Progress;

/// List all that tables map, from an image of memory
///
/// Neighbours that say the same are one line: input addresses, output address, rights, memory type, options, and the
/// pages. Accessed and dirty count with --states only.
///
/// Tables may be damaged. Reserved entries, runs whose items do not say the same, tables that no image has, and tables
/// that are reached through themselves are reported. A table that is reached twice is listed once.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright dump ept --image guest.raw@0x1000_0000 --root 0x1000_0000
  tablewright dump sv_x4 --config sv48x4 --image core.elf --root 0x8020_0000 --tree
  tablewright dump stage2_4k --image low.raw@0 --image high.raw@0x4000_0000 --root 0x8_0000 --json
  tablewright dump ept --image before.elf --root 0x1000 --diff after.elf

Raw files are written by QEMU's `pmemsave PA SIZE \"FILE\"`, core files by `dump-guest-memory FILE`.
`tablewright explain FORMAT --register NAME RAW` finds the root in a register's value.

In JSON there is an object for each line; addresses are strings in hexadecimal, `last` is inclusive.

Exit code: 0 if all is well; 1 if tables have defects, or, with --diff, differ; 2 if an image cannot be read.")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    image: ImageArgs,
    /// Show tables and entries as they hang together
    #[arg(long, conflicts_with_all = ["json", "diff"])]
    tree: bool,
    /// As programs read it
    #[arg(long)]
    json: bool,
    /// Show what differs in this image; may be repeated
    #[arg(long, value_name = "FILE[@PA]")]
    diff: Vec<String>,
    /// The root in the images of --diff [default: the same]
    #[arg(long, value_name = "PA", value_parser = number::raw, requires = "diff")]
    diff_root: Option<u64>,
    /// Tell pages apart that differ only in accessed and dirty
    #[arg(long)]
    states: bool,
}

/// What was found besides mappings.
#[derive(Default)]
struct Tally {
    lines: u64,
    defects: u64,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let found = Found::noting(&args.format.format, console)?;
    let bound = found.bind(&args.format.params)?;
    let mut memory = Memory::open(&args.image.images)?;
    remark_root(&bound, args.image.root, console)?;
    let mut progress = Progress::new(&bound, console.shows_progress);
    let outcome = if !args.diff.is_empty() {
        diff(args, &bound, &mut memory, &mut progress, console)
    } else if args.tree {
        tree::write(&bound, args.states, visit(&bound, &mut memory, args.image.root)?, &mut progress, console)
    } else {
        list(args, &bound, &mut memory, &mut progress, console)
    };
    progress.clear(console.err)?;
    remarks(&memory, console)?;
    outcome
}

fn visit<'a>(bound: &'a Bound, memory: &'a mut Memory, root: u64) -> Result<impl Iterator<Item = Visited>> {
    let visited = bound.mappings(root, |address| memory.read(address));
    visited.map_err(|error| Failure::new(error.to_string()).help("`--set` may give the format smaller tables"))
}

fn list(args: &Args, bound: &Bound, memory: &mut Memory, progress: &mut Progress, console: &mut Console<'_>) -> Result {
    let visited = visit(bound, memory, args.image.root)?;
    let seen = std::cell::Cell::new(0);
    let visited = visited.inspect(|visited| seen.set(visited.first));
    let extents = Extents::new(visited.filter_map(|visited| Extent::of(bound, &visited, args.states)));
    let mut tally = Tally::default();
    let mut array = json::Array::default();
    for extent in extents {
        progress.at(seen.get(), console.err)?;
        tally.lines += 1;
        tally.defects += u64::from(extent.content.is_defect());
        match args.json {
            true => array.push(&json::extent(&extent), console.out)?,
            false => writeln!(console.out, "{}", text::extent(bound, &extent))?,
        }
    }
    if args.json {
        array.end(console.out)?;
    } else {
        text::tally(&tally, console)?;
    }
    Ok(if tally.defects == 0 { Outcome::Yes } else { Outcome::No })
}

fn diff(args: &Args, bound: &Bound, memory: &mut Memory, progress: &mut Progress, console: &mut Console<'_>) -> Result {
    let mut other = Memory::open(&args.diff)?;
    let root = args.diff_root.unwrap_or(args.image.root);
    let seen = std::cell::Cell::new(0);
    let extents = |visited: Visited| Extent::of(bound, &visited, args.states);
    let old = visit(bound, memory, args.image.root)?.inspect(|visited| seen.set(visited.first)).filter_map(extents);
    let new = visit(bound, &mut other, root)?.filter_map(extents);
    let mut array = json::Array::default();
    let mut outcome = Outcome::Yes;
    for change in changes(Extents::new(old), Extents::new(new)) {
        progress.at(seen.get(), console.err)?;
        outcome = Outcome::No;
        if args.json {
            array.push(&json::change(&change), console.out)?;
            continue;
        }
        let Change { first, last, old, new } = change;
        for (sign, content) in [('-', old), ('+', new)] {
            if let Some(content) = content {
                writeln!(console.out, "{}", text::changed(bound, sign, &Extent { first, last, content }))?;
            }
        }
    }
    if args.json {
        array.end(console.out)?;
    } else if outcome == Outcome::Yes {
        writeln!(console.err, "no differences")?;
    }
    progress.clear(console.err)?;
    remarks(&other, console)?;
    Ok(outcome)
}
