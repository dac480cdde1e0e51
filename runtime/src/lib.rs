//! Nested page tables for hypervisors. A page-table format is data; one engine runs every format.
#![no_std]

mod addr;
mod attributes;
#[doc(hidden)]
pub mod codec;
mod format;
mod hal;
mod range;
#[cfg(feature = "sim")]
pub mod sim;
mod table;

pub use addr::{
    GuestPhysAddr, GuestPhysAddrRange, GuestVirtAddr, GuestVirtAddrRange, HostPhysAddr, HostPhysAddrRange,
    HostVirtAddr, HostVirtAddrRange,
};
pub use attributes::{Attributes, Change, MappingFlags, MemoryType, Options, Rights};
pub use format::{
    AccessedDirty, Cause, ConfigError, Edit, Entry, Extension, FaultInfo, Format, FormatInfo, Geometry, Leaf, Level,
    Next, PageSizes, Prototype, Refusal, Rewrite, Strip, Table, Tag,
};
pub use hal::{Hal, Invalidation};
pub use range::ClosedRange;
pub use table::{Error, FaultIn, Gather, Lookup, Mapping, Mappings, PageTable, Region, Regions, TableInfo, Tables};
