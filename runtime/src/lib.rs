//! Nested page tables for hypervisors. A page-table format is data; one engine runs every format.
//!
//! A hypervisor implements [`Hal`], makes a format's `Config` for its machine, and has an [`AddrSpace`] for each guest:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! use tablewright::{AddrSpace, FaultOutcome, Format as _, GuestMemoryAccessor, GuestPhysAddr};
//! use tablewright::{MappingFlags, Rights, Tag};
//! use tablewright::x86_64::ept::{Config, Format};
//!
//! let hal = tablewright::sim::Machine::new(0x4000_0000, 16 << 20);
//! let format = Format::new(&Config { pa_bits: 46, ..Config::new(4, 48) })?;
//! let mut space = AddrSpace::new_empty(format, hal, Tag(1))?;
//!
//! let heap = GuestPhysAddr::from_usize(0x8000_0000);
//! space.map_alloc(heap, 1 << 20, MappingFlags::READ | MappingFlags::WRITE, false)?;
//! assert_eq!(space.handle_fault(heap, Rights::W), FaultOutcome::Mapped);
//! space.write_obj(heap, 42_u32)?;
//! let eptp = space.registers()?.eptp;
//! # let _ = eptp;
//! # Ok(())
//! # }
//! ```
//!
//! Entries can be made at compile time, for tables that are part of a boot image:
//!
//! ```
//! # #[cfg(feature = "x86_64")] {
//! use tablewright::{Attributes, MemoryType, Rights};
//! use tablewright::x86_64::ept::{Block, Config, Format};
//!
//! const FORMAT: Format = match Format::new(&Config { pa_bits: 46, ..Config::new(4, 48) }) {
//!     Ok(format) => format,
//!     Err(_) => panic!("illegal parameters"),
//! };
//! const FIRST_2M: Block = match Block::new(&FORMAT, 1, 0, &Attributes::new(Rights::RWX, MemoryType::WriteBack)) {
//!     Ok(block) => block,
//!     Err(_) => panic!("EPT cannot say this"),
//! };
//! assert_eq!(FIRST_2M.bits(), 0xb7);
//! # }
//! ```
//!
//! To read the code: `format.rs` (what is asked of a format), `hal.rs` (what is asked of the machine), `table/` (the
//! engine; `entries.rs` has all atomics), `space/` (areas and what is behind them), `guest/` (guest memory), `sim/` (the
//! simulated machine that all tests run on). What the generator writes stands in `generated-tests/snapshots`.
//!
//! Features: `x86_64`, `aarch64`, `riscv64` are the built-in formats; `arm-el2` (default): this code runs at EL2 and may
//! execute EL2's invalidations; `sim`: the simulated machine, which needs `std`; `testing`: the laws that every format
//! must pass, and `format_tests!` for formats of your own.
#![no_std]

extern crate alloc;
#[cfg(feature = "testing")]
#[macro_use]
extern crate std;

mod addr;
mod attributes;
mod bitmap;
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
#[cfg(any(feature = "x86_64", feature = "aarch64"))]
mod nested;
mod range;
#[cfg(feature = "sim")]
pub mod sim;
mod space;
mod table;
mod tags;
#[cfg(feature = "testing")]
pub mod testing;
mod walk;

pub use addr::{
    GuestPhysAddr, GuestPhysAddrRange, GuestVirtAddr, GuestVirtAddrRange, HostPhysAddr, HostPhysAddrRange,
    HostVirtAddr, HostVirtAddrRange,
};
pub use attributes::{Attributes, Change, MappingFlags, MemoryType, Options, Rights};
pub use bitmap::PageBitmap;
pub use format::{
    AccessedDirty, AtEntry, Cause, ConfigError, Edit, Entry, Extension, FaultInfo, Format, FormatInfo, Geometry, Kinds,
    Leaf, Level, Next, PageSizes, Prototype, Refusal, Rewrite, Strip, Table, Tag,
};
#[doc(inline)]
pub use formats::*;
pub use frame::PhysFrame;
pub use guest::{GuestError, GuestFault, GuestMemoryAccessor, GuestSlice};
pub use hal::{Completion, Hal, Invalidation, Sink};
pub use host::{HostRegion, RegionKind};
pub use range::ClosedRange;
pub use space::{
    AddrSpace, Alloc, Area, Areas, Backend, BackendError, Builtin, Device, Fault, FaultOutcome, Joinable, Linear,
    MemorySet, NestedPageFaultInfo, ReportError, SpaceError, Translation,
};
pub use table::{
    Error, FaultIn, FrameCache, Gather, Lookup, Mapping, Mappings, Operation, PageTable, PartialChange, Region,
    Regions, Relax, State, TableInfo, Tables,
};
pub use tags::Tags;
pub use walk::{WalkError, WalkStep, Walked, walk};
