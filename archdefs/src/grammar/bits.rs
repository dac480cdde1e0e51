//! Bit maps and matches.

use super::{Cursor, Parsed};
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, Node};
use crate::model::{BitMap, Match, Segment, Test, TestValue};

impl Cursor<'_> {
    /// `"49:12, 9:8 <- 51:50"`.
    pub(crate) fn bit_map(&mut self) -> Parsed<BitMap> {
        let start = self.here();
        let segments = self.commas(Self::segment)?;
        Ok(BitMap { segments, span: self.since(start) })
    }

    fn segment(&mut self) -> Parsed<Segment> {
        let start = self.here();
        let (high, low) = self.bit_range()?;
        let from = if self.eat("<-") { Some(self.bit_range()?) } else { None };
        Ok(Segment { high, low, from, span: self.since(start) })
    }

    /// `high:low` or `bit`. Where both are plain numbers, a mistake is reported here.
    fn bit_range(&mut self) -> Parsed<(Expr, Expr)> {
        let start = self.here();
        let high = self.sum()?;
        let low = if self.eat(":") { self.sum()? } else { high.clone() };
        for bound in [&high, &low] {
            if matches!(bound.node, Node::Int(64..)) {
                return Err(Diagnostic::new("bits are numbered from 0 to 63", bound.span, "no such bit"));
            }
        }
        match (&high.node, &low.node) {
            (Node::Int(first), Node::Int(last)) if first < last => Err(self.upside_down(start, *first, *last)),
            _ => Ok((high, low)),
        }
    }

    /// `"10, 2:0 != 0 & 7 == 1"`.
    pub(crate) fn matching(&mut self) -> Parsed<Match> {
        let mut tests = vec![self.test()?];
        while self.eat("&") {
            tests.push(self.test()?);
        }
        Ok(Match(tests))
    }

    fn test(&mut self) -> Parsed<Test> {
        let start = self.here();
        let bits = self.bit_map()?;
        let negated = self.eat("!=");
        if !negated && !self.eat("==") {
            return Err(self.unexpected("`==` or `!=`"));
        }
        let mut values = vec![self.test_value()?];
        while self.eat("|") {
            values.push(self.test_value()?);
        }
        Ok(Test { bits, negated, values, span: self.since(start) })
    }

    fn test_value(&mut self) -> Parsed<TestValue> {
        if self.eat_word("ones") {
            return Ok(TestValue::Ones);
        }
        let first = self.shift()?;
        Ok(if self.eat("..=") { TestValue::Range(first, self.shift()?) } else { TestValue::Value(first) })
    }
}
