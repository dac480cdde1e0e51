//! What the engine asks of a page-table format. Generated from TOML; the contracts here are what the laws test.

use core::fmt::Debug;

use crate::{Attributes, Change, ClosedRange, HostPhysAddr, Invalidation, MemoryType, Options, Rights};

/// A level of the table tree: 0 holds the smallest pages.
///
/// ```
/// use tablewright::{Format, Level, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = ept::Format::new(&ept::Config::new(4, 48))?;
/// let pml4: Level = format.geometry().top();
/// assert_eq!(pml4, 3);
/// # Ok(())
/// # }
/// ```
pub type Level = u8;

/// A page-table format with its boot and VM parameters resolved.
///
/// A value holds masks and patterns, so that no parameter is looked at per entry.
///
/// ```
/// use tablewright::{Attributes, Entry, Format, MemoryType, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// /// What any format makes of a page at `address`.
/// fn page<F: Format>(format: &F, address: u64, rights: Rights) -> Option<u64> {
///     let attributes = Attributes::new(rights, MemoryType::WriteBack);
///     let leaf = format.prototype(0, F::PAGE_BITS, &attributes).ok()?;
///     Some(format.strip(leaf, address, 1).first)
/// }
///
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let raw = page(&format, 0x8000_0000, Rights::RW).ok_or("it cannot say that")?;
/// assert_eq!(raw, 0x2000_00d7);
/// assert!(matches!(format.decode(0, raw), Entry::Leaf(leaf) if leaf.address == 0x8000_0000));
/// # Ok(())
/// # }
/// ```
///
/// # Safety
///
/// `next`, `output` and `table` must be inverse to each other as their contracts say, for the engine dereferences the
/// addresses they return.
pub unsafe trait Format: Copy + Debug + Send + Sync + 'static {
    /// The boot and VM parameters, as plain fields.
    type Config: Clone + Debug;
    /// The values to load into the machine's registers, one field for each.
    type Registers: Copy + Debug;
    /// The hardware's fault report, one field for each register.
    type Report: Copy + Debug;
    /// The registers that modify rights at the time of an access, one field for each.
    type Controls: Copy + Debug + Default;

    /// For people and tools.
    const INFO: &'static FormatInfo;
    /// log2 of the smallest page.
    const PAGE_BITS: u8;
    /// Index bits of every level below the root.
    const INDEX_BITS: u8;

    /// Checks the parameters and resolves them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the parameter or the rule that it breaks.
    fn new(config: &Self::Config) -> Result<Self, ConfigError>;

    /// Levels, sizes and the shape of the root.
    fn geometry(&self) -> Geometry;

    /// The sizes of leaves at `level`, runs included. Empty above the highest level that holds blocks.
    fn page_sizes(&self, level: Level) -> PageSizes;

    /// Whether an MMU may cache an entry that is not present, so that even a first mapping must be invalidated.
    fn invalid_cached(&self) -> bool;

    // ---- the hot path: entries that this format wrote itself -------------------------------------------------------

    /// What `raw` is. Only for entries that this format wrote (and hardware may have marked); others go to `decode`.
    fn next(&self, level: Level, raw: u64) -> Next;

    /// What `next` looks at, for loops over the entries of a table.
    fn kinds(&self, level: Level) -> Kinds;

    /// The output address of a leaf that this format wrote: that of the run's start, if all items of a run hold the
    /// same address, else that of the item.
    fn output(&self, level: Level, raw: u64) -> u64;

    /// log2 of the size of a leaf that this format wrote, run included.
    fn leaf_bits(&self, level: Level, raw: u64) -> u8;

    /// The raw entries for a leaf prototype from output address `oa` on: item `i` is `first + i * step`, for
    /// `i < items`. `items` is at most the number asked for, and fewer where the encoding does not continue so
    /// (always at least one; a whole run is one strip). `oa` is a multiple of the prototype's size, and no item is
    /// beyond the output size. `step` does not depend on the prototype's bits.
    fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip;

    // ---- once per range --------------------------------------------------------------------------------------------

    /// Everything but the address of a leaf at `level` of size `1 << size`, which is one of `page_sizes(level)`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Size`], [`Refusal::Rights`], [`Refusal::Memory`] or [`Refusal::Options`] if the format cannot say
    /// it.
    fn prototype(&self, level: Level, size: u8, attributes: &Attributes) -> Result<Prototype, Refusal>;

    /// How to apply `change` to any leaf at `level`, whatever else it says.
    ///
    /// # Errors
    ///
    /// As for [`Format::prototype`].
    fn rewrite(&self, level: Level, change: &Change) -> Result<Rewrite, Refusal>;

    /// The leaf `raw`, which this format wrote, with `rights` besides those that it has, and marked accessed and, with
    /// `dirty`, dirty, if that is as simple as it sounds: a live leaf may become it in one store. `None` if that takes a
    /// break, if it is an item of a run, or if there is no such leaf; [`Format::rewrite`] and [`Format::edit`] tell.
    fn grant(&self, _level: Level, _raw: u64, _rights: Rights, _dirty: bool) -> Option<u64> {
        None
    }

    /// Where a leaf at `level` keeps its accessed and dirty states.
    fn accessed_dirty(&self, level: Level) -> AccessedDirty;

    /// The entry at `level` that points to a table of the level below, with every right granted.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] if the address is too wide or not aligned.
    fn table(&self, level: Level, address: u64) -> Result<u64, Refusal>;

    /// The value that stands for nothing at `level`.
    fn empty(&self, level: Level) -> u64;

    /// Whether a live entry may go from `old` to `new` in one store.
    fn edit(&self, level: Level, old: u64, new: u64) -> Edit;

    /// Whether there may be leaves that must not go in one store to what [`Format::rewrite`] makes of them for
    /// `change`. If not, `edit` need not be asked for each.
    fn may_break(&self, _change: &Change) -> bool {
        true
    }

    // ---- cold and total --------------------------------------------------------------------------------------------

    /// What any value means at `level`.
    fn decode(&self, level: Level, raw: u64) -> Entry;

    /// The register values that activate the tables under `root`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] if the root is too wide or not aligned; [`Refusal::Tag`] if the tag is too wide.
    fn registers(&self, root: HostPhysAddr, tag: Tag) -> Result<Self::Registers, Refusal>;

    /// Reads a fault report; `None` if it is not of a fault of this translation.
    fn fault(&self, report: &Self::Report) -> Option<FaultInfo>;

    /// Whether accesses that need the rights `access` are allowed through the leaf `raw` at `level`, of which leaf and
    /// tables together grant `granted` (a [`Walked`](crate::Walked) has all three), with the machine's registers as
    /// `controls` has them.
    fn permits(&self, _level: Level, _raw: u64, granted: Rights, access: Rights, _controls: &Self::Controls) -> bool {
        granted.contains(access)
    }

    /// From how many by-address operations on one for the whole space takes their place, where only final translations
    /// are dropped, or those of tables, too; 0 if there are none by address.
    fn invalidation_limit(&self, _leaf_only: bool) -> u64 {
        u64::MAX
    }

    /// What to tell each CPU that runs the guest with its next entry, so that it invalidates `set`; `None` if the format
    /// has instructions for that, which [`Format::invalidate`] executes. Until then, CPUs that are in the guest must
    /// leave it.
    fn at_entry(&self, _tag: Tag, _set: &Invalidation) -> Option<AtEntry> {
        None
    }

    /// Gives `submit` the commands for the queue of a device, each as its words, that invalidate `set`; `false` if the
    /// format has none for that. Where the queue takes longer commands, the rest is zero. What tells of completion comes
    /// after them, and is the HAL's to add.
    fn commands(&self, _tag: Tag, _set: &Invalidation, _submit: impl FnMut(&[u64])) -> bool {
        false
    }

    /// Executes the machine's own invalidation instructions for `set` on this CPU (or, where they broadcast, on all),
    /// and waits for their completion. `false` where this code does not run on that architecture's bare metal: then
    /// nothing was done.
    ///
    /// # Safety
    ///
    /// The CPU must be at the privilege level these instructions need; where [`FormatInfo::tlb`] says so, `tag` and
    /// `root` must be loaded.
    unsafe fn invalidate(&self, root: HostPhysAddr, tag: Tag, set: &Invalidation) -> bool;
}

/// A tag of translations: VMID, VPID, ASID.
///
/// ```
/// use tablewright::Tag;
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let registers = format.registers(0x8000_4000.into(), Tag(5))?;
/// assert_eq!(registers.hgatp >> 44 & 0x3fff, 5);
/// // Wider than a VMID.
/// assert!(format.registers(0x8000_4000.into(), Tag(1 << 14)).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Tag(pub u32);

/// An invalidation that is a value which the next entry to the guest takes.
///
/// ```
/// use tablewright::{Format, Invalidation, Tag, x86_64::npt};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = npt::Format::new(&npt::Config::new(4, 48))?;
/// let due = format.at_entry(Tag(1), &Invalidation::Space).ok_or("it has instructions for that")?;
/// assert_eq!(due.control, "tlb_control");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtEntry {
    /// The control that gets the value.
    pub control: &'static str,
    /// The value.
    pub value: u64,
}

/// What an own entry is.
///
/// ```
/// use tablewright::Next;
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let entry = format.table(2, 0x8000_4000)?;
/// assert_eq!(format.next(2, entry), Next::Table(0x8000_4000));
/// assert_eq!(format.next(2, format.empty(2)), Next::Absent);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Absent,
    /// A table of the level below, at this address.
    Table(u64),
    /// A leaf.
    Leaf,
}

/// What tells the kinds of own entries apart, as [`Format::next`] does.
///
/// ```
/// # use tablewright::{Attributes, Format, MemoryType, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// let kinds = format.kinds(1);
/// assert!(kinds.is_absent(format.empty(1)));
/// assert!(kinds.is_leaf(format.prototype(1, 21, &rw)?.bits));
/// assert!(!kinds.is_leaf(format.table(1, 0x8000_4000)?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// An entry stands for nothing if `raw & absent_mask == absent_value`.
    pub absent_mask: u64,
    /// See `absent_mask`.
    pub absent_value: u64,
    /// Any other leads to a table if `raw & table_mask == table_value`, and is a leaf if not.
    pub table_mask: u64,
    /// See `table_mask`.
    pub table_value: u64,
}

impl Kinds {
    /// Whether the entry `raw` stands for nothing.
    #[inline]
    pub const fn is_absent(&self, raw: u64) -> bool {
        raw & self.absent_mask == self.absent_value
    }

    /// Whether the entry `raw` is a leaf.
    #[inline]
    pub const fn is_leaf(&self, raw: u64) -> bool {
        !self.is_absent(raw) && raw & self.table_mask != self.table_value
    }

    /// Two masks: an entry that has a bit of each is a leaf. Not all leaves have.
    #[inline]
    pub(crate) const fn signs_of_leaves(&self) -> [u64; 2] {
        let no_tables = self.table_value & !self.table_mask != 0;
        let leaf = if no_tables { u64::MAX } else { self.table_mask & !self.table_value };
        [self.absent_mask & !self.absent_value, leaf]
    }
}

/// The geometry of one address space.
///
/// ```
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let geometry = format.geometry();
/// // Sv39x4: three levels, and a root of four tables' size.
/// assert_eq!((geometry.levels, geometry.entries(2), geometry.table_bits(2)), (3, 2048, 14));
/// assert_eq!(geometry.index(1, 0x8040_0000), 2);
/// assert_eq!(geometry.slot(2, 0x8040_0000).start(), 0x8000_0000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// log2 of the smallest page.
    pub page_bits: u8,
    /// Index bits of every level below the root.
    pub index_bits: u8,
    /// Number of levels; the root is at `levels - 1`.
    pub levels: u8,
    /// Width of an input address.
    pub input_bits: u8,
    /// Width of an output address.
    pub output_bits: u8,
    /// How input addresses are extended to 64 bits.
    pub extension: Extension,
}

/// How an input address is extended to 64 bits.
///
/// ```
/// use tablewright::{Extension, Format, riscv64::sv};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let geometry = sv::Format::new(&sv::Config::new(3, 39))?.geometry();
/// assert_eq!(geometry.extension, Extension::Sign);
/// assert_eq!(geometry.extend(0x40_0000_0000), 0xffff_ffc0_0000_0000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// By zeros.
    Zero,
    /// By ones: the upper half of what two roots share.
    One,
    /// By its highest bit.
    Sign,
}

impl Geometry {
    /// No format has more levels.
    pub const MAX_LEVELS: usize = 8;

    /// The level of the root.
    #[inline]
    pub const fn top(&self) -> Level {
        self.levels - 1
    }

    /// log2 of what one entry at `level` spans.
    #[inline]
    pub const fn entry_bits(&self, level: Level) -> u8 {
        self.page_bits + self.index_bits * level
    }

    /// Index bits at `level`: the root may be narrower or wider than the rest.
    #[inline]
    pub const fn level_index_bits(&self, level: Level) -> u8 {
        if level == self.top() { self.input_bits - self.entry_bits(level) } else { self.index_bits }
    }

    /// Number of entries of a table at `level`.
    #[inline]
    pub const fn entries(&self, level: Level) -> usize {
        1 << self.level_index_bits(level)
    }

    /// log2 of the bytes a table at `level` takes: no less than any other table, nor than the smallest frame.
    #[inline]
    pub const fn table_bits(&self, level: Level) -> u8 {
        let bits = self.level_index_bits(level) + 3;
        let full = if self.index_bits < 9 { 12 } else { self.index_bits + 3 };
        if bits < full { full } else { bits }
    }

    /// Which entry of its table at `level` translates `ia`.
    #[inline]
    pub const fn index(&self, level: Level, ia: u64) -> usize {
        (ia >> self.entry_bits(level)) as usize & (self.entries(level) - 1)
    }

    /// The addresses that the entry at `level` translates which translates `ia`.
    #[inline]
    pub const fn slot(&self, level: Level, ia: u64) -> ClosedRange {
        ClosedRange::around(ia, self.entry_bits(level))
    }

    /// The highest input address, as a value of `input_bits` bits.
    #[inline]
    pub const fn last_input(&self) -> u64 {
        u64::MAX >> (64 - self.input_bits as u32)
    }

    /// `ia` extended to 64 bits from its lowest `input_bits`.
    #[inline]
    pub const fn extend(&self, ia: u64) -> u64 {
        let rest = 64 - self.input_bits as u32;
        match self.extension {
            Extension::Zero => ia << rest >> rest,
            Extension::One => ia | !self.last_input(),
            Extension::Sign => ((ia << rest) as i64 >> rest) as u64,
        }
    }

    /// The lowest `input_bits` of the addresses in `range`; `None` if not all of them are input addresses.
    #[inline]
    pub const fn reduce(&self, range: ClosedRange) -> Option<ClosedRange> {
        let (start, last) = (range.start() & self.last_input(), range.last() & self.last_input());
        if self.extend(start) != range.start() || self.extend(last) != range.last() || last - start != range.span() {
            return None;
        }
        ClosedRange::new(start, last)
    }

    /// The highest output address.
    #[inline]
    pub const fn last_output(&self) -> u64 {
        u64::MAX >> (64 - self.output_bits as u32)
    }
}

/// A set of page sizes: bit `n` stands for `1 << n` bytes.
///
/// ```
/// use tablewright::{Format, aarch64::stage2_4k};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = stage2_4k::Format::new(&stage2_4k::Config::new(3, 39))?;
/// // 2 MiB, and 16 of them as a run.
/// let sizes = format.page_sizes(1);
/// assert_eq!(sizes.iter().collect::<Vec<_>>(), [21, 25]);
/// assert_eq!(sizes.largest_within(24), Some(21));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PageSizes(pub u64);

impl PageSizes {
    /// Whether `1 << size` bytes is one of them.
    #[inline]
    pub const fn contains(self, size: u8) -> bool {
        size < 64 && self.0 >> size & 1 == 1
    }

    /// The largest size that is at most `1 << limit`, as its log2.
    #[inline]
    pub const fn largest_within(self, limit: u8) -> Option<u8> {
        let fit = if limit >= 63 { self.0 } else { self.0 & ((1 << (limit + 1)) - 1) };
        if fit == 0 { None } else { Some(63 - fit.leading_zeros() as u8) }
    }

    /// The log2 of each size, ascending.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let size = left.trailing_zeros() as u8;
            left &= left.wrapping_sub(1);
            (size < 64).then_some(size)
        })
    }
}

/// A leaf without its address.
///
/// ```
/// # use tablewright::{Attributes, Format, MemoryType, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// let block = format.prototype(1, 21, &rw)?;
/// assert_eq!((block.level, block.size), (1, 21));
/// // All that is missing is the address.
/// assert_eq!(format.strip(block, 0x8020_0000, 1).first, block.bits | 0x8020_0000 >> 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prototype {
    /// The entry with address zero.
    pub bits: u64,
    /// The level it stands at.
    pub level: Level,
    /// log2 of its size, run included.
    pub size: u8,
}

/// Raw entries in arithmetic progression.
///
/// ```
/// # use tablewright::{Attributes, Format, MemoryType, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// let strip = format.strip(format.prototype(0, 12, &rw)?, 0x8000_0000, 512);
/// let third = strip.first + 2 * strip.step;
/// assert_eq!((strip.items, format.output(0, third)), (512, 0x8000_2000));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strip {
    /// The first entry.
    pub first: u64,
    /// What is added from item to item.
    pub step: u64,
    /// How many items.
    pub items: usize,
}

/// New leaf = `old & keep | set`.
///
/// ```
/// use tablewright::Change;
/// # use tablewright::{Attributes, Format, MemoryType, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// let page = format.strip(format.prototype(0, 12, &rw)?, 0x8000_0000, 1).first;
/// let rewrite = format.rewrite(0, &Change { rights: Some(Rights::R), ..Change::default() })?;
/// let read_only = rewrite.apply(page);
/// assert_eq!(format.output(0, read_only), 0x8000_0000);
/// assert_eq!(page & !read_only, 0b100); // W
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The bits that stay.
    pub keep: u64,
    /// The bits that are set.
    pub set: u64,
}

/// Where a leaf keeps its accessed and dirty states. A mask of zero: the format does not record that state.
///
/// ```
/// # use tablewright::{Attributes, Format, MemoryType, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// let states = format.accessed_dirty(0);
/// let page = format.prototype(0, 12, &Attributes { dirty: false, ..rw })?.bits;
/// assert!(states.is_accessed(page) && !states.is_dirty(page));
/// assert!(states.is_dirty(states.join(page, format.prototype(0, 12, &rw)?.bits)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AccessedDirty {
    /// A leaf is accessed if `raw & accessed_mask == accessed_value`.
    pub accessed_mask: u64,
    /// See `accessed_mask`.
    pub accessed_value: u64,
    /// A leaf is dirty if `raw & dirty_mask == dirty_value`.
    pub dirty_mask: u64,
    /// See `dirty_mask`.
    pub dirty_value: u64,
    /// Whether hardware sets these states by itself, so that entries may change under our hands.
    pub hardware: bool,
}

impl Rewrite {
    /// The new leaf for the leaf `raw`.
    pub const fn apply(&self, raw: u64) -> u64 {
        raw & self.keep | self.set
    }
}

impl AccessedDirty {
    /// Whether the leaf `raw` is accessed.
    pub const fn is_accessed(&self, raw: u64) -> bool {
        self.accessed_mask != 0 && raw & self.accessed_mask == self.accessed_value
    }

    /// Whether the leaf `raw` is dirty.
    pub const fn is_dirty(&self, raw: u64) -> bool {
        self.dirty_mask != 0 && raw & self.dirty_mask == self.dirty_value
    }

    /// The leaf `raw` with the states that `other`, a leaf with the same rights, has too.
    pub const fn join(&self, raw: u64, other: u64) -> u64 {
        let mut joined = raw;
        if self.is_accessed(other) {
            joined = joined & !self.accessed_mask | self.accessed_value;
        }
        if self.is_dirty(other) {
            joined = joined & !self.dirty_mask | self.dirty_value;
        }
        joined
    }
}

/// How a live entry may be changed.
///
/// ```
/// use tablewright::{Attributes, Edit, Format, MemoryType, Rights, aarch64::stage2_4k};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Without FEAT_BBM, a block does not become a table in one store.
/// let format = stage2_4k::Format::new(&stage2_4k::Config::new(3, 39))?;
/// let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// let (block, table) = (format.prototype(1, 21, &rw)?.bits, format.table(1, 0x8000_4000)?);
/// assert_eq!(format.edit(1, block, table), Edit::BreakBeforeMake);
/// assert_eq!(format.edit(1, format.empty(1), table), Edit::Direct);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// In one store, invalidated afterwards.
    Direct,
    /// To nothing, invalidate, then to the new value.
    BreakBeforeMake,
}

/// What any entry means.
///
/// ```
/// use tablewright::Entry;
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// assert_eq!(format.decode(0, 0), Entry::Invalid);
/// assert!(matches!(format.decode(2, 0x2000_1001), Entry::Table(table) if table.address == 0x8000_4000));
/// assert!(matches!(format.decode(0, 0x2000_00d7), Entry::Leaf(page) if page.address == 0x8000_0000));
/// // Write without read.
/// assert_eq!(format.decode(0, 0x2000_00d5), Entry::Reserved("rwx"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Not present.
    Invalid,
    /// Points to a table.
    Table(Table),
    /// Maps memory.
    Leaf(Leaf),
    /// An illegal encoding; names the rule of the format's file that says so.
    Reserved(&'static str),
}

/// A decoded table entry.
///
/// ```
/// use tablewright::{Entry, Format, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let Entry::Table(table) = format.decode(2, 0x2000_1001) else { panic!("it is one") };
/// assert_eq!((table.address, table.level, table.limit), (0x8000_4000, 1, Rights::RWX));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where the table is.
    pub address: u64,
    /// The level of that table.
    pub level: Level,
    /// The rights that remain below.
    pub limit: Rights,
}

/// A decoded leaf.
///
/// ```
/// use tablewright::{Entry, Format, Rights, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config { svnapot: true, ..sv_x4::Config::new(3, 41) })?;
/// // One of 16 pages that are one leaf of 64 KiB.
/// let Entry::Leaf(leaf) = format.decode(0, 0x8000_0000_2000_20d7) else { panic!("it is one") };
/// assert_eq!((leaf.address, leaf.size, leaf.items), (0x8000_0000, 16, 16));
/// assert_eq!(leaf.attributes.rights, Rights::RW);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Where it maps to: the start of the run, if all items of a run hold the same address.
    pub address: u64,
    /// log2 of its size, run included.
    pub size: u8,
    /// The number of items of its run; 1 if it stands alone.
    pub items: u16,
    /// Everything else.
    pub attributes: Attributes,
}

/// What a fault report says. What the hardware does not report is `None`.
///
/// ```
/// use tablewright::{Cause, Format, Rights, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = ept::Format::new(&ept::Config::new(4, 48))?;
/// let report = ept::Report { exit_reason: 48, qualification: 0x182, guest_physical_address: 0x1234 };
/// let fault = format.fault(&report).ok_or("another exit")?;
/// assert_eq!((fault.address, fault.access, fault.cause), (Some(0x1234), Rights::W, Cause::NotMapped));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultInfo {
    /// The input address; `None`: resolve it from the guest's virtual address.
    pub address: Option<u64>,
    /// The rights the access needed; empty if not reported.
    pub access: Rights,
    /// What was wrong.
    pub cause: Cause,
    /// The level the walk ended at.
    pub level: Option<Level>,
    /// How many bytes the access moves.
    pub width: Option<u8>,
    /// Whether the fault was met while the guest's own tables were walked.
    pub guest_walk: bool,
}

/// What was wrong in a fault.
///
/// ```
/// use tablewright::{Cause, Format, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = ept::Format::new(&ept::Config::new(4, 48))?;
/// // An EPT violation of an entry that may be read, and an EPT misconfiguration.
/// let cause = |exit_reason, qualification| {
///     let report = ept::Report { exit_reason, qualification, guest_physical_address: 0x1234 };
///     format.fault(&report).map(|fault| fault.cause)
/// };
/// assert_eq!(cause(48, 0x18a), Some(Cause::Permission));
/// assert_eq!(cause(49, 0), Some(Cause::Misconfigured));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nothing is mapped there.
    NotMapped,
    /// A right is missing.
    Permission,
    /// The accessed state is clear and hardware does not set it.
    AccessFlag,
    /// An address is wider than configured.
    AddressSize,
    /// An illegal encoding.
    Misconfigured,
    /// The walk met a bus error or the like.
    External,
    /// The hardware does not say.
    Unspecified,
}

/// Why a format cannot say what it was asked to.
///
/// ```
/// use tablewright::{Attributes, MemoryType, Refusal, Rights};
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// // Pages that can be written, but not read, do not exist.
/// let write_only = Attributes::new(Rights::W, MemoryType::WriteBack);
/// assert_eq!(format.prototype(0, 12, &write_only), Err(Refusal::Rights(Rights::W)));
/// assert_eq!(format.table(1, 0x8000_4001), Err(Refusal::Address(0x8000_4001)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No encoding has exactly these rights.
    #[error("no entry of this format grants exactly {0:?}")]
    Rights(Rights),
    /// No encoding has this memory type, and the format names no substitute.
    #[error("this format has no memory type {0:?}")]
    Memory(MemoryType),
    /// Bits that are not options of this format.
    #[error("{0:?} is no option of this format")]
    Options(Options),
    /// No leaf of this size at this level.
    #[error("level {level} has no leaf of 2^{size} bytes")]
    Size {
        /// The level.
        level: Level,
        /// log2 of the size.
        size: u8,
    },
    /// An address that is too wide for the entry or not aligned.
    #[error("address {0:#x} does not fit an entry")]
    Address(u64),
    /// A tag that is too wide.
    #[error("{0:?} does not fit the root register")]
    Tag(Tag),
    /// A state that leaves do not have.
    #[error("this format does not record the state")]
    Untracked,
    /// A right to write, for memory that no guest may write: see [`HostRegion::rom`](crate::HostRegion::rom).
    #[error("what is behind it is for reading only")]
    ReadOnly,
}

/// Why a combination of parameters is illegal.
///
/// ```
/// use tablewright::{ConfigError, Format, riscv64::sv_x4};
///
/// let error = sv_x4::Format::new(&sv_x4::Config::new(3, 48)).unwrap_err();
/// assert_eq!(error, ConfigError::Root { levels: 3, input_bits: 48 });
/// assert_eq!(error.to_string(), "no root has 3 levels and 48 input bits");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A parameter has a value that the format does not allow.
    #[error("parameter `{param}` cannot be {value}")]
    Value {
        /// The parameter.
        param: &'static str,
        /// Its value.
        value: i64,
    },
    /// A rule of the format's file does not hold.
    #[error("this combination of parameters breaks the rule `{0}`")]
    Rule(&'static str),
    /// No root has this number of levels and this input size.
    #[error("no root has {levels} levels and {input_bits} input bits")]
    Root {
        /// Number of levels.
        levels: u8,
        /// Input address bits.
        input_bits: u8,
    },
}

/// A format, for people and tools.
///
/// ```
/// use tablewright::{Format, x86_64::ept};
///
/// let info = ept::Format::INFO;
/// assert_eq!((info.name, info.architecture, info.stage), ("ept", "x86_64", 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatInfo {
    /// The format's name: that of its module.
    pub name: &'static str,
    /// Its full name.
    pub title: &'static str,
    /// The architecture, as in `cfg(target_arch)`.
    pub architecture: &'static str,
    /// 1, or 2 for nested tables.
    pub stage: u8,
    /// The specification.
    pub cite: &'static str,
    /// The invalidations the machine has, as text.
    pub tlb: &'static str,
}
