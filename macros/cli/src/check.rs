//! `tablewright check`.

use clap::ValueEnum;
use serde_json::{Value, json};
use tablewright_archdefs::{Diagnostic, Diagnostics, Sources, Span, Style, check};

use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::read_named;
use crate::paint::{GOOD, paint};

/// Check format files: everything that is wrong with them, each with its place
///
/// The reader reports what is no format, the checker what contradicts itself: bits with no owner or two, kinds of entries
/// that overlap, values without a meaning, examples that do not hold, and so on.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright check arch/mine.toml
  tablewright check --format json arch/*.toml
  tablewright check -                          standard input, as editors pass it

In JSON each finding has `message`, `help` and `labels`; each label has `path`, `line`, `column`,
`end_line`, `end_column` (from 1, in characters) and `text`. The first label is the mistake itself.

Exit code: 0 without findings, 1 with findings, 2 if a file cannot be read.")]
pub(crate) struct Args {
    /// Paths of TOML files, or names of built-in formats
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// As people read it, or as programs do
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    if args.files.iter().filter(|file| *file == "-").count() > 1 {
        return Err(Failure::new("standard input (`-`) can be read once only"));
    }
    let mut outcome = Outcome::Yes;
    let mut unreadable = None;
    let mut all = Vec::new();
    for file in &args.files {
        let (sources, format) = match read_named(file) {
            Ok(reading) => reading,
            // The other files are checked all the same.
            Err(failure) => {
                if let Some(earlier) = unreadable.replace(failure) {
                    write!(console.err, "{earlier}")?;
                }
                continue;
            }
        };
        let findings = format.map_or_else(|unread| unread, |format| check(&format));
        if !findings.is_empty() {
            outcome = Outcome::No;
        }
        match args.format {
            Format::Json => all.extend(findings.iter().map(|finding| finding_json(finding, &sources))),
            Format::Text => text(file, &findings, &sources, console)?,
        }
    }
    if args.format == Format::Json {
        writeln!(console.out, "{:#}", Value::from(all))?;
    }
    unreadable.map_or(Ok(outcome), Err)
}

fn text(file: &str, findings: &Diagnostics, sources: &Sources, console: &mut Console<'_>) -> Result<()> {
    if findings.is_empty() {
        writeln!(console.out, "{file}: {}", paint(GOOD, "nothing to say"))?;
        return Ok(());
    }
    let plural = if findings.len() == 1 { "" } else { "s" };
    writeln!(console.out, "{}\n", findings.render(sources, Style::Coloured))?;
    writeln!(console.out, "{file}: {} finding{plural}", findings.len())?;
    Ok(())
}

fn finding_json(finding: &Diagnostic, sources: &Sources) -> Value {
    let label = |(span, text): &(Span, String)| {
        let end = Span { start: span.end, ..*span };
        let (start, end) = (sources.place(*span), sources.place(end));
        json!({
            "path": start.map(|place| place.path),
            "line": start.map(|place| place.line),
            "column": start.map(|place| place.column),
            "end_line": end.map(|place| place.line),
            "end_column": end.map(|place| place.column),
            "text": text,
        })
    };
    let labels: Vec<_> = finding.labels.iter().map(label).collect();
    json!({ "message": finding.message, "help": finding.help, "labels": labels })
}
