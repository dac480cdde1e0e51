//! I/O ports.

use core::fmt::{Debug, Formatter, LowerHex, Result, UpperHex};

use super::{DeviceAddr, DeviceAddrRange};

/// The number of an I/O port.
///
/// ```
/// use tablewright::device::Port;
///
/// assert_eq!(format!("{:x}", Port::new(0x3f8)), "Port(0x3f8)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u16);

impl Port {
    /// The port with this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The bare number.
    pub const fn number(&self) -> u16 {
        self.0
    }
}

impl DeviceAddr for Port {}

impl Debug for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Port({})", self.0)
    }
}

impl LowerHex for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Port({:#x})", self.0)
    }
}

impl UpperHex for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Port({:#X})", self.0)
    }
}

/// The ports `start..=end`. Both ends belong to it; it is empty if `end < start`.
///
/// ```
/// use tablewright::device::{DeviceAddrRange, Port, PortRange};
///
/// let com1 = PortRange::new(Port(0x3f8), Port(0x3ff));
/// assert!(com1.contains(Port(0x3ff)) && !com1.contains(Port(0x400)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortRange {
    /// The first.
    pub start: Port,
    /// The last.
    pub end: Port,
}

impl PortRange {
    /// From `start` to `end`, both included.
    pub const fn new(start: Port, end: Port) -> Self {
        Self { start, end }
    }
}

impl DeviceAddrRange for PortRange {
    type Addr = Port;

    fn contains(&self, addr: Port) -> bool {
        (self.start..=self.end).contains(&addr)
    }
}

impl LowerHex for PortRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{:#x}..={:#x}", self.start.0, self.end.0)
    }
}
