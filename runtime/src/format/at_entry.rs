//! What the next entry to a guest invalidates.

/// An invalidation that is done by the next entry to the guest, as the value of a control.
///
/// ```
/// use tablewright::{Format, Invalidation, Tag, x86_64::npt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = npt::Format::new(&npt::Config::new(4, 48))?;
/// let due = format.at_entry(Tag(1), &Invalidation::Space).ok_or("it has instructions for that")?;
/// assert_eq!(due.control, "tlb_control");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtEntry {
    /// The name of the control that takes the value.
    pub control: &'static str,
    /// The value.
    pub value: u64,
}
