//! `tablewright new`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use tablewright_archdefs::read;

use crate::Console;
use crate::failure::{Failure, Outcome, Result};

/// A complete format that is explained line by line.
const TEMPLATE: &str = include_str!("new.toml");

/// The name of the format in the template.
const NAME: &str = "my_format";

/// Start a format: a small, complete, commented file that passes `check`
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tablewright new riscy                       writes riscy.toml
  tablewright new riscy --output arch/riscy.toml
  tablewright new riscy --output -            prints it

Then change it section by section, and look at what you have:
  tablewright check riscy.toml
  tablewright diagram riscy.toml
  tablewright explain riscy.toml 0x1234_5007")]
pub(crate) struct Args {
    /// The name of the format: it becomes the name of a Rust module
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to write it; `-` is standard output [default: NAME.toml]
    #[arg(long, value_name = "FILE")]
    output: Option<String>,
}

pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result {
    let name = &args.name;
    let text = TEMPLATE.replace(NAME, name);
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_word || read(name, &text, &|_| Err("it extends nothing".into())).1.is_err() {
        let help = "lower-case letters, digits and `_`, first a letter, and no keyword of Rust";
        return Err(Failure::new(format!("`{name}` cannot be the name of a format")).help(help));
    }
    let path = args.output.clone().unwrap_or_else(|| format!("{name}.toml"));
    if path == "-" {
        write!(console.out, "{text}")?;
        return Ok(Outcome::Yes);
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let failure = Failure::new(format!("cannot write `{path}`: {error}"));
        match error.kind() {
            ErrorKind::AlreadyExists => failure.help("it is left as it is; name another with `--output`"),
            ErrorKind::NotFound => failure.help("make its folder first"),
            _ => failure,
        }
    })?;
    writeln!(console.out, "wrote {path}; next: `tablewright check {path}`, `tablewright diagram {path}`")?;
    Ok(Outcome::Yes)
}
