//! Addresses of emulated devices: guest memory, I/O ports, system registers.

mod port;
mod sysreg;

use core::{fmt::Debug, ops::Range};

pub use port::{Port, PortRange};
pub use sysreg::{SysRegAddr, SysRegAddrRange};

use crate::{GuestPhysAddr, GuestPhysAddrRange};

/// An address at which a guest reaches a device.
///
/// ```
/// use tablewright::device::{DeviceAddr, Port};
///
/// fn lowest<A: DeviceAddr>(addresses: &[A]) -> Option<A> {
///     addresses.iter().copied().min()
/// }
/// assert_eq!(lowest(&[Port(0x3f8), Port(0x60)]), Some(Port(0x60)));
/// ```
pub trait DeviceAddr: Copy + Eq + Ord + Debug {}

/// A set of device addresses.
///
/// ```
/// use tablewright::GuestPhysAddrRange;
/// use tablewright::device::{DeviceAddrRange, Port, PortRange};
///
/// /// The device that answers at `address`.
/// fn find<R: DeviceAddrRange>(devices: &[R], address: R::Addr) -> Option<usize> {
///     devices.iter().position(|device| device.contains(address))
/// }
/// assert_eq!(find(&[PortRange::new(Port(0x3f8), Port(0x3ff))], Port(0x3fd)), Some(0));
/// assert_eq!(find(&[GuestPhysAddrRange::from_start_size(0x1000.into(), 0x100)], 0x1100.into()), None);
/// ```
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

/// The width of an access to a device. A word has 16 bits, as on x86.
///
/// ```
/// use tablewright::device::AccessWidth;
///
/// let width = AccessWidth::try_from(4).expect("accesses move 1, 2, 4 or 8 bytes");
/// assert_eq!((width, width.bits_range()), (AccessWidth::Dword, 0..32));
/// assert!(AccessWidth::try_from(3).is_err());
/// ```
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
