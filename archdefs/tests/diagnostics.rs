//! What people are told about broken files. In `tests/broken`, every line with a mistake ends in `# <-`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tablewright_archdefs::{Diagnostics, Sources, Style, read};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn load(path: &str) -> Result<String, String> {
    std::fs::read_to_string(folder().join(path)).map_err(|_| "there is no such file".to_owned())
}

fn read_broken(path: &str, text: &str) -> (Sources, Diagnostics) {
    let (sources, result) = read(path, text, &load);
    (sources, result.err().unwrap_or_default())
}

/// Those that mistakes are told of.
fn lines(sources: &Sources, diagnostics: &Diagnostics) -> BTreeSet<usize> {
    diagnostics.iter().map(|diagnostic| sources.place(diagnostic.labels[0].0).unwrap().line).collect()
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let mut names: Vec<_> =
        std::fs::read_dir(folder().join("broken")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.len() > 20);
    let mut mismatches = Vec::new();
    for name in names {
        let path = format!("broken/{}", name.to_str().unwrap());
        let text = load(&path).unwrap();
        let (sources, diagnostics) = read_broken(&path, &text);
        insta::assert_snapshot!(path.trim_end_matches(".toml"), diagnostics.render(&sources, Style::Plain));
        let told = lines(&sources, &diagnostics);
        let (sources, diagnostics) = read_broken(&path, &text.replace('\n', "\r\n"));
        assert_eq!(lines(&sources, &diagnostics), told, "{path}, where lines end in a carriage return and a line feed");
        let marked = text.lines().zip(1..).filter(|(line, _)| line.ends_with("<-")).map(|(_, line)| line).collect();
        if told != marked {
            mismatches.push(format!("{path}: told of {told:?}, marked are {marked:?}"));
        }
    }
    assert!(mismatches.is_empty(), "{mismatches:#?}");
}

#[test]
fn ten_mistakes_are_ten_messages() {
    let text = load("broken/many.toml").unwrap();
    assert_eq!(read_broken("broken/many.toml", &text).1.len(), 10);
}

#[test]
fn the_tiny_format_has_no_mistake() {
    let (sources, diagnostics) = read_broken("tiny.toml", &load("tiny.toml").unwrap());
    assert_eq!(diagnostics.render(&sources, Style::Plain), "");
}

#[test]
fn colours_are_only_for_terminals() {
    let (sources, diagnostics) = read_broken("x.toml", "");
    assert!(!diagnostics.is_empty());
    assert!(!diagnostics.render(&sources, Style::Plain).contains('\u{1b}'));
    assert!(diagnostics.render(&sources, Style::Coloured).contains('\u{1b}'));
}
