//! A file that was damaged at random crashes neither the reader nor the checker, and is a model or has a mistake.

use proptest::prelude::*;
use tablewright_archdefs::{BUILTINS, Style, check, read};

/// A way to damage a file; positions and lengths are taken modulo what there is.
#[derive(Clone, Debug)]
enum Damage {
    Delete(usize, usize),
    Duplicate(usize, usize),
    Swap(usize, usize),
    Replace(usize, char),
    DeleteLine(usize),
    SwapLines(usize, usize),
    Truncate(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>;
    let telling = prop::sample::select("\"'[]{}=,.:;<>-+*&|!#\\ \n0179abx_\u{e9}\u{1f980}".chars().collect::<Vec<_>>());
    prop_oneof![
        (at(), 1..20usize).prop_map(|(at, length)| Damage::Delete(at, length)),
        (at(), 1..20usize).prop_map(|(at, length)| Damage::Duplicate(at, length)),
        (at(), at()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (at(), telling).prop_map(|(at, with)| Damage::Replace(at, with)),
        at().prop_map(Damage::DeleteLine),
        (at(), at()).prop_map(|(a, b)| Damage::SwapLines(a, b)),
        at().prop_map(Damage::Truncate),
    ]
}

fn apply(text: &str, damage: &Damage) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut lines: Vec<&str> = text.lines().collect();
    if chars.is_empty() {
        return String::new();
    }
    match *damage {
        Damage::Delete(at, length) => {
            let at = at % chars.len();
            chars.drain(at..(at + length).min(chars.len()));
        }
        Damage::Duplicate(at, length) => {
            let at = at % chars.len();
            let copy = chars[at..(at + length).min(chars.len())].to_vec();
            chars.splice(at..at, copy);
        }
        Damage::Swap(a, b) => {
            let count = chars.len();
            chars.swap(a % count, b % count);
        }
        Damage::Replace(at, with) => {
            let count = chars.len();
            chars[at % count] = with;
        }
        Damage::Truncate(at) => chars.truncate(at % chars.len()),
        Damage::DeleteLine(at) => {
            lines.remove(at % lines.len());
            return lines.join("\n");
        }
        Damage::SwapLines(a, b) => {
            let count = lines.len();
            lines.swap(a % count, b % count);
            return lines.join("\n");
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_models_or_told_why_not(
        file in prop::sample::select(BUILTINS),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let text = damages.iter().fold(file.1.to_owned(), |text, damage| apply(&text, damage));
        let (sources, result) = read("damaged.toml", &text, &|_| Err("there are no other files".to_owned()));
        if let Ok(format) = &result {
            check(format);
        }
        if let Err(diagnostics) = result {
            prop_assert!(!diagnostics.is_empty());
            // What a child removes, its parent may miss: then the place is the parent's.
            let shown = diagnostics.render(&sources, Style::Plain);
            prop_assert!(shown.contains("--> damaged.toml:") || shown.contains("--> <built-in>/"));
            for diagnostic in &diagnostics {
                let place = sources.place(diagnostic.labels[0].0);
                let lines = text.lines().count() + 1;
                let fits = place.is_some_and(|place| place.path != "damaged.toml" || place.line <= lines);
                prop_assert!(fits, "{diagnostic:?}");
            }
        }
    }
}
