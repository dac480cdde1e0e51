//! What the engine asks of a page-table format. Implementations are generated from TOML; the laws test these contracts.

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
/// A value holds precomputed masks and patterns, so that no parameter is evaluated per entry. In what follows, an *own*
/// entry is one that this format wrote, whether or not hardware has marked it since.
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
/// `next`, `links`, `output`, `translate` and `table` must be inverse to each other as their contracts say, because the
/// engine dereferences the addresses they return.
pub unsafe trait Format: Copy + Debug + Send + Sync + 'static {
    /// The boot and VM parameters, as plain fields.
    type Config: Clone + Debug;
    /// The values to load into the machine's registers, one field for each.
    type Registers: Copy + Debug;
    /// The hardware's fault report, one field for each register.
    type Report: Copy + Debug;
    /// The registers that modify rights at the time of an access, one field for each.
    type Controls: Copy + Debug + Default;
    /// An entry in memory, in the width and byte order in which an MMU reads it. Everywhere else, entries are values.
    type Word: EntryWord;

    /// A description for people and tools.
    const INFO: &'static FormatInfo;
    /// log2 of what one entry spans, by level, as in [`Geometry::entry_bits`].
    const ENTRY_BITS: [u8; Geometry::MAX_LEVELS];
    /// log2 of the smallest page, which is what an entry of the lowest level spans.
    const PAGE_BITS: u8 = Self::ENTRY_BITS[0];
    /// Whether leaves may be runs. If not, no code for runs is compiled.
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

    /// What `raw` is. Only for own entries; others go to [`Format::decode`].
    fn next(&self, level: Level, raw: u64) -> Next;

    /// The bits by which `next` decides, for loops over the entries of a table.
    fn kinds(&self, level: Level) -> Kinds;

    /// A function that returns the table to which an own entry above level 0 leads, if it leads to one, as `next` does. A
    /// walk asks for it once, so that nothing is looked up again at each level.
    #[inline]
    fn links(&self) -> impl Fn(Level, u64) -> Option<u64> {
        |level, raw| match self.next(level, raw) {
            Next::Table(address) => Some(address),
            Next::Absent | Next::Leaf => None,
        }
    }

    /// The output address of an own leaf. In a run, it is that of the run's start if all items hold the same address,
    /// else that of the item.
    fn output(&self, level: Level, raw: u64) -> u64;

    /// log2 of the number of items in the run that an own leaf is part of; 0 if it is part of none. Formats with runs
    /// override it.
    #[inline]
    fn run_bits(&self, _level: Level, _raw: u64) -> u8 {
        0
    }

    /// log2 of the size of an own leaf, run included. It follows from [`Format::run_bits`]; override that one.
    #[inline]
    fn leaf_bits(&self, level: Level, raw: u64) -> u8 {
        entry_bits::<Self>(level) + self.run_bits(level, raw)
    }

    /// The address to which the own leaf `raw` maps `ia`, which it translates.
    #[inline]
    fn translate(&self, level: Level, raw: u64, ia: u64) -> u64 {
        // An item of a run may hold the run's address, or its own.
        let within = !(u64::MAX << (self.leaf_bits(level, raw) & 63));
        self.output(level, raw) & !within | ia & within
    }

    /// The rights that an own leaf grants.
    #[inline]
    fn rights(&self, level: Level, raw: u64) -> Rights {
        match self.decode(level, raw) {
            Entry::Leaf(leaf) => leaf.attributes.rights,
            _ => Rights::empty(),
        }
    }

    /// The raw entries that map consecutive memory from output address `oa` on, made from a leaf prototype: item `i` is
    /// `first + i * step`, for `i < items`. There are at most as many items as asked for; fewer where the encoding does not
    /// continue in equal steps, but always at least one, and a whole run is one strip. `oa` is a multiple of the
    /// prototype's size, and no item is beyond the output size. `step` does not depend on the prototype's bits.
    fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip;

    // ---- once per range --------------------------------------------------------------------------------------------

    /// A leaf at `level` without its address. Its size `1 << size` is one of `page_sizes(level)`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Size`], [`Refusal::Rights`], [`Refusal::Memory`] or [`Refusal::Options`] if the format cannot express
    /// it.
    fn prototype(&self, level: Level, size: u8, attributes: &Attributes) -> Result<Prototype, Refusal>;

    /// How to apply `change` to any leaf at `level`, whatever else it says.
    ///
    /// # Errors
    ///
    /// As for [`Format::prototype`].
    fn rewrite(&self, level: Level, change: &Change) -> Result<Rewrite, Refusal>;

    /// The own leaf `raw` with `rights` added to those that it has, marked accessed, and dirty if `dirty`, if a live
    /// leaf may become that in one store. `None` if that takes a break, if the leaf is an item of a run, or if there is
    /// no such leaf; [`Format::rewrite`] and [`Format::edit`] tell which.
    fn grant(&self, _level: Level, _raw: u64, _rights: Rights, _dirty: bool) -> Option<u64> {
        None
    }

    /// What [`Format::grant`] makes of most level-0 pages at the first write to them.
    fn first_writes(&self) -> &FirstWrites {
        &FirstWrites::NONE
    }

    /// Where a leaf at `level` keeps its accessed and dirty states.
    fn accessed_dirty(&self, level: Level) -> AccessedDirty;

    /// The bits that hardware sets in a table entry at `level` when a walk goes through it: the accessed flag on x86,
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

    /// Whether `change` may need break-before-make for some leaf: whether there may be leaves that must not go in one
    /// store to what [`Format::rewrite`] makes of them. If not, the engine does not ask `edit` for each leaf.
    fn may_break(&self, _change: &Change) -> bool {
        true
    }

    // ---- cold and total --------------------------------------------------------------------------------------------

    /// What any value means at `level`.
    fn decode(&self, level: Level, raw: u64) -> Entry;

    /// The register values that activate the tables under `root`. If no register has a place for `tag`, any tag will do.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] if the root is too wide or not aligned; [`Refusal::Tag`] if the tag is too wide.
    fn registers(&self, root: HostPhysAddr, tag: Tag) -> Result<Self::Registers, Refusal>;

    /// Reads a fault report; `None` if it does not report a fault of this translation.
    fn fault(&self, report: &Self::Report) -> Option<FaultInfo>;

    /// The report that hardware would give of a fault that software met as it walked these tables; [`Format::fault`]
    /// reads such reports. `controls` are the machine's registers. `None` if the format's file does not say (`[raise]`),
    /// or if such a fault is reported in another way or not at all.
    fn raise(&self, _fault: &Stage1Fault, _controls: &Self::Controls) -> Option<Self::Report> {
        None
    }

    /// Reads what the machine's own translation instruction (Arm's AT) has left in its registers, passed in the order of
    /// the format's file. `None` if the number of registers is wrong, or there is no such instruction.
    fn translated(&self, _registers: &[u64]) -> Option<Translated> {
        None
    }

    /// Whether an access that needs the rights `access` is allowed through the leaf `raw` at `level`. `granted` is what
    /// leaf and tables grant together, and `controls` are the machine's registers. A [`Walked`](crate::Walked) has
    /// `level`, `raw` and `granted`.
    fn permits(&self, _level: Level, _raw: u64, granted: Rights, access: Rights, _controls: &Self::Controls) -> bool {
        granted.contains(access)
    }

    /// The number of by-address operations from which on a single one for the whole space takes their place, if only
    /// leaves are to be invalidated (`leaf_only`), or entries for tables, too; 0 if there are no operations by address.
    fn invalidation_limit(&self, _leaf_only: bool) -> u64 {
        u64::MAX
    }

    /// The value with which the next entry to the guest invalidates `set`, on each CPU that runs the guest; CPUs that
    /// are in the guest must leave it for that. `None` if the machine has instructions instead, which
    /// [`Format::invalidate`] executes.
    fn at_entry(&self, _tag: Tag, _set: &Invalidation) -> Option<AtEntry> {
        None
    }

    /// Passes to `submit` the commands, each as its words, by which a device's queue invalidates `set`; returns `false`
    /// if the format has none for that. Where the queue takes longer commands, the rest is zero. A device may execute
    /// them later, and in any order, so [`Format::completion`] must follow them.
    fn commands(&self, _tag: Tag, _set: &Invalidation, _submit: impl FnMut(&[u64])) -> bool {
        false
    }

    /// Passes to `submit` the command, as its words, that a device's queue completes only when all commands before it
    /// are complete. A driver puts it after those of [`Format::commands`], and waits until the device signals completion
    /// in the way that `signal` says: from then on, no translation that they name is used any more.
    ///
    /// # Errors
    ///
    /// [`Refusal::Signal`] if the device cannot signal in this way, or has no queue. With [`Signal::Write`],
    /// [`Refusal::Address`] if the address is too wide for the command or not aligned, and [`Refusal::Data`] if the data
    /// is too wide. Then nothing was submitted.
    fn completion(&self, _signal: Signal, _submit: impl FnOnce(&[u64])) -> Result<(), Refusal> {
        Err(Refusal::Signal)
    }

    /// Executes the machine's own invalidation instructions for `set` on this CPU (or, where they broadcast, on all),
    /// and waits for their completion. `false`, and nothing was done, if this code is not compiled for bare metal of that
    /// architecture.
    ///
    /// # Safety
    ///
    /// The CPU must be at the privilege level these instructions need; where [`FormatInfo::tlb`] says so, `tag` and
    /// `root` must be loaded.
    unsafe fn invalidate(&self, root: HostPhysAddr, tag: Tag, set: &Invalidation) -> bool;
}
