//! Finds formats by name and configuration.

use std::fs;

pub use tablewright::testing::Configured;
use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::{Style, read, read_builtin};

/// Every configuration of the file of a built-in format, or of one in `arch`.
///
/// # Panics
///
/// If there is no such format, or its file has mistakes.
pub fn configured(name: &str) -> Vec<Configured> {
    let (sources, format) = read_builtin(name).unwrap_or_else(|| {
        let path = format!("{}/arch/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("no format `{name}`: {error}"));
        read(&path, &text, &|parent| fs::read_to_string(parent).map_err(|error| error.to_string()))
    });
    let format = format.unwrap_or_else(|problems| panic!("{}", problems.render(&sources, Style::Plain)));
    tablewright::testing::configured(format).unwrap_or_else(|error| panic!("{error}"))
}

/// A configuration under another name, with other values for some parameters.
///
/// # Panics
///
/// If the format has no such parameters, or these values are not legal.
pub fn varied(case: &Configured, name: &str, set: &[(&str, i64)]) -> Configured {
    let mut varied = case.clone();
    varied.config.id.value = name.to_owned();
    varied.params = case.params.with(&case.format, set).unwrap_or_else(|error| panic!("{name}: {error}"));
    varied.bound = Bound::new(&case.format, &varied.params).unwrap_or_else(|error| panic!("{name}: {error}"));
    varied
}
