//! What all sections of a format share: the sources, the names in scope, the problems found so far.

use super::tree::{Kind, SyntaxError, Value};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::grammar::scope::Scope;
use crate::grammar::{Cursor, Parsed};
use crate::model::At;
use crate::source::Sources;
use std::cell::RefCell;

/// What all sections of a format share.
pub(super) struct Context<'a> {
    pub(super) sources: &'a Sources,
    pub(super) scopes: Scopes,
    pub(super) problems: RefCell<Vec<Diagnostic>>,
    pub(super) syntax_errors: Vec<SyntaxError>,
    /// Whether some of the files could not be read completely, so that what is missing may only be unreadable.
    pub(super) incomplete: bool,
}

/// The names that expressions may use, by where they stand.
pub(super) struct Scopes {
    /// None.
    pub(super) nothing: Scope,
    /// Build parameters.
    pub(super) build: Scope,
    /// All parameters.
    pub(super) params: Scope,
    /// All parameters, `levels` and `input_bits`: what a `[[config]]` sets.
    pub(super) settable: Scope,
    /// These and `page_bits`, `index_bits`: what is known of an address space.
    pub(super) space: Scope,
    /// These and `level`, `leaf_bits`: what is known of an entry.
    pub(super) entry: Scope,
}

impl Context<'_> {
    /// Reports a problem, unless it has to do with a line that could not even be parsed.
    pub(super) fn report(&self, problem: Diagnostic) {
        let follows = |error: &SyntaxError| problem.labels.iter().any(|(span, _)| error.covers(*span));
        if !self.syntax_errors.iter().any(follows) {
            self.problems.borrow_mut().push(problem);
        }
    }

    /// Reports what is missing, unless a broken line may have said it.
    pub(super) fn report_missing(&self, problem: Diagnostic) {
        if !self.incomplete {
            self.report(problem);
        }
    }

    /// Everything that was wrong.
    pub(super) fn finish(self) -> Diagnostics {
        let mut problems = self.problems.into_inner();
        problems.extend(self.syntax_errors.into_iter().map(|error| error.problem));
        problems.into()
    }

    pub(super) fn expected(&self, wanted: &str, value: &Value) {
        let message = format!("expected {wanted}, found {}", value.what());
        self.report(Diagnostic::new(message, value.span, format!("expected {wanted}")));
    }

    /// Any text. What controls a terminal is no text: tools print it.
    pub(super) fn text(&self, value: &Value) -> Option<String> {
        match &value.kind {
            Kind::Text(text) if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') => {
                self.report(Diagnostic::new("control characters are no text", value.span, "in this string"));
                None
            }
            Kind::Text(text) => Some(text.clone()),
            _ => {
                self.expected("a string", value);
                None
            }
        }
    }

    /// A string of a small language. A number or a truth value may stand without quotes.
    pub(super) fn parse<'c, T>(
        &'c self,
        value: &'c Value,
        scope: &'c Scope,
        parser: impl FnOnce(&mut Cursor<'c>) -> Parsed<T>,
    ) -> Option<T> {
        let read = self.cursor(value, scope)?.whole(parser);
        read.map_err(|problem| self.report(problem)).ok()
    }

    /// Where such a string begins.
    fn cursor<'c>(&'c self, value: &'c Value, scope: &'c Scope) -> Option<Cursor<'c>> {
        let raw = self.sources.text(value.span);
        let (text, span) = match &value.kind {
            Kind::Plain => (raw, value.span),
            Kind::Text(text) => {
                let Some(start) = start_in(raw, text) else {
                    self.report(
                        Diagnostic::new("no escapes here", value.span, "this string")
                            .help("write it as it is, between any quotation marks"),
                    );
                    return None;
                };
                (text.as_str(), value.span.part(start, start + text.len()))
            }
            kind => {
                self.expected(if matches!(kind, Kind::Array(_)) { "one value" } else { "a string" }, value);
                return None;
            }
        };
        Some(Cursor::new(text, span, scope))
    }
}

/// Where in a string with its quotation marks its text begins, if it stands there as it is. A line break right after three of
/// them is no part of it.
fn start_in(raw: &str, text: &str) -> Option<usize> {
    let triple = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let quotes = if triple && raw.len() >= 6 { 3 } else { 1 };
    let inner = raw.get(quotes..raw.len().checked_sub(quotes)?)?;
    let inner = inner.strip_prefix("\r\n").or_else(|| inner.strip_prefix('\n')).unwrap_or(inner);
    (inner == text).then(|| raw.len() - quotes - inner.len())
}

/// Refuses a name that is not made of lower-case letters, digits and `separator`. Names with underscores become names
/// in Rust, where they cannot start with a digit and some words are taken.
pub(super) fn check_name(context: &Context<'_>, name: &At<String>, separator: char) {
    let rust = separator == '_';
    let help = if !has_form(&name.value, separator) {
        let first = if rust { ", and starts with a letter" } else { "" };
        format!("a name here is made of lower-case letters, digits and `{separator}`{first}")
    } else if rust && RUST_KEYWORDS.contains(&name.value.as_str()) {
        "it becomes a name in Rust, where this word is a keyword".to_owned()
    } else {
        return;
    };
    let message = format!("`{}` cannot be a name here", name.value);
    context.report(Diagnostic::new(message, name.span, "this name").help(help));
}

/// Whether a name can be one in Rust.
pub(super) fn is_rust_name(name: &str) -> bool {
    has_form(name, '_') && !RUST_KEYWORDS.contains(&name)
}

fn has_form(name: &str, separator: char) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == separator;
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() && separator != '_')
        && name.chars().all(legal)
}

/// Those that look like a name.
const RUST_KEYWORDS: [&str; 50] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "where", "while", "yield",
];
