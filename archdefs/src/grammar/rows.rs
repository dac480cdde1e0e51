//! Rows: values of fields, register fields, operands, assignments, fallbacks, machine code.

use super::scope::{Scope, Type};
use super::{Cursor, Parsed};
use crate::diagnostics::Diagnostic;
use crate::model::{
    Assignments, At, CapabilityValue, Code, Facts, Fallback, MemoryType, Operand, Reading, RegisterField, Row,
};

impl Cursor<'_> {
    /// `"0b101 r x decode-only if execute_only"`; `meaning` reads the words between the value and `decode-only`.
    pub(crate) fn value_row<T>(&mut self, meaning: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<Row<T>> {
        let row = self.choice(|cursor| Ok((cursor.number()?, meaning(cursor)?, cursor.eat_word("decode-only"))))?;
        let (value, meaning, decode_only) = row.value;
        Ok(Row { value, meaning, decode_only, when: row.when, span: row.span })
    }

    /// Rights and states: `r w x`, `px accessed`, `none`.
    pub(crate) fn facts(&mut self) -> Parsed<Facts> {
        let mut facts = self.word()?;
        while !self.at_end_or_if() && !self.rest().starts_with("decode-only") {
            let more = self.placed(Self::word::<Facts>)?;
            if more.value.is_empty() || facts == Facts::empty() {
                return Err(Diagnostic::new("`none` stands alone", more.span, "more than nothing"));
            }
            facts |= more.value;
        }
        Ok(facts)
    }

    /// `"7:6 sl0 = 1 if levels == 3"`.
    pub(crate) fn register_field(&mut self) -> Parsed<RegisterField> {
        let field = self.choice(|cursor| {
            let bits = cursor.bit_map()?;
            let name = cursor.name("the field's name")?.value.to_owned();
            cursor.expect("=")?;
            Ok((bits, name, cursor.expression()?))
        })?;
        let (bits, name, value) = field.value;
        Ok(RegisterField { bits, name, value, when: field.when, span: field.span })
    }

    /// `"x0 = ia >> 12"`, `"rcx = &descriptor"`, `"$a0 = tag"`.
    pub(crate) fn operand(&mut self) -> Parsed<Operand> {
        let start = self.here();
        // In some assemblers, names of registers begin with `$`.
        let sign = if self.eat("$") { "$" } else { "" };
        let register = format!("{sign}{}", self.name("a machine register")?.value);
        self.expect("=")?;
        let value = if self.eat("&") {
            if !self.eat_word("descriptor") {
                return Err(self.unexpected("`descriptor`"));
            }
            None
        } else {
            Some(self.expression()?)
        };
        Ok(Operand { register, value, span: self.since(start) })
    }

    /// `"execute_only = cap[0] if .."`, where `params` are the names that may stand on the left.
    pub(crate) fn capability(&mut self, params: &Scope) -> Parsed<CapabilityValue> {
        let row = self.choice(|cursor| {
            let param = cursor.param(params)?;
            cursor.expect("=")?;
            Ok((param, cursor.expression()?))
        })?;
        let (param, value) = row.value;
        Ok(CapabilityValue { param, value, when: row.when })
    }

    /// `"cr2"`, `"cr2: the linear address"`.
    pub(crate) fn reading(&mut self) -> Parsed<Reading> {
        let name = self.name("the name of a register")?;
        let doc = if self.eat(":") { Some(self.prose()?) } else { None };
        Ok(Reading { name: At { value: name.value.to_owned(), span: name.span }, doc })
    }

    fn param(&mut self, params: &Scope) -> Parsed<At<String>> {
        let name = self.name("a parameter")?;
        params.check(name.value, name.span)?;
        Ok(At { value: name.value.to_owned(), span: name.span })
    }

    /// `"nc -> wc if .."`.
    pub(crate) fn fallback(&mut self) -> Parsed<Fallback> {
        let row = self.choice(|cursor| {
            let from: MemoryType = cursor.word()?;
            cursor.expect("->")?;
            Ok((from, cursor.word()?))
        })?;
        let (from, to) = row.value;
        Ok(Fallback { from, to, when: row.when, span: row.span })
    }

    /// `"levels = 4, huge_1g, !access_dirty"`, of names in scope.
    pub(crate) fn assignments(&mut self) -> Parsed<Assignments> {
        let scope = self.scope;
        self.commas(|cursor| {
            let start = cursor.here();
            if cursor.eat("!") {
                return Ok((cursor.param(scope)?, At { value: 0, span: cursor.since(start) }));
            }
            let param = cursor.param(scope)?;
            let span = param.span;
            let value = match (cursor.eat("="), scope.get(&param.value)) {
                (true, Some(Type::Word)) => cursor.placed(Self::content)?,
                (true, _) => cursor.placed(Self::number_or_truth)?,
                (false, _) => At { value: 1, span },
            };
            Ok((param, value))
        })
    }

    /// `12`, `true` or `false`.
    pub(crate) fn number_or_truth(&mut self) -> Parsed<i64> {
        match (self.eat_word("true"), self.eat_word("false")) {
            (true, _) => Ok(1),
            (_, true) => Ok(0),
            _ => self.signed(),
        }
    }

    /// The content of a register, as the `i64` that has its bits.
    pub(crate) fn content(&mut self) -> Parsed<i64> {
        Ok(self.number()?.cast_signed())
    }

    /// `0x66` is a byte, `0xd50c83df` a word.
    pub(crate) fn code(&mut self) -> Parsed<Code> {
        let start = self.here();
        let digits = self.run_length(false).saturating_sub(2);
        let value = self.rest().starts_with("0x").then(|| self.number()).transpose()?;
        match (digits, value) {
            (2, Some(value)) => u8::try_from(value).ok().map(Code::Byte),
            (8, Some(value)) => u32::try_from(value).ok().map(Code::Word),
            _ => None,
        }
        .ok_or_else(|| {
            Diagnostic::new("machine code is `0x` and two digits (a byte) or eight (a word)", self.since(start), "")
        })
    }
}
