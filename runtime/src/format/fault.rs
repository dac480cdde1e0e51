//! What hardware reports of a fault.

use super::Level;
use crate::Rights;

/// What a fault report says. What the hardware does not report is `None`.
///
/// ```
/// use tablewright::{Cause, Format, Rights, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = ept::Format::new(&ept::Config::new(4, 48))?;
/// let report = ept::Report { exit_reason: 48, qualification: 0x182, guest_physical_address: 0x1234 };
/// let fault = format.fault(&report).ok_or("another exit")?;
/// assert_eq!((fault.address, fault.access, fault.cause), (Some(0x1234), Rights::W, Cause::NotMapped));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultInfo {
    /// The input address; `None`: resolve it from the guest's virtual address.
    pub address: Option<u64>,
    /// The rights the access needed; empty if not reported.
    pub access: Rights,
    /// What was wrong.
    pub cause: Cause,
    /// The level the walk ended at.
    pub level: Option<Level>,
    /// How many bytes the access moves.
    pub width: Option<u8>,
    /// Whether the fault was met while the guest's own tables were walked.
    pub guest_walk: bool,
}

/// What was wrong in a fault.
///
/// ```
/// use tablewright::{Cause, Format, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = ept::Format::new(&ept::Config::new(4, 48))?;
/// // An EPT violation of an entry that may be read, and an EPT misconfiguration.
/// let cause = |exit_reason, qualification| {
///     let report = ept::Report { exit_reason, qualification, guest_physical_address: 0x1234 };
///     format.fault(&report).map(|fault| fault.cause)
/// };
/// assert_eq!(cause(48, 0x18a), Some(Cause::Permission));
/// assert_eq!(cause(49, 0), Some(Cause::Misconfigured));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing is mapped there.
    NotMapped,
    /// A right is missing.
    Permission,
    /// The accessed state is clear and hardware does not set it.
    AccessFlag,
    /// An address is wider than configured.
    AddressSize,
    /// An illegal encoding.
    Misconfigured,
    /// The walk met a bus error or the like.
    External,
    /// The hardware does not say.
    Unspecified,
}
