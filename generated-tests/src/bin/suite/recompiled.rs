//! Compiles a random sample of mutants of format files.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use tablewright_tests::mutation::source;

use crate::step::{self, Outcome, workspace};

/// Chooses `MUTANTS` changes of each format's file (by default 1) with the seed `SEED`, compiles them, and compares
/// them with the interpreter.
pub(crate) fn compare() -> Outcome {
    let of_each = number("MUTANTS")?.unwrap_or(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = number("SEED")?.unwrap_or(now);
    println!("MUTANTS={of_each} SEED={seed} draws the same again");
    let place = workspace().join("target/mutants.rs");
    let of_each = usize::try_from(of_each).map_err(|error| error.to_string())?;
    fs::write(&place, source(of_each, seed)?).map_err(|error| format!("{}: {error}", place.display()))?;
    let place = place.to_str().ok_or("the workspace's path is no text")?;
    step::cargo_with(
        &["run", "--manifest-path", "generated-tests/recompiled/Cargo.toml", "--target-dir", "target"],
        &[("TABLEWRIGHT_MUTANTS", place)],
    )
}

/// The number in an environment variable.
fn number(variable: &str) -> Result<Option<u64>, String> {
    let Ok(value) = std::env::var(variable) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| format!("{variable} is no number: {value}"))
}
