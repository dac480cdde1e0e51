//! The model of a format: what its TOML file says, with every condition still in it.
//!
//! The reader makes it, the checker judges it, `bound` binds its parameters to values, and the generator
//! turns it into Rust. Nothing here knows an architecture.

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
    /// `[registers.*]`.
    pub registers: Vec<Register>,
    /// `[capabilities]`.
    pub capabilities: Option<Capabilities>,
    /// `[fault]`.
    pub fault: Option<Fault>,
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
    pub input: InputExtension,
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

/// `[live]`.
#[derive(Clone, Debug)]
pub struct Live {
    /// Whether an MMU may cache an entry that is not present.
    pub invalid_cached: Choices<Expr>,
    /// Whether the MMU sets the accessed and dirty states by itself, so that a live entry may change at any moment;
    /// elsewhere an access that would have to set them faults. Without an item: it does not.
    pub hardware: Choices<Expr>,
    /// The edits of a live entry that need break-before-make.
    pub breaks: Vec<Choice<EditClass>>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// Classes of edits of a live leaf that leave it a leaf, and `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditClass {
    /// `output`: it maps to another address.
    Output,
    /// `memory`: another memory type.
    Memory,
    /// `rights`: other rights.
    Rights,
    /// `option`: other options.
    Option,
    /// `size`: a leaf becomes a table or the reverse, or a run begins or ends.
    Size,
}

/// A row of `[memory] fallback`: `"nc -> wc if .."`.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// The type asked for, which no row of the memory field has.
    pub from: MemoryType,
    /// The type taken in its place.
    pub to: MemoryType,
    /// Where.
    pub when: Option<Expr>,
    /// The whole row.
    pub span: Span,
}

/// `[[tlb]]`: an invalidation.
#[derive(Clone, Debug)]
pub struct TlbOp {
    /// Its id.
    pub id: At<String>,
    /// What it reaches.
    pub scope: Scope,
    /// Whether it reaches every CPU, or only the one that executes it.
    pub broadcast: bool,
    /// Whether it drops final translations only (`covers = "leaf"`), not those of tables.
    pub leaf_only: bool,
    /// Whether it acts on the tag that is loaded (`context = "loaded"`) rather than one named by an operand.
    pub loaded_context: bool,
    /// Above this many pages, use the scope `space`.
    pub limit: Option<u64>,
    /// Where it exists.
    pub when: Option<Expr>,
    /// Executed once, before.
    pub before: Vec<Code>,
    /// Executed with the operands, for scope `address` once per page.
    pub code: Vec<Code>,
    /// Executed once, after.
    pub after: Vec<Code>,
    /// Registers and their values; `ia`, `tag` and `root` stand for the page, the tag and the root table.
    pub operands: Vec<Operand>,
    /// Words in memory, for operands of value `&descriptor`; `root` stands for the root register's value here.
    pub descriptor: Vec<At<Expr>>,
    /// For documentation.
    pub doc: Option<String>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// What an invalidation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `address`: the translations of one page.
    Address,
    /// `space`: everything of one tag.
    Space,
    /// `all`: everything.
    All,
}

/// A machine-code unit: two hex digits are a byte, eight a little-endian 32-bit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A byte.
    Byte(u8),
    /// A word.
    Word(u32),
}

/// An operand: `"x0 = ia >> 12"`.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The machine register.
    pub register: String,
    /// Its value; `None` is `&descriptor`.
    pub value: Option<Expr>,
    /// The whole text.
    pub span: Span,
}

/// `[registers.name]`.
#[derive(Clone, Debug)]
pub struct Register {
    /// Its name.
    pub name: At<String>,
    /// What it is for.
    pub role: Role,
    /// Its fields.
    pub fields: Vec<RegisterField>,
    /// For documentation.
    pub doc: Option<String>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// What a register is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `root`: holds the root table's address; loaded to activate an address space.
    Root,
    /// `control`: configures walks; loaded with the root.
    Control,
    /// `bits`: these bits must be set in a register whose other bits are not ours.
    Bits,
}

/// A field of a register: `"7:6 sl0 = 1 if levels == 3"`. Of several with one name, the first whose condition holds.
#[derive(Clone, Debug)]
pub struct RegisterField {
    /// Its bits.
    pub bits: BitMap,
    /// Its name.
    pub name: String,
    /// Its value; `root` and `tag` stand for the root table's address and the tag.
    pub value: Expr,
    /// Where.
    pub when: Option<Expr>,
    /// The whole text.
    pub span: Span,
}

/// `[capabilities]`: parameters from identification registers.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The registers, as names for expressions (`name[high:low]`).
    pub registers: Vec<At<String>>,
    /// `"param = value if condition"`; the first that holds of each parameter.
    pub values: Vec<CapabilityValue>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// A row of `[capabilities] values`.
#[derive(Clone, Debug)]
pub struct CapabilityValue {
    /// The parameter.
    pub param: At<String>,
    /// Its value.
    pub value: Expr,
    /// Where.
    pub when: Option<Expr>,
}

/// `[fault]`: how the hardware's report is read.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The registers of the report.
    pub registers: Vec<At<String>>,
    /// Whether a report is of a fault of this translation at all.
    pub when: At<Expr>,
    /// The input address; where no item holds, it must be resolved from the guest's virtual address.
    pub address: Choices<Expr>,
    /// What the access was.
    pub access: Choices<FaultAccess>,
    /// What was wrong.
    pub cause: Choices<FaultCause>,
    /// The level, in this project's numbering; no item: not reported.
    pub level: Choices<Expr>,
    /// Whether the fault was met while the guest's own tables were walked.
    pub guest_walk: Option<At<Expr>>,
    /// The manual's section, if given.
    pub cite: Option<String>,
}

/// The access of a fault report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAccess {
    /// `read`.
    Read,
    /// `write`.
    Write,
    /// `execute`.
    Execute,
    /// `none`: not reported.
    None,
}

/// The cause of a fault report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCause {
    /// `not-mapped`.
    NotMapped,
    /// `permission`.
    Permission,
    /// `access-flag`.
    AccessFlag,
    /// `address-size`.
    AddressSize,
    /// `misconfigured`.
    Misconfigured,
    /// `external`: the walk met a bus error or the like.
    External,
    /// `unspecified`: not reported.
    Unspecified,
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

/// `[[example.*]]`: raw values and their meaning, from the manual. They read no other row of the file.
#[derive(Clone, Debug)]
pub enum Example {
    /// `[[example.entry]]`.
    Entry(EntryExample),
    /// `[[example.edit]]`.
    Edit(EditExample),
    /// `[[example.register]]`.
    Register(RegisterExample),
    /// `[[example.fault]]`.
    Fault(FaultExample),
}

/// An entry and what it means.
#[derive(Clone, Debug)]
pub struct EntryExample {
    /// The `[[config]]` it is read under.
    pub config: At<String>,
    /// The level it stands at.
    pub level: u8,
    /// The entry.
    pub raw: u64,
    /// What it is.
    pub class: Class,
    /// Output or table address.
    pub address: Option<u64>,
    /// Rights and states of this entry alone.
    pub rights: Option<Facts>,
    /// Memory type.
    pub memory: Option<MemoryType>,
    /// Number of items, if it belongs to a run.
    pub run: Option<u64>,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A live edit and its verdict.
#[derive(Clone, Debug)]
pub struct EditExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The level.
    pub level: u8,
    /// Before.
    pub old: u64,
    /// After.
    pub new: u64,
    /// Whether it needs break-before-make.
    pub needs_break: bool,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A root or control register's value.
#[derive(Clone, Debug)]
pub struct RegisterExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The register.
    pub register: At<String>,
    /// The root table's address.
    pub root: u64,
    /// The tag.
    pub tag: u64,
    /// The value.
    pub raw: u64,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}

/// A fault report and its meaning.
#[derive(Clone, Debug)]
pub struct FaultExample {
    /// The `[[config]]`.
    pub config: At<String>,
    /// The report's registers, in the order of `[fault] registers`.
    pub report: Vec<u64>,
    /// The input address, if the report has it.
    pub address: Option<u64>,
    /// The access.
    pub access: FaultAccess,
    /// The cause.
    pub cause: FaultCause,
    /// The level, if reported.
    pub level: Option<u8>,
    /// Where it stands.
    pub span: Span,
    /// The manual's section.
    pub cite: Option<String>,
}
