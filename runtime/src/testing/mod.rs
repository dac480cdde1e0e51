//! The laws: what must hold for every format in every configuration, for generated code and for the interpreted file.
//!
//! A law asks questions of a [`Subject`], of which there are two kinds: [`Generated`] code, and the [`Interpreted`]
//! file. A law that does not hold returns a sentence that says why, so that a program can watch laws fail without a
//! panic.
//!
//! [`format_tests!`](crate::format_tests) tests a format of your own against all of them.

use std::prelude::rust_2024::*;

mod agreement;
mod attributes;
mod battery;
mod commands;
mod empty;
mod engine;
mod examples;
mod generated;
mod interpreted;
mod leaves;
mod live_edits;
mod page_sizes;
mod radix;
mod registers;
mod samples;
mod subject;
mod tables;
mod totality;

pub use battery::{Configured, Module, configured, hold, names, subject};
pub use generated::{Generated, generated};
pub use interpreted::Interpreted;
pub use subject::{Glance, Subject};
use tablewright_archdefs::model::{Config, Format};

/// The input of a law: a subject, and what it is compared with.
///
/// ```
/// use tablewright::testing::{Case, LAWS};
/// # use tablewright::testing::{Interpreted, configured};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = tablewright_archdefs::read_builtin("sv_x4").ok_or("no such format")?.1.map_err(|_| "mistakes")?;
/// # let all = configured(format)?;
/// # let first = &all[0];
/// # let reference = Interpreted(first.bound.clone());
/// let case = Case { subject: &reference, reference: &reference, format: &first.format, config: &first.config };
/// for law in LAWS {
///     (law.check)(&case)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What is tested.
    pub subject: &'a dyn Subject,
    /// The same configuration, interpreted.
    pub reference: &'a Interpreted,
    /// The format's file, for its examples.
    pub format: &'a Format,
    /// The configuration, for what it states by hand.
    pub config: &'a Config,
}

/// Whether a law holds; the error says why not.
///
/// ```
/// use tablewright::testing::Verdict;
///
/// fn verdict(levels: u8) -> Verdict {
///     if levels > 0 { Ok(()) } else { Err("a tree has levels".into()) }
/// }
/// assert!(verdict(0).is_err());
/// ```
pub type Verdict = Result<(), String>;

/// A law and its name.
///
/// ```
/// use tablewright::testing::{AGREEMENT, ENGINE, LAWS, names};
///
/// assert!(LAWS.iter().any(|law| law.name == "radix"));
/// assert_eq!(names().len(), LAWS.len() + [AGREEMENT, ENGINE].len());
/// ```
#[derive(Clone, Copy)]
pub struct Law {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub check: fn(&Case<'_>) -> Verdict,
}

/// The laws that a file can be tested against by itself.
pub const LAWS: &[Law] = &[
    Law { name: "radix", check: radix::check },
    Law { name: "table_round_trip", check: tables::check },
    Law { name: "leaf_sweep", check: leaves::check },
    Law { name: "attribute_round_trip", check: attributes::check },
    Law { name: "page_sizes", check: page_sizes::check },
    Law { name: "totality", check: totality::check },
    Law { name: "empty", check: empty::check },
    Law { name: "live_edits", check: live_edits::check },
    Law { name: "registers", check: registers::check },
    Law { name: "commands", check: commands::check },
    Law { name: "examples", check: examples::check },
];

/// The law that generated code does what the interpreter does.
pub const AGREEMENT: Law = Law { name: "agreement", check: agreement::check };

/// The law of what the engine does with a format; a subject without code has nothing to answer.
pub const ENGINE: Law = Law { name: "engine", check: engine::check };

/// Ends a law that does not hold, with a sentence that says why.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
use ensure;
