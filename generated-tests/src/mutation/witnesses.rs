//! Who notices that a file is wrong: each is asked in turn, the quick ones first.

use std::collections::BTreeMap;
use std::{fmt, panic};

use tablewright::testing::{Configured, configured};
use tablewright_archdefs::check;

use crate::laws::{Case, Interpreted, LAWS, Law};
use crate::vectors;
use crate::verdicts::{self, Tables};

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
    /// The vectors from manuals that are no examples of the file.
    Vectors,
    /// What an MMU said, as it was recorded.
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

/// All who may notice something about the files of one format.
pub struct Witnesses {
    /// What MMUs said, by configuration.
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

    /// Who notices, if anyone, that this text is wrong.
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

    /// Whether an MMU said something else of a configuration.
    fn contradicts(&self, subject: &Interpreted, case: &Configured) -> bool {
        let names = case.format.fault.iter().flat_map(|fault| &fault.registers);
        let names: Vec<&str> = names.map(|register| register.name.value.as_str()).collect();
        let said = self.verdicts.get(&case.config.id.value).into_iter().flatten();
        let disagrees = |tables: &Tables, recorded| !verdicts::agrees(subject, &names, tables, recorded);
        said.into_iter().any(|tables| tables.accesses.iter().any(|recorded| disagrees(tables, recorded)))
    }
}
