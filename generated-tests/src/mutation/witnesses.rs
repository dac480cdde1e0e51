//! The witnesses that may notice that a file is wrong. They are asked in turn, quick ones first.

use std::collections::BTreeMap;
use std::{fmt, panic};

use tablewright::testing::{Configured, configured};
use tablewright_archdefs::check;

use crate::laws::{Case, Interpreted, LAWS, Law};
use crate::vectors;
use crate::verdicts::{self, Tables};

/// The witness that noticed that a file is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noticed {
    /// The file cannot be read.
    Reader,
    /// A configuration that the file names cannot be bound.
    Binding,
    /// A law, checked by the interpreter. The law of examples compares with the vectors that the file takes from
    /// manuals.
    Law(&'static str),
    /// The checker.
    Checker,
    /// The hand-written vectors from manuals, which are not in the file.
    Vectors,
    /// The recorded verdicts of an MMU.
    Mmu,
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
            Self::Vectors => write!(f, "the hand-written vectors"),
            Self::Mmu => write!(f, "a recorded verdict of an MMU"),
            Self::Panic => write!(f, "a panic"),
        }
    }
}

/// The witnesses for the files of one format.
pub struct Witnesses {
    /// The verdicts of MMUs, by configuration.
    verdicts: BTreeMap<String, Vec<Tables>>,
}

impl Witnesses {
    /// Those of a format.
    ///
    /// # Errors
    ///
    /// What is wrong with the record of verdicts.
    pub fn of(format: &str) -> Result<Self, String> {
        Ok(Self { verdicts: verdicts::read(format)? })
    }

    /// The witness that notices that this text is wrong, if any does.
    pub fn noticed(&self, text: &str) -> Option<Noticed> {
        panic::catch_unwind(|| self.judge(text)).unwrap_or(Some(Noticed::Panic))
    }

    fn judge(&self, text: &str) -> Option<Noticed> {
        let none = |_: &str| Err("there are no other files".to_owned());
        let Ok(format) = tablewright_archdefs::read("mutant.toml", text, &none).1 else { return Some(Noticed::Reader) };
        let Ok(cases) = configured(format.clone()) else { return Some(Noticed::Binding) };
        let cases: Vec<_> = cases.into_iter().map(|case| (Interpreted(case.bound.clone()), case)).collect();
        let law = |law: &Law| {
            let holds = |(subject, case): &(Interpreted, Configured)| {
                let case = Case { subject, reference: subject, format: &case.format, config: &case.config };
                (law.check)(&case).is_ok()
            };
            (!cases.iter().all(holds)).then_some(Noticed::Law(law.name))
        };
        let quick = |law: &&Law| law.name == "examples";
        let laws = || LAWS.iter().filter(|law| !quick(law)).find_map(law);
        let checker = || (!check::check(&format).is_empty()).then_some(Noticed::Checker);
        let mmu = || cases.iter().any(|(subject, case)| self.contradicts(subject, case)).then_some(Noticed::Mmu);
        let vectors = || vectors::hold(&cases).is_err().then_some(Noticed::Vectors);
        LAWS.iter().filter(quick).find_map(law).or_else(checker).or_else(vectors).or_else(mmu).or_else(laws)
    }

    /// Whether a recorded verdict contradicts a configuration.
    fn contradicts(&self, subject: &Interpreted, case: &Configured) -> bool {
        let names = case.format.fault.iter().flat_map(|fault| &fault.registers);
        let names: Vec<&str> = names.map(|register| register.name.value.as_str()).collect();
        let said = self.verdicts.get(&case.config.id.value).into_iter().flatten();
        let disagrees = |tables: &Tables, recorded| !verdicts::agrees(subject, &names, tables, recorded);
        said.into_iter().any(|tables| tables.accesses.iter().any(|recorded| disagrees(tables, recorded)))
    }
}
