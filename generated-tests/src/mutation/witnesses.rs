//! Who notices that a file is wrong: each is asked in turn, the quick ones first.

use std::{fmt, panic};

use tablewright::testing::configured;
use tablewright_archdefs::check;

use crate::laws::{Case, Interpreted, LAWS};

/// Who noticed that a file is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noticed {
    /// The file cannot be read.
    Reader,
    /// A configuration that the file names makes no sense.
    Binding,
    /// A law, through the interpreter; the law of examples are the vectors from the manual, by hand.
    Law(&'static str),
    /// The checker.
    Checker,
    /// One of them panicked.
    Panic,
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reader => write!(f, "the reader"),
            Self::Binding => write!(f, "the binding of a configuration"),
            Self::Law(name) => write!(f, "the law `{name}`"),
            Self::Checker => write!(f, "the checker"),
            Self::Panic => write!(f, "a panic"),
        }
    }
}

/// Who notices, if anyone, that this text is wrong.
pub fn noticed(text: &str) -> Option<Noticed> {
    panic::catch_unwind(|| judge(text)).unwrap_or(Some(Noticed::Panic))
}

fn judge(text: &str) -> Option<Noticed> {
    let (_, format) = tablewright_archdefs::read("mutant.toml", text, &|_| Err("there are no other files".to_owned()));
    let Ok(format) = format else { return Some(Noticed::Reader) };
    let Ok(cases) = configured(format.clone()) else { return Some(Noticed::Binding) };
    let subjects: Vec<_> = cases.iter().map(|case| (case, Interpreted(case.bound.clone()))).collect();
    let law = |quick: bool| {
        LAWS.iter().filter(|law| (law.name == "examples") == quick).find(|law| {
            subjects.iter().any(|(case, subject)| {
                let case = Case { subject, reference: subject, format: &case.format, config: &case.config };
                (law.check)(&case).is_err()
            })
        })
    };
    let checker = || (!check::check(&format).is_empty()).then_some(Noticed::Checker);
    let law = |quick| law(quick).map(|law| Noticed::Law(law.name));
    law(true).or_else(checker).or_else(|| law(false))
}
