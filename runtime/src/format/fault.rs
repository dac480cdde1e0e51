//! What hardware reports of a fault.

use super::Level;
use crate::Rights;

/// A fault report, decoded. What the hardware does not report is `None`.
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
    /// The input address; if `None`, it must be resolved from the guest's virtual address.
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

/// A fault that software met as it walked the tables of a first stage: [`Format::raise`](crate::Format::raise) turns it
/// into a report.
///
/// ```
/// use tablewright::{Format, Rights, Stage1Cause, Stage1Fault, riscv64::sv};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv::Format::new(&sv::Config::new(3, 39))?;
/// let (cause, granted) = (Stage1Cause::NotMapped, Rights::empty());
/// let fault = Stage1Fault { address: 0x1234, access: Rights::PW, cause, level: 0, entry: 0, granted };
/// let report = format.raise(&fault, &sv::Controls::default()).ok_or("no such report")?;
/// assert_eq!((report.scause, report.stval), (15, 0x1234));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage1Fault {
    /// The input address.
    pub address: u64,
    /// The rights that the access needs: those of one kind of access, at one level of privilege.
    pub access: Rights,
    /// Why it is not allowed.
    pub cause: Stage1Cause,
    /// The level of the entry that says so; the root's, where no entry was read.
    pub level: Level,
    /// That entry; 0 if none was read.
    pub entry: u64,
    /// What leaf and tables together grant, if there is a leaf.
    pub granted: Rights,
}

/// Why the guest's tables do not allow an access.
///
/// ```
/// use tablewright::{Stage1Cause, VirtFault};
/// # use tablewright::{AddrSpace, Format, GuestMemoryAccessor, GuestTables, MappingFlags, Rights, Tag};
/// # use tablewright::{riscv64::{sv, sv_x4}, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x8000, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// # // The guest's table: 1 GiB at 0x4000_0000 is the memory at 0x8000_0000, for the supervisor.
/// # space.write_obj(0x8000_1008.into(), 0x8000_0000_u64 >> 2 | 0b1100_0111)?;
/// # let guest_format = sv::Format::new(&sv::Config::new(3, 39))?;
/// # let tables = GuestTables::new(&space, &guest_format, 0x8000_1000.into(), sv::Controls::default());
/// let cause = |address: usize, access| match tables.translate(address.into(), access) {
///     Err(VirtFault::Stage1 { cause, .. }) => Some(cause),
///     _ => None,
/// };
/// assert_eq!(cause(0, Rights::PR), Some(Stage1Cause::NotMapped));
/// assert_eq!(cause(0x4000_0000, Rights::PX), Some(Stage1Cause::Denied));
/// assert_eq!(cause(1 << 38, Rights::PR), Some(Stage1Cause::Input));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage1Cause {
    /// The address is not one that these tables translate.
    Input,
    /// Nothing is mapped there.
    NotMapped,
    /// The entry breaks the named rule of the format's file.
    Reserved(&'static str),
    /// The entry is not marked accessed or, for a write, dirty, and hardware does not do that.
    NotMarked,
    /// A right is missing.
    Denied,
}
