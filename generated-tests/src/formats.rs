//! The formats of the library, by name and configuration.

pub use tablewright::testing::Configured;
use tablewright_archdefs::{Style, read_builtin};

/// Every configuration of a built-in format's file.
///
/// # Panics
///
/// If there is no such format, or it is wrong.
pub fn configured(name: &str) -> Vec<Configured> {
    let (sources, format) = read_builtin(name).unwrap_or_else(|| panic!("no format `{name}`"));
    let format = format.unwrap_or_else(|problems| panic!("{}", problems.render(&sources, Style::Plain)));
    tablewright::testing::configured(format).unwrap_or_else(|error| panic!("{error}"))
}
