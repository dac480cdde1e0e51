//! `tablewright walk`.

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::interpret::{Step, Walk};
use tablewright_archdefs::model::InputExtension;
use tablewright_archdefs::show;

use crate::Console;
use crate::explain::summary;
use crate::failure::{Outcome, Result};
use crate::format::{FormatArgs, Found};
use crate::image::{ImageArgs, Memory};
use crate::number;
use crate::paint::{BAD, FAINT, GOOD, TITLE, WARN, columns, paint};

/// Translate an address step by step, with tables from an image of memory
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright walk ept --image guest.raw@0x1000_0000 --root 0x1000_0000 0x7fff_1234
  tablewright walk stage2_4k --config 4k-39 --image core.elf --root 0x4008_0000 0x8000_1000

Raw files are written by QEMU's `pmemsave PA SIZE \"FILE\"`, core files by `dump-guest-memory FILE`.
`tablewright explain FORMAT --register NAME RAW` finds the root in a register's value.

Exit code: 0 if the address is mapped, 1 if it is not, 2 if an image cannot be read.")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    image: ImageArgs,
    /// The input address, in hexadecimal
    #[arg(value_name = "ADDRESS", value_parser = number::raw)]
    address: u64,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let found = Found::noting(&args.format.format, console)?;
    let bound = found.bind(&args.format.params)?;
    let mut memory = Memory::open(&args.image.images)?;
    let (root, address) = (args.image.root, args.address);
    remark_root(&bound, root, console)?;
    let mut steps = Vec::new();
    let walk = bound.walk_from(bound.start(root), address, |at| memory.read(at), |step| steps.push(step.clone()));
    remarks(&memory, console)?;
    writeln!(console.out, "{}", paint(TITLE, found.title()))?;
    writeln!(console.out, "{}\n", paint(FAINT, bound.params.changes(&found.format)))?;
    let rows: Vec<_> = steps.iter().map(|step| row(&bound, step)).collect();
    write!(console.out, "{}", columns(&rows))?;
    if let Some(last) = steps.last() {
        for refusal in bound.explain(&found.format, last.level, last.raw).refusals {
            let cite = refusal.cite.map_or_else(String::new, |cite| paint(FAINT, format!(" ({cite})")));
            writeln!(console.out, "  {} {}: {}{cite}", paint(BAD, "because of"), refusal.rule, refusal.reason)?;
        }
    }
    let ia = paint(TITLE, show::hex(address));
    let outcome = if matches!(walk, Walk::Translated(_)) { Outcome::Yes } else { Outcome::No };
    let end = match walk {
        Walk::Translated(to) => {
            let memory = to.memory.map_or("memory type without a name", tablewright_archdefs::words::Word::word);
            let (output, size, facts) = (show::hex(to.address), show::size(to.size), show::facts(to.facts));
            format!("{} to {output}, in {size}, {facts}, {memory}", paint(GOOD, "translates"))
        }
        Walk::NotMapped { level } => format!("{}, says level {level}", paint(WARN, "is not mapped")),
        Walk::Reserved { level, rule } => {
            format!("{}: the entry at level {level} is reserved, says `{rule}`", paint(BAD, "faults"))
        }
        Walk::InputTooWide => {
            let (bits, ranges) = (bound.geometry.input_bits, input_ranges(&bound));
            format!("{}: these are {bits} bits, {ranges}", paint(BAD, "is no input address"))
        }
        Walk::ReadFailed { level, address } => {
            format!(
                "{}: no image has the entry of level {level} at {}",
                paint(BAD, "cannot be told"),
                show::hex(address)
            )
        }
    };
    writeln!(console.out, "\n{ia} {end}")?;
    Ok(outcome)
}

/// The ranges of input addresses. If they are sign-extended, there are two.
fn input_ranges(bound: &Bound) -> String {
    let geometry = &bound.geometry;
    let half = 1_u64 << (geometry.input_bits - 1);
    let range =
        |first, last| format!("from {} to {}", show::hex(geometry.extend(first)), show::hex(geometry.extend(last)));
    match geometry.extension {
        InputExtension::Zero | InputExtension::One => range(0, u64::MAX),
        InputExtension::Sign => format!("{} and {}", range(0, half - 1), range(half, u64::MAX)),
    }
}

fn row(bound: &Bound, step: &Step) -> [String; 4] {
    let label = bound.level(step.level).map_or(0, |level| level.label);
    [
        format!("level {} ({label} in the manual)", step.level),
        format!("entry {} at {}", step.index, show::hex(step.slot)),
        show::hex(step.raw),
        summary(bound, step.level, step.raw, &step.decoded),
    ]
}

/// Warns about a root that is not aligned or too high, because that is most often a mistake on the command line.
pub(crate) fn remark_root(bound: &Bound, root: u64, console: &mut Console<'_>) -> Result<()> {
    let is_aligned = root.is_multiple_of(1_u64 << bound.geometry.root_entries_bits());
    if !is_aligned || root > bound.geometry.last_output() {
        let size = show::size(bound.geometry.root_entries_bits());
        let what = match is_aligned {
            true => format!("is beyond {}, the last address", show::hex(bound.geometry.last_output())),
            false => format!("is not aligned to {size}, as a root is"),
        };
        writeln!(console.err, "{}: {} {what}", paint(WARN, "warning"), show::hex(root))?;
        writeln!(
            console.err,
            "if this is a register's value, `tablewright explain FORMAT --register NAME RAW` finds the root in it"
        )?;
    }
    Ok(())
}

/// Writes the remarks about what is odd in the images.
pub(crate) fn remarks(memory: &Memory, console: &mut Console<'_>) -> Result<()> {
    for remark in memory.remarks.iter().take(10) {
        writeln!(console.err, "{}: {remark}", paint(WARN, "warning"))?;
    }
    Ok(())
}
