//! The schema, and what is made from it: the JSON Schema for editors and the tables of `README.md`.
//!
//! `BLESS=1 cargo test -p tablewright-archdefs --test schema` writes both anew.

mod editor;
mod json;
mod keys;
mod reference;

use std::path::Path;

/// Compares a file of this package with what it should be, or writes it.
fn is_current(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let actual = std::fs::read_to_string(&file).unwrap_or_default();
    let first = expected.lines().zip(actual.lines()).position(|(expected, actual)| expected != actual);
    assert!(
        actual == expected,
        "{path} is not what the schema says, from line {} on; BLESS=1 writes it anew",
        first.map_or(actual.lines().count().min(expected.lines().count()), |line| line) + 1
    );
}

#[test]
fn the_json_schema_is_current() {
    is_current("schema/tablewright.schema.json", &json::text());
}

#[test]
fn the_reference_is_current() {
    is_current("README.md", &reference::with_tables(include_str!("../../README.md")));
}
