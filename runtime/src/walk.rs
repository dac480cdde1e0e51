//! A walk as an MMU does it, through tables that anybody may have written: for guests' tables, dumps and tests.

use crate::{Attributes, ClosedRange, Entry, EntryWord, Format, Level, Prototype, Rights};

/// An entry met on a walk.
///
/// ```
/// use tablewright::{Entry, WalkStep, walk};
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # // Memory with a root at 0x4000: 1 GiB at 0x8000_0000 is the memory at 0x4000_0000.
/// # let read = |address| Some(if address == 0x4010 { 0x4000_0000_u64 >> 2 | 0xdf } else { 0 });
/// let mut steps = Vec::new();
/// let _ = walk(&format, 0x4000, 0x1234, read, |step| steps.push(*step));
/// assert_eq!(steps, [WalkStep { level: 2, address: 0x4000, raw: 0, entry: Entry::Invalid }]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkStep {
    /// The entry's level.
    pub level: Level,
    /// The entry's address.
    pub address: u64,
    /// The entry's value.
    pub raw: u64,
    /// What the entry means.
    pub entry: Entry,
}

/// The translation that a walk found.
///
/// ```
/// use tablewright::{Rights, walk};
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # // Memory with a root at 0x4000: 1 GiB at 0x8000_0000 is the memory at 0x4000_0000.
/// # let read = |address| Some(if address == 0x4010 { 0x4000_0000_u64 >> 2 | 0xdf } else { 0 });
/// let walked = walk(&format, 0x4000, 0x8000_1234, read, |_| ())?;
/// assert_eq!((walked.address, walked.level, walked.size), (0x4000_1234, 2, 30));
/// assert_eq!(walked.attributes.rights, Rights::RWX);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The output address.
    pub address: u64,
    /// The level of the leaf.
    pub level: Level,
    /// log2 of the leaf's size, run included.
    pub size: u8,
    /// The leaf's value.
    pub raw: u64,
    /// The leaf's attributes, with only those rights that the tables on the way allow, too.
    pub attributes: Attributes,
}

/// Why a walk found no translation.
///
/// ```
/// use tablewright::{WalkError, walk};
/// # use tablewright::{Format, riscv64::sv_x4};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # // Memory with a root at 0x4000: 1 GiB at 0x8000_0000 is the memory at 0x4000_0000.
/// # let read = |address| Some(if address == 0x4010 { 0x4000_0000_u64 >> 2 | 0xdf } else { 0 });
/// let end = |ia| walk(&format, 0x4000, ia, read, |_| ()).unwrap_err();
/// assert_eq!(end(0x1234), WalkError::NotMapped { level: 2 });
/// assert_eq!(end(1 << 41), WalkError::Input);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// The input address is wider than the format's.
    #[error("the input address is too wide")]
    Input,
    /// Nothing is mapped there.
    #[error("nothing is mapped, says the entry at level {level}")]
    NotMapped {
        /// The level of the entry that says so.
        level: Level,
    },
    /// An entry is illegal.
    #[error("the entry at level {level} breaks the rule `{rule}`")]
    Reserved {
        /// The level of the entry.
        level: Level,
        /// The rule of the format's file.
        rule: &'static str,
    },
    /// An entry cannot be read.
    #[error("the entry at {address:#x} cannot be read")]
    Unreadable {
        /// Where it is.
        address: u64,
    },
}

/// Translates `ia` with the tables under `root`. `read` loads the 64 bits at an address, a multiple of eight, as a CPU does.
/// `see` is called with each entry that was read.
///
/// Nothing is assumed of the tables: every entry is decoded in full, and a walk always ends.
///
/// # Errors
///
/// [`WalkError`], whose variants each say how the walk ended.
///
/// ```
/// use tablewright::{Format, riscv64::sv_x4, walk};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// // Memory with a root at 0x4000: 1 GiB at 0x8000_0000 is the memory at 0x4000_0000.
/// let read = |address| Some(if address == 0x4010 { 0x4000_0000_u64 >> 2 | 0xdf } else { 0 });
/// assert_eq!(walk(&format, 0x4000, 0x8000_1234, read, |_| ())?.address, 0x4000_1234);
/// # Ok(())
/// # }
/// ```
pub fn walk<F: Format>(
    format: &F,
    root: u64,
    ia: u64,
    mut read: impl FnMut(u64) -> Option<u64>,
    mut see: impl FnMut(&WalkStep),
) -> Result<Walked, WalkError> {
    let geometry = format.geometry();
    let ia = geometry.reduce(ClosedRange::around(ia, 0)).ok_or(WalkError::Input)?.start();
    let (mut table, mut level, mut limit) = (root, geometry.top(), Rights::RWX);
    loop {
        let address = table.wrapping_add((geometry.index(level, ia) as u64) << F::Word::SIZE);
        let raw = F::Word::get(read(address & !7).ok_or(WalkError::Unreadable { address })?, address);
        let entry = format.decode(level, raw);
        see(&WalkStep { level, address, raw, entry });
        match entry {
            Entry::Invalid => return Err(WalkError::NotMapped { level }),
            Entry::Reserved(rule) => return Err(WalkError::Reserved { level, rule }),
            Entry::Leaf(leaf) => {
                // The items of a run may all hold the run's address, or each its own.
                let strip = format.strip(Prototype { bits: 0, level, size: leaf.size }, 0, 2);
                let held = if strip.step == 0 { leaf.size } else { geometry.entry_bits(level) };
                let attributes = Attributes { rights: leaf.attributes.rights & limit, ..leaf.attributes };
                let address = leaf.address | ia & low_bits(held);
                return Ok(Walked { address, level, size: leaf.size, raw, attributes });
            }
            Entry::Table(next) => {
                // A table that skips levels translates only addresses whose index bits there are zero.
                let skipped = low_bits(geometry.entry_bits(level)) & !low_bits(geometry.entry_bits(next.level + 1));
                if ia & skipped != 0 {
                    return Err(WalkError::NotMapped { level });
                }
                limit &= next.limit;
                (table, level) = (next.address, next.level);
            }
        }
    }
}

/// Ones in the low `bits` bits.
const fn low_bits(bits: u8) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}
