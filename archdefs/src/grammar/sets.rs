//! Sets of numbers and of levels, and page sizes.

use super::{Cursor, Parsed};
use crate::ascending::ascending;
use crate::diagnostics::Diagnostic;
use crate::model::{LevelSet, LevelTerm};

/// The most numbers a set may have, as all of a parameter's values may be tried.
const MAX_MEMBERS: i64 = 256;

impl Cursor<'_> {
    /// `"4, 16..=32"`: numbers, ascending and without repetition.
    pub(crate) fn set(&mut self) -> Parsed<Vec<i64>> {
        Ok(ascending(self.commas(Self::range)?.into_iter().flatten().collect()))
    }

    fn range(&mut self) -> Parsed<std::ops::RangeInclusive<i64>> {
        let start = self.here();
        let first = self.signed()?;
        if !self.eat("..=") {
            return Ok(first..=first);
        }
        let last = self.signed()?;
        let problem = match last.checked_sub(first) {
            Some(..0) => "the range is empty",
            Some(..MAX_MEMBERS) => return Ok(first..=last),
            _ => "the range has more than 256 members",
        };
        Err(Diagnostic::new(problem, self.since(start), "this range"))
    }

    /// `"0"`, `"1..=3"`, `"1.. - block"`.
    pub(crate) fn level_set(&mut self) -> Parsed<LevelSet> {
        let start = self.here();
        let plus = self.commas(Self::level_term)?;
        let minus = if self.eat("-") { self.commas(|cursor| cursor.taken_out(&plus))? } else { Vec::new() };
        Ok(LevelSet { plus, minus, span: self.since(start) })
    }

    /// A term after `-`, which must have some level in common with `plus`.
    fn taken_out(&mut self, plus: &[LevelTerm]) -> Parsed<LevelTerm> {
        let start = self.here();
        let term = self.level_term()?;
        if plus.iter().any(|other| other.may_meet(&term)) {
            return Ok(term);
        }
        Err(Diagnostic::new("there is nothing to take out", self.since(start), "not among the levels before the `-`")
            .help("a range of levels is written `1..=4`"))
    }

    fn level_term(&mut self) -> Parsed<LevelTerm> {
        if self.eat_word("block") {
            return Ok(LevelTerm::Block);
        }
        if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.unexpected("a level, a range of levels or `block`"));
        }
        let start = self.here();
        let first = self.level()?;
        let last = match (self.eat("..="), self.eat("..")) {
            (true, _) => Some(self.level()?),
            (_, true) => None,
            _ => Some(first),
        };
        if last.is_some_and(|last| last < first) {
            return Err(Diagnostic::new("the range of levels is empty", self.since(start), "this range"));
        }
        Ok(LevelTerm::Range(first, last))
    }

    /// `"4K 2M 1G"`, in bytes.
    pub(crate) fn sizes(&mut self) -> Parsed<Vec<u64>> {
        let mut sizes = Vec::new();
        while !self.rest().is_empty() {
            let start = self.here();
            if !sizes.is_empty() && !self.text[..start].ends_with(char::is_whitespace) {
                return Err(self.unexpected("a space between sizes"));
            }
            let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
            let shift = match self.rest().get(digits..=digits) {
                Some("K") => 10,
                Some("M") => 20,
                Some("G") => 30,
                Some("T") => 40,
                Some("P") => 50,
                Some("E") => 60,
                _ => return Err(self.unexpected("a size as in `4K`, `2M`, `1G`, `512T`")),
            };
            let size = self.rest()[..digits].parse::<u64>().ok().filter(|size| *size <= u64::MAX >> shift);
            self.at += digits + 1;
            let size = size.map(|size| size << shift).filter(|size| size.is_power_of_two());
            let problem = || Diagnostic::new("a page size is a power of two", self.since(start), "is none");
            sizes.push(size.ok_or_else(problem)?);
        }
        Ok(sizes)
    }
}

impl LevelTerm {
    /// Whether a level can be in both terms, in some format.
    fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Range(first, last), Self::Range(other_first, other_last)) => {
                last.is_none_or(|last| *other_first <= last) && other_last.is_none_or(|last| *first <= last)
            }
            _ => true,
        }
    }
}

impl LevelSet {
    /// Whether `level` is in the set, whichever levels may hold blocks.
    pub(crate) fn surely_has(&self, level: u8) -> bool {
        let this = LevelTerm::Range(level, Some(level));
        let ranges = |terms: &[LevelTerm]| terms.iter().any(|term| *term != LevelTerm::Block && term.may_meet(&this));
        ranges(&self.plus) && !ranges(&self.minus)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;
    use crate::source::Span;

    macro_rules! parse {
        ($text:expr, $parser:ident) => {
            Cursor::new($text, Span::default(), &Scope::default()).whole(Cursor::$parser)
        };
    }

    #[test]
    fn sets_are_sorted_and_bounded() {
        assert_eq!(parse!("16..=18, 4, 17", set).unwrap(), [4, 16, 17, 18]);
        assert_eq!(parse!("-1", set).unwrap(), [-1]);
        for bad in ["", "4..2", "4..=2", "0..=9223372036854775807", "1,", "a"] {
            assert!(parse!(bad, set).is_err(), "{bad}");
        }
    }

    #[test]
    fn level_sets() {
        let set = parse!("0, 2.. - block, 5", level_set).unwrap();
        assert_eq!(set.plus, [LevelTerm::Range(0, Some(0)), LevelTerm::Range(2, None)]);
        assert_eq!(set.minus, [LevelTerm::Block, LevelTerm::Range(5, Some(5))]);
        for bad in ["", "1-4", "0..=2 - 3..", "blocks", "1..=0", "16", "1 2", "..1"] {
            assert!(parse!(bad, level_set).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_bytes() {
        assert_eq!(parse!("4K 2M 1G", sizes).unwrap(), [4 << 10, 2 << 20, 1 << 30]);
        for bad in ["4", "3K", "4k", "K", "99999999999999999999T", "16777216T", "4K2M", "4K 2M1G", "4KB"] {
            assert!(parse!(bad, sizes).is_err(), "{bad}");
        }
    }
}
