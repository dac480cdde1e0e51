//! Which leaves and tables a mapping consists of: the largest pages that fit, by the alignment of input and output
//! address.
//!
//! Both the plan, which counts, and the commit, which builds, use it, so that they cannot disagree.

use core::ops::Range;

use super::{
    Error,
    remake::Rewrites,
    slots::{entry_bits, slots},
};
use crate::{Attributes, ClosedRange, Format, Geometry, Level, PageSizes, Prototype, Strip};

/// The most leaf sizes that are used together: one entry at each level, and the smallest of the runs.
const SIZES: usize = 16;

/// The leaves of each size, without their addresses, for one set of attributes.
pub(super) struct Prototypes {
    sizes: PageSizes,
    /// How many sizes there are.
    len: usize,
    /// These sizes in ascending order, and the bits of each. Searching for a size takes less than counting smaller ones.
    order: [u8; SIZES],
    bits: [u64; SIZES],
}

impl Prototypes {
    /// The leaves of at most `1 << limit` bytes that can express `attributes`. Larger leaves that cannot are not used;
    /// the smallest page must.
    pub(super) fn new<F: Format>(format: &F, attributes: &Attributes, limit: u8) -> Result<Self, Error> {
        let geometry = format.geometry();
        let mut prototypes = Self::none();
        for level in (0..geometry.levels).take_while(|&level| geometry.entry_bits(level) <= limit) {
            let entry = geometry.entry_bits(level);
            let room = SIZES - usize::from(geometry.top() - level);
            for size in sizes_of(&geometry, level, format.page_sizes(level)).iter().take_while(|&size| size <= limit) {
                if size != entry && prototypes.len >= room {
                    break;
                }
                match format.prototype(level, size, attributes) {
                    Ok(prototype) => prototypes.insert(prototype),
                    Err(refusal) if size == geometry.page_bits => return Err(Error::Refused { level, refusal }),
                    Err(_) => {}
                }
            }
        }
        Ok(prototypes)
    }

    /// This leaf only.
    pub(super) fn single(prototype: Prototype) -> Self {
        let mut prototypes = Self::none();
        prototypes.insert(prototype);
        prototypes
    }

    const fn none() -> Self {
        Self { sizes: PageSizes(0), len: 0, order: [0; SIZES], bits: [0; SIZES] }
    }

    /// Adds a leaf that is larger than all others.
    fn insert(&mut self, prototype: Prototype) {
        if let (Some(size), Some(bits)) = (self.order.get_mut(self.len), self.bits.get_mut(self.len)) {
            (*size, *bits) = (prototype.size, prototype.bits);
            self.sizes.0 |= 1 << prototype.size;
            self.len += 1;
        }
    }

    /// Changes the accessed and dirty states to those in `attributes`, which otherwise are the ones that it was made
    /// with. No format refuses attributes because of these states.
    pub(super) fn restate<F: Format>(&mut self, format: &F, attributes: &Attributes) {
        let limit = self.sizes.largest_within(63).unwrap_or(0);
        if let Ok(restated) = Self::new(format, attributes, limit) {
            *self = restated;
        }
    }

    /// The prototype of a size that [`fit`] gave.
    #[inline]
    pub(super) fn get(&self, level: Level, size: u8) -> Prototype {
        let of_size = self.order.iter().zip(&self.bits).find(|&(&other, _)| other == size);
        Prototype { bits: of_size.map_or(0, |(_, &bits)| bits), level, size }
    }

    /// The sizes at `level`, in a tree of this geometry.
    #[inline]
    pub(super) fn sizes(&self, geometry: &Geometry, level: Level) -> PageSizes {
        sizes_of(geometry, level, self.sizes)
    }
}

/// The largest leaf of these `sizes`, all of one level, that fits at the start of `range`, which maps to addresses
/// `delta` higher; and the last address up to which leaves of that size follow, before a larger one may start.
#[inline]
fn fit(sizes: PageSizes, range: ClosedRange, delta: u64) -> Option<(u8, u64)> {
    let aligned = (range.start() | delta).trailing_zeros() as u8;
    let size = sizes.largest_within(aligned.min(size_within(range.span())))?;
    let larger = (sizes.0 & !size_mask(size + 1)).trailing_zeros();
    let end = match larger <= delta.trailing_zeros() {
        true => range.last().min(range.start() | size_mask(larger as u8)),
        false => range.last(),
    };
    // The last address of the last whole leaf.
    let mask = size_mask(size);
    let last = range.start() + ((end - range.start()).wrapping_add(1) & !mask).wrapping_sub(1);
    Some((size, last))
}

/// Those of `sizes` that belong to `level`: at least one entry, and less than a table (or, at the top, than everything).
#[inline]
pub(super) fn sizes_of(geometry: &Geometry, level: Level, sizes: PageSizes) -> PageSizes {
    let from = u64::MAX << geometry.entry_bits(level);
    let beyond = if level == geometry.top() { 0 } else { u64::MAX << geometry.entry_bits(level + 1) };
    PageSizes(sizes.0 & from & !beyond)
}

/// Whether leaves at `level` may be runs.
#[inline]
pub(super) fn has_runs<F: Format>(format: &F, level: Level) -> bool {
    let sizes = || sizes_of(&format.geometry(), level, format.page_sizes(level));
    F::HAS_RUNS && sizes().0 & !(1 << entry_bits::<F>(level)) != 0
}

/// log2 of the largest power of two that is at most `span + 1`.
#[inline]
pub(super) fn size_within(span: u64) -> u8 {
    span.checked_add(1).map_or(64, |size| size.ilog2() as u8)
}

/// `(1 << size) - 1`.
#[inline]
pub(super) const fn size_mask(size: u8) -> u64 {
    ClosedRange::around(0, size).last()
}

/// A range that is mapped with one set of attributes, to the addresses that are `delta` higher (modulo 2^64).
pub(super) struct Piece<'a> {
    pub(super) range: ClosedRange,
    pub(super) delta: u64,
    pub(super) leaf: &'a Prototypes,
    /// log2 of the size of the largest leaf that is used.
    pub(super) largest: u8,
    /// How the leaves are rewritten before they are written; leaves of a level without a rewrite are not used.
    pub(super) rewrites: Option<&'a Rewrites>,
}

impl<'a> Piece<'a> {
    /// A piece that uses all leaves, unchanged.
    #[inline]
    pub(super) const fn new(range: ClosedRange, delta: u64, leaf: &'a Prototypes) -> Self {
        Self { range, delta, leaf, largest: 63, rewrites: None }
    }

    /// The leaf at `level`, of a size that may be used there.
    #[inline]
    fn prototype(&self, level: Level, size: u8) -> Prototype {
        let prototype = self.leaf.get(level, size);
        match self.rewrites.and_then(|rewrites| rewrites.at(level)) {
            Some(rewrite) => Prototype { bits: rewrite.apply(prototype.bits), ..prototype },
            None => prototype,
        }
    }

    /// Those of `sizes`, which belong to `level`, that are used.
    #[inline]
    fn used(&self, level: Level, sizes: u64) -> PageSizes {
        match self.rewrites {
            Some(rewrites) if rewrites.at(level).is_none() => PageSizes::default(),
            _ => PageSizes(self.leaf.sizes.0 & sizes & size_mask(self.largest + 1)),
        }
    }
}

/// What to map: up to three pieces, in ascending order. A leaf that is changed in its middle gives three.
pub(super) type Pieces<'a> = [Option<Piece<'a>>; 3];

/// What goes into a stretch of slots of one table.
pub(super) enum Placed {
    /// Nothing.
    Nothing(ClosedRange),
    /// Leaves of one size.
    Leaves(Leaves),
    /// In this one slot, a table.
    Table(ClosedRange),
}

/// Consecutive leaves of one size.
pub(super) struct Leaves {
    pub(super) range: ClosedRange,
    pub(super) prototype: Prototype,
    /// The distance from input to output, modulo 2^64.
    pub(super) delta: u64,
}

impl Leaves {
    /// The entries, in a table with `count`, as strips, each with the index at which it begins.
    pub(super) fn strips<'a, F: Format>(
        &self,
        format: &'a F,
        count: usize,
    ) -> impl Iterator<Item = (usize, Strip)> + use<'a, F> {
        let prototype = self.prototype;
        let entry = entry_bits::<F>(prototype.level);
        let Range { start: mut index, end } = slots::<F>(prototype.level, count, self.range);
        let mut oa = self.range.start().wrapping_add(self.delta);
        core::iter::from_fn(move || {
            if index >= end {
                return None;
            }
            let strip = format.strip(prototype, oa, end - index);
            let at = index;
            index += strip.items.max(1);
            oa = oa.wrapping_add((strip.items as u64) << entry);
            Some((at, strip))
        })
    }
}

/// The stretches of the slots of one table at `level`, in ascending order.
pub(super) struct Layout<'a> {
    level: Level,
    /// What an entry spans, less one.
    slot: u64,
    /// The sizes of leaves at this level.
    sizes: u64,
    /// The pieces that do not end before `next`.
    pieces: &'a [Option<Piece<'a>>],
    /// The start of the next slot.
    next: Option<u64>,
    last: u64,
}

impl<'a> Layout<'a> {
    /// The layout of the slots that `range` touches.
    pub(super) fn new(geometry: &Geometry, level: Level, range: ClosedRange, pieces: &'a Pieces<'a>) -> Self {
        let slot = size_mask(geometry.entry_bits(level));
        let sizes = sizes_of(geometry, level, PageSizes(u64::MAX)).0;
        Self { level, slot, sizes, pieces, next: Some(range.start() & !slot), last: range.last() | slot }
    }
}

impl<'a> Iterator for Layout<'a> {
    type Item = Placed;

    fn next(&mut self) -> Option<Placed> {
        let start = self.next.filter(|&start| start <= self.last)?;
        while let [first, rest @ ..] = self.pieces
            && first.as_ref().is_none_or(|piece| piece.range.last() < start)
        {
            self.pieces = rest;
        }
        let to = |last| ClosedRange::clamp(start, last);
        let (slot, last) = (start | self.slot, self.last);
        let (placed, last) = match self.pieces.first() {
            Some(Some(piece)) if piece.range.start() <= last => {
                let from = piece.range.start();
                let part = ClosedRange::clamp(start, piece.range.last().min(last));
                if from > slot {
                    let last = (from & !self.slot) - 1;
                    (Placed::Nothing(to(last)), last)
                } else if from <= start
                    && let Some((size, last)) = fit(piece.used(self.level, self.sizes), part, piece.delta)
                {
                    let prototype = piece.prototype(self.level, size);
                    (Placed::Leaves(Leaves { range: to(last), prototype, delta: piece.delta }), last)
                } else {
                    (Placed::Table(to(slot)), slot)
                }
            }
            _ => (Placed::Nothing(to(last)), last),
        };
        self.next = last.checked_add(1);
        Some(placed)
    }
}

/// How many tables are needed below those slots of a table at `level` that `range` touches.
pub(super) fn tables_below(geometry: &Geometry, level: Level, range: ClosedRange, pieces: &Pieces<'_>) -> usize {
    let Some(below) = level.checked_sub(1) else { return 0 };
    Layout::new(geometry, level, range, pieces)
        .map(|placed| match placed {
            Placed::Table(slot) => 1 + tables_below(geometry, below, slot, pieces),
            Placed::Nothing(_) | Placed::Leaves(_) => 0,
        })
        .sum()
}
