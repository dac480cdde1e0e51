//! Why a format refuses.

use super::{Level, Tag};
use crate::{MemoryType, Options, Rights};

/// Why a format cannot express what it was asked to.
///
/// ```
/// use tablewright::{Attributes, MemoryType, Refusal, Rights};
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// // Pages that can be written, but not read, do not exist.
/// let write_only = Attributes::new(Rights::W, MemoryType::WriteBack);
/// assert_eq!(format.prototype(0, 12, &write_only), Err(Refusal::Rights(Rights::W)));
/// assert_eq!(format.table(1, 0x8000_4001), Err(Refusal::Address(0x8000_4001)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No encoding has exactly these rights.
    #[error("no entry of this format grants exactly `{0}`")]
    Rights(Rights),
    /// No encoding has this memory type, and the format names no substitute.
    #[error("this format has no memory type {0:?}")]
    Memory(MemoryType),
    /// Bits that are not options of this format.
    #[error("{0:?} is no option of this format")]
    Options(Options),
    /// No leaf of this size at this level.
    #[error("level {level} has no leaf of 2^{size} bytes")]
    Size {
        /// The level.
        level: Level,
        /// log2 of the size.
        size: u8,
    },
    /// An address that is too wide for the entry, register or command, or not aligned.
    #[error("address {0:#x} is too wide or not aligned")]
    Address(u64),
    /// A tag that is too wide.
    #[error("{0:?} does not fit the root register")]
    Tag(Tag),
    /// A way to signal completion that the device does not have.
    #[error("no command of this format tells of completion so")]
    Signal,
    /// Data that is too wide for the command that makes the device write it.
    #[error("data {0:#x} does not fit the command")]
    Data(u64),
    /// A state, accessed or dirty, that leaves do not record.
    #[error("this format does not record the state")]
    Untracked,
    /// A right to write, for memory that no guest may write: see [`HostRegion::rom`](crate::HostRegion::rom).
    #[error("what is behind it is for reading only")]
    ReadOnly,
}

/// Why a combination of parameters is illegal.
///
/// ```
/// use tablewright::{ConfigError, Format, riscv64::sv_x4};
///
/// let error = sv_x4::Format::new(&sv_x4::Config::new(3, 48)).unwrap_err();
/// assert_eq!(error, ConfigError::Root { levels: 3, input_bits: 48 });
/// assert_eq!(error.to_string(), "no root has 3 levels and 48 input bits");
/// # #[cfg(feature = "x86_64")]
/// # {
/// # use tablewright::x86_64::ept;
/// let error = ept::Format::new(&ept::Config::new(5, 57)).unwrap_err();
/// assert_eq!(error.to_string(), "a root with 5 levels and 57 input bits needs `five_level`");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A parameter has a value that the format never allows.
    #[error("parameter `{param}` cannot be {value}")]
    Value {
        /// The parameter.
        param: &'static str,
        /// Its value.
        value: i64,
    },
    /// A parameter is set that exists only under a condition.
    #[error("parameter `{param}` needs `{condition}`")]
    Unavailable {
        /// The parameter.
        param: &'static str,
        /// The condition, as the format's file has it.
        condition: &'static str,
    },
    /// A rule of the format's file does not hold.
    #[error("this combination of parameters breaks the rule `{0}`")]
    Rule(&'static str),
    /// No root has this number of levels and this input size.
    #[error("no root has {levels} levels and {input_bits} input bits")]
    Root {
        /// Number of levels.
        levels: u8,
        /// Input address bits.
        input_bits: u8,
    },
    /// A root has this number of levels and this input size only under a condition.
    #[error("a root with {levels} levels and {input_bits} input bits needs `{condition}`")]
    RootNeeds {
        /// Number of levels.
        levels: u8,
        /// Input address bits.
        input_bits: u8,
        /// The condition, as the format's file has it.
        condition: &'static str,
    },
}
