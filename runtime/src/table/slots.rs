//! Which addresses the entries of a table stand for.

use core::ops::Range;

use super::PageTable;
use crate::{ClosedRange, Format, Hal, Level};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// log2 of what an entry at `level` spans.
    #[inline]
    pub(super) const fn entry_bits(level: Level) -> u8 {
        entry_bits::<F>(level)
    }

    /// What the entry around `ia` at `level` spans.
    #[inline]
    pub(super) const fn slot(level: Level, ia: u64) -> ClosedRange {
        ClosedRange::block(ia, Self::entry_bits(level))
    }

    /// What the table around `ia` at `level` spans, if it is not narrower than those below the root.
    #[inline]
    pub(super) const fn span(level: Level, ia: u64) -> ClosedRange {
        ClosedRange::around(ia, Self::entry_bits(level + 1))
    }

    /// Where the entry for `ia` is in a table at `level`, with upper bits that [`Entries`](super::entries::Entries) cut to
    /// their table.
    #[inline]
    pub(super) const fn index(level: Level, ia: u64) -> usize {
        (ia >> Self::entry_bits(level)) as usize
    }

    /// How many entries a table below the root has.
    pub(super) const COUNT: usize = 1 << F::INDEX_BITS;

    /// As [`Self::index`], for a table below the root, and without any upper bits.
    #[inline]
    pub(super) const fn index_below(level: Level, ia: u64) -> usize {
        Self::index(level, ia) & (Self::COUNT - 1)
    }

    /// The slots of one table at `level` that `range` touches: the index, as [`Self::index`] gives it, and the part of
    /// `range` in it.
    #[inline]
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

/// log2 of what an entry at `level` spans.
#[inline]
pub(super) const fn entry_bits<F: Format>(level: Level) -> u8 {
    F::PAGE_BITS + F::INDEX_BITS * level
}

/// The slots of the table at `level` with `count` entries, a power of two, that `range` takes.
#[inline]
pub(super) const fn slots<F: Format>(level: Level, count: usize, range: ClosedRange) -> Range<usize> {
    let bits = entry_bits::<F>(level);
    let (start, last) = (range.start() >> bits, range.last() >> bits);
    let first = start as usize & (count - 1);
    first..first + (last - start) as usize + 1
}
