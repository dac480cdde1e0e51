//! Addresses of the four spaces a hypervisor deals with.

use memory_addr::{AddrRange, def_usize_addr, def_usize_addr_formatter};

def_usize_addr! {
    /// An address in a guest's virtual address space.
    ///
    /// ```
    /// use tablewright::GuestVirtAddr;
    ///
    /// let pointer = GuestVirtAddr::from_usize(0xffff_8000_0000_1234);
    /// assert_eq!((pointer + 8).as_usize(), 0xffff_8000_0000_123c);
    /// ```
    pub type GuestVirtAddr;
    /// An address in a guest's physical address space: the input of nested page tables.
    ///
    /// ```
    /// use tablewright::GuestPhysAddr;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ram = GuestPhysAddr::from_usize(0x8000_0000);
    /// assert_eq!(format!("{:?}", ram + 0x123), "GPA:0x80000123");
    /// assert!(ram + 0x1000 > ram);
    /// # Ok(())
    /// # }
    /// ```
    pub type GuestPhysAddr;
    /// An address in the host's virtual address space.
    ///
    /// ```
    /// use tablewright::HostVirtAddr;
    ///
    /// let word = 7_u64;
    /// let at = HostVirtAddr::from_usize(&raw const word as usize);
    /// assert_eq!(at.as_usize() % 8, 0);
    /// ```
    pub type HostVirtAddr;
    /// An address in the host's physical address space: the output of nested page tables.
    ///
    /// ```
    /// use tablewright::HostPhysAddr;
    ///
    /// let frame: HostPhysAddr = 0x1_0000_0000.into();
    /// assert_eq!(frame.as_usize() >> 12, 0x10_0000);
    /// ```
    pub type HostPhysAddr;
}

def_usize_addr_formatter! {
    GuestVirtAddr = "GVA:{}";
    GuestPhysAddr = "GPA:{}";
    HostVirtAddr = "HVA:{}";
    HostPhysAddr = "HPA:{}";
}

/// A half-open range of [`GuestVirtAddr`].
///
/// ```
/// use tablewright::GuestVirtAddrRange;
///
/// let stack = GuestVirtAddrRange::from_start_size(0x7fff_0000.into(), 0x1_0000);
/// assert!(stack.contains(0x7fff_fff8.into()) && !stack.contains(0x8000_0000.into()));
/// ```
pub type GuestVirtAddrRange = AddrRange<GuestVirtAddr>;
/// A half-open range of [`GuestPhysAddr`].
///
/// ```
/// use tablewright::GuestPhysAddrRange;
///
/// let uart = GuestPhysAddrRange::from_start_size(0x900_0000.into(), 0x1000);
/// assert_eq!(uart.end, 0x900_1000.into());
/// ```
pub type GuestPhysAddrRange = AddrRange<GuestPhysAddr>;
/// A half-open range of [`HostVirtAddr`].
///
/// ```
/// use tablewright::HostVirtAddrRange;
///
/// let bytes = [0_u8; 16];
/// let range = HostVirtAddrRange::from_start_size((bytes.as_ptr() as usize).into(), bytes.len());
/// assert_eq!(range.size(), 16);
/// ```
pub type HostVirtAddrRange = AddrRange<HostVirtAddr>;
/// A half-open range of [`HostPhysAddr`].
///
/// ```
/// use tablewright::HostPhysAddrRange;
///
/// let memory = HostPhysAddrRange::from_start_size(0x8000_0000.into(), 1 << 30);
/// assert!(memory.contains_range(HostPhysAddrRange::from_start_size(0x9000_0000.into(), 0x1000)));
/// ```
pub type HostPhysAddrRange = AddrRange<HostPhysAddr>;
