//! Entries: how they are written, changed, and read.

use super::Level;
use crate::{Attributes, Rights};

/// What an entry is that the format itself wrote: see [`Format::next`](crate::Format::next).
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

/// The masks by which [`Format::next`](crate::Format::next) tells the kinds of entries apart.
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
    /// Any other entry leads to a table if `raw & table_mask == table_value`, and is a leaf if not.
    pub table_mask: u64,
    /// See `table_mask`.
    pub table_value: u64,
    /// A leaf is no item of a run if `raw & single_mask == single_value`.
    pub single_mask: u64,
    /// See `single_mask`.
    pub single_value: u64,
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

    /// Whether the entry `raw` leads to a table.
    #[inline]
    pub(crate) const fn is_table(&self, raw: u64) -> bool {
        !self.is_absent(raw) && raw & self.table_mask == self.table_value
    }

    /// Whether the leaf `raw` is an item of a run.
    #[inline]
    pub const fn is_item(&self, raw: u64) -> bool {
        raw & self.single_mask != self.single_value
    }

    /// Whether entries that all have the bits `common` are certainly leaves; `false` if each has to be looked at.
    #[inline]
    pub(crate) const fn shows_leaves(&self, common: u64) -> bool {
        let [present, leaf] = self.signs_of_leaves();
        common & present != 0 && common & leaf != 0
    }

    /// Whether some entries lead to tables. If none does, all but the absent ones are leaves.
    #[inline]
    pub(crate) const fn has_tables(&self) -> bool {
        self.table_value & !self.table_mask == 0
    }

    /// Two masks: an entry that has a bit of each is a leaf. Not every leaf has.
    #[inline]
    const fn signs_of_leaves(&self) -> [u64; 2] {
        let leaf = if self.has_tables() { self.table_mask & !self.table_value } else { u64::MAX };
        [self.absent_mask & !self.absent_value, leaf]
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

/// Consecutive raw entries in arithmetic progression.
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

/// A change of a leaf: the new one is `old & keep | set`.
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

/// Where a leaf keeps its accessed and dirty states. If a mask is zero, the format does not record that state.
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
    /// Whether hardware sets these states, so that entries may change at any moment.
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

    /// The leaf `raw`, to which the states of `other`, a leaf with the same rights, are added.
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
    /// In one store; invalidate afterwards.
    Direct,
    /// Write the empty value, invalidate, then write the new value.
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
    /// The rights that leaves below can grant at most.
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
