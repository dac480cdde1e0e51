//! The small languages inside a file's strings. All of them read from one [`Cursor`], which knows where the string
//! stands in its file, so that an error points at the exact character.

pub(crate) mod bits;
mod expression;
pub(crate) mod rows;
pub(crate) mod scope;
pub(crate) mod sets;

use crate::diagnostics::Diagnostic;
use crate::model::{At, Choice};
use crate::source::Span;
use crate::suggest::advice;
use crate::words::{Word, words};
use scope::Scope;

/// What a parser of a small language returns: it stops at its string's first error.
pub(crate) type Parsed<T> = Result<T, Diagnostic>;

/// A position in a string of a small language.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    origin: Span,
    scope: &'a Scope,
    depth: u32,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning of `text`, which stands at `origin`; expressions may use the names in `scope`.
    pub(crate) fn new(text: &'a str, origin: Span, scope: &'a Scope) -> Self {
        Self { text, at: 0, origin, scope, depth: 0 }
    }

    /// Reads the whole text with one parser.
    pub(crate) fn whole<T>(mut self, parser: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let value = parser(&mut self)?;
        self.end()?;
        Ok(value)
    }

    fn end(&mut self) -> Parsed<()> {
        if self.rest().is_empty() {
            return Ok(());
        }
        let mut problem = self.unexpected("the end of the string");
        if self.eat_word("if") {
            problem.message = "no condition can stand here".into();
        }
        Err(problem)
    }

    /// The text not read yet, without leading white space.
    fn rest(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    /// Where the next token begins.
    fn here(&mut self) -> usize {
        self.rest();
        self.at
    }

    /// The place from byte `start` to the end of the last token.
    fn since(&self, start: usize) -> Span {
        self.origin.part(start, self.at.max(start))
    }

    /// The length of the next word or number, 0 if there is none. With `hyphens`, a hyphen is part of a word.
    fn run_length(&mut self, hyphens: bool) -> usize {
        let belongs = |c: char| c.is_ascii_alphanumeric() || c == '_' || hyphens && c == '-';
        let rest = self.rest();
        rest.find(|c| !belongs(c)).unwrap_or(rest.len())
    }

    /// An error at the next token, which the grammar does not allow there.
    fn unexpected(&mut self, wanted: &str) -> Diagnostic {
        let length = match self.run_length(false) {
            0 => self.rest().chars().next().map_or(0, char::len_utf8),
            length => length,
        };
        let message = match &self.rest()[..length] {
            "" => format!("expected {wanted}, but the string ends"),
            found => format!("expected {wanted}, found `{found}`"),
        };
        // At the end of the string, the error points at the closing quote.
        let span = self.origin.part(self.at, self.at + length.max(1));
        Diagnostic::new(message, span, format!("expected {wanted}"))
    }

    /// An error at bits that begin at `start`, the lower one first.
    fn upside_down(&self, start: usize, first: i128, last: i128) -> Diagnostic {
        let counted_down = format!("`{}:{}` if the manual's bit 0 is the highest of 64", 63 - first, 63 - last);
        Diagnostic::new("the higher bit comes first", self.since(start), "is upside down")
            .help(format!("write `{last}:{first}`, or {counted_down}"))
    }

    /// Consumes `token` if it is next.
    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(&format!("`{token}`"))) }
    }

    /// Consumes `word` if it is the whole next word.
    fn eat_word(&mut self, word: &str) -> bool {
        let length = self.run_length(true);
        &self.rest()[..length] == word && self.eat(word)
    }

    /// Whether the payload of a choice ends here.
    fn at_end_or_if(&mut self) -> bool {
        let length = self.run_length(false);
        let rest = self.rest();
        rest.is_empty() || &rest[..length] == "if"
    }

    /// A word, which may have hyphens.
    pub(crate) fn kebab(&mut self, wanted: &str) -> Parsed<At<&'a str>> {
        let length = self.run_length(true);
        if length == 0 || self.at_end_or_if() {
            return Err(self.unexpected(wanted));
        }
        Ok(self.take(length))
    }

    /// A name, as expressions and generated code use it.
    fn name(&mut self, wanted: &str) -> Parsed<At<&'a str>> {
        let length = self.run_length(false);
        if length == 0 || self.at_end_or_if() || self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.unexpected(wanted));
        }
        Ok(self.take(length))
    }

    /// All the remaining text, as free text.
    fn prose(&mut self) -> Parsed<String> {
        let rest = self.rest().trim_end();
        if rest.is_empty() {
            return Err(self.unexpected("a description"));
        }
        self.at = self.text.len();
        Ok(rest.to_owned())
    }

    fn take(&mut self, length: usize) -> At<&'a str> {
        let value = &self.rest()[..length];
        let start = self.at;
        self.at += length;
        At { value, span: self.since(start) }
    }

    /// A word of a closed set.
    pub(crate) fn word<W: Word>(&mut self) -> Parsed<W> {
        let index = self.one_of(W::WHAT, &words::<W>())?;
        Ok(W::WORDS[index].1)
    }

    /// Consumes the next word, which must be one of these; returns its index.
    fn one_of(&mut self, what: &str, legal: &[&str]) -> Parsed<usize> {
        let word = self.kebab(&format!("one of the {what}"))?;
        legal.iter().position(|legal| *legal == word.value).ok_or_else(|| {
            Diagnostic::new(format!("`{}` is not one of the {what}", word.value), word.span, "unknown word")
                .help(advice(word.value, what, legal))
        })
    }

    /// A number from 0 to 2^64 - 1: decimal, `0x` or `0b`, with underscores.
    pub(crate) fn number(&mut self) -> Parsed<u64> {
        if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.unexpected("a number"));
        }
        let length = self.run_length(false);
        let token = self.take(length);
        let (radix, prefix) = match token.value.get(..2) {
            Some("0x") => (16, 2),
            Some("0b") => (2, 2),
            _ => (10, 0),
        };
        let digits = &token.value[prefix..];
        if let Some(bad) = digits.find(|c: char| c != '_' && !c.is_digit(radix)) {
            let found = &digits[bad..=bad];
            let span = token.span.part(prefix + bad, prefix + bad + 1);
            return Err(Diagnostic::new(format!("`{found}` is no digit of base {radix}"), span, "in this number"));
        }
        u64::from_str_radix(&digits.replace('_', ""), radix).map_err(|_| {
            let problem = if digits.contains(|c: char| c != '_') { "does not fit in 64 bits" } else { "has no digits" };
            Diagnostic::new(format!("the number {problem}"), token.span, problem)
        })
    }

    /// A number that may have a minus sign.
    pub(crate) fn signed(&mut self) -> Parsed<i64> {
        let start = self.here();
        let negative = self.eat("-");
        let magnitude = i128::from(self.number()?);
        i64::try_from(if negative { -magnitude } else { magnitude })
            .map_err(|_| Diagnostic::new("the number does not fit in 64 bits", self.since(start), "too large"))
    }

    /// The number of a level.
    pub(crate) fn level(&mut self) -> Parsed<u8> {
        let start = self.here();
        let level = self.number()?;
        u8::try_from(level).ok().filter(|level| *level < 16).ok_or_else(|| {
            Diagnostic::new("levels are numbered from 0 (the leaf-most) to 15", self.since(start), "no level")
        })
    }

    /// `"payload"` or `"payload if condition"`.
    pub(crate) fn choice<T>(&mut self, payload: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<Choice<T>> {
        let start = self.here();
        let value = payload(self)?;
        let when = if self.eat_word("if") { Some(self.condition()?) } else { None };
        Ok(Choice { value, when, span: self.since(start) })
    }

    /// What `parser` reads, with its place.
    pub(crate) fn placed<T>(&mut self, parser: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<At<T>> {
        let start = self.here();
        let value = parser(self)?;
        Ok(At { value, span: self.since(start) })
    }

    /// One or more items with commas between them.
    fn commas<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }
}
