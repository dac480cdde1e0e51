//! `tablewright raise`.

use tablewright_archdefs::interpret::{Decoded, Met, Why};
use tablewright_archdefs::model::{Facts, Format};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use crate::Console;
use crate::explain::{Manual, summary, title};
use crate::failure::{Failure, Failures, Outcome, Result};
use crate::format::{FormatArgs, Found, entry, no_level};
use crate::number;
use crate::paint::{BAD, GOOD, WARN, columns, paint};
use crate::rights::rights;

/// Say what hardware reports of an access that a guest's own tables stop: what a hypervisor injects
///
/// Prints the cause, and the registers of the report: what `explain --fault` reads. The access comes to one entry, after
/// whatever led there.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright raise long_mode 0 --access uw --address 0x5123          nothing is mapped there
  tablewright raise long_mode 0x1234_5005 --access uw --address 0x5123
  tablewright raise long_mode 0x8000_0000_1234_5007 --set no_execute --access px --address 0x5123
  tablewright raise sv 0x48d1_4cdf --access pr --address 0x5123 --register sstatus=0
  tablewright raise stage1_4k 0x400_0000_8000_0f83 --access pw --address 0x5123 --tables 'r x'

Exit code: 0 with a report, 1 if there is none: because the access goes on, or because hardware tells of it in another way.")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
    /// The entry that the access comes to, in hexadecimal
    #[arg(value_name = "RAW", value_parser = number::raw)]
    raw: u64,
    /// The right that the access needs: one of `pr pw px ur uw ux`, for privileged and user mode
    #[arg(long, value_name = "RIGHT")]
    access: String,
    /// The input address, in hexadecimal
    #[arg(long, value_name = "ADDRESS", value_parser = number::raw)]
    address: u64,
    /// The level of the entry: 0 is the leaf-most
    #[arg(long, value_name = "N", default_value_t = 0)]
    level: u8,
    /// The rights that the tables on the way leave, as `encode` takes them
    #[arg(long, value_name = "RIGHTS", default_value = "r w x")]
    tables: String,
    /// The value of a register that modifies rights, in hexadecimal, or else 0; may be repeated, or hold several with commas
    #[arg(long = "register", value_name = "NAME=VALUE", value_delimiter = ',')]
    registers: Vec<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let found = Found::noting(&args.format.format, console)?;
    let bound = found.bind(&args.format.params)?;
    let (Some(fault), Some(raise)) = (&found.format.fault, &found.format.raise) else {
        let help = "it has no `[raise.*]`: reports are of the formats of a guest's own tables";
        return Err(Failure::new("this format does not say what software raises").help(help));
    };
    let mut failures = Failures::default();
    let access = failures.note(right(&args.access));
    let tables = failures.note(rights(&args.tables));
    let controls = failures.note(controls(&found.format, &args.registers));
    let level = failures.note(bound.level(args.level).ok_or_else(|| no_level(&bound, args.level)));
    let raw = failures.note(entry(&bound, args.raw));
    let (Some(access), Some(tables), Some(controls), Some(_), Some(raw)) = (access, tables, controls, level, raw)
    else {
        return Err(failures.into());
    };
    let here = Met {
        address: args.address,
        access,
        why: Why::Input,
        level: bound.geometry.top(),
        entry: 0,
        granted: Facts::empty(),
    };
    let decoded = bound.decode(args.level, raw);
    let met = if !bound.geometry.accepts(args.address) {
        Some(here)
    } else {
        let granted = match &decoded {
            Decoded::Leaf(leaf) => leaf.facts & Facts::RIGHTS & tables,
            _ => Facts::empty(),
        };
        let why = bound.stops(args.level, raw, tables, access, &controls);
        why.map(|why| Met { why, level: args.level, entry: raw, granted, ..here })
    };
    title(&found, &bound, console)?;
    let Some(met) = met else {
        let meaning = summary(&bound, args.level, raw, &decoded);
        writeln!(console.out, "{}: {meaning}", paint(GOOD, "the access goes on"))?;
        return Ok(Outcome::No);
    };
    let mut rows = vec![["cause".into(), paint(BAD, cause(met.why))]];
    let mut manual = Manual::default();
    let values = bound.raise(&met, &controls);
    match &values {
        Some(values) => {
            let registers = fault.registers.iter().zip(values);
            rows.extend(registers.map(|(register, value)| [register.name.value.clone(), show::hex(*value)]));
            raise.registers.iter().for_each(|register| _ = manual.number(register.cite.as_deref()));
        }
        None => {
            let conditions = raise.registers.iter().filter_map(|register| register.when.as_ref());
            let conditions = conditions.map(|when| format!("`{}`", found.sources.text(when.span)));
            let only = conditions.collect::<Vec<_>>().join(" and ");
            rows.push(["report".into(), format!("{}: one is made where {only}", paint(WARN, "none"))]);
        }
    }
    write!(console.out, "{}{}", columns(&rows), manual.list())?;
    Ok(if values.is_some() { Outcome::Yes } else { Outcome::No })
}

fn cause(why: Why) -> &'static str {
    match why {
        Why::Input => "the address is none that these tables translate",
        Why::NotMapped => "nothing is mapped there",
        Why::Reserved => "the entry is reserved",
        Why::NotMarked => "the leaf is not marked accessed or dirty",
        Why::Denied => "a right is missing",
    }
}

/// One right.
fn right(word: &str) -> Result<Facts> {
    let is_one = |right: Facts| right.bits().count_ones() == 1 && Facts::RIGHTS.contains(right);
    let known = || Facts::WORDS.iter().filter(|(_, right)| is_one(*right));
    known().find(|(known, _)| *known == word).map(|(_, right)| *right).ok_or_else(|| {
        let words = known().map(|(word, _)| *word);
        Failure::unknown(format!("an access needs one right, and `{word}` is none"), word, "rights", words)
    })
}

/// The values of `[access] registers`, in their order.
fn controls(format: &Format, values: &[String]) -> Result<Vec<u64>> {
    let registers = format.access.iter().flat_map(|access| &access.registers);
    let names: Vec<&str> = registers.map(|register| register.name.value.as_str()).collect();
    let mut controls = vec![0; names.len()];
    for text in values {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let value = number::raw(value.trim()).map_err(|error| Failure::new(format!("`{text}`: {error}")))?;
        let index = names.iter().position(|known| *known == name.trim()).ok_or_else(|| {
            let legal = names.iter().copied();
            Failure::unknown(format!("no register `{name}` modifies rights"), name, "registers that do", legal)
        })?;
        controls[index] = value;
    }
    Ok(controls)
}
