//! The engine: one page table of any format.
//!
//! Operations that may free, or that change more than one entry, take `&mut self`: the borrow checker is the lock. Each
//! has three steps: *plan* only reads, and finds every reason to refuse; *reserve* takes all frames; *commit* cannot
//! fail. So an operation that fails leaves the table as it was.
//!
//! Internally, input addresses have `input_bits` bits: sign-extended ones are reduced on the way in, and extended again
//! in everything that is reported.

mod access;
mod again;
mod alike;
mod aside;
mod breaking;
mod build;
mod changes;
mod collapse;
mod edges;
mod enlarge;
mod entries;
mod error;
mod exclusive;
mod fault;
mod first_write;
mod found;
mod frames;
mod gather;
mod groups;
mod harvest;
mod layout;
mod located;
mod map;
mod mark;
mod missing;
mod moving;
mod pages;
mod populate;
mod populated;
mod protect;
mod query;
mod reach;
mod relax;
mod release;
mod remake;
mod reserve;
mod shift;
mod sinks;
mod slots;
mod split;
mod start;
mod unmap;
mod walk;
mod walk_cache;

pub(crate) use access::Admitted;
pub use changes::ChangeCounts;
pub use edges::PartialChange;
pub use error::Error;
pub use exclusive::Operation;
pub use fault::FaultIn;
pub use found::{Lookup, Mapping, Region, TableInfo};
pub use gather::Gather;
pub use harvest::State;
pub use query::{Mappings, Regions, Tables};
pub use relax::Relax;
pub use reserve::FrameCache;

use again::Precedent;
use changes::Changes;
use entries::Fresh;
use frames::List;
pub(crate) use gather::Identity;
use pages::Pages;
use sinks::Sinks;
use start::Start;
use walk_cache::WalkCache;

use crate::tags::Generation;
use crate::{ClosedRange, ConfigError, EntryWord, Format, Geometry, Hal, HostPhysAddr, Refusal, Tag};

/// A page table: a tree of tables in one format, from its root down.
///
/// It owns its tables and frees them when it is dropped; the memory that it maps belongs to whoever mapped it.
///
/// ```
/// use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// use tablewright::{aarch64::stage2_4k, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = stage2_4k::Format::new(&stage2_4k::Config::new(3, 39))?;
/// let mut table = PageTable::new(format, Machine::new(0x8000_0000, 1 << 20), Tag(1))?;
/// let ram = ClosedRange::from_start_size(0x4000_0000, 64 << 20).ok_or("empty")?;
/// let rwx = Attributes::new(Rights::RWX, MemoryType::WriteBack);
/// let mut gather = table.gather();
/// // SAFETY: this memory is set aside for the guest.
/// unsafe { table.map(ram, 0x1_0000_0000, &rwx, &mut gather)? };
/// assert_eq!(table.translate(0x4012_3456), Some(0x1_0012_3456));
/// table.unmap(ram, &mut gather)?;
/// gather.flush(); // from now on the memory may be used for something else
/// assert_eq!(table.tables().count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
// The order counts: the fields that most operations use come first, at small offsets, before a format of any size. That
// makes the code shorter.
#[repr(C)]
pub struct PageTable<F: Format, H: Hal> {
    root: HostPhysAddr,
    start: Start,
    walk_cache: WalkCache,
    geometry: Geometry,
    sinks: Sinks,
    partial: PartialChange,
    tag: Tag,
    identity: Identity,
    /// Frames for tables that operations through `&mut self` add.
    reserved: List,
    /// The generation of the tag; `None` if the tag is for good.
    generation: Option<Generation>,
    changes: Changes,
    hal: H,
    format: F,
    /// How a leaf was split last.
    precedent: Option<Precedent>,
    pages: Pages,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] if the HAL has no frame for the root; [`Error::Refused`] if the root registers cannot hold
    /// the root's address or the tag; [`Error::Config`] if the format has more than [`Geometry::MAX_LEVELS`] levels.
    // Not inlined, so that the result is moved into its place as a whole.
    #[inline(never)]
    pub fn new(format: F, hal: H, tag: Tag) -> Result<Self, Error> {
        let geometry = format.geometry();
        if geometry.levels == 0 || usize::from(geometry.levels) > Geometry::MAX_LEVELS {
            let (levels, input_bits) = (geometry.levels, geometry.input_bits);
            return Err(ConfigError::Root { levels, input_bits }.into());
        }
        let level = geometry.top();
        let size = geometry.table_bits(level);
        let root = hal.allocate(size).ok_or(Error::NoMemory { size })?;
        if let Err(refusal) = format.registers(root, tag) {
            // SAFETY: it was just allocated with this size.
            unsafe { hal.free(root, size) };
            return Err(Error::Refused { level, refusal });
        }
        // SAFETY: it was just allocated with this size, and is nobody else's.
        let mut table: Fresh<F::Word> = unsafe { Fresh::new(&hal, root, size) };
        table.clear(format.empty(level));
        table.publish(&hal);
        Ok(Self {
            identity: Identity::new(),
            format,
            hal,
            tag,
            generation: None,
            sinks: Sinks::CPUS,
            root,
            geometry,
            start: Start::of(&geometry, Self::index_bits(geometry.top()), F::Word::SIZE),
            walk_cache: WalkCache::default(),
            reserved: List::default(),
            partial: PartialChange::Split,
            changes: Changes::default(),
            precedent: None,
            pages: Pages::none(),
        })
    }

    /// The format.
    pub fn format(&self) -> &F {
        &self.format
    }

    /// What distinguishes it from all other tables.
    pub(crate) const fn identity(&self) -> Identity {
        self.identity
    }

    /// The HAL.
    pub fn hal(&self) -> &H {
        &self.hal
    }

    /// The tag of this table's translations.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Where the root table is.
    pub const fn root(&self) -> HostPhysAddr {
        self.root
    }

    /// Levels and sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The values to load into the machine's registers to activate this table.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] or [`Refusal::Tag`] if the registers cannot hold them; [`PageTable::new`] checked that.
    pub fn registers(&self) -> Result<F::Registers, Refusal> {
        self.format.registers(self.root, self.tag)
    }

    /// `ia` reduced to input bits, if this table can translate it.
    #[inline]
    fn reduce(&self, ia: u64) -> Option<u64> {
        let upper = ia & self.start.upper;
        self.start.uppers.contains(&upper).then_some(ia & self.start.input)
    }

    /// As [`Geometry::reduce`], by the masks that are known already.
    fn reduce_range(&self, range: ClosedRange) -> Option<ClosedRange> {
        let ends = self.reduce(range.start()).zip(self.reduce(range.last()));
        let reduced = ends.and_then(|(start, last)| ClosedRange::new(start, last));
        // A range must not reach from one half of the addresses into the other.
        let reduced = reduced.filter(|reduced| reduced.span() == range.span());
        debug_assert_eq!(reduced, self.geometry.reduce(range), "{range:x?}");
        reduced
    }

    /// `range` reduced to input bits, if it consists of whole pages that this table can translate.
    fn input(&self, range: ClosedRange) -> Result<ClosedRange, Error> {
        let size = F::PAGE_BITS;
        for address in [range.start(), range.last().wrapping_add(1)] {
            if !address.is_multiple_of(1 << size) {
                return Err(Error::Misaligned { address, size });
            }
        }
        self.reduce_range(range).ok_or(Error::OutOfRange(range))
    }

    /// As [`Self::input`], for operations that feed a gather, which first takes over the table's present tag and sinks.
    // Not inlined: it has many callers.
    #[inline(never)]
    fn feeding(&self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<ClosedRange, Error> {
        if gather.follows(self) { self.input(range) } else { Err(Error::ForeignGather) }
    }

    /// As [`Self::feeding`], for operations that may unlink tables: walks must no longer begin at one of these.
    fn exclusive(&mut self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<ClosedRange, Error> {
        self.walk_cache = WalkCache::default();
        self.feeding(range, gather)
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Gives up ownership of the tables and returns the root: nothing is invalidated, and no table goes back to the HAL.
    ///
    /// This is for tables that stay in use for good, such as those that the host itself runs on; dropping them would free
    /// them under its feet.
    ///
    /// ```
    /// use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
    /// use tablewright::{riscv64::sv, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let machine = Machine::new(0x8000_0000, 1 << 20);
    /// let mut table = PageTable::new(sv::Format::new(&sv::Config::new(3, 39))?, machine.clone(), Tag(0))?;
    /// let all = ClosedRange::new(0x8000_0000, 0xbfff_ffff).ok_or("empty")?;
    /// let kernel = Attributes::new(Rights::PR | Rights::PW | Rights::PX, MemoryType::Inherit);
    /// let mut gather = table.gather();
    /// // SAFETY: the machine's own memory, where the kernel has it already.
    /// unsafe { table.map(all, 0x8000_0000, &kernel, &mut gather)? };
    /// drop(gather);
    /// let root = table.give_up();
    /// assert!(machine.is_allocated(root.as_usize() as u64));
    /// # Ok(())
    /// # }
    /// ```
    pub fn give_up(mut self) -> HostPhysAddr {
        self.release_reserve();
        let root = self.root;
        core::mem::forget(self);
        root
    }
}

impl<F: Format, H: Hal> Drop for PageTable<F, H> {
    fn drop(&mut self) {
        self.release_reserve();
        self.retire();
        // SAFETY: the tables are this tree's, no MMU holds any of them after the invalidation, and nobody can load the
        // root any more: whoever lets an MMU walk a table keeps it alive.
        unsafe { release::free_tree(&self.format, &self.hal, self.geometry.top(), self.root, false) };
    }
}
