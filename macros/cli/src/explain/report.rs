//! What the explanations of several values share: those of a report's registers and of a command's words.

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::show;

use crate::Console;
use crate::failure::{Failure, Result};
use crate::format::Found;
use crate::paint::{FAINT, TITLE, columns, paint};

/// Refuses another number of values than there are names.
pub(super) fn count(what: &str, names: &[&str], values: &[u64]) -> Result<()> {
    if names.len() == values.len() {
        return Ok(());
    }
    let plural = if names.len() == 1 { "" } else { "s" };
    let message = format!("{what} has {} value{plural}, and there are {}", names.len(), values.len());
    Err(Failure::new(message).help(format!("in this order: {}", names.join(" "))))
}

/// The format, its parameters, and the values by their names.
pub(super) fn begin(
    found: &Found,
    bound: &Bound,
    names: &[&str],
    values: &[u64],
    console: &mut Console<'_>,
) -> Result<()> {
    title(found, bound, console)?;
    let values = names.iter().zip(values).map(|(name, value)| [(*name).into(), show::hex(*value), paint(FAINT, value)]);
    Ok(write!(console.out, "{}", columns(&values.collect::<Vec<_>>()))?)
}

/// The format and its parameters.
pub(crate) fn title(found: &Found, bound: &Bound, console: &mut Console<'_>) -> Result<()> {
    writeln!(console.out, "{}", paint(TITLE, found.title()))?;
    Ok(writeln!(console.out, "{}\n", paint(FAINT, bound.params.changes(&found.format)))?)
}

/// A level, with the manual's number.
pub(super) fn level(bound: &Bound, level: Option<u8>) -> String {
    match level {
        Some(level) => match bound.level(level) {
            Some(here) => format!("{level} ({} in the manual)", here.label),
            None => format!("{level}, which these parameters do not have"),
        },
        None => "not reported".into(),
    }
}

/// Whether the hardware met it while it walked other tables.
pub(super) fn place(guest_walk: bool, tables: &str) -> String {
    if guest_walk { format!("met while {tables} were walked") } else { "met by the access itself".into() }
}
