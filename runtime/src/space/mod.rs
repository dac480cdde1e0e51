//! Guest address spaces: areas, what is behind them, and the page table that maps them.

mod alloc;
mod area;
mod areas;
mod backend;
mod builtin;
mod changes;
mod copy;
mod device;
mod dirty_log;
mod display;
mod edit;
mod error;
mod fault;
mod handle;
mod linear;
mod live;
mod moving;
mod outcome;
mod populate;
mod replace;
mod report;
mod shared;
mod statistics;
mod translate;

pub use self::alloc::Alloc;
pub use area::{Area, Joinable};
pub use areas::{Areas, MemorySet};
pub use backend::Backend;
pub use builtin::Builtin;
pub use copy::CopyOnWrite;
pub use device::Device;
pub use error::{BackendError, SpaceError};
pub use fault::{Fault, ResolvedPage};
pub use linear::Linear;
pub use outcome::{DeviceAccess, FaultOutcome, FirstUse};
pub use report::{NestedPageFaultInfo, ReportError};
pub use shared::{Shared, SharedMemory};
pub use statistics::{FaultCounts, Statistics};
pub use translate::Translation;

use core::sync::atomic::AtomicU64;

use changes::Gathering;

use crate::{ClosedRange, Error, Extension, Format, Gather, GuestPhysAddr, Hal, HostPhysAddr, PageTable, Refusal, Tag};

/// The physical address space of a guest: its areas, and the nested page table that maps them.
///
/// Operations that can free memory or change more than one entry take `&mut self`. Faults, translations and accesses to
/// guest memory take `&self`, and may run on many CPUs at once. Each operation does everything that it was asked to or
/// nothing, and has invalidated what it must when it returns.
///
/// Dropping a space gives its frames and tables back to the HAL; by then, no CPU may use the table.
///
/// Virtual CPUs therefore share a space behind a readers-writer lock. Faults take it for reading; only faults that answer
/// [`FaultOutcome::NeedsExclusive`], and changes of the layout, take it for writing.
///
/// ```
/// use std::sync::RwLock;
/// use tablewright::{AddrSpace, FaultOutcome, Format, GuestPhysAddr, Hal, Rights};
///
/// fn fault<F: Format, H: Hal>(space: &RwLock<AddrSpace<F, H>>, at: GuestPhysAddr, access: Rights) -> FaultOutcome {
///     let outcome = space.read().unwrap().handle_fault(at, access);
///     match outcome {
///         FaultOutcome::NeedsExclusive(_) => space.write().unwrap().handle_fault_exclusive(at, access),
///         outcome => outcome,
///     }
/// }
/// ```
///
/// What it can do:
///
/// ```
/// use tablewright::{AddrSpace, DeviceAccess, FaultOutcome, Format, GuestMemoryAccessor, MappingFlags, Rights, Tag};
/// use tablewright::{sim::Machine, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0, 64 << 20);
/// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
/// let mut space = AddrSpace::new_empty(format, machine, Tag(1))?;
/// let (ram, console) = (0x4000_0000.into(), 0x0900_0000.into());
/// space.map_alloc(ram, 1 << 30, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// space.map_device(console, 0x1000, 7)?;
///
/// // The guest's first store to its memory faults, and is then possible.
/// assert_eq!(space.handle_fault(ram, Rights::W), FaultOutcome::Mapped);
/// // Its store to the console is for whoever emulates that.
/// let access = DeviceAccess { handle: 7, offset: 8, access: Rights::W, width: None };
/// assert_eq!(space.handle_fault(console + 8, Rights::W), FaultOutcome::Device(access));
///
/// space.write_obj(ram + 0xffc, 0x1234_5678_9abc_def0_u64)?;
/// assert_eq!(space.read_obj::<u32>(ram + 0x1000)?, 0x1234_5678);
///
/// space.unmap(ram + 0x1000, 0x1000)?;
/// assert_eq!(space.areas().len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AddrSpace<F: Format, H: Hal, B: Backend = Builtin> {
    range: ClosedRange,
    areas: MemorySet<B>,
    table: PageTable<F, H>,
    /// For operations that take `&mut self`: see [`Gathering`].
    gather: Option<Gather<F, H>>,
    /// How many invalidations were asked for by operations that take `&self`.
    harvests: AtomicU64,
}

impl<F: Format, H: Hal> AddrSpace<F, H> {
    /// An empty space of `size` bytes from `base` on, whose translations are tagged with `tag`.
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::with_backend`].
    pub fn new(format: F, hal: H, tag: Tag, base: GuestPhysAddr, size: usize) -> Result<Self, SpaceError> {
        Self::with_backend(format, hal, tag, base, size)
    }

    /// An empty space of all contiguous addresses from the first that the format can translate: from 0, unless it is for
    /// the upper of two roots.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Table`] with those of [`PageTable::new`].
    pub fn new_empty(format: F, hal: H, tag: Tag) -> Result<Self, SpaceError> {
        let geometry = format.geometry();
        let bits = match geometry.extension {
            Extension::Zero | Extension::One => geometry.input_bits,
            Extension::Sign => geometry.input_bits.saturating_sub(1),
        };
        Self::of(format, hal, tag, ClosedRange::around(geometry.extend(0), bits))
    }
}

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// An empty space of `size` bytes from `base` on, whose translations are tagged with `tag`, for areas with the
    /// caller's own backends.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Empty`], [`SpaceError::Misaligned`]; [`SpaceError::OutOfRange`] if the addresses wrap around;
    /// [`SpaceError::Table`] if the format's input addresses do not reach that far, and with those of [`PageTable::new`].
    pub fn with_backend(format: F, hal: H, tag: Tag, base: GuestPhysAddr, size: usize) -> Result<Self, SpaceError> {
        let geometry = format.geometry();
        let range = whole_pages(ClosedRange::FULL, geometry.page_bits, base, size)?.ok_or(SpaceError::Empty(base))?;
        geometry.reduce(range).ok_or(Error::OutOfRange(range))?;
        Self::of(format, hal, tag, range)
    }

    fn of(format: F, hal: H, tag: Tag, range: ClosedRange) -> Result<Self, SpaceError> {
        let table = PageTable::new(format, hal, tag)?;
        Ok(Self { range, areas: MemorySet::default(), table, gather: None, harvests: AtomicU64::new(0) })
    }

    /// The first address.
    pub const fn base(&self) -> GuestPhysAddr {
        GuestPhysAddr::from_usize(self.range.start() as usize)
    }

    /// The address after the last; if the space reaches to the end of the 64-bit addresses, the last.
    pub const fn end(&self) -> GuestPhysAddr {
        GuestPhysAddr::from_usize(self.range.last().saturating_add(1) as usize)
    }

    /// The size in bytes; for 2^64, the largest number.
    pub const fn size(&self) -> usize {
        self.range.span().saturating_add(1) as usize
    }

    /// All addresses.
    pub const fn range(&self) -> ClosedRange {
        self.range
    }

    /// Whether all `size` bytes from `start` on are in the space.
    pub fn contains_range(&self, start: GuestPhysAddr, size: usize) -> bool {
        let start = start.as_usize() as u64;
        match ClosedRange::from_start_size(start, size as u64) {
            Some(range) => self.range.covers(&range),
            None => size == 0 && self.range.contains(start),
        }
    }

    /// The page table.
    pub const fn page_table(&self) -> &PageTable<F, H> {
        &self.table
    }

    /// Where the root table is.
    pub fn page_table_root(&self) -> HostPhysAddr {
        self.table.root()
    }

    /// The values to load into the machine's registers to activate this space.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] or [`Refusal::Tag`]; the constructor checked that neither occurs.
    pub fn registers(&self) -> Result<F::Registers, Refusal> {
        self.table.registers()
    }

    /// The areas, in ascending order.
    pub fn areas(&self) -> Areas<'_, B> {
        self.areas.iter()
    }

    /// The area that `address` is in.
    pub fn find_area(&self, address: GuestPhysAddr) -> Option<&Area<B>> {
        self.areas.find(address.as_usize() as u64)
    }

    /// The start of the lowest free range of `size` bytes in `within` that starts at a multiple of `1 << align`. A size
    /// of 0, and an alignment below a page, are taken as one page. It looks at each area in `within` up to that range.
    ///
    /// ```
    /// use tablewright::{AddrSpace, ClosedRange, Format, MappingFlags, Tag};
    /// use tablewright::{sim::Machine, x86_64::ept};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
    /// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// space.map_alloc(0xc000_0000.into(), 0x5000, MappingFlags::READ, false)?;
    /// // A window for devices that know no more than 32 bits, at a multiple of 64 KiB.
    /// let low = ClosedRange::new(0xc000_0000, 0xffff_ffff).ok_or("empty")?;
    /// assert_eq!(space.find_free_area(low, 0x10_0000, 16), Some(0xc001_0000.into()));
    /// assert_eq!(space.find_free_area(low, 0x4000_0000, 16), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_free_area(&self, within: ClosedRange, size: usize, align: u8) -> Option<GuestPhysAddr> {
        let page_bits = self.table.geometry().page_bits;
        let size = (size as u64).max(1).checked_next_multiple_of(1 << page_bits)?;
        let within = within.intersection(&self.range)?;
        let free = self.areas.find_free(size, align.clamp(page_bits, 64), within)?;
        Some(GuestPhysAddr::from_usize(free.start() as usize))
    }

    /// `size` bytes from `start` on, if they are whole pages of this space; `None` for no bytes.
    fn whole_pages(&self, start: GuestPhysAddr, size: usize) -> Result<Option<ClosedRange>, SpaceError> {
        whole_pages(self.range, self.table.geometry().page_bits, start, size)
    }
}

/// `size` bytes from `start` on, if they are whole pages of `space`; `None` for no bytes.
fn whole_pages(
    space: ClosedRange,
    page_bits: u8,
    start: GuestPhysAddr,
    size: usize,
) -> Result<Option<ClosedRange>, SpaceError> {
    for value in [start.as_usize(), size] {
        if !value.is_multiple_of(1 << page_bits) {
            return Err(SpaceError::Misaligned { value, page_bits });
        }
    }
    if size == 0 {
        return Ok(None);
    }
    ClosedRange::from_start_size(start.as_usize() as u64, size as u64)
        .filter(|range| space.covers(range))
        .map(Some)
        .ok_or(SpaceError::OutOfRange { start, size, space })
}
