//! `tablewright expand`.

use tablewright_archdefs::Style;

use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::Found;
use crate::paint::{BAD, GOOD, paint};

/// Print the Rust that is generated for a format, formatted: to read, to audit, to check in
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright expand ept | less
  tablewright expand stage2_4k > src/stage2_4k.rs
  tablewright expand arch/mine.toml --check src/mine.rs    in CI: is the copy current?

Of a format with builds there is a module for each, of any other its items.

Exit code: with --check, 0 if the copy is current, and 1 if it is stale.")]
pub(crate) struct Args {
    /// A built-in format or build, or the path of a TOML file
    #[arg(value_name = "FORMAT|FILE")]
    format: String,
    /// Compare with a copy instead of printing
    #[arg(long, value_name = "FILE")]
    check: Option<String>,
    /// The path of the crate `tablewright` in the generated code
    #[arg(long, value_name = "PATH", default_value = "::tablewright")]
    runtime: String,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let found = Found::new(&args.format)?;
    let findings = found.findings();
    if !findings.is_empty() {
        return Err(Failure::Mistakes(findings.render(&found.sources, Style::Coloured)));
    }
    let runtime: syn::Path = syn::parse_str(&args.runtime).map_err(|_| {
        Failure::new(format!("`{}` is no path of a crate", args.runtime)).help("such as `::tablewright` or `crate::vm`")
    })?;
    let runtime = quote::quote!(#runtime);
    let items = match found.build() {
        Some(build) => tablewright_codegen::module(&found.format, Some(build), &runtime),
        None => tablewright_codegen::modules(&found.format, &runtime),
    };
    let code = tablewright_codegen::print(items).map_err(|error| Failure::new(error.to_string()))?;
    match &args.check {
        None => write!(console.out, "{code}")?,
        Some(path) => return compare(path, &code, &args.format, console),
    }
    Ok(Outcome::Yes)
}

fn compare(path: &str, code: &str, format: &str, console: &mut Console<'_>) -> Result {
    let copy = std::fs::read_to_string(path);
    let copy = copy.map_err(|error| {
        let help = format!("make it by `tablewright expand {format} > {path}`");
        Failure::new(format!("cannot read `{path}`: {error}")).help(help)
    })?;
    if copy == code {
        writeln!(console.out, "{path}: {}", paint(GOOD, "current"))?;
        return Ok(Outcome::Yes);
    }
    let same = copy.lines().zip(code.lines()).take_while(|(a, b)| a == b).count();
    writeln!(console.out, "{path}: {}, from line {} on", paint(BAD, "stale"), same + 1)?;
    for (sign, text) in [('-', &copy), ('+', &code.to_owned())] {
        match text.lines().nth(same) {
            Some(line) => writeln!(console.out, "{sign} {line}")?,
            None => writeln!(console.out, "{sign} (the end)")?,
        }
    }
    writeln!(console.out, "make it anew by `tablewright expand {format} > {path}`")?;
    Ok(Outcome::No)
}
