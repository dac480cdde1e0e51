//! A TOML document with a span on every key and value, in the order of the file.

use crate::diagnostics::Diagnostic;
use crate::source::Span;
use toml::de::{DeTable, DeValue};

/// A value and where it stands; of a table with a header, that is the header.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text(String),
    /// An integer or a boolean, which the small languages read from the file's text.
    Plain,
    /// Floats and dates, which no key takes.
    Foreign,
    Array(Vec<Value>),
    Table(Table),
}

impl Value {
    pub(super) fn table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    pub(super) fn array(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::Array(values) => Some(values),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) => "a string",
            Kind::Plain => "a number or a truth value",
            Kind::Foreign => "a float or a date",
            Kind::Array(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }
}

/// A table's entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Value,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Parses the file numbered `file` as far as possible. Also returns the syntax errors: the first of each line or broken
/// table, because further ones tend to follow from it.
pub(super) fn parse(text: &str, file: u16) -> (Table, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut found: Vec<SyntaxError> = Vec::new();
    for error in errors {
        let span = span(error.span().unwrap_or_default(), file);
        if !found.iter().any(|earlier| earlier.covers(span)) {
            let problem = Diagnostic::new(format!("TOML: {}", error.message()), span, "");
            found.push(SyntaxError { problem, lines: lines(text, span) });
        }
    }
    (convert_table(table.into_inner(), file), found)
}

/// A syntax error, and the lines that cannot be relied upon because of it.
pub(super) struct SyntaxError {
    pub(super) problem: Diagnostic,
    lines: Span,
}

impl SyntaxError {
    /// Whether a place begins in these lines.
    pub(super) fn covers(&self, span: Span) -> bool {
        self.lines.file == span.file && (self.lines.start..=self.lines.end).contains(&span.start)
    }
}

/// The line in which a span begins; if that is a header, the whole table under it.
fn lines(text: &str, span: Span) -> Span {
    let at = text.floor_char_boundary(span.start as usize);
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = if text[start..].starts_with('[') { "\n[" } else { "\n" };
    let end = text[at..].find(end).map_or(text.len(), |newline| at + newline);
    Span { file: span.file, ..Span::default() }.part(start, end)
}

fn convert_table(table: DeTable<'_>, file: u16) -> Table {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: span(key.span(), file),
            key: key.into_inner().into_owned(),
            value: convert(value.span(), value.into_inner(), file),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span);
    Table(entries)
}

fn convert(place: std::ops::Range<usize>, value: DeValue<'_>, file: u16) -> Value {
    let kind = match value {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Integer(_) | DeValue::Boolean(_) => Kind::Plain,
        DeValue::Float(_) | DeValue::Datetime(_) => Kind::Foreign,
        DeValue::Array(values) => {
            Kind::Array(values.into_iter().map(|value| convert(value.span(), value.into_inner(), file)).collect())
        }
        DeValue::Table(table) => Kind::Table(convert_table(table, file)),
    };
    Value { kind, span: span(place, file) }
}

fn span(place: std::ops::Range<usize>, file: u16) -> Span {
    Span { file, ..Span::default() }.part(place.start, place.end)
}
