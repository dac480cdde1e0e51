//! What a format is, in words.

/// The description of a format, for people and tools.
///
/// ```
/// use tablewright::{Format, x86_64::ept};
///
/// let info = ept::Format::INFO;
/// assert_eq!((info.name, info.architecture, info.stage), ("ept", "x86_64", 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatInfo {
    /// The format's name: that of its module.
    pub name: &'static str,
    /// Its full name.
    pub title: &'static str,
    /// The architecture, as in `cfg(target_arch)`.
    pub architecture: &'static str,
    /// 1, or 2 for nested tables.
    pub stage: u8,
    /// The specification that the format's file cites.
    pub cite: &'static str,
    /// The invalidations the machine has, as text.
    pub tlb: &'static str,
}
