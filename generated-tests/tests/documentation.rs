//! Every public type of the runtime has an example in its documentation, which `cargo test` runs.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files under a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the sources are there");
    entries.map(|entry| entry.expect("it can be read").path()).fold(Vec::new(), |mut all, path| {
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
        all
    })
}

/// The documentation and other attributes before a type.
fn documentation<'a>(lines: &[&'a str], at: usize) -> Vec<&'a str> {
    lines[..at].iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with(['/', '#', '$'])).collect()
}

#[test]
fn every_public_type_has_an_example() {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src");
    let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub unsafe trait ", "pub type "];
    let (mut seen, mut without) = (0, Vec::new());
    for path in sources(&runtime) {
        // Only generated code uses these.
        if path.iter().any(|part| part == "codec" || part == "codec.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it can be read");
        // Each format has the same types, and the crate's page has an example of all of them.
        if text.starts_with("// @generated") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().map(|line| line.trim()).enumerate() {
            // A trait that seals another cannot be named by users.
            if kinds.iter().any(|kind| line.starts_with(kind)) && !line.contains("Sealed") {
                seen += 1;
                // The documentation of types that a macro makes is at the calls of the macro.
                let example = |line: &&str| ["/// ```", "#[doc = $start]", "$(#[$doc])+"].contains(line);
                if !documentation(&lines, at).iter().any(example) {
                    without.push(format!("{}:{}: {line}", path.display(), at + 1));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} types were found");
    assert!(without.is_empty(), "types without an example:\n{}", without.join("\n"));
}
