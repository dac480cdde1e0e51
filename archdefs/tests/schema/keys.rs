//! What the schema says of keys is what the reader does about them.

use std::collections::BTreeSet;
use std::ops::Range;

use tablewright_archdefs::schema::{Form, Key, Presence, With, tables};
use tablewright_archdefs::{BUILTINS, read};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The path of every key in a file that holds no table, as the schema writes it, and where its value stands.
fn values(text: &str) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    in_table("", DeTable::parse(text).unwrap().get_ref(), &mut found);
    found
}

fn in_table(prefix: &str, table: &DeTable<'_>, found: &mut Vec<(String, Range<usize>)>) {
    let named = ["params.", "fields.", "registers.", "raise."].contains(&prefix);
    for (key, value) in table.iter() {
        let path = if named { format!("{prefix}*") } else { format!("{prefix}{}", key.get_ref()) };
        in_value(path, value, found);
    }
}

fn in_value(path: String, value: &Spanned<DeValue<'_>>, found: &mut Vec<(String, Range<usize>)>) {
    match value.get_ref() {
        DeValue::Table(table) => in_table(&format!("{path}."), table, found),
        DeValue::Array(rows) if rows.iter().any(|row| row.get_ref().is_table()) => {
            for row in rows.iter() {
                in_value(format!("{path}[]"), row, found);
            }
        }
        _ => found.push((path, value.span())),
    }
}

/// Keys that the other files have no use for.
const REST: &str = include_str!("rest.toml");
const TOY: &str = include_str!("../toy.toml");

#[test]
fn the_reader_reads_every_key_that_the_schema_has() {
    let files: Vec<&str> = BUILTINS.iter().map(|(_, text)| *text).chain([TOY, REST]).collect();
    let mut seen = BTreeSet::new();
    for text in files {
        for (path, place) in values(text) {
            // No key takes a float.
            let damaged = format!("{}0.5{}", &text[..place.start], &text[place.end..]);
            if !seen.insert(path.clone()) {
                continue;
            }
            let (_, format) = read("damaged.toml", &damaged, &|_| Err("there are no other files".to_owned()));
            let told = format.is_err_and(|mistakes| {
                mistakes.iter().any(|mistake| mistake.labels.iter().any(|(span, _)| span.start as usize == place.start))
            });
            assert!(told, "a float as `{path}` is no mistake");
        }
    }
    let keys = tables().into_iter().flat_map(|(path, keys)| {
        let keys = keys.iter().filter(|key| key.form.keys().is_empty());
        keys.map(move |key| format!("{path}.{}", key.name))
    });
    let unseen: Vec<String> = keys.filter(|key| !seen.contains(key)).collect();
    assert!(unseen.is_empty(), "no file here has these keys: {unseen:?}");
}

/// What a row can say so that a key that goes with others goes with none of them.
fn elsewhere(keys: &[Key], with: With) -> Vec<String> {
    let with_word = with.iter().filter_map(|(other, word)| Some((other, (*word)?)));
    let other_words = with_word.flat_map(|(other, _)| {
        let Some(Form::Word(words)) = keys.iter().find(|key| key.name == *other).map(|key| key.form) else {
            panic!("`{other}` has no words");
        };
        let fits = |word: &&str| with.contains(&(other, Some(word)));
        let others: Vec<&str> = words().into_iter().filter(|word| !fits(word)).collect();
        others.into_iter().map(move |word| format!("{other} = \"{word}\""))
    });
    std::iter::once(String::new()).chain(other_words).collect()
}

#[test]
fn a_key_without_what_it_goes_with_is_refused() {
    let mut tried = 0;
    for (path, keys) in tables() {
        for key in keys {
            let Presence::With { keys: with, .. } = key.presence else { continue };
            let header = match (path.strip_suffix("[]"), path.strip_suffix('*')) {
                (Some(rows), _) => format!("[[{rows}]]"),
                (_, Some(named)) => format!("[{named}another]"),
                _ => format!("[{path}]"),
            };
            for beside in elsewhere(keys, with) {
                let text = format!("{TOY}\n{header}\n{beside}\n{} = 1\n", key.name);
                let (_, format) = read("toy.toml", &text, &|_| Err("there are no other files".to_owned()));
                let refused = format!("`{}` means nothing in", key.name);
                let told = format.unwrap_err().iter().any(|mistake| mistake.message.starts_with(&refused));
                assert!(told, "{header} {beside} {}", key.name);
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}
