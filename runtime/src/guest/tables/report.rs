//! What a guest is told of an access that its own tables do not allow.

use super::{GuestTables, VirtFault};
use crate::guest::GuestMemoryAccessor;
use crate::{Format, GuestVirtAddr, Rights, Stage1Cause, Stage1Fault};

/// What to do for a guest whose access was stopped: see [`GuestTables::report`].
///
/// ```
/// use tablewright::{Rights, Stage1Cause, Stage1Report};
/// # use tablewright::{AddrSpace, Format, GuestMemoryAccessor, GuestTables, MappingFlags, Tag};
/// # use tablewright::{sim::Machine, x86_64::{ept, long_mode}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut space = AddrSpace::new_empty(ept::Format::new(&ept::Config::new(4, 48))?, Machine::new(0, 1 << 20), Tag(1))?;
/// # space.map_alloc(0.into(), 0x4000, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// # // The guest's table at 0x1000 leads to one at 0x2000, and there is nothing.
/// # space.write_obj(0x1000.into(), 0x2007_u64)?;
/// # let format = long_mode::Format::new(&long_mode::Config::new(4, 48))?;
/// # let tables = GuestTables::new(&space, &format, 0x1000.into(), long_mode::Controls::default());
/// let inject = |address: usize| match tables.report(address.into(), Rights::UW) {
///     Stage1Report::Fault(report) => format!("a page fault {:#b} at {:#x}", report.error_code, report.cr2),
///     Stage1Report::Another(Stage1Cause::Input) => "a general protection fault".into(),
///     Stage1Report::Another(cause) => format!("nobody knows how to tell of {cause:?}"),
///     Stage1Report::Retry => "nothing".into(),
/// };
/// assert_eq!(inject(0x5123), "a page fault 0b110 at 0x5123");
/// assert_eq!(inject(1 << 62), "a general protection fault");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage1Report<R> {
    /// Inject a fault into the guest, with this report.
    Fault(R),
    /// The guest's tables do not allow the access, but its CPU tells that by something other than such a report, such as
    /// a general protection fault; or the format's file does not say how (`[raise]`).
    Another(Stage1Cause),
    /// Let the guest run the instruction again: its tables allow the access now, or one of their entries is not
    /// accessible, which is not the tables' fault. If something else is wrong, hardware will report it.
    Retry,
}

impl<F: Format, M: GuestMemoryAccessor> GuestTables<'_, F, M> {
    /// The fault report to inject, as the guest's CPU would give it, for an access at `address` that needs the rights
    /// `access`. Call it after [`VirtFault::Stage1`], once for each access. The tables are read again; nothing is marked.
    ///
    /// ```
    /// use tablewright::{AddrSpace, Format, GuestMemoryAccessor, GuestTables, MappingFlags, Rights, Stage1Report, Tag};
    /// use tablewright::{sim::Machine, x86_64::{ept, long_mode}};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut space = AddrSpace::new_empty(ept::Format::new(&ept::Config::new(4, 48))?, Machine::new(0, 1 << 20), Tag(1))?;
    /// space.map_alloc(0.into(), 0x4000, MappingFlags::READ | MappingFlags::WRITE, false)?;
    /// // The guest's table at 0x1000 leads to one at 0x2000, and there is nothing.
    /// space.write_obj(0x1000.into(), 0x2007_u64)?;
    /// let format = long_mode::Format::new(&long_mode::Config::new(4, 48))?;
    /// let tables = GuestTables::new(&space, &format, 0x1000.into(), long_mode::Controls::default());
    /// assert!(tables.translate(0x5123.into(), Rights::UW).is_err());
    /// // A write by user mode, to what is not present.
    /// let report = long_mode::Report { error_code: 0b110, cr2: 0x5123 };
    /// assert_eq!(tables.report(0x5123.into(), Rights::UW), Stage1Report::Fault(report));
    /// # Ok(())
    /// # }
    /// ```
    pub fn report(&self, address: GuestVirtAddr, access: Rights) -> Stage1Report<F::Report> {
        let mut entry = 0;
        let (granted, fault) = match self.walk(address, |step| entry = step.raw) {
            Ok((walked, _)) => (walked.attributes.rights, self.check(&walked, access).err()),
            Err(fault) => (Rights::empty(), Some(fault)),
        };
        let Some(VirtFault::Stage1 { level, cause }) = fault else { return Stage1Report::Retry };
        let address = address.as_usize() as u64;
        let fault = Stage1Fault { address, access, cause, level, entry, granted };
        match self.format.raise(&fault, &self.controls) {
            Some(report) => Stage1Report::Fault(report),
            None => Stage1Report::Another(cause),
        }
    }
}
