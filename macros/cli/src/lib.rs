//! The command-line tool `tablewright`: what a format's file says, applied to raw values and memory images.
//!
//! A thin shell over `tablewright-archdefs`, with one module for each command. The other modules are shared: `format`
//! finds the format and its parameters, `image` reads memory, `failure` says how a command fails, `paint` colours
//! output.

mod check;
mod cli;
mod diagram;
mod dump;
mod encode;
mod expand;
mod explain;
mod failure;
mod format;
mod image;
mod list;
mod new;
mod number;
mod paint;
mod raise;
mod rights;
mod schema;
mod walk;

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice, StripStream};
use clap::Parser;

use cli::{Cli, Color};
use failure::{Failure, Outcome};

/// The streams that a command writes to.
struct Console<'a> {
    /// What the user asked for.
    out: &'a mut dyn Write,
    /// Notes, warnings and progress.
    err: &'a mut dyn Write,
    /// Whether `err` is a terminal and `out` is not, so that progress may be shown.
    shows_progress: bool,
}

/// Runs the tool with the arguments of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // If the output's reader has closed it, that is no failure.
            let _ = error.print();
            return ExitCode::from(usage_code(&error));
        }
    };
    let choice = |automatic: ColorChoice| match cli.color {
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
        Color::Auto => automatic,
    };
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let shows_progress = stderr.is_terminal() && !stdout.is_terminal();
    let (out_choice, err_choice) = (choice(AutoStream::choice(&stdout)), choice(AutoStream::choice(&stderr)));
    let mut out = BufWriter::new(AutoStream::new(stdout, out_choice));
    let mut err = AutoStream::new(stderr, err_choice);
    ExitCode::from(execute(&cli, &mut Console { out: &mut out, err: &mut err, shows_progress }))
}

/// The result of a run of the tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The exit code: 0 if all is well, 1 if what was looked at is not, 2 if the question makes no sense.
    pub code: u8,
    /// What was written to standard output.
    pub out: String,
    /// What was written to standard error.
    pub err: String,
}

/// Runs the tool as `tablewright ARGUMENTS..` does, without colours.
pub fn run(arguments: &[&str]) -> Ran {
    let arguments = std::iter::once("tablewright").chain(arguments.iter().copied()).map(OsString::from);
    let (mut out, mut err) = (StripStream::new(Vec::new()), StripStream::new(Vec::new()));
    let code = match Cli::try_parse_from(arguments) {
        Ok(cli) => execute(&cli, &mut Console { out: &mut out, err: &mut err, shows_progress: false }),
        Err(error) => {
            let stream = if error.use_stderr() { &mut err } else { &mut out };
            // It goes to memory.
            let _ = write!(stream, "{}", error.render());
            usage_code(&error)
        }
    };
    let text = |stream: StripStream<Vec<u8>>| String::from_utf8_lossy(&stream.into_inner()).into_owned();
    Ran { code, out: text(out), err: text(err) }
}

fn usage_code(error: &clap::Error) -> u8 {
    u8::try_from(error.exit_code()).unwrap_or(2)
}

fn execute(cli: &Cli, console: &mut Console<'_>) -> u8 {
    let outcome = cli.command.run(console);
    let flushed = console.out.flush().map_err(Failure::from);
    match outcome.and_then(|outcome| flushed.map(|()| outcome)) {
        Ok(Outcome::Yes) => 0,
        Ok(Outcome::No) => 1,
        Err(failure) if failure.is_broken_pipe() => 0,
        Err(failure) => {
            let _ = write!(console.err, "{failure}");
            2
        }
    }
}
