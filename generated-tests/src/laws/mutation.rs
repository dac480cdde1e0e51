//! How much of a format's file is held in place: change one number or one word of it, and something must notice.
//!
//! A mutant is read, bound, held to the laws and its own examples, and checked, all by the interpreter; generated code,
//! which would differ from that of the true file in every case, has no say.

use std::panic;

use tablewright_archdefs::bound::{Bound, Params};
use tablewright_archdefs::check;
use tablewright_archdefs::model::Format;

use super::{Case, Interpreted, LAWS};

/// A file with one thing changed.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The line, from 1.
    pub line: usize,
    /// The line as it is.
    pub was: String,
    /// The line as it became.
    pub becomes: String,
    /// The whole text.
    pub text: String,
}

/// Who noticed that a file is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noticed {
    /// The reader.
    Reader,
    /// The binding of a configuration.
    Binding,
    /// A law or an example.
    Law(&'static str),
    /// The checker.
    Checker,
}

/// Sections that say nothing of the format, or that say it a second time.
const RESTATED: &[&str] = &["[format]", "[[config]]", "[[build]]", "[example"];
/// Keys whose values are for people, or name things.
const PROSE: &[&str] = &["doc", "cite", "title", "id", "name"];
/// Words, and others that could stand in their place.
const WORDS: &[(&str, &str)] = &[
    ("must-be-zero", "ignored"),
    ("must-be-one", "ignored"),
    ("write-zero", "must-be-zero"),
    ("write-one", "must-be-one"),
    ("ignored", "must-be-zero"),
    ("software", "must-be-zero"),
    ("hardware", "must-be-zero"),
    ("shared", "each"),
    ("each", "shared"),
];

/// Every file that differs from `text` in one number or one of some words.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut restated = false;
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with('[') {
            restated = RESTATED.iter().any(|section| line.starts_with(section));
        }
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        if !restated && !PROSE.contains(&key) {
            for (at, length, new) in changes(code(line)) {
                let becomes = format!("{}{new}{}", &line[..at], &line[at + length..]);
                let text = format!("{}{becomes}{}", &text[..start], &text[start + line.len()..]);
                let (was, becomes) = (line.trim().to_owned(), becomes.trim().to_owned());
                mutants.push(Mutant { line: index + 1, was, becomes, text });
            }
        }
        start += line.len();
    }
    mutants
}

/// A line without its comment, and without what is documentation at its end.
fn code(line: &str) -> &str {
    let quoted = |at: usize| line[..at].matches('"').count() % 2 == 1;
    let comment = line.match_indices('#').find(|(at, _)| !quoted(*at)).map_or(line.len(), |(at, _)| at);
    let doc = line.find("doc = ").unwrap_or(line.len());
    &line[..comment.min(doc)]
}

/// The place, length and replacement of everything that can be changed in a line.
fn changes(line: &str) -> Vec<(usize, usize, String)> {
    let mut changes = Vec::new();
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut rest = 0;
    while let Some(from) = line[rest..].find(of_word).map(|at| rest + at) {
        let to = line[from..].find(|c| !of_word(c)).map_or(line.len(), |at| from + at);
        let word = &line[from..to];
        rest = to;
        if let Some((_, other)) = WORDS.iter().find(|(known, _)| *known == word) {
            changes.push((from, word.len(), (*other).to_owned()));
        }
        // `pa_bits-1` is a name, a sign and a number.
        let from = if word.starts_with(|c: char| c.is_ascii_digit()) {
            from
        } else {
            from + word.rfind('-').map_or(word.len(), |at| at + 1)
        };
        changes.extend(others(&line[from..to]).into_iter().map(|new| (from, to - from, new)));
    }
    changes
}

/// Numbers next to a number: one bit off where it is a pattern, one more and one less where it is a quantity.
fn others(word: &str) -> Vec<String> {
    let digits = word.replace('_', "");
    let pattern = |radix, prefix: &str| u64::from_str_radix(digits.trim_start_matches(prefix), radix).ok();
    if digits.starts_with("0x") {
        pattern(16, "0x").map(|value| format!("{:#x}", value ^ 1)).into_iter().collect()
    } else if digits.starts_with("0b") {
        pattern(2, "0b").map(|value| format!("{:#b}", value ^ 1)).into_iter().collect()
    } else {
        let value = digits.parse::<u64>().ok();
        let near = value.map(|value| [Some(value + 1), value.checked_sub(1)]);
        near.into_iter().flatten().flatten().map(|value| value.to_string()).collect()
    }
}

/// Who notices, if anyone, that this text is wrong.
pub fn noticed(text: &str) -> Option<Noticed> {
    // A mutant may make any of them panic; that is noticing, too.
    panic::catch_unwind(|| judge(text)).unwrap_or(Some(Noticed::Law("panic")))
}

fn judge(text: &str) -> Option<Noticed> {
    let (_, format) = tablewright_archdefs::read("mutant.toml", text, &|_| Err("there are no other files".to_owned()));
    let Ok(format) = format else {
        return Some(Noticed::Reader);
    };
    if let Some(noticed) = format.configs.iter().find_map(|config| broken(&format, config)) {
        return Some(noticed);
    }
    (!check::check(&format).is_empty()).then_some(Noticed::Checker)
}

/// What is broken under one configuration.
fn broken(format: &Format, config: &tablewright_archdefs::model::Config) -> Option<Noticed> {
    let params = Params::of_config(format, config).ok();
    let Some(bound) = params.and_then(|params| Bound::new(format, &params).ok()) else {
        return Some(Noticed::Binding);
    };
    let reference = &Interpreted(bound);
    let case = Case { subject: reference, reference, format, config };
    LAWS.iter().find(|law| (law.check)(&case).is_err()).map(|law| Noticed::Law(law.name))
}
