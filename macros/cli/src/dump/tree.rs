//! Writes tables and entries as a tree.

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::mappings::{Extent, Finding, Visited};
use tablewright_archdefs::show;

use super::progress::Progress;
use super::{Tally, text};
use crate::Console;
use crate::explain::limit;
use crate::failure::{Outcome, Result};
use crate::paint::{FAINT, TITLE, paint};

/// Adjacent entries of one table that say the same.
struct Group {
    level: u8,
    /// The index of the first.
    first: u64,
    extent: Extent,
}

pub(super) fn write(
    bound: &Bound,
    states: bool,
    visited: impl Iterator<Item = Visited>,
    progress: &mut Progress,
    console: &mut Console<'_>,
) -> Result {
    let mut tally = Tally::default();
    let mut group: Option<Group> = None;
    for visited in visited {
        progress.at(visited.first, console.err)?;
        let index = bound.geometry.index(visited.level, visited.first);
        let next = Extent::of(bound, &visited, states);
        let joins = |group: &mut Group| {
            group.level == visited.level && next.as_ref().is_some_and(|next| group.extent.join(next))
        };
        if group.as_mut().is_some_and(joins) {
            continue;
        }
        finish(bound, group.take(), &mut tally, console)?;
        match (next, visited.finding) {
            (Some(extent), _) => group = Some(Group { level: visited.level, first: index, extent }),
            (None, Finding::Table(table)) => {
                tally.lines += 1;
                let limit = limit(table.limit);
                let raw = paint(FAINT, show::hex(visited.raw));
                let head = paint(TITLE, format!("[{index}] table at {:#x}", table.address));
                writeln!(console.out, "{}{head} of level {}{limit}  {raw}", indent(bound, visited.level), table.level)?;
            }
            (None, _) => {}
        }
    }
    finish(bound, group, &mut tally, console)?;
    text::tally(&tally, console)?;
    Ok(if tally.defects == 0 { Outcome::Yes } else { Outcome::No })
}

fn finish(bound: &Bound, group: Option<Group>, tally: &mut Tally, console: &mut Console<'_>) -> Result<()> {
    let Some(Group { level, first, extent }) = group else { return Ok(()) };
    tally.lines += 1;
    tally.defects += u64::from(extent.content.is_defect());
    let last = bound.geometry.index(level, extent.last);
    let indices = if first == last { format!("[{first}]") } else { format!("[{first}..={last}]") };
    writeln!(console.out, "{}{indices} {}", indent(bound, level), text::extent(bound, &extent))?;
    Ok(())
}

fn indent(bound: &Bound, level: u8) -> String {
    "  ".repeat(usize::from(bound.geometry.top().saturating_sub(level)))
}
