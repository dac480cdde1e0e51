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

/// The names that expressions may use, for each place where they may stand.
pub(super) struct Scopes {
    /// None.
    pub(super) nothing: Scope,
    /// Build parameters.
    pub(super) build: Scope,
    /// All parameters.
    pub(super) params: Scope,
    /// All parameters, `levels` and `input_bits`: what a `[[config]]` sets.
    pub(super) settable: Scope,
    /// Those and `page_bits`, `index_bits`: what is known of an address space.
    pub(super) space: Scope,
    /// Those and `level`, `leaf_bits`: what is known of an entry.
    pub(super) entry: Scope,
}

impl Context<'_> {
    /// Reports a problem, unless it involves a line that could not be parsed.
    pub(super) fn report(&self, problem: Diagnostic) {
        let follows = |error: &SyntaxError| problem.labels.iter().any(|(span, _)| error.covers(*span));
        if !self.syntax_errors.iter().any(follows) {
            self.problems.borrow_mut().push(problem);
        }
    }

    /// Reports that something is missing, unless a broken line may contain it.
    pub(super) fn report_missing(&self, problem: Diagnostic) {
        if !self.incomplete {
            self.report(problem);
        }
    }

    /// Everything that was reported.
    pub(super) fn finish(self) -> Diagnostics {
        let mut problems = self.problems.into_inner();
        problems.extend(self.syntax_errors.into_iter().map(|error| error.problem));
        problems.into()
    }

    pub(super) fn expected(&self, wanted: &str, value: &Value) {
        let message = format!("expected {wanted}, found {}", value.what());
        self.report(Diagnostic::new(message, value.span, format!("expected {wanted}")));
    }

    /// Free text. Tools print it, so it must not hold characters that control a terminal.
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

    /// A cursor at the start of such a string.
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

/// Where `text` begins in `raw`, which is the same string with its quotation marks; `None` if the file writes it with
/// escapes. A line break right after three opening marks is not part of the text.
fn start_in(raw: &str, text: &str) -> Option<usize> {
    let triple = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let quotes = if triple && raw.len() >= 6 { 3 } else { 1 };
    let inner = raw.get(quotes..raw.len().checked_sub(quotes)?)?;
    let inner = inner.strip_prefix("\r\n").or_else(|| inner.strip_prefix('\n')).unwrap_or(inner);
    (inner == text).then(|| raw.len() - quotes - inner.len())
}

/// Refuses a name that is not made of lower-case letters, digits and `separator`. Names with underscores become names
/// in Rust, so they must not start with a digit or be keywords.
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

/// The keywords that have the form of a name.
const RUST_KEYWORDS: [&str; 50] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "where", "while", "yield",
];
