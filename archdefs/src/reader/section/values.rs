//! Reads the values of keys: text, numbers, words, and strings in a small language.

use super::Section;
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, Node};
use crate::grammar::scope::Scope;
use crate::grammar::{Cursor, Parsed};
use crate::model::{At, Choice, Choices, Class, LevelSet, LevelTerm};
use crate::reader::context::check_name;
use crate::reader::tree::Value;
use crate::schema::Form;
use crate::suggest::advice;
use crate::words::Word;

impl<'a> Section<'a> {
    /// Free text.
    pub(in crate::reader) fn text(&self, key: &'static str) -> String {
        self.get(key).and_then(|value| self.context.text(value)).unwrap_or_default()
    }

    /// Free text, or none.
    pub(in crate::reader) fn optional_text(&self, key: &'static str) -> Option<String> {
        self.get(key).and_then(|value| self.context.text(value))
    }

    /// Free text with its place, or none.
    pub(in crate::reader) fn optional_placed_text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        Some(At { value: self.context.text(value)?, span: value.span })
    }

    /// `cite`.
    pub(in crate::reader) fn cite(&self) -> Option<String> {
        self.optional_text("cite")
    }

    /// `doc`.
    pub(in crate::reader) fn doc(&self) -> Option<String> {
        self.optional_text("doc")
    }

    /// Text in a small language, or none.
    pub(in crate::reader) fn optional<'c, T>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        parser: impl FnOnce(&mut Cursor<'c>) -> Parsed<T>,
    ) -> Option<T> {
        self.get(key).and_then(|value| self.context.parse(value, scope, parser))
    }

    /// Text in a small language.
    pub(in crate::reader) fn parse<'c, T: Default>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        parser: impl FnOnce(&mut Cursor<'c>) -> Parsed<T>,
    ) -> T {
        self.get(key).and_then(|value| self.context.parse(value, scope, parser)).unwrap_or_default()
    }

    /// As [`Section::parse`], with the place.
    pub(in crate::reader) fn placed<'c, T: Default>(
        &'c self,
        key: &'static str,
        scope: &'c Scope,
        parser: impl FnOnce(&mut Cursor<'c>) -> Parsed<T>,
    ) -> At<T> {
        let value = self.get(key).and_then(|value| self.context.parse(value, scope, |c| c.placed(parser)));
        value.unwrap_or(At { value: T::default(), span: self.span })
    }

    /// An expression.
    pub(in crate::reader) fn expression(&self, key: &'static str, scope: &Scope) -> At<Expr> {
        self.placed(key, scope, Cursor::expression)
    }

    /// `true` or `false`, false if it is missing.
    pub(in crate::reader) fn flag(&self, key: &'static str) -> bool {
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
    pub(in crate::reader) fn number(&self, key: &'static str) -> u64 {
        self.parse(key, &self.scopes().nothing, Cursor::number)
    }

    /// A number, or none.
    pub(in crate::reader) fn optional_number(&self, key: &'static str) -> Option<u64> {
        self.optional(key, &self.scopes().nothing, Cursor::number)
    }

    /// A word of a closed set.
    pub(in crate::reader) fn word<W: Word>(&self, key: &'static str) -> W {
        let value = self.get(key);
        value.and_then(|value| self.context.parse(value, &self.scopes().nothing, Cursor::word)).unwrap_or(W::WORDS[0].1)
    }

    /// A word of a closed set, or none.
    pub(in crate::reader) fn optional_word<W: Word>(&self, key: &'static str) -> Option<W> {
        self.optional(key, &self.scopes().nothing, Cursor::word)
    }

    /// Whether a key has the second of its two words. If the key is missing, the first is meant.
    pub(in crate::reader) fn second_of_two(&self, key: &'static str) -> bool {
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
    pub(in crate::reader) fn list<'c, T>(
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
    pub(in crate::reader) fn choices<'c, T>(
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
    pub(in crate::reader) fn id(&self, key: &'static str, separator: char) -> At<String> {
        let value = self.get(key);
        let Some((value, text)) = value.and_then(|value| Some((value, self.context.text(value)?))) else {
            return At { value: String::new(), span: self.span };
        };
        let id = At { value: text, span: value.span };
        check_name(self.context, &id, separator);
        id
    }

    /// `if`.
    pub(in crate::reader) fn when(&self, scope: &Scope) -> Option<Expr> {
        self.optional("if", scope, Cursor::condition)
    }

    /// `level`; without it, all levels.
    pub(in crate::reader) fn level(&self) -> LevelSet {
        self.optional("level", &self.scopes().nothing, Cursor::level_set).unwrap_or_else(|| LevelSet {
            plus: vec![LevelTerm::Range(0, None)],
            minus: Vec::new(),
            span: self.span,
        })
    }

    /// `in`: classes of entries that have owners for their bits.
    pub(in crate::reader) fn classes(&self) -> Vec<Class> {
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
