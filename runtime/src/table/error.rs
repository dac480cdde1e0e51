//! Why an operation on a page table was refused; it then changed nothing.

use super::Operation;
use crate::{ClosedRange, ConfigError, Level, Refusal};

/// Why an operation on a page table was refused. The table is as it was before.
///
/// ```
/// use tablewright::Error;
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
/// // SAFETY: nobody translates through this table.
/// let again = unsafe { table.map(range, 0, &rw, &mut gather) };
/// assert!(matches!(again, Err(Error::AlreadyMapped { .. })));
/// // Nothing has changed.
/// assert_eq!(table.translate(0x8000_0000), Some(0x4000_0000));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
// The tag is a word, so that an error is copied word by word where it is passed on.
#[repr(u64)]
pub enum Error {
    /// The format's parameters are illegal.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Input addresses that the table cannot translate.
    #[error("input addresses {:#x}..={:#x} are outside the table", .0.start(), .0.last())]
    OutOfRange(ClosedRange),
    /// Output addresses beyond the format's output size, or beyond the end of the 64-bit space.
    #[error("{size:#x} bytes from output address {address:#x} on are beyond the output size", size = *.span as u128 + 1)]
    OutputOutOfRange {
        /// The first output address.
        address: u64,
        /// The size in bytes, less one.
        span: u64,
    },
    /// An address, or the byte after the end of a range, that is not a multiple of the page size.
    #[error("{address:#x} is not a multiple of 2^{size} bytes")]
    Misaligned {
        /// The address.
        address: u64,
        /// log2 of the size it should be a multiple of.
        size: u8,
    },
    /// A bitmap whose pages have another size than the table's.
    #[error("the bitmap counts pages of 2^{size} bytes, where the table's have 2^{expected}")]
    PageSize {
        /// log2 of the size of the bitmap's pages.
        size: u8,
        /// log2 of the size of the table's.
        expected: u8,
    },
    /// Something is mapped there already.
    #[error("{address:#x} is mapped already, by entry {entry:#x} at level {level}")]
    AlreadyMapped {
        /// The first input address in the range that is mapped.
        address: u64,
        /// The level of the entry that maps it.
        level: Level,
        /// That entry.
        entry: u64,
    },
    /// A range that should move overlaps the place that it should move to.
    #[error("{:#x}..={:#x} would be moved and be moved to", .0.start(), .0.last())]
    Overlap(ClosedRange),
    /// The format cannot express what was asked for.
    #[error("at level {level}: {refusal}")]
    Refused {
        /// The level of the entry that would have to express it.
        level: Level,
        /// Why not.
        refusal: Refusal,
    },
    /// The HAL has no frame of this size left.
    #[error("no frame of 2^{size} bytes left")]
    NoMemory {
        /// log2 of the frame's size.
        size: u8,
    },
    /// A part of a frame would have to be freed, which the HAL does not support.
    #[error("the frame of 2^{size} bytes mapped at {address:#x} cannot be freed in parts")]
    PartialFrame {
        /// The input address of the leaf that maps the frame.
        address: u64,
        /// log2 of its size.
        size: u8,
    },
    /// A leaf would have to be split, which the table has been told not to do: see
    /// [`PartialChange`](super::PartialChange).
    #[error("the leaf of 2^{size} bytes at {address:#x} would be changed in part")]
    Partial {
        /// The input address of the leaf.
        address: u64,
        /// log2 of its size.
        size: u8,
    },
    /// An entry that this format does not write: somebody else changed the table.
    #[error("entry {entry:#x} of level {level} at {address:#x} is not one of this format's")]
    Corrupt {
        /// The first input address that the entry translates.
        address: u64,
        /// Its level.
        level: Level,
        /// The entry.
        entry: u64,
    },
    /// The entry would have to be taken away for a moment before it is changed (break-before-make), and a device that
    /// translates through the table cannot retry: see [`Hal::retries`](crate::Hal::retries).
    #[error("entry {entry:#x} at level {level} for {address:#x} must not be broken: a device in use cannot retry")]
    NeedsBreak {
        /// The first input address that the entry translates.
        address: u64,
        /// Its level.
        level: Level,
        /// The entry.
        entry: u64,
    },
    /// The table would need another tag, but devices are attached that translate under its present one: see
    /// [`PageTable::detach`](super::PageTable::detach).
    #[error("the tag cannot change: devices translate under it")]
    Attached,
    /// The gather belongs to another table.
    #[error("the gather belongs to another page table")]
    ForeignGather,
    /// The frame cache belongs to another table.
    #[error("the frame cache belongs to another page table")]
    ForeignCache,
    /// It cannot be done while others use the table: use the form that takes `&mut self`.
    #[error("it takes exclusive access: {0:?}")]
    NeedsExclusive(Operation),
}
