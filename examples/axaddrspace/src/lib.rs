//! tablewright with the interface of `axaddrspace` 0.3, so that its clients can switch without a change to their code:
//!
//! ```toml
//! [patch.crates-io]
//! axaddrspace = { git = "https://github.com/tablewright/tablewright" }
//! ```
//!
//! Everything here converts between the original's names and errors and the engine's. Begin with `space.rs`. The README
//! lists what behaves differently from the original.
#![no_std]
#![warn(missing_docs)]

extern crate alloc;

mod accessor;
mod backend;
mod edit;
mod error;
mod format;
mod frame;
mod hal;
mod space;
mod table;

pub use accessor::GuestMemoryAccessor;
pub use backend::Backend;
pub use frame::PhysFrame;
pub use hal::AxMmHal;
pub use page_table_entry::MappingFlags;
pub use space::AddrSpace;
pub use table::NestedPageTable;
pub use tablewright::{GuestPhysAddr, GuestPhysAddrRange, GuestVirtAddr, GuestVirtAddrRange, device};

/// An address in the host's virtual address space.
pub type HostVirtAddr = memory_addr::VirtAddr;
/// An address in the host's physical address space.
pub type HostPhysAddr = memory_addr::PhysAddr;

/// The page tables of `page_table_multiarch` and `x86_64` are there only on the architecture itself.
#[cfg(all(doctest, target_arch = "x86_64"))]
#[doc = include_str!("../PORTING.md")]
mod porting {}

/// A guest's access that was not translated.
#[derive(Debug)]
pub struct NestedPageFaultInfo {
    /// What the access was.
    pub access_flags: MappingFlags,
    /// The address that it was to.
    pub fault_guest_paddr: GuestPhysAddr,
}
