//! What the README shows is so.

use tablewright_archdefs::{Style, check, read};

const README: &str = include_str!("../README.md");
const TINY: &str = include_str!("tiny.toml");

/// Everything that is wrong with a file, rendered.
fn mistakes(text: &str) -> String {
    let (sources, format) = read("arch/mine.toml", text, &|path| Err(format!("asked for {path}")));
    let mistakes = match &format {
        Ok(format) => check(format),
        Err(mistakes) => mistakes.clone(),
    };
    mistakes.render(&sources, Style::Plain)
}

#[test]
fn the_example_is_a_complete_format() {
    assert!(README.contains(&format!("```toml\n{TINY}```\n")), "the README's example is not `tests/tiny.toml`");
    assert_eq!(mistakes(TINY), "");
}

#[test]
fn the_example_of_a_child_is_a_format() {
    let start = README.find("[format]\nextends").unwrap();
    let child = README[start..].split("```").next().unwrap();
    assert_eq!(mistakes(child), "");
}

#[test]
fn the_example_of_cached_entries_is_a_part_of_a_format() {
    let start = README.find("[live]\ninvalid_cached = true").unwrap();
    let shown = README[start..].split("```").next().unwrap();
    let head = "[format]\nextends = \"tiny.toml\"\nname = \"pae\"\nremove = [\"registers.root\", \"tlb.everything\"]\n";
    let (sources, format) = read("arch/mine.toml", &format!("{head}{shown}"), &|_| Ok(TINY.into()));
    let mistakes = format.as_ref().map_or_else(Clone::clone, check);
    assert_eq!(mistakes.render(&sources, Style::Plain), "");
    assert!(!format.unwrap().live.invalid_cached.0.is_empty());
}

#[test]
fn the_example_of_a_mistake_is_what_the_reader_says() {
    let shown = README.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(mistakes(&TINY.replace("1 if huge", "1 if hugh")), shown.trim_end());
}
