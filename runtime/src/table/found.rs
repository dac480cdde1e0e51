//! The answers to queries of a table.

use crate::{Attributes, ClosedRange, HostPhysAddr, Level};

/// A leaf of a page table, decoded.
///
/// ```
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let block = table.mappings(range).next().ok_or("nothing")?;
/// assert_eq!((block.size, block.level, block.address), (21, 1, 0x4000_0000));
/// assert_eq!(block.output(0x8000_1234), 0x4000_1234);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The input addresses that it translates (the whole leaf; for a run, the whole run).
    pub range: ClosedRange,
    /// The output address of the first of them.
    pub address: u64,
    /// log2 of its size.
    pub size: u8,
    /// Its level.
    pub level: Level,
    /// Everything else that it says.
    pub attributes: Attributes,
}

impl Mapping {
    /// The output address of `ia`, which is in the range.
    pub const fn output(&self, ia: u64) -> u64 {
        self.address.wrapping_add(ia.wrapping_sub(self.range.start()))
    }
}

/// What a page table says about one input address.
///
/// ```
/// use tablewright::Lookup;
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// assert!(matches!(table.query(0x8000_1234), Some(Lookup::Mapped(block)) if block.size == 21));
/// let Some(Lookup::Hole(hole)) = table.query(0x1234) else { panic!("nothing is mapped there") };
/// assert_eq!((hole.start(), hole.last()), (0, 0x3fff_ffff));
/// assert_eq!(table.query(1 << 41), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It is mapped.
    Mapped(Mapping),
    /// Nothing is mapped in this range around it, which is what its empty entry spans.
    Hole(ClosedRange),
}

/// Leaves that continue each other, taken together.
///
/// ```
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// // Two blocks, of which the second continues the first.
/// let region = table.regions(range).next().ok_or("nothing")?;
/// assert_eq!((region.range, region.address, region.attributes.rights), (range, 0x4000_0000, Rights::RW));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The input addresses.
    pub range: ClosedRange,
    /// The output address of the first of them.
    pub address: u64,
    /// The attributes of all of them; they count as accessed or dirty if any of them is.
    pub attributes: Attributes,
}

impl Region {
    pub(super) fn continued_by(&self, next: &Region) -> bool {
        let Attributes { rights, memory, options, accessed: _, dirty: _ } = self.attributes;
        let follows = self.range.last().checked_add(1) == Some(next.range.start())
            && self.address.wrapping_add(self.range.span()).checked_add(1) == Some(next.address);
        let same = (rights, memory, options);
        follows && same == (next.attributes.rights, next.attributes.memory, next.attributes.options)
    }
}

/// One table of a page table's tree.
///
/// ```
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let root = table.tables().next().ok_or("it has a root")?;
/// assert_eq!((root.level, root.size, root.address), (2, 14, table.root()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The level of its entries.
    pub level: Level,
    /// Where it is.
    pub address: HostPhysAddr,
    /// log2 of the size of its frame in bytes.
    pub size: u8,
    /// The input addresses it translates.
    pub range: ClosedRange,
}
