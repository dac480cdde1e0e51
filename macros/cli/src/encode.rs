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
use crate::failure::{Failure, Outcome, Result};
use crate::format::{FormatArgs, Found};
use crate::number;
use crate::paint::{FAINT, paint};

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
    if let Some(level) = args.level
        && bound.level(level).is_none()
    {
        let help = format!("with these parameters levels are 0..={}; 0 is the leaf-most", bound.geometry.top());
        return Err(Failure::new(format!("there is no level {level}")).help(help));
    }
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
    let raw = bound.encode_table(level, args.address).map_err(|refused| match refused {
        Refused::Size { .. } => {
            let levels: Vec<i64> = (0..bound.geometry.levels).filter(has_tables).map(i64::from).collect();
            let help = format!("tables are pointed to from levels {}", show::set(&levels));
            Failure::new(format!("an entry at level {level} cannot point to a table")).help(help)
        }
        refused => failure(bound, refused, bound.geometry.table_bits(), None),
    })?;
    Ok((level, vec![raw]))
}

fn leaf(args: &Args, bound: &Bound) -> Result<(u8, Vec<u64>)> {
    let (level, size) = place(args, bound)?;
    let here = bound.level(level);
    let run = here.and_then(|here| here.runs.iter().find(|run| run.run_bits == size));
    let shape = run.map(|run| &run.shape).or(here.and_then(|here| here.leaf.as_ref()));
    let attributes = Attributes {
        facts: rights(&args.rights)?,
        memory: memory(&args.memory)?,
        options: shape.map_or(Ok(0), |shape| options(&args.options, args.software, shape))?,
    };
    let items = bound.encode_leaf(level, size, args.address, &attributes);
    items.map(|items| (level, items)).map_err(|refused| match refused {
        Refused::Memory(_) => Failure::new(refused.to_string()).help(memory_types(bound, (level, size), &attributes)),
        refused => failure(bound, refused, size, shape),
    })
}

/// The memory types that may be asked for in this place beside these rights, and what is taken for those that the format
/// replaces.
fn memory_types(bound: &Bound, (level, size): (u8, u8), asked: &Attributes) -> String {
    let known = MemoryType::WORDS.iter().filter_map(|(word, memory)| {
        let items = bound.encode_leaf(level, size, 0, &Attributes { memory: *memory, ..*asked }).ok()?;
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
    let levels: Vec<u8> = args.level.map_or_else(|| (0..bound.geometry.levels).collect(), |level| vec![level]);
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

fn rights(text: &str) -> Result<Facts> {
    let mut facts = Facts::empty();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let of = |word: &str| Facts::WORDS.iter().find(|(known, _)| *known == word).map(|(_, facts)| *facts);
        // `rw` is short for `r w`.
        let together = || word.chars().map(|letter| of(letter.encode_utf8(&mut [0; 4]))).collect::<Option<Vec<_>>>();
        facts |= match of(word) {
            Some(facts) => facts,
            None => together().map(|all| all.into_iter().collect()).ok_or_else(|| {
                let words = Facts::WORDS.iter().map(|(word, _)| *word);
                Failure::unknown(format!("there is no right `{word}`"), word, Facts::WHAT, words)
            })?,
        };
    }
    Ok(facts)
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
    let mut options = software;
    for word in words {
        let row = rows().find(|(known, _)| known == word);
        options |= row.map(|row| row.1).ok_or_else(|| {
            let known: BTreeSet<_> = rows().map(|(word, _)| word).collect();
            Failure::unknown(format!("there is no option `{word}`"), word, "options here", known.iter().copied())
        })?;
    }
    Ok(options)
}

/// Why there is no such entry, and which there are.
fn failure(bound: &Bound, refused: Refused, size: u8, shape: Option<&Shape>) -> Failure {
    let failure = Failure::new(refused.to_string());
    match refused {
        Refused::Address(_) => {
            let last = show::hex(bound.geometry.last_output());
            failure.help(format!("addresses here go up to {last} and are aligned to {}", show::size(size)))
        }
        Refused::Rights(_) => failure.help(format!("it can be one of: {}", grantable(bound, shape).join(", "))),
        Refused::Options(_) => {
            let bits = shape.map_or(0, Shape::option_bits);
            failure.help(format!("options and bits that are free for software: {}", show::bits(bits)))
        }
        _ => failure,
    }
}

/// The sets of rights that some leaf of this layout grants.
fn grantable(bound: &Bound, shape: Option<&Shape>) -> Vec<String> {
    let Some((shape, level)) = shape.and_then(|shape| {
        let level = bound.levels.iter().find(|level| level.shapes().any(|(known, _)| std::ptr::eq(known, shape)))?;
        Some((shape, level))
    }) else {
        return Vec::new();
    };
    let run = level.runs.iter().find(|run| std::ptr::eq(&run.shape, shape));
    let size = run.map_or(level.entry_bits, |run| run.run_bits);
    let grants = |facts: &Facts| {
        let memory = MemoryType::WORDS.iter().map(|(_, memory)| *memory);
        memory.into_iter().any(|memory| {
            bound.encode_leaf(level.level, size, 0, &Attributes { facts: *facts, memory, options: 0 }).is_ok()
        })
    };
    let all = (0..=Facts::RIGHTS.bits()).map(Facts::from_bits_truncate);
    all.filter(grants).map(show::facts).collect()
}
