//! What the engine must never let an MMU do.

extern crate std;

use std::string::String;

use crate::{ClosedRange, Level, Tag};

/// A mistake of the engine that could have made an MMU translate wrongly.
///
/// ```
/// use tablewright::sim::Violation;
/// # use tablewright::{AddrSpace, Format, MappingFlags, Rights, Tag, riscv64::sv_x4};
/// # use tablewright::sim::{Machine, Mmu, built_in};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x1000, MappingFlags::READ, true)?;
/// # let mmu = Mmu::new(&machine, 1);
/// # mmu.load(Tag(1), space.page_table_root(), built_in("sv_x4", "sv39x4")?);
/// mmu.access(&machine, Tag(1), 0x8000_0000, Rights::R);
/// space.unmap(0x8000_0000.into(), 0x1000)?;
/// // Whatever the MMU had cached of it was invalidated in time.
/// mmu.check(&machine);
/// let violations: Vec<Violation> = mmu.take_violations();
/// assert!(violations.is_empty());
/// mmu.unload(Tag(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A change is complete, but a translation from before it is still cached.
    #[error("{range:#x?} of {tag:?} is still cached as {cached}, but the tables say {tables}")]
    Stale {
        /// The tag.
        tag: Tag,
        /// The input addresses.
        range: ClosedRange,
        /// What is cached.
        cached: String,
        /// What the tables say.
        tables: String,
    },
    /// A frame was freed to which, or through which, a cached translation leads.
    #[error("the frame {frame:#x} of 2^{size} bytes was freed while {range:#x?} of {tag:?} is cached through it")]
    FreedWhileCached {
        /// The frame.
        frame: u64,
        /// log2 of its size.
        size: u8,
        /// The tag.
        tag: Tag,
        /// The input addresses.
        range: ClosedRange,
    },
    /// A live entry went from one value to another without the break that this needed.
    #[error("entry {old:#x} of level {level} became {new:#x} without break-before-make")]
    NoBreak {
        /// The entry's level.
        level: Level,
        /// The value before.
        old: u64,
        /// The value after.
        new: u64,
    },
}
