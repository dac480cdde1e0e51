//! Why parameters cannot be bound.

use std::fmt;

use crate::eval::EvalError;
use crate::source::Span;

/// Why a format cannot be bound to some parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindError {
    /// The format has no such parameter, configuration or build.
    Unknown(String),
    /// The parameter cannot have this value.
    Value {
        /// The parameter.
        param: String,
        /// The value that it cannot have.
        value: i64,
    },
    /// The parameter must be 0 here, because its `if` does not hold.
    Unavailable {
        /// The parameter.
        param: String,
        /// Its condition.
        span: Span,
    },
    /// A rule of `[levels] requires` does not hold.
    Rule(Span),
    /// No `[[root]]` has this number of levels and this input size.
    Root {
        /// Number of levels.
        levels: i64,
        /// Input address bits.
        input_bits: i64,
    },
    /// A `[[root]]` has this number of levels and this input size, but not under these parameters.
    RootNeeds {
        /// Number of levels.
        levels: i64,
        /// Input address bits.
        input_bits: i64,
        /// Its condition; of several roots, what any of them needs.
        condition: String,
    },
    /// What the file says makes no sense under these parameters.
    Malformed(Malformed),
}

/// A part of the file that makes no sense under some parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong with it.
    pub message: String,
    /// Where it stands.
    pub span: Span,
}

impl Malformed {
    pub(crate) fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), span }
    }
}

impl From<EvalError> for Malformed {
    fn from(error: EvalError) -> Self {
        Self::new(error.kind.to_string(), error.span)
    }
}

impl From<Malformed> for BindError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<EvalError> for BindError {
    fn from(error: EvalError) -> Self {
        Self::Malformed(error.into())
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "this format has no `{name}`"),
            Self::Value { param, value } => write!(f, "parameter `{param}` cannot be {value}"),
            Self::Unavailable { param, .. } => write!(f, "parameter `{param}` must be 0: its condition does not hold"),
            Self::Rule(_) => write!(f, "a rule of `[levels] requires` does not hold"),
            Self::Root { levels, input_bits } => {
                write!(f, "no root has {levels} levels and {input_bits} input bits")
            }
            Self::RootNeeds { levels, input_bits, condition } => {
                write!(f, "a root with {levels} levels and {input_bits} input bits needs `{condition}`")
            }
            Self::Malformed(malformed) => write!(f, "{}", malformed.message),
        }
    }
}

impl std::error::Error for BindError {}
