//! Explains what the machine's own instruction for a translation left in registers.

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::interpret::Translated;
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use super::entry::Manual;
use super::report;
use crate::Console;
use crate::failure::{Failure, Outcome, Result};
use crate::format::Found;
use crate::paint::{BAD, GOOD, columns, paint};

pub(super) fn explain(found: &Found, bound: &Bound, values: &[u64], console: &mut Console<'_>) -> Result {
    let Some(translated) = &found.format.translated else {
        return Err(
            Failure::new("this format has no instruction that translates").help("it has no `[translated]` section")
        );
    };
    let names: Vec<&str> = translated.registers.iter().map(|register| register.name.value.as_str()).collect();
    report::count("a result", &names, values)?;
    report::begin(found, bound, &names, values, console)?;
    let Some(result) = bound.translated(values) else {
        return Err(Failure::new("no address can be read from this").help("`tablewright check` tells all mistakes"));
    };
    let rows = match result {
        Translated::To { address, memory, shareability } => vec![
            ["result".into(), paint(GOOD, "translates")],
            ["address".into(), show::hex(address)],
            ["memory".into(), memory.map_or("without a name here", Word::word).into()],
            ["shareability".into(), shareability.map_or("not reported", Word::word).into()],
        ],
        Translated::Fault { cause, level, second_stage, guest_walk } => vec![
            ["result".into(), paint(BAD, "faults")],
            ["cause".into(), cause.word().into()],
            ["level".into(), report::level(bound, level)],
            ["stage".into(), if second_stage { "the second" } else { "this one" }.into()],
            ["where".into(), report::place(guest_walk, "the tables of the first stage")],
        ],
    };
    write!(console.out, "\n{}", columns(&rows))?;
    let mut manual = Manual::default();
    manual.number(translated.cite.as_deref());
    write!(console.out, "{}", manual.list())?;
    Ok(Outcome::Yes)
}
