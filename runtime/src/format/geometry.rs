//! Levels and sizes, of tables and of pages.

use super::{Format, Level};
use crate::ClosedRange;

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
    /// log2 of what one entry spans, by level; no more than 64.
    pub entry_bits: [u8; Self::MAX_LEVELS],
    /// log2 of the bytes that each table below the root takes: as many as the largest needs, and no less than the
    /// smallest frame.
    pub table_bits: u8,
    /// The same for the root, which takes no less than other tables.
    pub root_bits: u8,
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
    /// By ones: the upper half, where two roots share the addresses.
    One,
    /// By its highest bit.
    Sign,
}

impl Geometry {
    /// The most levels that a format can have.
    pub const MAX_LEVELS: usize = 8;

    /// The geometry of a tree of so many levels, given log2 of the size of an entry in bytes, and what entries span,
    /// which never decreases from level to level.
    #[inline]
    pub const fn new(
        word_bits: u8,
        entry_bits: [u8; Self::MAX_LEVELS],
        levels: u8,
        input_bits: u8,
        output_bits: u8,
        extension: Extension,
    ) -> Self {
        let (mut level, mut table_bits) = (0, 12);
        // A tree that is a single table has one of the usual size.
        while level == 0 || level + 1 < levels as usize && level + 1 < Self::MAX_LEVELS {
            let bits = entry_bits[level + 1].saturating_sub(entry_bits[level]).saturating_add(word_bits);
            table_bits = if bits > table_bits { bits } else { table_bits };
            level += 1;
        }
        let page_bits = entry_bits[0];
        let mut this =
            Self { page_bits, entry_bits, table_bits, root_bits: 0, levels, input_bits, output_bits, extension };
        let bits = this.level_index_bits(this.top()) + word_bits;
        this.root_bits = if bits < table_bits { table_bits } else { bits };
        this
    }

    /// The level of the root.
    #[inline]
    pub const fn top(&self) -> Level {
        self.levels - 1
    }

    /// log2 of what one entry at `level` spans.
    #[inline]
    pub const fn entry_bits(&self, level: Level) -> u8 {
        self.entry_bits[level as usize % Self::MAX_LEVELS]
    }

    /// Index bits at `level`: the root may be narrower or wider than the rest.
    #[inline]
    pub const fn level_index_bits(&self, level: Level) -> u8 {
        let end = if level == self.top() { self.input_bits } else { self.entry_bits(level + 1) };
        end.saturating_sub(self.entry_bits(level))
    }

    /// Number of entries of a table at `level`.
    #[inline]
    pub const fn entries(&self, level: Level) -> usize {
        1 << self.level_index_bits(level)
    }

    /// log2 of the bytes that a table at `level` takes: no less than any table below the root, nor than the smallest
    /// frame.
    #[inline]
    pub const fn table_bits(&self, level: Level) -> u8 {
        if level == self.top() { self.root_bits } else { self.table_bits }
    }

    /// The index of the entry that translates `ia` in its table at `level`.
    #[inline]
    pub const fn index(&self, level: Level, ia: u64) -> usize {
        (ia >> self.entry_bits(level)) as usize & (self.entries(level) - 1)
    }

    /// All addresses translated by the entry at `level` that translates `ia`.
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
    pub const fn extend(&self, ia: u64) -> u64 {
        let rest = 64 - self.input_bits as u32;
        match self.extension {
            Extension::Zero => ia << rest >> rest,
            Extension::One => ia | !self.last_input(),
            Extension::Sign => ((ia << rest) as i64 >> rest) as u64,
        }
    }

    /// The lowest `input_bits` of the addresses in `range`; `None` if not all of them are input addresses.
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

/// log2 of what one entry at `level` spans. It is computed, not looked up, if all tables below the root have equally many
/// entries.
#[inline]
pub(crate) const fn entry_bits<F: Format>(level: Level) -> u8 {
    match const { alike(&F::ENTRY_BITS) } {
        Some(bits) => F::PAGE_BITS + bits * level,
        None if (level as usize) < Geometry::MAX_LEVELS => F::ENTRY_BITS[level as usize],
        None => F::ENTRY_BITS[Geometry::MAX_LEVELS - 1],
    }
}

/// Index bits at `level`, below the root.
#[inline]
pub(crate) const fn index_bits<F: Format>(level: Level) -> u8 {
    match const { alike(&F::ENTRY_BITS) } {
        Some(bits) => bits,
        None => entry_bits::<F>(level + 1) - entry_bits::<F>(level),
    }
}

/// The index bits of the tables below the root, if all have as many.
const fn alike(entry_bits: &[u8; Geometry::MAX_LEVELS]) -> Option<u8> {
    let bits = entry_bits[1] - entry_bits[0];
    let mut level = 1;
    while level + 1 < Geometry::MAX_LEVELS && entry_bits[level + 1] < 64 {
        if entry_bits[level + 1] - entry_bits[level] != bits {
            return None;
        }
        level += 1;
    }
    Some(bits)
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
