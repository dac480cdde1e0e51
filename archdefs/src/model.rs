//! The model of a format: what its TOML file says, with every condition still in it.
//!
//! The reader makes it, the checker judges it, `bound` binds its parameters to values, and the generator
//! turns it into Rust. Nothing here knows an architecture.

mod completion;
mod examples;
mod fields;
mod kinds;
mod live;
mod machine;
mod marks;
mod translated;

pub use completion::*;
pub use examples::*;
pub use fields::*;
pub use kinds::*;
pub use live::*;
pub use machine::*;
pub use translated::*;

use crate::expr::Expr;
use crate::source::Span;

/// A value with its place in the file.
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
    /// The value that applies if the condition holds.
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
    /// `[format] execute_feature`: the feature of the runtime with which its code runs at a privilege level that allows
    /// the format's invalidations (`arm-el2`), if it takes one.
    pub execute_feature: Option<At<String>>,
    /// `[format] entry_bits` and `byte_order`.
    pub word: EntryWord,
    /// `[format] stage`: 1 or 2.
    pub stage: u8,
    /// `[format] cite`.
    pub cite: String,
    /// `[format] implies`: rights that every leaf grants, because no field speaks of them.
    pub implies: Choices<Facts>,
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

/// An entry in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryWord {
    /// log2 of the bytes it takes.
    pub size: u8,
    /// Their order.
    pub order: ByteOrder,
}

impl EntryWord {
    /// The number of its bits.
    pub const fn bits(self) -> u8 {
        8 << self.size
    }

    /// Its bits.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// The value of the entry at `address`, out of `word`, the 64 aligned bits around it as a CPU loads them.
    pub fn get(self, word: u64, address: u64) -> u64 {
        let bytes = word.to_ne_bytes();
        self.places(address).fold(0, |raw, place| raw << 8 | u64::from(bytes[place]))
    }

    /// `word`, as above, with the entry at `address` replaced by one of the value `raw`.
    pub fn set(self, word: u64, address: u64, raw: u64) -> u64 {
        let mut bytes = word.to_ne_bytes();
        for (byte, place) in raw.to_le_bytes().into_iter().zip(self.places(address).rev()) {
            bytes[place] = byte;
        }
        u64::from_ne_bytes(bytes)
    }

    /// The positions of the bytes of the entry at `address` among the eight around it, the most significant first.
    fn places(self, address: u64) -> impl DoubleEndedIterator<Item = usize> {
        let last = (1 << self.size) - 1;
        let start = address as usize & 7 & !last;
        (0..=last).map(move |byte| start + if self.order == ByteOrder::Big { byte } else { last - byte })
    }
}

/// The order of an entry's bytes in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest comes first.
    Little,
    /// The highest comes first.
    Big,
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
    /// Its value unless another is set (0 for false, 1 for true).
    pub default: i64,
    /// The condition under which it exists; elsewhere it is 0 (false).
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
    /// Index bits of the tables below the root; depends on build parameters and the level only.
    pub index_bits: Choices<Expr>,
    /// The levels that may hold blocks: the union of all items whose conditions hold.
    pub blocks: Vec<Choice<LevelSet>>,
    /// The manual's number of `level`.
    pub label: At<Expr>,
    /// How input addresses are extended to 64 bits.
    pub input: Choices<InputExtension>,
    /// Width of an output address, in bits.
    pub output_bits: At<Expr>,
    /// Width of an output address that some leaves may hold, if it differs from `output_bits`.
    pub decode_bits: Option<At<Expr>>,
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
/// `input_bits = page_bits + (index bits of every level)`.
#[derive(Clone, Debug)]
pub struct Root {
    /// Its id.
    pub id: At<String>,
    /// The numbers of levels it is for.
    pub levels: At<Vec<i64>>,
    /// The root's index bits: fewer than below (narrow), as many, or more (wide, concatenated).
    pub index_bits: At<Vec<i64>>,
    /// The condition under which this shape exists.
    pub when: Option<Expr>,
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
