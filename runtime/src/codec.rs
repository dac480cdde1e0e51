//! What generated code is made of: bits, patterns, and the facts that value rows state.
//!
//! The modules that `page_table_format!` makes build on these items; nothing else needs them.

mod choices;
mod facts;
mod runs;

use core::fmt;

pub use choices::{Choice, combine};
pub use facts::{Facts, Grants};
pub use runs::{Run, run_of, run_sizes};

use crate::Level;

/// Ones in bits `high:low`; none if `high < low`.
#[inline]
pub const fn bits(high: u8, low: u8) -> u64 {
    if high < low || high > 63 { 0 } else { u64::MAX >> (63 - (high - low)) << low }
}

/// Bits `high:low` of `raw`, as a number.
#[inline]
pub const fn extract(raw: u64, high: u8, low: u8) -> u64 {
    let mask = bits(high, low);
    if mask == 0 { 0 } else { (raw & mask) >> low }
}

/// `value` in bits `high:low`; what does not fit is cut.
#[inline]
pub const fn insert(value: u64, high: u8, low: u8) -> u64 {
    let mask = bits(high, low);
    if mask == 0 { 0 } else { value << low & mask }
}

/// Whether `value` is in `low..=high`.
pub const fn within(value: u64, low: u64, high: u64) -> bool {
    low <= value && value <= high
}

/// The address bits from `leaf_bits` up that stand side by side in an entry, and all below them: adding items' sizes
/// within these bits does not carry into a segment that stands elsewhere. `segments` are the masks of the address bits
/// that stand together.
pub const fn carry_free(segments: &[u64], leaf_bits: u8) -> u64 {
    let mut index = 0;
    while index < segments.len() {
        let together = (segments[index] >> leaf_bits).trailing_ones();
        if together > 0 {
            return bits(leaf_bits + together as u8 - 1, 0);
        }
        index += 1;
    }
    u64::MAX
}

/// `raw & mask == value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The bits tested.
    pub mask: u64,
    /// What they must be.
    pub value: u64,
}

impl Pattern {
    /// Matches every value.
    pub const ALWAYS: Self = Self::new(0, 0);
    /// Matches no value.
    pub const NEVER: Self = Self::new(0, 1);

    /// `raw & mask == value`.
    pub const fn new(mask: u64, value: u64) -> Self {
        Self { mask, value }
    }

    /// Whether `raw` matches.
    #[inline]
    pub const fn matches(self, raw: u64) -> bool {
        raw & self.mask == self.value
    }

    /// This pattern of tables, which tells them from leaves, made to tell them from what matches `absent`, too: all own
    /// tables are written from `base`. That of a level without tables stays.
    pub const fn excluding(self, absent: Self, base: u64) -> Self {
        if self.value & !self.mask != 0 {
            return self;
        }
        let mask = self.mask | absent.mask;
        Self::new(mask, base & mask)
    }

    /// Matches what both match; the masks must not meet.
    pub const fn and(self, other: Self) -> Self {
        Self::new(self.mask | other.mask, self.value | other.value)
    }
}

/// The kind of an entry, before its content is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not present.
    Invalid,
    /// Points to a table.
    Table,
    /// Maps memory.
    Leaf,
    /// An illegal encoding; names the row of the format's file that says so.
    Reserved(&'static str),
}

/// What no byte of a register is.
pub const NO_BYTE: u64 = 0x100;

/// The place of the first of `bytes` that is among the lowest `picks` bytes of `register`.
pub const fn pick(register: u64, picks: u64, bytes: &[u64]) -> Option<u64> {
    let mut wanted = 0;
    while wanted < bytes.len() {
        let mut place = 0;
        while place < picks {
            if register >> (8 * place) & 0xff == bytes[wanted] {
                return Some(place);
            }
            place += 1;
        }
        wanted += 1;
    }
    None
}

/// Whether the runtime was built to execute instructions that need `feature`.
pub const fn may_execute(feature: &str) -> bool {
    cfg!(feature = "arm-el2") && matches!(feature.as_bytes(), b"arm-el2")
}

/// Levels that a format's table of layouts has room for; a power of two, so that an index is cut, not checked.
pub const LEVELS: usize = 8;

/// The place of `level` in a table of layouts.
#[inline]
pub const fn index(level: Level) -> usize {
    level as usize % LEVELS
}

/// A field's value, shown with the word for it.
pub struct Named(pub u64, pub &'static [(u64, &'static str)]);

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1.iter().find(|(value, _)| *value == self.0) {
            Some((value, word)) => write!(f, "{value:#x} ({word})"),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
