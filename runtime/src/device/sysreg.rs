//! System registers.

use core::fmt::{Debug, Formatter, LowerHex, Result, UpperHex};

use super::{DeviceAddr, DeviceAddrRange};

/// The address of a system register, encoded as the architecture's trap reports it.
///
/// ```
/// use tablewright::device::SysRegAddr;
///
/// let apic_base = SysRegAddr::new(0x1b);
/// assert_eq!((apic_base.addr(), format!("{apic_base:x}")), (0x1b, "SysRegAddr(0x1b)".into()));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysRegAddr(pub usize);

impl SysRegAddr {
    /// The register with this address.
    pub const fn new(addr: usize) -> Self {
        Self(addr)
    }

    /// The bare address.
    pub const fn addr(&self) -> usize {
        self.0
    }
}

impl DeviceAddr for SysRegAddr {}

impl Debug for SysRegAddr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "SysRegAddr({})", self.0)
    }
}

impl LowerHex for SysRegAddr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "SysRegAddr({:#x})", self.0)
    }
}

impl UpperHex for SysRegAddr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "SysRegAddr({:#X})", self.0)
    }
}

/// The system registers `start..=end`. Both ends belong to it; it is empty if `end < start`.
///
/// ```
/// use tablewright::device::{DeviceAddrRange, SysRegAddr, SysRegAddrRange};
///
/// let x2apic = SysRegAddrRange::new(SysRegAddr(0x800), SysRegAddr(0x8ff));
/// assert!(x2apic.contains(SysRegAddr(0x80b)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SysRegAddrRange {
    /// The first.
    pub start: SysRegAddr,
    /// The last.
    pub end: SysRegAddr,
}

impl SysRegAddrRange {
    /// From `start` to `end`, both included.
    pub const fn new(start: SysRegAddr, end: SysRegAddr) -> Self {
        Self { start, end }
    }
}

impl DeviceAddrRange for SysRegAddrRange {
    type Addr = SysRegAddr;

    fn contains(&self, addr: SysRegAddr) -> bool {
        (self.start..=self.end).contains(&addr)
    }
}

impl LowerHex for SysRegAddrRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{:#x}..={:#x}", self.start.0, self.end.0)
    }
}
