//! Addresses of emulated devices: guest memory, I/O ports, system registers.

mod port;
mod sysreg;

use core::{fmt::Debug, ops::Range};

pub use port::{Port, PortRange};
pub use sysreg::{SysRegAddr, SysRegAddrRange};

use crate::{GuestPhysAddr, GuestPhysAddrRange};

/// Something that names a place where a guest reaches a device.
pub trait DeviceAddr: Copy + Eq + Ord + Debug {}

/// A set of device addresses.
pub trait DeviceAddrRange {
    /// The kind of address.
    type Addr: DeviceAddr;

    /// Whether `addr` is one of them.
    fn contains(&self, addr: Self::Addr) -> bool;
}

impl DeviceAddr for GuestPhysAddr {}

impl DeviceAddrRange for GuestPhysAddrRange {
    type Addr = GuestPhysAddr;

    fn contains(&self, addr: GuestPhysAddr) -> bool {
        self.start <= addr && addr < self.end
    }
}

/// How many bits one access to a device moves. A word has 16, as in the x86 architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessWidth {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Word,
    /// 32 bits.
    Dword,
    /// 64 bits.
    Qword,
}

impl AccessWidth {
    /// The width in bytes.
    pub const fn size(&self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Word => 2,
            Self::Dword => 4,
            Self::Qword => 8,
        }
    }

    /// The bits of a register that the access covers.
    pub const fn bits_range(&self) -> Range<usize> {
        0..8 * self.size()
    }
}

impl From<AccessWidth> for usize {
    fn from(width: AccessWidth) -> Self {
        width.size()
    }
}

impl TryFrom<usize> for AccessWidth {
    type Error = ();

    /// The access that moves `size` bytes; no other than 1, 2, 4 and 8 exist.
    fn try_from(size: usize) -> Result<Self, ()> {
        [Self::Byte, Self::Word, Self::Dword, Self::Qword].into_iter().find(|width| width.size() == size).ok_or(())
    }
}
