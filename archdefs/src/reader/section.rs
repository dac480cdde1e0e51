//! Reads the keys of one table, as the schema has them.
//!
//! A key that is missing or wrong is reported, and read as a placeholder, so that reading goes on and finds the next
//! mistake. The model is only handed out if nothing was reported, so that nobody ever sees a placeholder.

use super::context::{Context, Scopes, check_name};
use super::tree::{Table, Value};
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, Node};
use crate::grammar::scope::Scope;
use crate::grammar::{Cursor, Parsed};
use crate::model::{At, Choice, Choices, Class, LevelSet, LevelTerm};
use crate::schema::{Form, Key, Presence, show};
use crate::source::Span;
use crate::suggest::{advice, closest};
use crate::words::Word;

/// A table whose keys are being read.
pub(super) struct Section<'a> {
    pub(super) context: &'a Context<'a>,
    /// What it is, for messages.
    what: String,
    /// The header, or the inline table.
    pub(super) span: Span,
    table: &'a Table,
    keys: &'static [Key],
}

impl<'a> Section<'a> {
    /// A table that may have these keys; reports those that are unknown and those that are missing.
    pub(super) fn new(
        context: &'a Context<'a>,
        what: String,
        span: Span,
        table: &'a Table,
        keys: &'static [Key],
    ) -> Self {
        let section = Self { context, what, span, table, keys };
        section.report_keys();
        section
    }

    /// What stands under `key` of this table and should be a table, too.
    fn below(&self, key: &str, what: String, value: &'a Value) -> Option<Self> {
        let Some(table) = value.table() else {
            self.context.expected("a table", value);
            return None;
        };
        let keys = self.key(key).map_or(&[][..], |key| key.form.keys());
        Some(Self::new(self.context, what, value.span, table, keys))
    }

    /// The names that expressions may use.
    pub(super) fn scopes(&self) -> &'a Scopes {
        &self.context.scopes
    }

    /// Reports the keys that are unknown and those that are missing; one that is misspelt is not missing, too.
    fn report_keys(&self) {
        let legal: Vec<&str> = self.keys.iter().filter(|key| self.is_legal(key)).map(|key| key.name).collect();
        let mut meant = Vec::new();
        for entry in self.table.0.iter().filter(|entry| !legal.contains(&entry.key.as_str())) {
            if let Some(Presence::With { keys, .. }) = self.key(&entry.key).map(|key| key.presence) {
                let message = format!("`{}` means nothing in {}", entry.key, self.what);
                let problem = Diagnostic::new(message, entry.key_span, "without effect");
                self.context.report(problem.help(format!("it goes with {}", show(keys))));
                continue;
            }
            meant.extend(closest(&entry.key, &legal));
            let message = format!("unknown key `{}` in {}", entry.key, self.what);
            let help = advice(&entry.key, "keys here", &legal);
            self.context.report(Diagnostic::new(message, entry.key_span, "unknown key").help(help));
        }
        for key in self.keys.iter().filter(|key| self.is_required(key) && self.get(key.name).is_none()) {
            if !meant.contains(&key.name) {
                let (what, name) = match key.form {
                    Form::Table(_) => ("section", format!("[{}]", key.name)),
                    Form::Rows(_) => ("section", format!("[[{}]]", key.name)),
                    _ => ("key", key.name.to_owned()),
                };
                let message = format!("{} has no {what} `{name}`", self.what);
                self.context.report_missing(Diagnostic::new(message, self.span, format!("`{name}` is missing")));
            }
        }
    }

    /// Whether the key may be in this table, beside the others that are.
    fn is_legal(&self, key: &Key) -> bool {
        match key.presence {
            Presence::With { keys, .. } => keys.iter().any(|(other, word)| {
                let text = || self.table.text(other);
                self.get(other).is_some() && word.is_none_or(|word| text() == Some(word))
            }),
            _ => true,
        }
    }

    fn is_required(&self, key: &Key) -> bool {
        match key.presence {
            Presence::Required => true,
            Presence::With { absent: None, .. } => self.is_legal(key),
            _ => false,
        }
    }

    /// What the schema says of a key.
    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Where the value of a key stands, or else the table.
    pub(super) fn place(&self, key: &str) -> Span {
        self.get(key).map_or(self.span, |value| value.span)
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key)
    }

    /// The keys that are there of those of which exactly one must be, and the names of all of them.
    pub(super) fn one_of(&self) -> (Vec<(&'static str, &'a Value)>, Vec<&'static str>) {
        let keys = self.keys.iter().filter(|key| matches!(key.presence, Presence::OneOf)).map(|key| key.name);
        (keys.clone().filter_map(|key| Some((key, self.get(key)?))).collect(), keys.collect())
    }

    /// A section that may be there.
    pub(super) fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'a>) -> T) -> Option<T> {
        self.below(key, format!("`[{key}]`"), self.get(key)?).map(|section| read(&section))
    }

    /// The entries of a section of named tables, in the order of the file.
    pub(super) fn named<T>(&self, key: &'static str, read: impl Fn(&Section<'a>, At<String>) -> T) -> Vec<T> {
        self.entries(key).into_iter().map(|(name, entry)| read(&entry, name)).collect()
    }

    fn entries(&self, key: &'static str) -> Vec<(At<String>, Self)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.table() else {
            self.context.expected("a table", value);
            return Vec::new();
        };
        let entries = table.0.iter().filter_map(|entry| {
            let name = At { value: entry.key.clone(), span: entry.key_span };
            check_name(self.context, &name, '_');
            Some((name, self.below(key, format!("`{key}.{}`", entry.key), &entry.value)?))
        });
        entries.collect()
    }

    /// The rows of a section, whose ids must differ.
    pub(super) fn rows<T>(
        &self,
        key: &'static str,
        read: impl Fn(&Section<'a>) -> T,
        id: impl Fn(&T) -> &At<String>,
    ) -> Vec<T> {
        let rows = self.all(key, read);
        self.report_same(key, &rows.iter().map(id).collect::<Vec<_>>());
        rows
    }

    fn report_same(&self, key: &'static str, ids: &[&At<String>]) {
        for (index, id) in ids.iter().enumerate() {
            let earlier = ids[..index].iter().find(|earlier| earlier.value == id.value && !id.value.is_empty());
            if let Some(earlier) = earlier {
                let message = format!("two rows of `[[{key}]]` are called `{}`", id.value);
                self.context.report(Diagnostic::new(message, id.span, "again").and(earlier.span, "first"));
            }
        }
    }

    /// The rows of a section.
    pub(super) fn all<T>(&self, key: &'static str, read: impl Fn(&Section<'a>) -> T) -> Vec<T> {
        self.each(key).iter().map(read).collect()
    }

    fn each(&self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(rows) = value.array() else {
            self.context.expected(&format!("rows, each with its own header `[[{key}]]`"), value);
            return Vec::new();
        };
        let what = format!("this row of `[[{key}]]`");
        rows.iter().filter_map(|row| self.below(key, what.clone(), row)).collect()
    }

    /// Free text.
    pub(super) fn text(&self, key: &'static str) -> String {
        self.get(key).and_then(|value| self.context.text(value)).unwrap_or_default()
    }

    /// Free text, or none.
    pub(super) fn optional_text(&self, key: &'static str) -> Option<String> {
        self.get(key).and_then(|value| self.context.text(value))
    }

    /// Free text with its place, or none.
    pub(super) fn optional_placed_text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        Some(At { value: self.context.text(value)?, span: value.span })
    }

    /// `cite`.
    pub(super) fn cite(&self) -> Option<String> {
        self.optional_text("cite")
    }

    /// `doc`.
    pub(super) fn doc(&self) -> Option<String> {
        self.optional_text("doc")
    }

    /// Text in a small language, or none.
    pub(super) fn optional<'c, T>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        parser: impl FnOnce(&mut Cursor<'c>) -> Parsed<T>,
    ) -> Option<T> {
        self.get(key).and_then(|value| self.context.parse(value, scope, parser))
    }

    /// Text in a small language.
    pub(super) fn parse<'c, T: Default>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        parser: impl FnOnce(&mut Cursor<'c>) -> Parsed<T>,
    ) -> T {
        self.get(key).and_then(|value| self.context.parse(value, scope, parser)).unwrap_or_default()
    }

    /// As [`Section::parse`], with the place.
    pub(super) fn placed<'c, T: Default>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        parser: impl FnOnce(&mut Cursor<'c>) -> Parsed<T>,
    ) -> At<T> {
        let value = self.get(key).and_then(|value| self.context.parse(value, scope, |c| c.placed(parser)));
        value.unwrap_or(At { value: T::default(), span: self.span })
    }

    /// An expression.
    pub(super) fn expression(&self, key: &'static str, scope: &Scope) -> At<Expr> {
        self.placed(key, scope, Cursor::expression)
    }

    /// `true` or `false`, false if it is missing.
    pub(super) fn flag(&self, key: &'static str) -> bool {
        self.optional(key, &self.scopes().nothing, |cursor| {
            let flag = cursor.placed_expression()?;
            match flag.value.node {
                Node::Int(value @ (0 | 1)) => Ok(value == 1),
                _ => Err(Diagnostic::new("expected `true` or `false`", flag.span, "neither")),
            }
        })
        .unwrap_or(false)
    }

    /// A number.
    pub(super) fn number(&self, key: &'static str) -> u64 {
        self.parse(key, &self.scopes().nothing, Cursor::number)
    }

    /// A number, or none.
    pub(super) fn optional_number(&self, key: &'static str) -> Option<u64> {
        self.optional(key, &self.scopes().nothing, Cursor::number)
    }

    /// A word of a closed set.
    pub(super) fn word<W: Word>(&self, key: &'static str) -> W {
        let value = self.get(key);
        value.and_then(|value| self.context.parse(value, &self.scopes().nothing, Cursor::word)).unwrap_or(W::WORDS[0].1)
    }

    /// A word of a closed set, or none.
    pub(super) fn optional_word<W: Word>(&self, key: &'static str) -> Option<W> {
        self.optional(key, &self.scopes().nothing, Cursor::word)
    }

    /// Whether a key says the second of its two words; the first is what its absence means.
    pub(super) fn second_of_two(&self, key: &'static str) -> bool {
        let Some(Form::Word(words)) = self.key(key).map(|key| key.form) else { return false };
        self.optional(key, &self.scopes().nothing, |cursor| {
            let word = cursor.kebab("one of two words")?;
            let known = words().iter().position(|known| *known == word.value);
            known.map(|index| index > 0).ok_or_else(|| {
                let help = advice(word.value, "words here", &words());
                Diagnostic::new(format!("`{}` is not known here", word.value), word.span, "unknown word").help(help)
            })
        })
        .unwrap_or(false)
    }

    /// Items of a small language: one string, or a list of them. None if the key is missing.
    pub(super) fn list<'c, T>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        parser: impl Fn(&mut Cursor<'c>) -> Parsed<T>,
    ) -> Vec<T> {
        self.items(key).iter().filter_map(|item| self.context.parse(item, scope, &parser)).collect()
    }

    fn items(&self, key: &'static str) -> &'a [Value] {
        let Some(value) = self.get(key) else { return &[] };
        value.array().unwrap_or(std::slice::from_ref(value))
    }

    /// A choice list, empty if the key is missing.
    pub(super) fn choices<'c, T>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        payload: impl Fn(&mut Cursor<'c>) -> Parsed<T>,
    ) -> Choices<T> {
        let choices = self.list(key, scope, |cursor| cursor.choice(&payload));
        self.report_unreachable(&choices);
        Choices(choices)
    }

    fn report_unreachable<T>(&self, choices: &[Choice<T>]) {
        let Some(first) = choices.iter().position(|choice| choice.when.is_none()) else { return };
        if let Some(after) = choices.get(first + 1) {
            self.context.report(
                Diagnostic::new("a choice after one without a condition is never taken", after.span, "never taken")
                    .and(choices[first].span, "always holds"),
            );
        }
    }

    /// `id`, or another key that names a row. With underscores it is a name in Rust.
    pub(super) fn id(&self, key: &'static str, separator: char) -> At<String> {
        let value = self.get(key);
        let Some((value, text)) = value.and_then(|value| Some((value, self.context.text(value)?))) else {
            return At { value: String::new(), span: self.span };
        };
        let id = At { value: text, span: value.span };
        check_name(self.context, &id, separator);
        id
    }

    /// `if`.
    pub(super) fn when(&self, scope: &Scope) -> Option<Expr> {
        self.optional("if", scope, Cursor::condition)
    }

    /// `level`; without it, all levels.
    pub(super) fn level(&self) -> LevelSet {
        self.optional("level", &self.scopes().nothing, Cursor::level_set).unwrap_or_else(|| LevelSet {
            plus: vec![LevelTerm::Range(0, None)],
            minus: Vec::new(),
            span: self.span,
        })
    }

    /// `in`: classes of entries that have owners for their bits.
    pub(super) fn classes(&self) -> Vec<Class> {
        let words = self.list("in", &self.scopes().nothing, |cursor| {
            let word = cursor.kebab("a kind of entry")?;
            match word.value {
                "leaf" => Ok(vec![Class::Page, Class::Block]),
                "table" => Ok(vec![Class::Table]),
                "page" => Ok(vec![Class::Page]),
                "block" => Ok(vec![Class::Block]),
                other => {
                    Err(Diagnostic::new(format!("`{other}` is no kind of entry with bits of its own"), word.span, "")
                        .help(advice(other, "kinds", &["leaf", "page", "block", "table"])))
                }
            }
        });
        let said = words.concat();
        Class::WORDS.iter().map(|(_, class)| *class).filter(|class| said.contains(class)).collect()
    }
}
