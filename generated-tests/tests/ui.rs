//! Compiles crates as users would write them: a mistake in a format file is reported once, with its place in the file,
//! and nothing in the crate around it breaks generated code.
//!
//! `BLESS=1` writes the expected messages anew.

use std::path::Path;
use std::process::{Command, Output};

/// Runs Cargo on a crate under `ui/`.
fn cargo(command: &str, name: &str) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    // Beside the target directory of this build: the crates are compiled once, and never locked by it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    Command::new(env!("CARGO"))
        .args([command, "--quiet", "--locked", "--package", name, "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .env_remove("RUSTFLAGS")
        .output()
        .expect("Cargo runs")
}

/// The crate `name` does not compile, for exactly the reasons in its `expected.txt`.
fn fails(name: &str) {
    let output = cargo("check", name);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{name} compiles:\n{messages}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui").join(name).join("expected.txt");
    let (told, _) = messages.split_once("\nerror: could not compile").expect("Cargo sums up");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, told).expect("the messages can be written");
    }
    let expected = std::fs::read_to_string(&file).expect("there are expected messages");
    assert_eq!(told, expected, "what is told is not what {} says", file.display());
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    fails("misspelt");
}

#[test]
fn all_that_the_checker_finds_is_told() {
    fails("overlapping");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    fails("absent");
}

#[test]
fn generated_code_stands_in_any_crate() {
    // `check` as others depend on it, without the laws and what they need.
    for command in ["check", "clippy", "test"] {
        let output = cargo(command, "hostile");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
