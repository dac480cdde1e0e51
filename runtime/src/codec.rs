//! What generated code is made of: bits, patterns, and the facts that value rows state.
//!
//! The modules that `page_table_format!` makes build on these items; nothing else needs them.

use core::fmt;

use bitflags::bitflags;

use crate::{Level, Rights};

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

/// A kind of run that a level has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What marks its items.
    pub mark: Pattern,
    /// log2 of the number of items.
    pub items: u8,
}

impl Run {
    /// No run.
    pub const NONE: Self = Self { mark: Pattern::NEVER, items: 0 };

    /// Whether this is a run.
    #[inline]
    pub const fn exists(&self) -> bool {
        self.items > 0
    }
}

/// The run of `1 << items` items.
pub const fn run_of(runs: &[Run], items: u8) -> Option<Run> {
    let mut index = 0;
    while index < runs.len() {
        if runs[index].exists() && runs[index].items == items {
            return Some(runs[index]);
        }
        index += 1;
    }
    None
}

/// The sizes of runs of leaves of `1 << leaf_bits` bytes that are not larger than all of memory, as bits.
pub const fn run_sizes(runs: &[Run], leaf_bits: u8, input_bits: u8) -> u64 {
    let mut sizes = 0;
    let mut index = 0;
    while index < runs.len() {
        let size = leaf_bits + runs[index].items;
        if runs[index].exists() && size <= input_bits {
            sizes |= 1 << size;
        }
        index += 1;
    }
    sizes
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

bitflags! {
    /// What a value row of a field states: rights, and the accessed and dirty states.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Facts: u8 {
        /// Privileged read.
        const PR = 1;
        /// Privileged write.
        const PW = 2;
        /// Privileged execute.
        const PX = 4;
        /// User read.
        const UR = 8;
        /// User write.
        const UW = 16;
        /// User execute.
        const UX = 32;
        /// Read.
        const R = Self::PR.bits() | Self::UR.bits();
        /// Write.
        const W = Self::PW.bits() | Self::UW.bits();
        /// Execute.
        const X = Self::PX.bits() | Self::UX.bits();
        /// Read and write.
        const RW = Self::R.bits() | Self::W.bits();
        /// Read and execute.
        const RX = Self::R.bits() | Self::X.bits();
        /// Write and execute.
        const WX = Self::W.bits() | Self::X.bits();
        /// Every right.
        const RWX = Self::RW.bits() | Self::X.bits();
        /// The accessed state.
        const ACCESSED = 64;
        /// The dirty state.
        const DIRTY = 128;
        /// Both states.
        const ACCESSED_DIRTY = Self::ACCESSED.bits() | Self::DIRTY.bits();
    }
}

impl Facts {
    /// Nothing.
    pub const NONE: Self = Self::empty();

    /// These rights and states.
    pub const fn new(rights: Rights, accessed: bool, dirty: bool) -> Self {
        let mut facts = rights.bits();
        if accessed {
            facts |= Self::ACCESSED.bits();
        }
        if dirty {
            facts |= Self::DIRTY.bits();
        }
        Self::from_bits_truncate(facts)
    }

    /// The rights among them.
    pub const fn rights(self) -> Rights {
        Rights::from_bits_truncate(self.bits())
    }
}

/// The facts of a whole entry: each is granted if at least one field speaks of it, and all that do grant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    granted: Facts,
    denied: Facts,
}

impl Grants {
    /// No field has spoken yet.
    pub const fn new() -> Self {
        Self { granted: Facts::NONE, denied: Facts::NONE }
    }

    /// A field that speaks of `spoken` grants `granted`.
    pub const fn field(&mut self, spoken: Facts, granted: Facts) {
        self.granted = self.granted.union(granted);
        self.denied = self.denied.union(spoken.difference(granted));
    }

    /// What a leaf grants, beside what no field can deny.
    pub const fn of_leaf(self, implied: Facts) -> Facts {
        self.granted.union(implied).difference(self.denied)
    }

    /// What a table leaves to the entries below: a right that no field speaks of is not limited.
    pub const fn of_table(self) -> Rights {
        Facts::RWX.difference(self.denied).rights()
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self::new()
    }
}

/// A value of a field of rights, in its bits, and what it states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    bits: u64,
    facts: Facts,
    exists: bool,
}

impl Choice {
    /// `bits` state `facts`.
    pub const fn new(bits: u64, facts: Facts) -> Self {
        Self { bits, facts, exists: true }
    }

    /// The same, only where `exists`.
    pub const fn when(self, exists: bool) -> Self {
        Self { exists, ..self }
    }
}

/// What fields speak of that speak of the same rights, and their bits: of all combinations of their values that grant
/// exactly the rights among `wanted`, the one that shows the most of its states, and of these the first. Each field
/// comes with all that it speaks of; one without values is not there.
pub const fn combine(wanted: Facts, fields: &[(Facts, &[Choice])]) -> Option<(Facts, u64)> {
    let mut spoken = Facts::NONE;
    let mut index = 0;
    while index < fields.len() {
        spoken = spoken.union(fields[index].0);
        index += 1;
    }
    let mut best = None;
    try_all(wanted.intersection(spoken), fields, Grants::new(), 0, &mut best);
    match best {
        Some((_, bits)) => Some((spoken, bits)),
        None => None,
    }
}

/// Tries all values of `fields` beside those chosen so far; `best` is the number of states missed, and the bits.
const fn try_all(
    wanted: Facts,
    fields: &[(Facts, &[Choice])],
    so_far: Grants,
    bits: u64,
    best: &mut Option<(u32, u64)>,
) {
    let Some(((spoken, choices), rest)) = fields.split_first() else {
        let missed = so_far.of_leaf(Facts::NONE).symmetric_difference(wanted);
        let missed_states = missed.bits().count_ones();
        let fewest = match best {
            Some((fewest, _)) => *fewest,
            None => u32::MAX,
        };
        if missed.rights().is_empty() && missed_states < fewest {
            *best = Some((missed_states, bits));
        }
        return;
    };
    if choices.is_empty() {
        try_all(wanted, rest, so_far, bits, best);
    }
    let mut index = 0;
    while index < choices.len() {
        let choice = choices[index];
        if choice.exists {
            let mut grants = so_far;
            grants.field(*spoken, choice.facts);
            try_all(wanted, rest, grants, bits | choice.bits, best);
        }
        index += 1;
    }
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
