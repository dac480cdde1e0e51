//! How a command ends.

use std::fmt;
use std::io;

use tablewright_archdefs::suggest::advice;

use crate::paint::{BAD, HINT};

/// The answer of a command that could do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is wrong.
    Yes,
    /// What was looked at is not as it should be, and the output says why.
    No,
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The output cannot be written.
    Output(io::Error),
    /// This is wrong; and this is what to do.
    Told {
        /// One sentence.
        message: String,
        /// What to do next.
        help: Option<String>,
    },
    /// A file's mistakes, as text.
    Mistakes(String),
    /// All of these.
    Several(Vec<Self>),
}

pub(crate) type Result<T = Outcome> = std::result::Result<T, Failure>;

/// The failures of what does not depend on each other, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<Failure>);

impl Failures {
    /// What came out, if anything did.
    pub(crate) fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|failure| self.0.push(failure)).ok()
    }
}

impl From<Failures> for Failure {
    fn from(failures: Failures) -> Self {
        Self::Several(failures.0)
    }
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Told { message: message.into(), help: None }
    }

    /// Of `word`, which should have been one of `legal`.
    pub(crate) fn unknown<'a>(
        message: impl Into<String>,
        word: &str,
        what: &str,
        legal: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self::new(message).help(advice(word, what, &legal.collect::<Vec<_>>()))
    }

    /// Adds what to do next.
    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Told { message, .. } => Self::Told { message, help: Some(text.into()) },
            other => other,
        }
    }

    /// Whether whoever read the output has gone.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => writeln!(f, "{BAD}error{BAD:#}: cannot write the output: {error}"),
            Self::Told { message, help } => {
                writeln!(f, "{BAD}error{BAD:#}: {message}")?;
                help.iter().try_for_each(|help| writeln!(f, "{HINT}help{HINT:#}: {help}"))
            }
            Self::Mistakes(text) => writeln!(f, "{text}"),
            Self::Several(failures) => failures.iter().try_for_each(|failure| failure.fmt(f)),
        }
    }
}
