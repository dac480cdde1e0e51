//! Reads and writes the lines of the files.

use std::collections::BTreeMap;
use std::str::SplitWhitespace;

use super::{Outcome, Recorded, Tables, Words};
use crate::mmu::{Access, Probe};

const ACCESSES: [(&str, Access); 3] = [("read", Access::Read), ("write", Access::Write), ("execute", Access::Execute)];

/// The text of a file.
pub(super) fn show(tables: &[Tables]) -> String {
    tables.iter().map(lines).collect()
}

/// The lines of accesses to the same tables.
fn lines(tables: &Tables) -> String {
    let mut text = format!("root {:x}", tables.root);
    if let Some(controls) = &tables.controls {
        text += " controls";
        controls.iter().for_each(|value| text += &format!(" {value:x}"));
    }
    let mut known = Words::new();
    for Recorded { words: read, probe, outcome } in &tables.accesses {
        let mut new = read.clone();
        new.retain(|at, word| known.insert(*at, *word).is_none());
        let access = ACCESSES.iter().find(|(_, access)| *access == probe.access).map_or("", |(word, _)| word);
        let by = if probe.user { "user" } else { "privileged" };
        text += &format!("\n{access} {by} {:x}{}{}", probe.address, words(&new), end(outcome));
    }
    text + "\n"
}

fn words(words: &Words) -> String {
    let words = words.iter().map(|(at, word)| format!(" {at:x}={word:x}"));
    format!(" words{}", words.collect::<String>())
}

fn end(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Translated(None) => " somewhere".into(),
        Outcome::Translated(Some(address)) => format!(" to {address:x}"),
        Outcome::Faulted { kind, level, report, told } => {
            let level = level.map_or_else(String::new, |level| format!(" level {level:x}"));
            let report: String = report.iter().map(|(name, value)| format!(" {name}={value:x}")).collect();
            let told = told.as_ref().map_or_else(String::new, |told| format!(" told {told}"));
            format!(" fault {kind}{level} report{report}{told}")
        }
    }
}

/// Reads a text. The error names the first line that cannot be read.
pub(super) fn parse(text: &str) -> Result<Vec<Tables>, String> {
    let mut all: Vec<Tables> = Vec::new();
    for line in text.lines() {
        let mut rest = Cursor(line.split_whitespace());
        if line.starts_with("root") {
            all.push(rest.tables().ok_or(line)?);
        } else {
            let tables = all.last_mut().ok_or(line)?;
            let mut access = rest.access().ok_or(line)?;
            if let Some(before) = tables.accesses.last() {
                access.words.extend(&before.words);
            }
            tables.accesses.push(access);
        }
    }
    Ok(all)
}

/// The rest of a line.
struct Cursor<'a>(SplitWhitespace<'a>);

impl<'a> Cursor<'a> {
    fn tables(&mut self) -> Option<Tables> {
        self.title("root")?;
        let root = self.number()?;
        let controls = self.title("controls").map(|()| std::iter::from_fn(|| self.number()).collect());
        Some(Tables { root, controls, accesses: Vec::new() })
    }

    fn access(&mut self) -> Option<Recorded> {
        let word = self.0.next()?;
        let access = ACCESSES.iter().find(|(known, _)| *known == word)?.1;
        let user = self.0.next()? == "user";
        let probe = Probe { address: self.number()?, access, user };
        let words = self.words()?;
        let outcome = match self.0.next()? {
            "somewhere" => Outcome::Translated(None),
            "to" => Outcome::Translated(Some(self.number()?)),
            _ => {
                let kind = self.0.next()?.to_owned();
                let level = self.title("level").and_then(|()| self.number()).map(|level| level as u8);
                self.title("report")?;
                let report: BTreeMap<_, _> = self.pairs().into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
                let told = self.title("told").and_then(|()| self.0.next()).map(str::to_owned);
                Outcome::Faulted { kind, level, report, told }
            }
        };
        Some(Recorded { probe, words, outcome })
    }

    fn words(&mut self) -> Option<Words> {
        self.title("words")?;
        let pairs = self.pairs().into_iter();
        pairs.map(|(at, word)| Some((u64::from_str_radix(at, 16).ok()?, word))).collect()
    }

    fn pairs(&mut self) -> Vec<(&'a str, u64)> {
        let mut pairs = Vec::new();
        while let Some((name, value)) = self.0.clone().next().and_then(|word| word.split_once('=')) {
            let Ok(value) = u64::from_str_radix(value, 16) else { break };
            pairs.push((name, value));
            self.0.next();
        }
        pairs
    }

    /// Consumes a word, if it is this one.
    fn title(&mut self, title: &str) -> Option<()> {
        self.0.clone().next().filter(|word| *word == title)?;
        self.0.next().map(|_| ())
    }

    /// Consumes a word, if it is a number.
    fn number(&mut self) -> Option<u64> {
        let number = u64::from_str_radix(self.0.clone().next()?, 16).ok()?;
        self.0.next();
        Some(number)
    }
}
