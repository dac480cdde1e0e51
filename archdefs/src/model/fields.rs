//! What the bits of an entry say: fields and their values, runs, and bits that hardware checks.

use super::{At, Choices, Class, LevelSet, Match};
use crate::expr::Expr;
use crate::source::Span;

/// Bits of an entry, most significant first: `"51:12"`, `"10, 2:0"`, `"49:12, 9:8 <- 51:50"`.
#[derive(Clone, Debug)]
pub struct BitMap {
    /// The segments.
    pub segments: Vec<Segment>,
    /// The whole text.
    pub span: Span,
}

/// A segment of a [`BitMap`]. It is empty if `high + 1 == low`, as may be the case under some parameters.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Highest bit in the entry.
    pub high: Expr,
    /// Lowest bit in the entry.
    pub low: Expr,
    /// The bits of the value they hold (`<- high:low`). Without it: for an address the same positions as in the
    /// entry, for everything else the next bits down, so that the last segment ends at bit 0.
    pub from: Option<(Expr, Expr)>,
    /// The whole segment.
    pub span: Span,
}

/// `[fields.name]`.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: At<String>,
    /// The kinds of entries that have it (`leaf` stands for both of its kinds).
    pub classes: Vec<Class>,
    /// The levels it is for.
    pub level: LevelSet,
    /// Where it exists.
    pub when: Option<Expr>,
    /// Its bits.
    pub bits: Choices<BitMap>,
    /// What it means.
    pub meaning: Meaning,
    /// For documentation.
    pub doc: Option<String>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// What a field means.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// `address = "output"`: where a leaf maps to.
    Output,
    /// `address = "table"`: where the next table is.
    Table,
    /// `next = N`: the level of the next table, plus N (such a table may skip levels; we read these but never write
    /// them).
    NextLevel(i64),
    /// `rights = [..]`: value rows. On a leaf they grant, on a table they limit what is below; a right is granted if
    /// every field with a row that states it grants it.
    Rights(Rows<Facts>),
    /// `memory = [..]`: value rows.
    Memory(Rows<MemoryType>),
    /// `option = [..]`: named values that a caller may choose; `default` is what is written otherwise.
    Option(Rows<String>, u64),
    /// `software = true`: bits free for software.
    Software,
    /// `value = ".."`: the value that is always written; any value is accepted.
    Fixed(Choices<Expr>),
}

/// The value rows of a field.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    /// The rows, in order of preference for writing.
    pub rows: Vec<Row<T>>,
    /// What a value without a row is.
    pub other: Other,
    /// The register of which the field's value selects a byte (byte 0 is the lowest): the rows are those of the byte,
    /// and a byte without a row has no name here.
    pub through: Option<At<Expr>>,
}

/// A value row: `"0b101 r x if execute_only"`.
#[derive(Clone, Debug)]
pub struct Row<T> {
    /// The field's value.
    pub value: u64,
    /// What it means.
    pub meaning: T,
    /// `decode-only`: understood, never written.
    pub decode_only: bool,
    /// Where the row exists; elsewhere its value is one without a row.
    pub when: Option<Expr>,
    /// The whole row.
    pub span: Span,
}

/// `other = ".."`: what a value without a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// Every value has a row (checked).
    None,
    /// Illegal: the entry is reserved.
    Reserved,
    /// Legal, without a name here: decodes as "unnamed".
    Unnamed,
}

bitflags::bitflags! {
    /// Rights and states, as value rows state them. In a file, `r` stands for `pr ur`, and so on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Facts: u8 {
        /// `pr`: privileged read.
        const PR = 1;
        /// `pw`: privileged write.
        const PW = 2;
        /// `px`: privileged execute.
        const PX = 4;
        /// `ur`: user read.
        const UR = 8;
        /// `uw`: user write.
        const UW = 16;
        /// `ux`: user execute.
        const UX = 32;
        /// `accessed`: the accessed state.
        const ACCESSED = 64;
        /// `dirty`: the dirty state.
        const DIRTY = 128;
    }
}

/// Neutral memory types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MemoryType {
    /// `inherit`: whatever the guest's own tables or the platform say.
    Inherit,
    /// `wb`: normal, write-back.
    WriteBack,
    /// `wt`: normal, write-through.
    WriteThrough,
    /// `wp`: reads cached, writes not.
    WriteProtected,
    /// `wc`: write-combining.
    WriteCombining,
    /// `nc`: normal, not cacheable.
    NonCacheable,
    /// `uc`: strongly ordered, not cacheable.
    Uncached,
    /// `device-nGnRnE`.
    DeviceNGnRnE,
    /// `device-nGnRE`.
    DeviceNGnRE,
    /// `device-nGRE`.
    DeviceNGRE,
    /// `device-GRE`.
    DeviceGRE,
}

/// `[[run]]`: adjacent items that form one larger entry.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its id.
    pub id: At<String>,
    /// The levels it exists at.
    pub level: LevelSet,
    /// The numbers of items, each a power of two.
    pub items: At<Vec<i64>>,
    /// Where it exists.
    pub when: Option<Expr>,
    /// The test that tells an item of a run. May use `run_bits`, the log2 of the run's size.
    pub mark: Match,
    /// The test on the same bits that tells a leaf outside any run.
    pub single: Match,
    /// Whether all items hold the same address, in which `leaf_bits` is then `run_bits` (`addresses = "shared"`),
    /// or each its own (`addresses = "each"`).
    pub shared: bool,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// `[[fix]]`: bits that no field or run owns.
#[derive(Clone, Debug)]
pub struct Fix {
    /// Its id.
    pub id: At<String>,
    /// The kinds of entries.
    pub classes: Vec<Class>,
    /// The levels.
    pub level: LevelSet,
    /// Where it exists.
    pub when: Option<Expr>,
    /// The bits.
    pub bits: Choices<BitMap>,
    /// What they are.
    pub is: Choices<FixClass>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// What the bits of a [`Fix`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixClass {
    /// `must-be-zero`: hardware faults if not; the entry is reserved.
    MustBeZero,
    /// `must-be-one`: hardware faults if not; the entry is reserved.
    MustBeOne,
    /// `write-zero`: write zero; hardware ignores it.
    WriteZero,
    /// `write-one`: write one; hardware ignores it.
    WriteOne,
    /// `ignored`: hardware ignores it, now and later.
    Ignored,
    /// `software`: ignored, and free for software.
    Software,
    /// `hardware`: hardware may write it.
    Hardware,
}
