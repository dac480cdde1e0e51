//! `tablewright schema`.

use crate::Console;
use crate::failure::{Outcome, Result};

/// Print the JSON Schema of format files, for editors
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:
  tablewright schema > tablewright.schema.json

With Taplo, or the extension `Even Better TOML` of VS Code, put this into the first line of a file:
  #:schema ./tablewright.schema.json")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, console: &mut Console<'_>) -> Result {
    write!(console.out, "{}", tablewright_archdefs::schema())?;
    Ok(Outcome::Yes)
}
