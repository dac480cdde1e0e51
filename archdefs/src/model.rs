//! The model of a format: what its TOML file says, with every condition still in it.
//!
//! The reader makes it, the checker judges it, `bound` binds its parameters to values, and the generator
//! turns it into Rust. Nothing here knows an architecture.

mod completion;
mod examples;
mod live;
mod machine;
mod marks;
mod translated;

pub use completion::*;
pub use examples::*;
pub use live::*;
pub use machine::*;
pub use translated::*;

use crate::expr::Expr;
use crate::source::Span;

/// A value together with the place it was written at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A list of `"payload if condition"` items: the first whose condition holds is the value.
#[derive(Clone, Debug)]
pub struct Choices<T>(pub Vec<Choice<T>>);

/// One item of [`Choices`].
#[derive(Clone, Debug)]
pub struct Choice<T> {
    /// What holds if the condition does.
    pub value: T,
    /// The condition; `None` always holds.
    pub when: Option<Expr>,
    /// The whole item.
    pub span: Span,
}

/// A format, as its file (and the files it extends) states it.
#[derive(Clone, Debug)]
pub struct Format {
    /// `[format] name`: a Rust module name.
    pub name: At<String>,
    /// `[format] title`.
    pub title: String,
    /// `[format] architecture`: the value of `cfg(target_arch)` on which generated instructions run.
    pub architecture: String,
    /// `[format] execute_feature`: the feature of the runtime without which its code runs where the format's
    /// invalidations are not allowed (`arm-el2`), if there is one.
    pub execute_feature: Option<At<String>>,
    /// `[format] stage`: 1 or 2.
    pub stage: u8,
    /// `[format] cite`.
    pub cite: String,
    /// `[format] implies`: rights that every leaf grants, because no field can deny them.
    pub implies: Facts,
    /// `[params]`, in the order of the file.
    pub params: Vec<Param>,
    /// `[levels]`.
    pub levels: Levels,
    /// `[[root]]`.
    pub roots: Vec<Root>,
    /// `[[kind]]`.
    pub kinds: Vec<Kind>,
    /// `[empty] value`.
    pub empty: Choices<Expr>,
    /// `[empty] table`.
    pub empty_table: Choices<Expr>,
    /// `[fields.*]`, in the order of the file.
    pub fields: Vec<Field>,
    /// `[[run]]`.
    pub runs: Vec<Run>,
    /// `[[fix]]`.
    pub fixes: Vec<Fix>,
    /// `[live]`.
    pub live: Live,
    /// `[memory] fallback`.
    pub fallbacks: Vec<Fallback>,
    /// `[[tlb]]`.
    pub tlb: Vec<TlbOp>,
    /// `[[completion]]`.
    pub completions: Vec<Completion>,
    /// `[registers.*]`.
    pub registers: Vec<Register>,
    /// `[capabilities]`.
    pub capabilities: Option<Capabilities>,
    /// `[fault]`.
    pub fault: Option<Fault>,
    /// `[translated]`.
    pub translated: Option<Translated>,
    /// `[access]`.
    pub access: Option<Access>,
    /// `[raise.*]`.
    pub raise: Option<Raise>,
    /// `[[build]]`.
    pub builds: Vec<Build>,
    /// `[[config]]`.
    pub configs: Vec<Config>,
    /// `[[example.*]]`.
    pub examples: Vec<Example>,
}

/// A parameter: what varies between machines, or between guests of one machine.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name, usable in every expression.
    pub name: At<String>,
    /// Its type and legal values.
    pub domain: Domain,
    /// When it is bound.
    pub bind: Bind,
    /// Its value where nobody says otherwise (0 for false, 1 for true).
    pub default: i64,
    /// Where it can be anything but 0; elsewhere it is 0 (false).
    pub when: Option<Expr>,
    /// For documentation.
    pub doc: String,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// The values a parameter can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// False or true.
    Bool,
    /// One of these integers, ascending.
    Int(Vec<i64>),
    /// The content of a register: any 64 bits, kept as the `i64` that has them.
    Word,
}

/// When a parameter is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// When the code is generated: one module for each [`Build`].
    Build,
    /// When the machine has started.
    Boot,
    /// For each address space.
    Vm,
}

/// `[levels]`: the geometry below the root. Every format also has the parameters `levels` (number of levels) and
/// `input_bits` (width of an input address), bound per address space.
#[derive(Clone, Debug)]
pub struct Levels {
    /// log2 of the smallest page; depends on build parameters only.
    pub page_bits: At<Expr>,
    /// Index bits of every level below the root; depends on build parameters only.
    pub index_bits: At<Expr>,
    /// The levels that may hold blocks: the union of all items whose conditions hold.
    pub blocks: Vec<Choice<LevelSet>>,
    /// The manual's number of `level`.
    pub label: At<Expr>,
    /// How input addresses are extended to 64 bits.
    pub input: Choices<InputExtension>,
    /// Width of an output address, in bits.
    pub output_bits: At<Expr>,
    /// What must hold of `levels`, `input_bits` and the parameters, each with the text an error shows.
    pub requires: Vec<At<Expr>>,
}

/// How an input address wider than `input_bits` must look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputExtension {
    /// The upper bits are zero.
    Zero,
    /// The upper bits are one.
    One,
    /// The upper bits repeat the highest bit.
    Sign,
}

/// `[[root]]`: a legal shape of the root.
/// `input_bits = page_bits + index_bits * (levels - 1) + (index bits of the root)`.
#[derive(Clone, Debug)]
pub struct Root {
    /// Its id.
    pub id: At<String>,
    /// The numbers of levels it is for.
    pub levels: At<Vec<i64>>,
    /// The root's index bits: fewer than below (narrow), as many, or more (wide, concatenated).
    pub index_bits: At<Vec<i64>>,
    /// Where this shape exists.
    pub when: Option<Expr>,
}

/// Kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Not present.
    Invalid,
    /// Points to a table of the level below.
    Table,
    /// A leaf at level 0.
    Page,
    /// A leaf above level 0.
    Block,
    /// An illegal encoding: hardware faults.
    Reserved,
}

/// `is = ".."` of a `[[kind]]` row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// Not present.
    Invalid,
    /// A pointer to the next table.
    Table,
    /// A page at level 0, a block above.
    Leaf,
    /// Illegal; overrides any other row that matches too.
    Reserved,
}

/// `[[kind]]`: a row of the decision table. Rows that are not `reserved` are disjoint; a `reserved` row wins over them.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its id.
    pub id: At<String>,
    /// What an entry that matches is.
    pub is: Is,
    /// The levels it is for (default: all).
    pub level: LevelSet,
    /// What the entry must match; `None` is `match = "else"`: whatever no other row of the level matches.
    pub matches: Option<Choices<Match>>,
    /// Where the row exists.
    pub when: Option<Expr>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// A set of levels as written: a union of terms minus a union of terms.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelSet {
    /// What is in.
    pub plus: Vec<LevelTerm>,
    /// What is out again.
    pub minus: Vec<LevelTerm>,
    /// The whole text.
    pub span: Span,
}

/// A term of a [`LevelSet`].
#[derive(Clone, Debug, PartialEq)]
pub enum LevelTerm {
    /// `n` or `n..=m` or `n..` (up to the top).
    Range(u8, Option<u8>),
    /// `block`: the levels that `[levels] blocks` says.
    Block,
}

/// A conjunction of tests on an entry: `"0 == 1 & 3:1 != 0"`.
#[derive(Clone, Debug, Default)]
pub struct Match(pub Vec<Test>);

/// One test of a [`Match`].
#[derive(Clone, Debug)]
pub struct Test {
    /// The bits tested, taken together as one number.
    pub bits: BitMap,
    /// True for `!=`.
    pub negated: bool,
    /// The alternatives (`|`).
    pub values: Vec<TestValue>,
    /// The whole test.
    pub span: Span,
}

/// An alternative of a [`Test`].
#[derive(Clone, Debug)]
pub enum TestValue {
    /// One value.
    Value(Expr),
    /// `a..=b`.
    Range(Expr, Expr),
    /// `ones`: every bit one.
    Ones,
}

/// Bits of an entry, most significant first: `"51:12"`, `"10, 2:0"`, `"49:12, 9:8 <- 51:50"`.
#[derive(Clone, Debug)]
pub struct BitMap {
    /// The segments.
    pub segments: Vec<Segment>,
    /// The whole text.
    pub span: Span,
}

/// A segment of a [`BitMap`]. Empty if `high + 1 == low`, which parameters may bring about.
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
    /// `next = N`: the level of the next table, plus N (tables may skip levels; we never write such).
    NextLevel(i64),
    /// `rights = [..]`: value rows. On a leaf they grant, on a table they limit what is below; a right is granted if
    /// every field that speaks of it grants it.
    Rights(Rows<Facts>),
    /// `memory = [..]`: value rows.
    Memory(Rows<MemoryType>),
    /// `option = [..]`: named values that a caller may choose; `default` is what is written otherwise.
    Option(Rows<String>, u64),
    /// `software = true`: bits free for software.
    Software,
    /// `value = ".."`: always written so; any value is accepted.
    Fixed(Choices<Expr>),
}

/// The value rows of a field.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    /// The rows, in order of preference for writing.
    pub rows: Vec<Row<T>>,
    /// What a value without a row is.
    pub other: Other,
    /// The register that the field's value picks a byte of (byte 0 is the lowest): the rows are those of the byte, and
    /// a byte without a row has no name here.
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
    /// Rights and states that a value row speaks of. In a file, `r` stands for `pr ur`, and so on.
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
    /// What marks an item of a run. May use `run_bits`, the log2 of the run's size.
    pub mark: Match,
    /// What an entry that is no item of a run shows in the same bits.
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

/// `[[build]]`: a module of its own, for one choice of the build parameters.
#[derive(Clone, Debug)]
pub struct Build {
    /// The module's name.
    pub name: At<String>,
    /// For documentation.
    pub title: Option<String>,
    /// The build parameters.
    pub set: Assignments,
}

/// `"levels = 4, pa_bits = 46, huge_1g, !access_dirty"`: parameters not named have their defaults.
pub type Assignments = Vec<(At<String>, At<i64>)>;

/// `[[config]]`: a combination that tests and documentation run through.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id.
    pub id: At<String>,
    /// All parameters, `levels` and `input_bits` (build parameters too).
    pub set: Assignments,
    /// The page sizes this combination has, restated by hand (`"4K 2M 1G"`), in bytes, ascending.
    pub page_sizes: At<Vec<u64>>,
}
