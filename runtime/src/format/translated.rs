//! What the machine's own instruction for a translation says.

use super::{Cause, Level};
use crate::MemoryType;

/// What the machine's own instruction for a translation says of an address.
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
        /// Where its page is, of the smallest size; the rest of the address is as it was.
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
        /// The level the walk ended at, if the machine says so: of the stage that faulted.
        level: Option<Level>,
        /// Whether the fault is one of the second stage.
        second_stage: bool,
        /// Whether it was met while the tables of the first stage were walked.
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
    /// Those of the inner shareable domain.
    Inner,
    /// Those of the outer shareable domain, and with them those of the inner.
    Outer,
}
