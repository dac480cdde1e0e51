//! Which addresses the entries of a table translate.

use core::ops::Range;

use super::PageTable;
pub(super) use crate::format::entry_bits;
use crate::format::index_bits;
use crate::{ClosedRange, Format, Hal, Level};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// log2 of what an entry at `level` spans.
    pub(super) const fn entry_bits(level: Level) -> u8 {
        entry_bits::<F>(level)
    }

    /// What the entry around `ia` at `level` spans.
    pub(super) const fn slot(level: Level, ia: u64) -> ClosedRange {
        ClosedRange::block(ia, Self::entry_bits(level))
    }

    /// What the table around `ia` at `level` spans, if it is not narrower than those below the root.
    pub(super) const fn span(level: Level, ia: u64) -> ClosedRange {
        ClosedRange::around(ia, Self::entry_bits(level + 1))
    }

    /// The index of the entry for `ia` in a table at `level`, with upper bits that [`Entries`](super::entries::Entries)
    /// cuts off.
    pub(super) const fn index(level: Level, ia: u64) -> usize {
        (ia >> Self::entry_bits(level)) as usize
    }

    /// log2 of how many entries a table at `level` has, below the root.
    pub(super) const fn index_bits(level: Level) -> u8 {
        index_bits::<F>(level)
    }

    /// How many entries a table at `level` has, below the root.
    pub(super) const fn count(level: Level) -> usize {
        1 << Self::index_bits(level)
    }

    /// As [`Self::index`], for a table below the root, and without upper bits.
    pub(super) const fn index_below(level: Level, ia: u64) -> usize {
        Self::index(level, ia) & (Self::count(level) - 1)
    }

    /// The slots of one table at `level` that `range` touches: the index, as [`Self::index`] gives it, and the part of
    /// `range` in it.
    pub(super) fn parts(level: Level, range: ClosedRange) -> impl Iterator<Item = (usize, ClosedRange)> + use<F, H> {
        let mut left = Some(range);
        core::iter::from_fn(move || {
            let rest = left?;
            let last = Self::slot(level, rest.start()).last();
            left = range.after(last);
            Some((Self::index(level, rest.start()), ClosedRange::clamp(rest.start(), last.min(range.last()))))
        })
    }
}

/// The slots of the table at `level` with `count` entries, a power of two, that `range` takes.
pub(super) const fn slots<F: Format>(level: Level, count: usize, range: ClosedRange) -> Range<usize> {
    let bits = entry_bits::<F>(level);
    let (start, last) = (range.start() >> bits, range.last() >> bits);
    let first = start as usize & (count - 1);
    first..first + (last - start) as usize + 1
}
