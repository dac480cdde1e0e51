//! The commands and what they share on the command line.

use clap::{Parser, Subcommand, ValueEnum};

use crate::Console;
use crate::failure::Result;
use crate::{check, diagram, dump, encode, expand, explain, list, new, raise, schema, walk};

/// Page-table formats as data: check their files, read their entries, walk and dump tables in memory images
///
/// Every command takes the name of a built-in format (`ept`), of one of its builds (`stage2_4k`), or the path of a TOML
/// file. Entries, registers and addresses are hexadecimal, with or without `0x`; `_` may stand between digits. Levels are
/// counted from the leaf-most, 0; the manual's own number is shown beside.
///
/// Exit code: 0 if all is well; 1 if what was looked at is not as it should be (findings, an address that is not mapped,
/// defects in tables, differences); 2 if the question makes no sense or a file cannot be read.
#[derive(Parser, Debug)]
#[command(name = "tablewright", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// When to use colours; `NO_COLOR` and `CLICOLOR_FORCE` count, too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// In pipes and files, too
    Always,
    /// Nowhere
    Never,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    List(list::Args),
    Check(check::Args),
    Explain(explain::Args),
    Encode(encode::Args),
    Raise(raise::Args),
    Walk(walk::Args),
    Dump(dump::Args),
    Diagram(diagram::Args),
    Expand(expand::Args),
    New(new::Args),
    Schema(schema::Args),
}

impl Command {
    pub(crate) fn run(&self, console: &mut Console<'_>) -> Result {
        match self {
            Self::List(args) => list::run(args, console),
            Self::Check(args) => check::run(args, console),
            Self::Explain(args) => explain::run(args, console),
            Self::Encode(args) => encode::run(args, console),
            Self::Raise(args) => raise::run(args, console),
            Self::Walk(args) => walk::run(args, console),
            Self::Dump(args) => dump::run(args, console),
            Self::Diagram(args) => diagram::run(args, console),
            Self::Expand(args) => expand::run(args, console),
            Self::New(args) => new::run(args, console),
            Self::Schema(args) => schema::run(args, console),
        }
    }
}
