//! `tablewright explain`.

mod completion;
mod entry;
mod fault;
mod register;
mod report;
mod translated;

use crate::Console;
use crate::failure::{Failure, Result};
use crate::format::{self, FormatArgs, Found};
use crate::number;

pub(crate) use entry::{Manual, limit, summary};
pub(crate) use report::title;

/// Explain an entry, bit by bit, a register, or what hardware reports, with the manual's section
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright explain ept 0x1234_5037 --level 0
  tablewright explain stage2_4k 0x0000_0000_8000_07ff        at every level, where that differs
  tablewright explain ept 0xb4 --set execute_only --level 1
  tablewright explain sv_x4 --config sv48x4 0x2000_0000_2008_00df
  tablewright explain ept --register eptp 0x1234_505e
  tablewright explain ept --fault 0x30 0x181 0x1000          exit reason, qualification, address
  tablewright explain stage1_4k --translated 0xff00_0000_8020_1b80
  tablewright explain vtd_second_stage --completion 0x7_0000_0025 0x8000_1000

An entry that hardware refuses is explained, too: by every rule that it breaks.")]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArgs,
    /// The entry, in hexadecimal; with --register, its value; with --fault and --translated, the registers in their order;
    /// with --completion, the words of the command
    #[arg(required = true, value_name = "RAW", value_parser = number::raw)]
    raw: Vec<u64>,
    /// The level of the entry: 0 is the leaf-most
    #[arg(long, value_name = "N", conflicts_with_all = ["register", "fault", "translated", "completion"])]
    level: Option<u8>,
    /// Explain the value of this register
    #[arg(long, value_name = "NAME", conflicts_with_all = ["fault", "translated", "completion"])]
    register: Option<String>,
    /// Explain a fault report
    #[arg(long, conflicts_with_all = ["translated", "completion"])]
    fault: bool,
    /// Explain what the machine's own instruction for a translation left in registers, such as PAR_EL1 after AT
    #[arg(long, conflicts_with = "completion")]
    translated: bool,
    /// Explain the command of a queue that is complete only when all before it are
    #[arg(long)]
    completion: bool,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let found = Found::noting(&args.format.format, console)?;
    let bound = found.bind(&args.format.params)?;
    if args.fault {
        return fault::explain(&found, &bound, &args.raw, console);
    }
    if args.translated {
        return translated::explain(&found, &bound, &args.raw, console);
    }
    if args.completion {
        return completion::explain(&found, &bound, &args.raw, console);
    }
    let &[raw] = args.raw.as_slice() else {
        let message = format!("one value at a time: there are {}", args.raw.len());
        return Err(Failure::new(message).help("what has several needs `--fault`, `--translated` or `--completion`"));
    };
    match &args.register {
        Some(name) => register::explain(&found, &bound, name, raw, console),
        None => entry::explain(&found, &bound, args.level, format::entry(&bound, raw)?, console),
    }
}
