//! What an entry is: the rows of `[[kind]]` and the tests of a match, bound.

use std::fmt;
use std::sync::Arc;

use super::geometry::low_bits;
use super::{Bits, Malformed};
use crate::eval::{Env, eval, holds};
use crate::model::{Choice, Choices, Is, Kind, Match, Test, TestValue};
use crate::show;
use crate::source::Span;

/// A row of `[[kind]]` that exists at a level.
#[derive(Clone, Debug)]
pub struct BoundKind {
    /// Its id.
    pub id: Arc<str>,
    /// What an entry that matches is.
    pub is: Is,
    /// The tests, all of which must hold; `None` matches whatever no other row does.
    pub tests: Option<Vec<BoundTest>>,
    /// The place of its id.
    pub span: Span,
    /// The place of the match that holds here.
    pub choice: Option<Span>,
}

impl BoundKind {
    /// Whether its tests hold; an `else` row matches everything.
    pub fn matches(&self, raw: u64) -> bool {
        self.tests.as_ref().is_none_or(|tests| all_hold(tests, raw))
    }
}

/// A test on an entry.
#[derive(Clone, Debug)]
pub struct BoundTest {
    /// The bits.
    pub bits: Bits,
    negated: bool,
    values: Vec<(u64, u64)>,
    /// Where it stands.
    pub span: Span,
}

impl BoundTest {
    fn new(test: &Test, env: &Env<'_>) -> Result<Self, Malformed> {
        let bits = Bits::number(&test.bits, env)?;
        let limit = low_bits(u64::MAX, bits.width());
        let fit = |value| match u64::try_from(value) {
            Ok(value) if value <= limit => Ok(value),
            _ => Err(Malformed::new(format!("{value} does not fit {} bits", bits.width()), test.span)),
        };
        let mut values = Vec::new();
        for value in &test.values {
            values.push(match value {
                TestValue::Value(value) => {
                    let value = fit(eval(value, env)?)?;
                    (value, value)
                }
                TestValue::Range(first, last) => (fit(eval(first, env)?)?, fit(eval(last, env)?)?),
                TestValue::Ones => (limit, limit),
            });
        }
        Ok(Self { bits, negated: test.negated, values, span: test.span })
    }

    /// Whether `raw` passes.
    pub fn holds(&self, raw: u64) -> bool {
        let value = self.bits.extract(raw);
        self.values.iter().any(|&(first, last)| first <= value && value <= last) != self.negated
    }

    /// Whether all entries with the bits of `raw` in `known` pass, or none; `None` if the known bits do not decide it.
    pub fn holds_for_all(&self, known: u64, raw: u64) -> Option<bool> {
        let lowest = self.bits.extract(raw & known);
        let open = self.bits.extract(!known);
        let highest = lowest | open;
        let (mut every, mut none) = (false, true);
        for &(first, last) in &self.values {
            every |= first <= lowest && highest <= last;
            none &= highest < first || last < lowest || first == last && (first ^ lowest) & !open != 0;
        }
        (every || none).then_some(every != self.negated)
    }

    /// The entry bits an encoder writes, if only one value passes.
    pub fn written(&self) -> Option<u64> {
        match self.values.as_slice() {
            &[(value, last)] if value == last && !self.negated => Some(self.bits.insert(value)),
            _ => None,
        }
    }
}

/// `"7 == 0b1"`, `"10, 2:0 != 0b0"`.
impl fmt::Display for BoundTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.iter().map(|&(first, last)| match first == last {
            true => format!("{first:#b}"),
            false => format!("{first:#b}..={last:#b}"),
        });
        let values = values.collect::<Vec<_>>().join(" | ");
        write!(f, "{} {} {values}", show::bits(self.bits.mask()), if self.negated { "!=" } else { "==" })
    }
}

/// Binds the tests of a match.
pub(super) fn tests(matches: &Match, env: &Env<'_>) -> Result<Vec<BoundTest>, Malformed> {
    matches.0.iter().map(|test| BoundTest::new(test, env)).collect()
}

/// Whether all tests hold.
pub fn all_hold(tests: &[BoundTest], raw: u64) -> bool {
    tests.iter().all(|test| test.holds(raw))
}

/// The bits that the tests read.
pub fn tested_bits(tests: &[BoundTest]) -> u64 {
    tests.iter().fold(0, |mask, test| mask | test.bits.mask())
}

/// Binds a row that exists at this level.
pub(super) fn bind(kind: &Kind, env: &Env<'_>) -> Result<BoundKind, Malformed> {
    let choice = match &kind.matches {
        Some(choices) => Some(chosen(choices, env, kind.id.span)?),
        None => None,
    };
    Ok(BoundKind {
        id: kind.id.value.as_str().into(),
        is: kind.is,
        tests: choice.map(|choice| tests(&choice.value, env)).transpose()?,
        span: kind.id.span,
        choice: choice.map(|choice| choice.span),
    })
}

/// Puts the rows in the order they are tried: `reserved` rows win, `else` comes last.
pub(super) fn sort(kinds: &mut [BoundKind]) {
    kinds.sort_by_key(|kind| match (&kind.tests, kind.is) {
        (None, _) => 2,
        (_, Is::Reserved) => 0,
        _ => 1,
    });
}

/// The row of a level that says what `raw` is.
pub fn classify(kinds: &[BoundKind], raw: u64) -> Option<&BoundKind> {
    kinds.iter().find(|kind| kind.matches(raw))
}

/// The first item whose condition holds.
///
/// # Errors
///
/// [`Malformed`] if a condition cannot be evaluated.
pub fn first<'a, T>(choices: &'a Choices<T>, env: &Env<'_>) -> Result<Option<&'a Choice<T>>, Malformed> {
    for choice in &choices.0 {
        if holds(choice.when.as_ref(), env)? {
            return Ok(Some(choice));
        }
    }
    Ok(None)
}

/// The first item whose condition holds, where there must be one.
pub(super) fn chosen<'a, T>(choices: &'a Choices<T>, env: &Env<'_>, owner: Span) -> Result<&'a Choice<T>, Malformed> {
    first(choices, env)?.ok_or_else(|| {
        let span = choices.0.last().map_or(owner, |choice| choice.span);
        Malformed::new("no item of this list holds", span)
    })
}
