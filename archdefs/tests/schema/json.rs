//! The JSON Schema (draft 7, which editors for TOML understand), made from the schema.
//!
//! It knows what stands where, and the words of closed sets. Of the small languages inside strings it knows the first
//! word at most: the rest is the reader's.

use serde_json::{Map, Value, json};
use tablewright_archdefs::schema::{FILE, Form, Key, Presence};

/// The text of the file.
pub(crate) fn text() -> String {
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tablewright page-table format",
        "description": "A page-table format as data. The reference is README.md of the package tablewright-archdefs.",
    });
    merge(&mut schema, table(FILE, false));
    // What a child leaves out, its parent has. Rows and named tables replace the parent's as a whole.
    schema["if"] = json!({ "properties": { "format": { "required": ["extends"] } }, "required": ["format"] });
    let sections = FILE.iter().filter_map(|key| match key.form {
        Form::Table(keys) => Some((key.name.to_owned(), json!({ "required": required(keys) }))),
        _ => None,
    });
    schema["else"] = json!({ "required": required(FILE), "properties": sections.collect::<Map<_, _>>() });
    format!("{schema:#}\n")
}

fn merge(into: &mut Value, from: Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { panic!("both are objects") };
    into.extend(from);
}

/// A table with these keys and no others; of a `whole` one, the required keys must be there.
fn table(keys: &[Key], whole: bool) -> Value {
    let properties: Map<_, _> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if whole {
        table["required"] = json!(required(keys));
    }
    let one_of = names(keys, |key| matches!(key.presence, Presence::OneOf));
    if !one_of.is_empty() {
        table["oneOf"] = one_of.iter().map(|key| json!({ "required": [key] })).collect();
    }
    let with: Vec<Value> = keys.iter().filter_map(with).collect();
    if !with.is_empty() {
        table["allOf"] = json!(with);
    }
    table
}

fn required(keys: &[Key]) -> Vec<&'static str> {
    names(keys, |key| matches!(key.presence, Presence::Required))
}

fn names(keys: &[Key], which: impl Fn(&Key) -> bool) -> Vec<&'static str> {
    keys.iter().filter(|key| which(key)).map(|key| key.name).collect()
}

/// The rule of a key that goes with others.
fn with(key: &Key) -> Option<Value> {
    let Presence::With { keys, absent } = key.presence else { return None };
    let any: Vec<Value> = keys
        .iter()
        .map(|(other, word)| match word {
            Some(word) => json!({ "required": [other], "properties": { *other: { "const": word } } }),
            None => json!({ "required": [other] }),
        })
        .collect();
    let mut rule = json!({ "if": { "anyOf": any }, "else": { "properties": { key.name: false } } });
    if absent.is_none() {
        rule["then"] = json!({ "required": [key.name] });
    }
    Some(rule)
}

fn property(key: &Key) -> Value {
    let mut property = json!({ "description": plain(key.meaning) });
    if let Presence::Optional(absent) | Presence::With { absent: Some(absent), .. } = key.presence {
        property["description"] = json!(format!("{}\n\nDefault: {}", plain(key.meaning), plain(absent)));
    }
    merge(&mut property, form(key.form));
    property
}

/// Markdown without links, which lead nowhere from an editor.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    for (index, part) in markdown.split("](").enumerate() {
        let part = if index == 0 { part } else { part.split_once(')').map_or(part, |(_, rest)| rest) };
        text.push_str(&part.replace('[', ""));
    }
    // A list in brackets is no link.
    if markdown.contains("](") { text } else { markdown.to_owned() }
}

const NUMBER: &str = "0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*";

fn string(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn any(forms: Vec<Value>) -> Value {
    json!({ "anyOf": forms })
}

fn form(form: Form) -> Value {
    match form {
        Form::Text | Form::Reference(_) => json!({ "type": "string" }),
        Form::Name => string("^[a-z][a-z0-9_]*$"),
        Form::Id => string("^[a-z0-9][a-z0-9-]*$"),
        Form::Flag => any(vec![json!({ "type": "boolean" }), string("^\\s*(true|false)\\s*$")]),
        Form::Word(words) => word(&words()),
        Form::Number | Form::Level => {
            any(vec![json!({ "type": "integer" }), string(&format!("^\\s*-?\\s*({NUMBER})\\s*$"))])
        }
        Form::NumberOrTruth => any(vec![
            json!({ "type": ["integer", "boolean"] }),
            string(&format!("^\\s*(-?\\s*({NUMBER})|true|false)\\s*$")),
        ]),
        Form::Expression | Form::Condition | Form::Match => json!({ "type": ["string", "integer", "boolean"] }),
        Form::LevelSet | Form::Set | Form::BitMap => any(vec![json!({ "type": "integer" }), string("\\S")]),
        Form::Sizes => string("^\\s*([0-9]+[KMGTPE]\\s*)+$"),
        Form::Facts => string(&format!("^\\s*({FACTS})(\\s+({FACTS}))*\\s*$")),
        Form::Assignments => string("^\\s*!?\\s*[a-z]"),
        Form::Code => any(vec![json!({ "type": "integer" }), string("^\\s*0x([0-9a-fA-F]{2}|[0-9a-fA-F]{8})\\s*$")]),
        Form::Syntax(syntax) => string(syntax_pattern(syntax)),
        Form::Guarded(inner) => guarded(*inner),
        Form::Many(inner) => many(self::form(*inner)),
        Form::Choices(inner) => many(guarded(*inner)),
        Form::ValueRows(meaning) => many(string(&format!("^\\s*({NUMBER})\\s+({})(\\s|$)", first_word(*meaning)))),
        Form::Table(keys) => table(keys, false),
        Form::Named(keys) => {
            json!({ "type": "object", "propertyNames": string("^[a-z][a-z0-9_]*$"), "additionalProperties": table(keys, true) })
        }
        Form::Rows(keys) => json!({ "type": "array", "items": table(keys, true) }),
    }
}

const FACTS: &str = "none|r|w|x|pr|pw|px|ur|uw|ux|accessed|dirty";

/// A word of a closed set; editors complete what an `enum` lists. One that is a number may do without quotes.
fn word(words: &[&str]) -> Value {
    let numbers = words.iter().filter_map(|word| word.parse::<u64>().ok().map(Value::from));
    json!({ "enum": words.iter().map(|word| json!(word)).chain(numbers).collect::<Vec<_>>() })
}

/// `"form [if condition]"`.
fn guarded(inner: Form) -> Value {
    match inner {
        Form::Word(words) => any(vec![word(&words()), string(&format!("^\\s*({})\\s+if\\s", words().join("|")))]),
        // A condition may follow whatever these are.
        other => form(other),
    }
}

fn many(inner: Value) -> Value {
    any(vec![inner.clone(), json!({ "type": "array", "items": inner })])
}

/// The words that the meaning of a value row begins with.
fn first_word(meaning: Form) -> String {
    match meaning {
        Form::Facts => FACTS.to_owned(),
        Form::Word(words) => words().join("|"),
        _ => "[a-z0-9-]+".to_owned(),
    }
}

fn syntax_pattern(syntax: &str) -> &'static str {
    match syntax {
        "asked -> taken" => "->",
        "word" => "^[a-z0-9-]+$",
        "high:low" => "^\\s*[0-9]+(\\s*:\\s*[0-9]+)?\\s*$",
        "name: doc" => "^\\s*[a-z][a-z0-9_]*\\s*(:.*\\S.*)?$",
        "section.name" => "^[a-z]+(\\.[a-z0-9_-]+)?$",
        // What assigns.
        _ => "=",
    }
}
