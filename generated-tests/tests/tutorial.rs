//! Follows `archdefs/TUTORIAL.md` by a program: puts the format file together as the tutorial says, and runs its
//! commands, which must print what it shows. The result is the crate in `examples/tutorial`.
//!
//! `BLESS=1` writes the files of that crate anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use tablewright_cli::run;

const TUTORIAL: &str = include_str!("../../archdefs/TUTORIAL.md");

/// The tutorial's blocks of code: their language, and their text.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    TUTORIAL.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

/// The commands of all blocks: each with its words, and what it is to print.
fn commands() -> impl Iterator<Item = (Vec<&'static str>, &'static str)> {
    blocks().filter(|(language, _)| *language == "console").flat_map(|(_, text)| sessions(text))
}

/// The commands of one block. Within quotes a space is part of a word.
fn sessions(text: &'static str) -> impl Iterator<Item = (Vec<&'static str>, &'static str)> {
    text.split("$ ").skip(1).map(|session| {
        let (line, output) = session.split_once('\n').unwrap_or((session, ""));
        let quoted = line.split('"').enumerate();
        let words = quoted.flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        (words.collect(), output)
    })
}

/// What was printed is what is shown, where `...` stands for any lines.
fn compare(printed: &str, shown: &str) {
    snapbox::assert_data_eq!(format!("{}\n", printed.trim_end()), format!("{}\n", shown.trim_end()));
}

/// The folder of the crate that the tutorial makes.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tutorial")
}

/// What a file of that crate must be.
fn is_file(name: &str, text: &str) {
    let text = format!("{}\n", text.trim_end());
    let path = folder().join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("the crate can be written");
    }
    assert!(std::fs::read_to_string(&path).is_ok_and(|there| there == text), "{} is another", path.display());
}

/// Replaces the lines that a block of `diff` takes out by those that it puts in.
fn patch(file: &str, diff: &str) -> String {
    let side = |other: char| -> String {
        diff.lines().filter(|line| !line.starts_with(other)).map(|line| format!("{}\n", &line[1..])).collect()
    };
    let (old, new) = (side('+'), side('-'));
    assert_eq!(file.matches(&old).count(), 1, "what is to be changed is there once:\n{old}");
    file.replace(&old, &new)
}

/// What the tool prints, with its status as the tutorial shows it.
fn tool(words: &[&str]) -> String {
    let ran = run(words);
    let status = if ran.code == 0 { String::new() } else { format!("? {}\n", ran.code) };
    format!("{status}{}{}", ran.out, ran.err)
}

#[test]
fn the_file_grows_as_shown() {
    // Paths in messages are as a reader sees them. No other test here cares for the current folder.
    let desk = tempfile::tempdir().expect("there is room");
    std::env::set_current_dir(desk.path()).expect("it was just made");
    let mut file = String::new();
    for (language, text) in blocks() {
        match language {
            "toml" if text.starts_with("# Cargo.toml") => {}
            "toml" => file.extend([text, "\n"]),
            "diff" => file = patch(&file, text),
            "console" => {
                std::fs::write("hyp.toml", &file).expect("there is room");
                for (words, output) in sessions(text).filter(|(words, _)| words[0] == "tablewright") {
                    compare(&tool(&words[1..]), output);
                }
            }
            _ => {}
        }
    }
    is_file("arch/hyp.toml", &file);
}

#[test]
fn the_program_is_that_of_the_example() {
    let (_, program) = blocks().find(|(language, _)| *language == "rust").expect("there is a program");
    is_file("src/main.rs", program.strip_prefix("// src/main.rs\n").expect("it says where it belongs"));
    // The example depends on the library beside it, not on a published one.
    let (_, shown) = blocks().find(|(_, text)| text.starts_with("# Cargo.toml\n")).expect("there is a manifest");
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).expect("so has the example");
    for line in shown.lines().skip(1) {
        let line = line.replace("version = \"0.1\"", "path = \"../../runtime\"");
        assert!(manifest.contains(&line), "the example's manifest does not say `{line}`");
    }
}

/// Runs the program and its laws, as a reader would.
#[test]
fn the_crate_does_as_shown() {
    // As users' crates in `ui.rs`: compiled beside this build, and never locked by it.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    for (words, shown) in commands().filter(|(words, _)| words[0] == "cargo") {
        let output = Command::new(env!("CARGO"))
            .args([words[1], "--locked", "--manifest-path"])
            .arg(folder().join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .current_dir(folder())
            // One after the other: the order of what they print is that of their names.
            .env("RUST_TEST_THREADS", "1")
            .env_remove("RUSTFLAGS")
            .output()
            .expect("Cargo runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
        compare(&printed, shown);
    }
}
