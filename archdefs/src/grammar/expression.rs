//! Expressions, read by precedence climbing.

use super::{Cursor, Parsed};
use crate::diagnostics::Diagnostic;
use crate::expr::{Expr, Node, Op, Precedence};
use crate::model::At;

/// How deep parentheses and negations may nest.
const MAX_DEPTH: u32 = 32;

/// How many operators may follow one another: code that goes through expressions recurses once for each.
const MAX_OPERATORS: u32 = 64;

impl Cursor<'_> {
    /// A whole expression.
    pub(crate) fn expression(&mut self) -> Parsed<Expr> {
        self.binary(Precedence::OrElse)
    }

    /// A whole expression, with its place.
    pub(crate) fn placed_expression(&mut self) -> Parsed<At<Expr>> {
        self.placed(Self::expression)
    }

    /// An expression that is true or false.
    pub(crate) fn condition(&mut self) -> Parsed<Expr> {
        let expr = self.expression()?;
        self.scope.check_truth(&expr)?;
        Ok(expr)
    }

    /// An expression without `&`, `|` and comparisons, which in a match separate tests and values.
    pub(super) fn shift(&mut self) -> Parsed<Expr> {
        self.binary(Precedence::Shift)
    }

    /// An expression of sums and products only, for positions of bits.
    pub(super) fn sum(&mut self) -> Parsed<Expr> {
        self.binary(Precedence::Sum)
    }

    /// An expression whose operators bind at least as tightly as `least`.
    fn binary(&mut self, least: Precedence) -> Parsed<Expr> {
        let start = self.here();
        let mut left = self.unary()?;
        let mut previous = Precedence::Atom;
        let mut operators = 0;
        while let Some(op) = self.operator().filter(|op| op.precedence() >= least) {
            let precedence = op.precedence();
            if precedence == Precedence::Compare && previous == Precedence::Compare {
                return Err(self.unexpected("`&&` or `||` (comparisons do not chain)"));
            }
            previous = precedence;
            operators += 1;
            if operators > MAX_OPERATORS {
                return Err(Diagnostic::new("the expression is too long", self.since(start), "here"));
            }
            self.at += op.symbol().len();
            let right = self.binary(precedence.tighter())?;
            if matches!(op, Op::AndAlso | Op::OrElse) {
                self.scope.check_truth(&left)?;
                self.scope.check_truth(&right)?;
            }
            left = Expr { node: Node::Binary(op, Box::new(left), Box::new(right)), span: self.since(start) };
        }
        Ok(left)
    }

    /// The next operator, not consumed. The arrows `<-` and `->` are no operators.
    fn operator(&mut self) -> Option<Op> {
        let rest = self.rest();
        if rest.starts_with("<-") || rest.starts_with("->") {
            return None;
        }
        Op::ALL.into_iter().find(|op| rest.starts_with(op.symbol()))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.here();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Diagnostic::new("the expression is nested too deeply", self.since(start), "here"));
        }
        let expr = if self.eat("!") {
            let inner = self.unary()?;
            self.scope.check_truth(&inner)?;
            Ok(Expr { node: Node::Not(Box::new(inner)), span: self.since(start) })
        } else {
            self.primary()
        };
        self.depth -= 1;
        expr
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.here();
        if self.eat("(") {
            let inner = self.expression()?;
            self.expect(")")?;
            return Ok(Expr { node: inner.node, span: self.since(start) });
        }
        let node = if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            Node::Int(self.number()?.into())
        } else {
            let name = self.name("a number or a name")?;
            match name.value {
                "true" => Node::Int(1),
                "false" => Node::Int(0),
                _ => {
                    self.scope.check(name.value, name.span)?;
                    self.slice(name)?
                }
            }
        };
        Ok(Expr { node, span: self.since(start) })
    }

    /// `name`, `name[bit]` or `name[high:low]`, after the name.
    fn slice(&mut self, name: At<&str>) -> Parsed<Node> {
        if !self.eat("[") {
            return Ok(Node::Name(name.value.to_owned()));
        }
        let (high, low) = self.bit_numbers()?;
        self.expect("]")?;
        Ok(Node::Slice(name.value.to_owned(), high, low))
    }

    /// `high:low` or `bit`, as plain numbers.
    pub(crate) fn bit_numbers(&mut self) -> Parsed<(u8, u8)> {
        let start = self.here();
        let high = self.bit()?;
        let low = if self.eat(":") { self.bit()? } else { high };
        if high < low {
            return Err(self.upside_down(start, high.into(), low.into()));
        }
        Ok((high, low))
    }

    /// The number of a bit.
    pub(crate) fn bit(&mut self) -> Parsed<u8> {
        let start = self.here();
        let bit = self.number()?;
        u8::try_from(bit)
            .ok()
            .filter(|bit| *bit < 64)
            .ok_or_else(|| Diagnostic::new("bits are numbered from 0 to 63", self.since(start), "no such bit"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::{Scope, Type};
    use super::*;
    use crate::source::Span;

    fn parse(text: &str) -> Parsed<Expr> {
        let names = [("a", Type::Number), ("b", Type::Number), ("p", Type::Truth), ("q", Type::Truth)];
        let scope = Scope::new(names.map(|(name, kind)| (name.to_owned(), kind)), false);
        let origin = Span { file: 0, start: 100, end: 100 + u32::try_from(text.len()).unwrap() };
        Cursor::new(text, origin, &scope).whole(Cursor::expression)
    }

    #[test]
    fn precedence_is_that_of_rust_and_display_gives_it_back() {
        for text in [
            "a + b * 2",
            "(a + b) * 2",
            "a - (b - 1)",
            "a - b - 1",
            "a << 2 & b >> 1 | 1",
            "p && !q || a == b",
            "p && (q || a != b + 1)",
            "!(p || q)",
            "a[5:3] == 0b1",
            "a[7] && (a & b) == 0",
            "(a == b) == p",
        ] {
            let expected = text.replace("0b1", "1").replace("(a & b) ==", "a & b ==");
            assert_eq!(parse(text).unwrap().to_string(), expected);
        }
        assert_eq!(parse("0x8000_0000_0000_0000").unwrap().node, Node::Int(1 << 63));
    }

    #[test]
    fn errors_point_at_the_character() {
        for (text, start, length) in [
            ("a + c", 4, 1),
            ("a + ", 4, 1),
            ("a + 0b12", 7, 1),
            ("p && a", 5, 1),
            ("a[3:5]", 2, 3),
            ("a[64]", 2, 2),
            ("a == b == 1", 7, 1),
            ("(a", 2, 1),
            ("a ? b", 2, 1),
            ("18446744073709551616", 0, 20),
        ] {
            let (span, _) = parse(text).unwrap_err().labels[0].clone();
            assert_eq!((span.start - 100, span.end - span.start), (start, length), "{text}");
        }
        assert!(parse(&"(".repeat(1000)).is_err());
        assert!(parse(&"!".repeat(1000)).is_err());
    }
}
