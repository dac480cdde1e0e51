//! The result of the machine's own translation instruction.

use super::{Cause, Level};
use crate::MemoryType;

/// What the machine's own translation instruction says about an address.
///
/// ```
/// use tablewright::{Cause, Format, MemoryType, Shareability, Translated, aarch64::stage1_4k};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = stage1_4k::Config { pa_bits: 48, ..stage1_4k::Config::new(4, 48) };
/// let format = stage1_4k::Format::new(&config)?;
/// // PAR_EL1 after AT S1E1R.
/// let found = format.translated(&[0xff00_0000_8020_1b80]).ok_or("it has no such instruction")?;
/// let shareability = Some(Shareability::Inner);
/// assert_eq!(found, Translated::To { address: 0x8020_1000, memory: MemoryType::WriteBack, shareability });
/// let fault = format.translated(&[0x80f]).ok_or("it has no such instruction")?;
/// assert!(matches!(fault, Translated::Fault { cause: Cause::NotMapped, level: Some(0), .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translated {
    /// The address translates.
    To {
        /// The output address of its page of the smallest size; the bits below are those of the input address.
        address: u64,
        /// The page's memory type.
        memory: MemoryType,
        /// Who shares it, if the machine says so.
        shareability: Option<Shareability>,
    },
    /// An access to the address faults.
    Fault {
        /// What was wrong.
        cause: Cause,
        /// The level at which the walk of the faulting stage ended, if the machine says so.
        level: Option<Level>,
        /// Whether the second stage faulted.
        second_stage: bool,
        /// Whether it faulted while the tables of the first stage were walked.
        guest_walk: bool,
    },
}

/// Who shares memory coherently.
///
/// ```
/// use tablewright::{Format, Shareability, Translated, aarch64::stage1_4k};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = stage1_4k::Config { pa_bits: 48, ..stage1_4k::Config::new(4, 48) };
/// let found = stage1_4k::Format::new(&config)?.translated(&[0x4400_0000_8020_1b00]);
/// assert!(matches!(found, Some(Translated::To { shareability: Some(Shareability::Outer), .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shareability {
    /// Nobody else.
    Non,
    /// The inner shareable domain.
    Inner,
    /// The outer shareable domain, which includes the inner.
    Outer,
}
