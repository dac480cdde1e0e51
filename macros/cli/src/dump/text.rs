//! Writes mappings as lines of text.

use std::fmt::Write as _;

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::mappings::{Content, Extent, Mapped};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use super::Tally;
use crate::Console;
use crate::failure::Result;
use crate::paint::{BAD, FAINT, GOOD, WARN, paint};

/// A line for an extent.
pub(super) fn extent(bound: &Bound, extent: &Extent) -> String {
    format!("{}  {}", range(bound, extent), content(bound, &extent.content))
}

/// A line of a comparison.
pub(super) fn changed(bound: &Bound, sign: char, changed: &Extent) -> String {
    paint(if sign == '-' { BAD } else { GOOD }, format!("{sign} {}", extent(bound, changed)))
}

/// `"0x000000000000..0x000000200000"`; the end may be 2^64.
fn range(bound: &Bound, extent: &Extent) -> String {
    let digits = usize::from(bound.geometry.input_bits).div_ceil(4) + 2;
    format!("{:#0digits$x}..{:#0digits$x}", extent.first, u128::from(extent.last) + 1)
}

fn content(bound: &Bound, content: &Content) -> String {
    match content {
        Content::Mapped(to) => mapped(bound, to),
        Content::Reserved { level, rule, slot, raw } => {
            let entry = format!("level {level}, entry {} at {slot:#x}", show::hex(*raw));
            format!("{}, says `{rule}`: {entry}", paint(BAD, "reserved"))
        }
        Content::Unreadable { level, slot } => {
            format!("{}: level {level}, entry at {slot:#x}", paint(BAD, "no image has the table"))
        }
        Content::Loop { level, slot, table } => {
            let entry = format!("level {level}, entry at {slot:#x}");
            format!("{}: {entry} points to {table:#x}, which it is reached through", paint(BAD, "loop"))
        }
        Content::Shared { table, first, .. } => {
            format!("{} {first:#x}: the table at {table:#x}", paint(WARN, "as from"))
        }
    }
}

fn mapped(bound: &Bound, to: &Mapped) -> String {
    let digits = usize::from(bound.geometry.output_bits).div_ceil(4) + 2;
    let memory = to.memory.map_or("unnamed", Word::word);
    let mut text = format!("-> {:#0digits$x}  {:5}  {memory}", to.output, show::facts(to.facts));
    for (size, bytes) in &to.sizes {
        // A page of which only a part is there counts as one.
        let _ = write!(text, "  {}x{}", bytes.div_ceil(1 << size), show::size(*size));
    }
    for option in &to.options {
        let _ = write!(text, "  {option}");
    }
    if to.broken_run {
        let _ = write!(text, "  {}", paint(BAD, "of a run whose items do not say the same"));
    }
    text
}

/// A line that sums up what was listed.
pub(super) fn tally(tally: &Tally, console: &mut Console<'_>) -> Result<()> {
    let count = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let lines = count(tally.lines, "line", "lines");
    match tally.defects {
        0 => writeln!(console.err, "{}", paint(FAINT, lines))?,
        defects => writeln!(console.err, "{lines}, {}", paint(BAD, count(defects, "defect", "defects")))?,
    }
    Ok(())
}
