//! `tablewright encode`.

use std::collections::BTreeSet;

use clap::ArgGroup;
use tablewright_archdefs::bound::{Bound, BoundMeaning, Shape};
use tablewright_archdefs::interpret::{Attributes, Decoded, Refused};
use tablewright_archdefs::model::{Facts, MemoryType};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use crate::Console;
use crate::explain::summary;
use crate::failure::{Failure, Failures, Outcome, Result};
use crate::format::{FormatArgs, Found, no_level};
use crate::number;
use crate::paint::{FAINT, paint};
use crate::rights::rights;

/// Make an entry: the reverse of `explain`
///
/// Prints the entry; of a run every item, one on each line.
#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("kind").required(true).args(["leaf", "table"]), after_help = "Examples:
  tablewright encode ept --leaf --address 0x1234_5000
  tablewright encode ept --leaf --address 0x4000_0000 --size 1G --rights rw --config server
  tablewright encode ept --leaf --address 0x1000 --option ignore-pat --explain
  tablewright encode stage2_4k --leaf --address 0x8000_0000 --size 64K     a run: 16 items
  tablewright encode sv_x4 --table --address 0x8000_4000 --level 2")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
    /// An entry that maps memory
    #[arg(long)]
    leaf: bool,
    /// An entry that points to a table, with every right
    #[arg(long, conflicts_with_all = ["size", "rights", "memory", "options", "software"])]
    table: bool,
    /// What it maps to, or where the table is, in hexadecimal
    #[arg(long, value_name = "PA", value_parser = number::raw)]
    address: u64,
    /// The level: 0 is the leaf-most [default: the lowest that will do]
    #[arg(long, value_name = "N")]
    level: Option<u8>,
    /// The size of the page, block or run: 4K, 2M, ... [default: one entry]
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// The rights, and states: words from `r w x pr pw px ur uw ux accessed dirty`, or such as `rw`
    #[arg(long, default_value = "r w x")]
    rights: String,
    /// The memory type, as format files name it; types that the format lacks are replaced as it says
    #[arg(long, value_name = "TYPE", default_value = "wb")]
    memory: String,
    /// An option by its word, such as `ignore-pat`; may be repeated
    #[arg(long = "option", value_name = "WORD")]
    options: Vec<String>,
    /// Bits to set of those that are free for software, in hexadecimal
    #[arg(long, value_name = "BITS", value_parser = number::raw, default_value = "0")]
    software: u64,
    /// Say what each entry means, too
    #[arg(long)]
    explain: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let found = Found::noting(&args.format.format, console)?;
    let bound = found.bind(&args.format.params)?;
    let (level, items) = if args.table { table(args, &bound)? } else { leaf(args, &bound)? };
    for raw in items {
        match args.explain {
            true => {
                let meaning = summary(&bound, level, raw, &bound.decode(level, raw));
                writeln!(console.out, "{}  {}", show::hex(raw), paint(FAINT, format!("level {level}: {meaning}")))?;
            }
            false => writeln!(console.out, "{}", show::hex(raw))?,
        }
    }
    Ok(Outcome::Yes)
}

fn table(args: &Args, bound: &Bound) -> Result<(u8, Vec<u64>)> {
    let has_tables = |level: &u8| bound.level(*level).is_some_and(|level| level.table.is_some());
    let lowest = (0..bound.geometry.levels).find(has_tables);
    let level = args.level.or(lowest).unwrap_or(1);
    bound.level(level).ok_or_else(|| no_level(bound, level))?;
    let raw = bound.encode_table(level, args.address).map_err(|refused| match refused {
        Refused::Size { .. } => {
            let levels: Vec<i64> = (0..bound.geometry.levels).filter(has_tables).map(i64::from).collect();
            let help = format!("tables are pointed to from levels {}", show::set(&levels));
            Failure::new(format!("an entry at level {level} cannot point to a table")).help(help)
        }
        refused => failure(bound, refused, (level, bound.geometry.table_bits(level.saturating_sub(1))), None),
    })?;
    Ok((level, vec![raw]))
}

fn leaf(args: &Args, bound: &Bound) -> Result<(u8, Vec<u64>)> {
    let mut failures = Failures::default();
    let place = failures.note(place(args, bound));
    let shape = place.and_then(|(level, size)| {
        let here = bound.level(level)?;
        here.runs.iter().find(|run| run.run_bits == size).map(|run| &run.shape).or(here.leaf.as_ref())
    });
    let facts = failures.note(rights(&args.rights));
    let memory = failures.note(memory(&args.memory));
    let options = failures.note(shape.map_or(Ok(0), |shape| options(&args.options, args.software, shape)));
    let (Some((level, size)), Some(facts), Some(memory), Some(options)) = (place, facts, memory, options) else {
        return Err(failures.into());
    };
    let attributes = Attributes { facts, memory, options };
    bound.encode_leaf(level, size, args.address, &attributes).map(|items| (level, items)).map_err(|_| {
        let refusals = bound.leaf_refusals(level, size, args.address, &attributes);
        Failure::Several(refusals.into_iter().map(|refused| failure(bound, refused, (level, size), shape)).collect())
    })
}

/// The memory types that may be asked for here, and the types taken for those that the format replaces.
fn memory_types(bound: &Bound, (level, size): (u8, u8)) -> String {
    let known = MemoryType::WORDS.iter().filter_map(|(word, memory)| {
        // Tries all rights, so that a type counts if it goes with any of them.
        let items = all_rights().find_map(|facts| {
            bound.encode_leaf(level, size, 0, &Attributes { facts, memory: *memory, options: 0 }).ok()
        })?;
        match bound.decode(level, *items.first()?) {
            Decoded::Leaf(leaf) if leaf.memory == Some(*memory) => Some((*word).to_owned()),
            Decoded::Leaf(leaf) => Some(format!("{word} (as {})", leaf.memory.map_or("another", MemoryType::word))),
            _ => None,
        }
    });
    match known.collect::<Vec<_>>().as_slice() {
        [] => "none can be expressed here".to_owned(),
        words => format!("it can be one of: {}", words.join(", ")),
    }
}

/// The level and the size of a leaf.
fn place(args: &Args, bound: &Bound) -> Result<(u8, u8)> {
    let levels: Vec<u8> = match args.level {
        Some(level) if bound.level(level).is_none() => return Err(no_level(bound, level)),
        Some(level) => vec![level],
        None => (0..bound.geometry.levels).collect(),
    };
    let all: Vec<(u8, u8)> =
        levels.iter().flat_map(|level| bound.page_sizes(*level).into_iter().map(|size| (*level, size))).collect();
    let known: Vec<String> = all.iter().map(|(_, size)| show::size(*size)).collect();
    let found = match &args.size {
        Some(wanted) => {
            all.iter().zip(&known).find(|(_, name)| name.eq_ignore_ascii_case(wanted)).map(|(place, _)| place)
        }
        None => all.first(),
    };
    found.copied().ok_or_else(|| {
        let at = args.level.map_or_else(String::new, |level| format!(" at level {level}"));
        let what = args.size.as_ref().map_or_else(|| "leaves".into(), |size| format!("leaves of {size}"));
        let failure = Failure::new(format!("there are no {what}{at} with these parameters"));
        match known.as_slice() {
            [] => failure.help("blocks may need a parameter; `tablewright list` names them"),
            known => failure.help(format!("sizes{at}: {}", known.join(" "))),
        }
    })
}

fn memory(word: &str) -> Result<MemoryType> {
    let known = MemoryType::WORDS.iter().find(|(known, _)| *known == word);
    known.map(|(_, memory)| *memory).ok_or_else(|| {
        let words = MemoryType::WORDS.iter().map(|(word, _)| *word);
        Failure::unknown(format!("there is no memory type `{word}`"), word, MemoryType::WHAT, words)
    })
}

/// The option bits that differ from their defaults.
fn options(words: &[String], software: u64, shape: &Shape) -> Result<u64> {
    let rows = || {
        shape.fields.iter().flat_map(|field| match &field.meaning {
            BoundMeaning::Option(rows, default) => {
                rows.rows.iter().map(|row| (&*row.meaning, field.bits.insert(row.value ^ default))).collect()
            }
            _ => Vec::new(),
        })
    };
    let option = |word: &String| {
        let row = rows().find(|(known, _)| known == word);
        row.map(|row| row.1).ok_or_else(|| {
            let known: BTreeSet<_> = rows().map(|(word, _)| word).collect();
            Failure::unknown(format!("there is no option `{word}`"), word, "options here", known.iter().copied())
        })
    };
    let mut failures = Failures::default();
    let bits: Vec<u64> = words.iter().filter_map(|word| failures.note(option(word))).collect();
    if bits.len() < words.len() { Err(failures.into()) } else { Ok(bits.iter().fold(software, |all, bits| all | bits)) }
}

/// The reasons why there is no such entry, and what there is instead.
fn failure(bound: &Bound, refused: Refused, (level, size): (u8, u8), shape: Option<&Shape>) -> Failure {
    let failure = Failure::new(refused.to_string());
    match refused {
        Refused::Address(_) => {
            let last = show::hex(bound.geometry.last_output());
            failure.help(format!("addresses here go up to {last} and are aligned to {}", show::size(size)))
        }
        Refused::Rights(_) => failure.help(format!("it can be one of: {}", grantable(bound, (level, size)).join(", "))),
        Refused::Memory(_) => failure.help(memory_types(bound, (level, size))),
        Refused::Options(_) => {
            let bits = shape.map_or(0, Shape::option_bits);
            failure.help(format!("options and bits that are free for software: {}", show::bits(bits)))
        }
        _ => failure,
    }
}

/// The sets of rights that some leaf of this size grants.
fn grantable(bound: &Bound, (level, size): (u8, u8)) -> Vec<String> {
    let grants = |facts: &Facts| {
        let mut memory = MemoryType::WORDS.iter().map(|(_, memory)| *memory);
        memory
            .any(|memory| bound.encode_leaf(level, size, 0, &Attributes { facts: *facts, memory, options: 0 }).is_ok())
    };
    all_rights().filter(grants).map(show::facts).collect()
}

fn all_rights() -> impl Iterator<Item = Facts> {
    (0..=Facts::RIGHTS.bits()).map(Facts::from_bits_truncate)
}
