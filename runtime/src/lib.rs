//! Nested page tables for hypervisors. A page-table format is data; one engine runs every format.
#![no_std]

extern crate alloc;

mod addr;
mod attributes;
#[doc(hidden)]
pub mod codec;
pub mod device;
mod flags;
mod format;
mod formats;
mod frame;
mod guest;
mod hal;
mod host;
mod range;
#[cfg(feature = "sim")]
pub mod sim;
mod space;
mod table;
mod walk;

pub use addr::{
    GuestPhysAddr, GuestPhysAddrRange, GuestVirtAddr, GuestVirtAddrRange, HostPhysAddr, HostPhysAddrRange,
    HostVirtAddr, HostVirtAddrRange,
};
pub use attributes::{Attributes, Change, MappingFlags, MemoryType, Options, Rights};
pub use format::{
    AccessedDirty, Cause, ConfigError, Edit, Entry, Extension, FaultInfo, Format, FormatInfo, Geometry, Leaf, Level,
    Next, PageSizes, Prototype, Refusal, Rewrite, Strip, Table, Tag,
};
#[doc(inline)]
pub use formats::*;
pub use frame::PhysFrame;
pub use guest::{GuestError, GuestFault, GuestMemoryAccessor, GuestSlice};
pub use hal::{Hal, Invalidation};
pub use host::{HostRegion, RegionKind};
pub use range::ClosedRange;
pub use space::{
    AddrSpace, Alloc, Area, Backend, BackendError, Builtin, Device, Fault, FaultOutcome, Joinable, Linear, MemorySet,
    NestedPageFaultInfo, ReportError, SpaceError, Translation,
};
pub use table::{Error, FaultIn, Gather, Lookup, Mapping, Mappings, PageTable, Region, Regions, TableInfo, Tables};
pub use walk::{WalkError, WalkStep, Walked, walk};
