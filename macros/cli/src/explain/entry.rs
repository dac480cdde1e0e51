//! Explains an entry.

use std::fmt::Write as _;

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::explain::{EntryReport, Owner, Part};
use tablewright_archdefs::interpret::{Decoded, LeafEntry};
use tablewright_archdefs::model::{Config, Facts};
use tablewright_archdefs::show;
use tablewright_archdefs::words::Word;

use super::report::title;
use crate::Console;
use crate::failure::{Outcome, Result};
use crate::format::{Found, no_level};
use crate::paint::{BAD, FAINT, TITLE, WARN, columns, paint};

pub(super) fn explain(found: &Found, bound: &Bound, level: Option<u8>, raw: u64, console: &mut Console<'_>) -> Result {
    let levels: Vec<u8> = match level {
        Some(level) if bound.level(level).is_none() => return Err(no_level(bound, level)),
        Some(level) => vec![level],
        None => (0..bound.geometry.levels).collect(),
    };
    title(found, bound, console)?;
    // Levels at which it means the same are explained together.
    let mut texts: Vec<(Vec<u8>, String)> = Vec::new();
    for level in levels {
        let text = text(found, bound, level, raw);
        match texts.iter_mut().find(|known| known.1 == text) {
            Some((levels, _)) => levels.push(level),
            None => texts.push((vec![level], text)),
        }
    }
    for (index, (levels, text)) in texts.iter().enumerate() {
        if index > 0 {
            writeln!(console.out)?;
        }
        write!(console.out, "{} at {}: {text}", paint(TITLE, show::hex(raw)), name_levels(bound, levels))?;
    }
    Ok(Outcome::Yes)
}

/// `"level 0 (3 in the manual)"`.
fn name_levels(bound: &Bound, levels: &[u8]) -> String {
    let join = |numbers: Vec<String>| numbers.join(", ");
    let labels = levels.iter().filter_map(|level| bound.level(*level)).map(|level| level.label.to_string()).collect();
    let plural = if levels.len() == 1 { "" } else { "s" };
    format!("level{plural} {} ({} in the manual)", join(levels.iter().map(u8::to_string).collect()), join(labels))
}

/// What an entry is, in one line.
pub(crate) fn summary(bound: &Bound, level: u8, raw: u64, decoded: &Decoded) -> String {
    match decoded {
        Decoded::Invalid => "not present".into(),
        Decoded::Reserved(rule) => format!("{}, says `{rule}`", paint(BAD, "reserved")),
        Decoded::Table(table) => format!("table at {}{}", show::hex(table.address), limit(table.limit)),
        Decoded::Leaf(leaf) => {
            let what = bound.level(level).map_or("leaf", |level| level.leaf_class().word());
            let memory = memory(leaf);
            let mut text = format!(
                "{what} of {} at {}, {}, {memory}",
                size(leaf),
                show::hex(leaf.address),
                show::facts(leaf.facts)
            );
            for option in bound.options(level, raw) {
                let _ = write!(text, ", {option}");
            }
            text
        }
    }
}

/// The rights that a table leaves, if it takes some away.
pub(crate) fn limit(limit: Facts) -> String {
    match Facts::RIGHTS - limit {
        denied if denied.is_empty() => String::new(),
        _ => format!(", below at most {}", show::facts(limit)),
    }
}

fn memory(leaf: &LeafEntry) -> String {
    leaf.memory.map_or_else(|| "memory type without a name".into(), |memory| memory.word().into())
}

fn size(leaf: &LeafEntry) -> String {
    match leaf.items {
        1 => show::size(leaf.size),
        items => format!("{} (a run of {items})", show::size(leaf.size)),
    }
}

/// Prints everything about an entry at a level.
fn text(found: &Found, bound: &Bound, level: u8, raw: u64) -> String {
    let report = bound.explain(&found.format, level, raw);
    let mut text = summary(bound, level, raw, &report.decoded);
    text.push('\n');
    if report.decoded == Decoded::Invalid && bound.empty(level) == Some(raw) {
        text.push_str("  the value that is written for \"nothing\"\n");
    }
    let mut manual = Manual::default();
    for refusal in &report.refusals {
        let cite = manual.number(refusal.cite.as_deref());
        let _ = writeln!(text, "  {} {}: {} {cite}", paint(BAD, "because of"), refusal.rule, refusal.reason);
    }
    if matches!(report.decoded, Decoded::Reserved(_)) {
        text.push_str(&elsewhere(found, level, raw));
    }
    text.push_str(&parts(&report, &mut manual));
    let in_vain: Vec<&Part> = report.parts.iter().filter(|part| part.is_set_in_vain()).collect();
    if !in_vain.is_empty() {
        let bits = in_vain.iter().fold(0, |mask, part| mask | (part.bits & raw));
        let names: Vec<_> = in_vain.iter().map(|part| format!("`{}`", part.name)).collect();
        let (bits, names) = (show::named_bits(bits), names.join(", "));
        let _ = writeln!(text, "  {}: {bits} ({names})", paint(WARN, "set, but hardware does not look at them"));
    }
    text.push_str(&manual.list());
    text
}

/// The configurations under which a reserved entry is legal: it may come from a machine with other parameters.
fn elsewhere(found: &Found, level: u8, raw: u64) -> String {
    let is_legal = |config: &&Config| {
        let params = Params::of_config(&found.format, config);
        let bound = params.and_then(|params| Bound::new(&found.format, &params));
        bound.is_ok_and(|bound| {
            bound.level(level).is_some() && !matches!(bound.decode(level, raw), Decoded::Reserved(_))
        })
    };
    let ids: Vec<&str> = found.configs().filter(is_legal).map(|config| config.id.value.as_str()).collect();
    match ids.as_slice() {
        [] => String::new(),
        ids => format!("  {}: {}\n", paint(WARN, "legal with another --config"), ids.join(", ")),
    }
}

fn parts(report: &EntryReport, manual: &mut Manual) -> String {
    let rows: Vec<_> = report.parts.iter().map(|part| part_row(part, manual)).collect();
    columns(&rows)
}

fn part_row(part: &Part, manual: &mut Manual) -> [String; 6] {
    let name = match part.owner {
        Owner::Field => part.name.to_string(),
        _ => paint(FAINT, &part.name),
    };
    let cite = manual.number(part.cite.as_deref());
    let doc = part.doc.as_ref().map_or_else(String::new, |doc| paint(FAINT, doc));
    [show::bits(part.bits), name, value(part.value, part.bits.count_ones()), part.meaning.clone(), cite, doc]
}

/// A value of `width` bits.
pub(super) fn value(value: u64, width: u32) -> String {
    match width {
        0..=8 => format!("{value:#0width$b}", width = width as usize + 2),
        _ => show::hex(value),
    }
}

/// The sections of the manual that are referred to, printed as numbered notes at the end.
#[derive(Default)]
pub(crate) struct Manual {
    cites: Vec<String>,
}

impl Manual {
    /// `"[1]"`.
    pub(crate) fn number(&mut self, cite: Option<&str>) -> String {
        let Some(cite) = cite else { return String::new() };
        let number = self.cites.iter().position(|known| known == cite).unwrap_or_else(|| {
            self.cites.push(cite.into());
            self.cites.len() - 1
        });
        paint(FAINT, format!("[{}]", number + 1))
    }

    pub(crate) fn list(&self) -> String {
        let notes = self.cites.iter().enumerate();
        notes.map(|(index, cite)| paint(FAINT, format!("  [{}] {cite}", index + 1)) + "\n").collect()
    }
}
