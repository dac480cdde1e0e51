//! Addresses of the four spaces a hypervisor deals with.

use memory_addr::{AddrRange, def_usize_addr, def_usize_addr_formatter};

def_usize_addr! {
    /// An address in a guest's virtual address space.
    pub type GuestVirtAddr;
    /// An address in a guest's physical address space: the input of nested page tables.
    pub type GuestPhysAddr;
    /// An address in the host's virtual address space.
    pub type HostVirtAddr;
    /// An address in the host's physical address space: the output of nested page tables.
    pub type HostPhysAddr;
}

def_usize_addr_formatter! {
    GuestVirtAddr = "GVA:{}";
    GuestPhysAddr = "GPA:{}";
    HostVirtAddr = "HVA:{}";
    HostPhysAddr = "HPA:{}";
}

/// A half-open range of [`GuestVirtAddr`].
pub type GuestVirtAddrRange = AddrRange<GuestVirtAddr>;
/// A half-open range of [`GuestPhysAddr`].
pub type GuestPhysAddrRange = AddrRange<GuestPhysAddr>;
/// A half-open range of [`HostVirtAddr`].
pub type HostVirtAddrRange = AddrRange<HostVirtAddr>;
/// A half-open range of [`HostPhysAddr`].
pub type HostPhysAddrRange = AddrRange<HostPhysAddr>;
