//! Reads the keys of one table according to the schema.
//!
//! A missing or wrong key is reported and read as a placeholder, so that reading goes on and finds further mistakes. A
//! model with placeholders is never returned as valid.

mod values;

use super::context::{Context, Scopes, check_name};
use super::tree::{Table, Value};
use crate::diagnostics::Diagnostic;
use crate::model::At;
use crate::schema::{Form, Key, Presence, show};
use crate::source::Span;
use crate::suggest::{advice, closest};

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
    /// A table that may have these keys. Reports unknown and missing ones.
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

    /// The value of `key`, which must be a table, too.
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

    /// Reports unknown and missing keys. A misspelt key is not reported as missing as well.
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

    /// Whether the key may be in this table, given the other keys that are.
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

    /// The schema's row for a key.
    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The place of a key's value, or else that of the table.
    pub(super) fn place(&self, key: &str) -> Span {
        self.get(key).map_or(self.span, |value| value.span)
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key)
    }

    /// Of the keys of which exactly one must be there: those that are, and the names of all.
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
}
