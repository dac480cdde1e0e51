//! Nested page tables for hypervisors. A page-table format is data; one engine runs every format.
//!
//! # The first ten minutes
//!
//! A hypervisor implements [`Hal`] for its machine (frames, addresses, invalidations), and has an [`AddrSpace`] for each
//! guest. Here the machine is the simulated one, which fails the test if it is used wrongly; the rest is what real code
//! does, on Intel's EPT. Other architectures have other modules (`aarch64::stage2_4k`, `riscv64::sv_x4`, ...).
//!
//! ```
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! use tablewright::x86_64::ept::{Capabilities, Config, Format, Report};
//! use tablewright::{AddrSpace, DeviceAccess, FaultOutcome, GuestMemoryAccessor, GuestPhysAddr};
//! use tablewright::{HostRegion, MappingFlags, Rights, Tag};
//!
//! // 1. Once: the machine, and what its CPUs can do (here with 46 bits of address, and pages of 4 KiB, 2 MiB and 1 GiB).
//! let hal = tablewright::sim::Machine::new(0x4000_0000, 16 << 20);
//! let cpu = Capabilities { ia32_vmx_ept_vpid_cap: 0xf01_0633_4141, ia32_arch_capabilities: 0, cpuid_80000008_eax: 46 };
//! let format = Format::new(&Config::from_capabilities(&cpu, 4, 48))?;
//!
//! // 2. For each guest: a space. It has memory of the host's, a heap that gets frames at first use, and a console.
//! const RW: MappingFlags = MappingFlags::READ.union(MappingFlags::WRITE);
//! const CONSOLE: usize = 7;
//! let heap = GuestPhysAddr::from_usize(0x8000_0000);
//! // SAFETY: the loader reserved this memory for guests, and the host maps all of its memory.
//! let memory = unsafe { HostRegion::ram(0x1_0000_0000.into(), 1 << 30) }.ok_or("no memory")?;
//! let mut space = AddrSpace::new_empty(format, hal.clone(), Tag(1))?;
//! space.map_linear(0.into(), memory, RW | MappingFlags::EXECUTE)?;
//! space.map_alloc(heap, 1 << 20, RW, false)?;
//! space.map_device(0xfe00_0000.into(), 0x1000, CONSOLE)?;
//!
//! // 3. Before the guest runs: what goes into the machine's registers.
//! let eptp = space.registers()?.eptp;
//! assert_eq!(eptp & !0xfff, space.page_table_root().as_usize() as u64);
//!
//! // 4. When it exits with a fault: hand over the hardware's report. Several virtual CPUs may do so at once.
//! let write = Report { exit_reason: 48, qualification: 0x182, guest_physical_address: 0x8000_1234 };
//! assert_eq!(space.handle_report(&write)?, FaultOutcome::Mapped);
//! let call = Report { exit_reason: 48, qualification: 0x182, guest_physical_address: 0xfe00_0010 };
//! let access = DeviceAccess { handle: CONSOLE, offset: 0x10, access: Rights::W, width: None };
//! assert_eq!(space.handle_report(&call)?, FaultOutcome::Device(access));
//! let stray = Report { exit_reason: 48, qualification: 0x182, guest_physical_address: 0x9000_0000 };
//! assert_eq!(space.handle_report(&stray)?, FaultOutcome::NotMapped);
//!
//! // 5. To emulate a device: read and write the guest's memory, within the guest's own rights.
//! space.write_obj(heap + 0x1ffc, 42_u64)?;
//! assert_eq!(space.read_obj::<u64>(heap + 0x1ffc)?, 42);
//!
//! // 6. To take memory away, or rights: whatever page sizes are there. It is over when this returns, TLBs included.
//! space.protect(0x10_0000.into(), 0x1000, MappingFlags::READ)?;
//! space.unmap(heap, 1 << 20)?;
//! assert!(space.translate(heap).is_none());
//!
//! // 7. At the end, everything goes back.
//! drop(space);
//! assert_eq!(hal.used(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! Where to go from here:
//!
//! - [`AddrSpace`] has the rest of what a space can do, such as several CPUs behind one lock, and migration
//!   ([`AddrSpace::start_dirty_log`]).
//! - [`PageTable`] is the layer below, without areas.
//! - [`words`] is the glossary.
//! - `native` names the formats of the architecture that is compiled for.
//! - `examples/axaddrspace/PORTING.md` is for code that uses `axaddrspace`, `page_table_multiarch` or `x86_64` today: it
//!   puts the old code beside the new.
//!
//! # A format's module
//!
//! The module of every format has the same names in it. `Format` is one of them, and the name of the trait, too: beside a
//! glob import of this crate, the trait's methods need `use tablewright::Format as _`.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! use tablewright::x86_64::long_mode::{Block, Capabilities, Config, Controls, Format, Page, Registers, Report, Table};
//! use tablewright::{Attributes, Entry, MemoryType, Rights, Tag};
//!
//! // From what the CPU says, or by hand: the parameters. From these: the format.
//! let _ = Config::from_capabilities(&Capabilities::default(), 4, 48);
//! let format = Format::new(&Config::new(4, 48))?;
//!
//! // Single entries.
//! let kernel = Attributes::new(Rights::PR | Rights::PW, MemoryType::WriteBack);
//! let page: Page = Page::new(&format, 0x1234_5000, &kernel)?;
//! let block: Block = Block::new(&format, 1, 0x4000_0000, &kernel)?;
//! let table: Table = Table::new(&format, 1, 0x1234_5000)?;
//! assert_eq!((page.address(&format), block.bits() & 0x80), (0x1234_5000, 0x80));
//! assert!(matches!(table.decode(&format, 1), Entry::Table(below) if below.address == 0x1234_5000));
//!
//! // What activates a table, what a fault is reported by, and what modifies rights at the time of an access.
//! use tablewright::Format as _;
//! let registers: Registers = format.registers(0x1000.into(), Tag(0))?;
//! assert_eq!(registers.cr3, 0x1000);
//! let report = Report { error_code: 0b10, cr2: 0x1234 };
//! assert_eq!(format.fault(&report).map(|fault| fault.access), Some(Rights::W));
//! assert!(format.permits(0, page.bits(), Rights::PR, Rights::PR, &Controls::default()));
//! # Ok(())
//! # }
//! ```
//!
//! # Tables in a boot image
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
//! Where the MMU reads entries as big-endian, `to_be` of the bits is what goes into the image.
//!
//! # Features
//!
//! - `x86_64`, `aarch64`, `riscv64`, `loongarch64`: the built-in formats.
//! - `arm-el2` (default): this code runs at EL2 and may execute EL2's invalidations.
//! - `format-files`: [`page_table_format!`], for formats of your own.
//! - `sim`: the simulated machine, which needs `std`.
//! - `testing`: the laws that every format must pass, and `format_tests!`.
//!
//! # Reading the code
//!
//! Begin with `format.rs` (what is asked of a format) and `hal.rs` (what is asked of the machine). `table/` is the engine,
//! with all its atomics in `entries`; `space/` has the areas and what is behind them; `guest/` is guest memory; `sim/` is
//! the simulated machine that all tests run on. `formats/` holds what the generator wrote for the built-in formats.
#![no_std]

extern crate alloc;
#[cfg(feature = "testing")]
#[macro_use]
extern crate std;

#[macro_use]
mod ok;

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
pub mod words;

pub use addr::{
    GuestPhysAddr, GuestPhysAddrRange, GuestVirtAddr, GuestVirtAddrRange, HostPhysAddr, HostPhysAddrRange,
    HostVirtAddr, HostVirtAddrRange,
};
pub use attributes::{Attributes, Change, MappingFlags, MemoryType, Options, Rights};
pub use bitmap::PageBitmap;
pub use format::{
    AccessedDirty, AtEntry, Be32, Be64, ByName, Cause, ConfigError, Edit, Entry, EntryWord, Extension, FaultInfo,
    FirstWrites, Format, FormatInfo, Geometry, Kinds, Le32, Le64, Leaf, Level, Next, PageSizes, Prototype, Refusal,
    Rewrite, Shareability, Signal, Stage1Cause, Stage1Fault, Strip, Table, Translated, Written,
};
#[cfg(any(
    feature = "x86_64",
    feature = "aarch64",
    feature = "loongarch64",
    feature = "riscv64",
    feature = "format-files"
))]
#[doc(inline)]
pub use formats::*;
pub use frame::PhysFrame;
pub use guest::{
    GuestAtomic, GuestError, GuestFault, GuestMemoryAccessor, GuestSlice, GuestTables, Stage1Report, Stage1Translation,
    VirtError, VirtFault,
};
pub use hal::{Completion, Hal, Invalidation, Sink};
pub use host::{HostRegion, RegionKind};
pub use range::ClosedRange;
pub use space::{
    AddrSpace, Alloc, Area, Areas, Backend, BackendError, Builtin, CopyOnWrite, Device, DeviceAccess, Fault,
    FaultCounts, FaultOutcome, FirstUse, Joinable, Linear, MemorySet, NestedPageFaultInfo, ReportError, ResolvedPage,
    Shared, SharedMemory, SpaceError, Statistics, Translation,
};
pub use table::{
    ChangeCounts, Error, FaultIn, FrameCache, Gather, Lookup, Mapping, Mappings, Operation, PageTable, PartialChange,
    Region, Regions, Relax, State, TableInfo, Tables,
};
pub use tags::{Tag, Tags};
pub use walk::{WalkError, WalkStep, Walked, walk};
