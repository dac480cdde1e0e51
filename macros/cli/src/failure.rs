//! How a command ends, and how its failure is shown.

use std::fmt;
use std::io;

use tablewright_archdefs::suggest::advice;

use crate::paint::{BAD, HINT};

/// The answer of a command that could do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What was looked at is as it should be.
    Yes,
    /// What was looked at is not as it should be, and the output says why.
    No,
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The output cannot be written.
    Output(io::Error),
    /// One mistake, with advice.
    Message {
        /// One sentence.
        message: String,
        /// What to do next.
        help: Option<String>,
    },
    /// A file's mistakes, as text.
    Mistakes(String),
    /// Several failures.
    Several(Vec<Self>),
}

pub(crate) type Result<T = Outcome> = std::result::Result<T, Failure>;

/// Collects the failures of steps that do not depend on each other, so that all are shown at once.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<Failure>);

impl Failures {
    /// The value of a result; a failure is recorded.
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
        Self::Message { message: message.into(), help: None }
    }

    /// The failure for `word`, which should have been one of `legal`.
    pub(crate) fn unknown<'a>(
        message: impl Into<String>,
        word: &str,
        what: &str,
        legal: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self::new(message).help(advice(word, what, &legal.collect::<Vec<_>>()))
    }

    /// Adds advice.
    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Message { message, .. } => Self::Message { message, help: Some(text.into()) },
            other => other,
        }
    }

    /// Whether the output's reader has closed it.
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
            Self::Message { message, help } => {
                writeln!(f, "{BAD}error{BAD:#}: {message}")?;
                help.iter().try_for_each(|help| writeln!(f, "{HINT}help{HINT:#}: {help}"))
            }
            Self::Mistakes(text) => writeln!(f, "{text}"),
            Self::Several(failures) => failures.iter().try_for_each(|failure| failure.fmt(f)),
        }
    }
}
