//! What the engine asks of a page-table format. Generated from TOML; the contracts here are what the laws test.

mod at_entry;
mod by_name;
mod entry;
mod entry_word;
mod error;
mod fault;
mod first_writes;
mod geometry;
mod info;
mod signal;
mod translated;

use core::fmt::Debug;

use crate::{Attributes, Change, HostPhysAddr, Invalidation, Rights, Tag};

pub use at_entry::AtEntry;
pub use by_name::ByName;
pub use entry::{AccessedDirty, Edit, Entry, Kinds, Leaf, Next, Prototype, Rewrite, Strip, Table};
pub(crate) use entry_word::SealedAtomic;
pub use entry_word::{Be32, Be64, EntryWord, Le32, Le64};
pub use error::{ConfigError, Refusal};
pub use fault::{Cause, FaultInfo, Stage1Cause, Stage1Fault};
pub use first_writes::{FirstWrites, Written};
pub use geometry::{Extension, Geometry, PageSizes};
pub(crate) use geometry::{entry_bits, index_bits};
pub use info::FormatInfo;
pub use signal::Signal;
pub use translated::{Shareability, Translated};

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
/// `next`, `links`, `output`, `translate` and `table` must be inverse to each other as their contracts say, for the engine
/// dereferences the addresses they return.
pub unsafe trait Format: Copy + Debug + Send + Sync + 'static {
    /// The boot and VM parameters, as plain fields.
    type Config: Clone + Debug;
    /// The values to load into the machine's registers, one field for each.
    type Registers: Copy + Debug;
    /// The hardware's fault report, one field for each register.
    type Report: Copy + Debug;
    /// The registers that modify rights at the time of an access, one field for each.
    type Controls: Copy + Debug + Default;
    /// An entry in memory: as wide and in the order of bytes in which an MMU reads it. Entries are values everywhere else.
    type Word: EntryWord;

    /// For people and tools.
    const INFO: &'static FormatInfo;
    /// log2 of what one entry spans, by level, as in [`Geometry::entry_bits`].
    const ENTRY_BITS: [u8; Geometry::MAX_LEVELS];
    /// log2 of the smallest page, which is what an entry of the lowest level spans.
    const PAGE_BITS: u8 = Self::ENTRY_BITS[0];
    /// Whether leaves may be runs. What these take is left out where there are none.
    const HAS_RUNS: bool;

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

    /// What says of an own entry above level 0 which table it leads to, if to any, as `next` does: for walks, which so get
    /// what that takes once, and not again at each level.
    #[inline]
    fn links(&self) -> impl Fn(Level, u64) -> Option<u64> {
        |level, raw| match self.next(level, raw) {
            Next::Table(address) => Some(address),
            Next::Absent | Next::Leaf => None,
        }
    }

    /// The output address of a leaf that this format wrote: that of the run's start, if all items of a run hold the
    /// same address, else that of the item.
    fn output(&self, level: Level, raw: u64) -> u64;

    /// log2 of the number of items of the run that a leaf is part of which this format wrote; 0 if it is part of none. To be
    /// replaced where there are runs.
    #[inline]
    fn run_bits(&self, _level: Level, _raw: u64) -> u8 {
        0
    }

    /// log2 of the size of a leaf that this format wrote, run included: what follows from [`Format::run_bits`], which is what to
    /// replace.
    #[inline]
    fn leaf_bits(&self, level: Level, raw: u64) -> u8 {
        entry_bits::<Self>(level) + self.run_bits(level, raw)
    }

    /// Where the leaf `raw`, which this format wrote and which translates `ia`, maps it to.
    #[inline]
    fn translate(&self, level: Level, raw: u64, ia: u64) -> u64 {
        // An item of a run may hold the run's address, or its own.
        let within = !(u64::MAX << (self.leaf_bits(level, raw) & 63));
        self.output(level, raw) & !within | ia & within
    }

    /// The rights that a leaf grants which this format wrote.
    #[inline]
    fn rights(&self, level: Level, raw: u64) -> Rights {
        match self.decode(level, raw) {
            Entry::Leaf(leaf) => leaf.attributes.rights,
            _ => Rights::empty(),
        }
    }

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

    /// What [`Format::grant`] makes of most pages of the smallest size.
    fn first_writes(&self) -> &FirstWrites {
        &FirstWrites::NONE
    }

    /// Where a leaf at `level` keeps its accessed and dirty states.
    fn accessed_dirty(&self, level: Level) -> AccessedDirty;

    /// The bits that hardware sets in an entry at `level` for a table when it goes through it: x86's accessed flags, and
    /// nothing in most formats.
    fn table_accessed(&self, _level: Level) -> u64 {
        0
    }

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

    /// The register values that activate the tables under `root`. Where no register has a place for `tag`, any will do.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] if the root is too wide or not aligned; [`Refusal::Tag`] if the tag is too wide.
    fn registers(&self, root: HostPhysAddr, tag: Tag) -> Result<Self::Registers, Refusal>;

    /// Reads a fault report; `None` if it is not of a fault of this translation.
    fn fault(&self, report: &Self::Report) -> Option<FaultInfo>;

    /// What the hardware reports of a fault that software met as it walked these tables, where `controls` are the machine's
    /// registers: what [`Format::fault`] reads. `None` if the format's file does not say (`[raise]`), or of such a fault
    /// there is another report or none.
    fn raise(&self, _fault: &Stage1Fault, _controls: &Self::Controls) -> Option<Self::Report> {
        None
    }

    /// Reads what the machine's own instruction for a translation has left in its registers, which are passed in the order
    /// of the format's file; `None` if there are as many as there should not be, or if there is no such instruction.
    fn translated(&self, _registers: &[u64]) -> Option<Translated> {
        None
    }

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
    /// format has none for that. Where the queue takes longer commands, the rest is zero. A device may execute them in any
    /// order and later: [`Format::completion`] comes after them.
    fn commands(&self, _tag: Tag, _set: &Invalidation, _submit: impl FnMut(&[u64])) -> bool {
        false
    }

    /// Gives `submit` the command for the queue of a device, as its words, that is complete only when all commands before
    /// it are. A driver puts it after those of [`Format::commands`], and waits until the device has told, as `signal` says,
    /// that it is complete: then no translation that they name is used any more.
    ///
    /// # Errors
    ///
    /// [`Refusal::Signal`] if the device has no such way to tell, or no queue. With [`Signal::Write`],
    /// [`Refusal::Address`] if the address is too wide for the command or not aligned, and [`Refusal::Data`] if the data is
    /// too wide. Then nothing was submitted.
    fn completion(&self, _signal: Signal, _submit: impl FnOnce(&[u64])) -> Result<(), Refusal> {
        Err(Refusal::Signal)
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
