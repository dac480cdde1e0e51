//! The areas of an address space: ranges that do not overlap, in ascending order.

mod chunks;
mod edit;
mod iter;

pub use iter::Areas;
pub(super) use iter::Parts;

use alloc::collections::TryReserveError;

use super::{Area, Joinable, SpaceError};
use crate::ClosedRange;
use chunks::{CHUNK, Chunks};

/// Areas that do not overlap, in ascending order. Neighbours that are of one piece are joined.
///
/// No operation aborts for want of memory: each makes room first, and after [`MemorySet::reserve`] it has that room. What
/// is done with one area takes time that hardly depends on how many there are.
///
/// ```
/// use tablewright::{Area, Attributes, ClosedRange, GuestPhysAddr, HostRegion, Linear, MemorySet, MemoryType, Rights};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // SAFETY: it is never mapped.
/// let memory = unsafe { HostRegion::ram(0x8000_0000.into(), 0x4000) }.ok_or("nothing")?;
/// let backend = Linear::new(GuestPhysAddr::from_usize(0x1000), memory);
/// let range = ClosedRange::from_start_size(0x1000, 0x4000).ok_or("empty")?;
/// let mut areas = MemorySet::default();
/// areas.reserve(3)?;
/// areas.insert(Area::new(range, Attributes::new(Rights::RW, MemoryType::WriteBack), backend))?;
/// areas.remove(ClosedRange::around(0x2000, 12))?;
/// assert_eq!(areas.len(), 2);
/// assert!(areas.find(0x2000).is_none() && areas.find(0x3000).is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemorySet<B> {
    chunks: Chunks<B>,
    len: usize,
}

/// The place of an area: the chunk, and the index in it, which may be one after the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    chunk: usize,
    index: usize,
}

impl Place {
    const fn next(self) -> Self {
        Self { index: self.index + 1, ..self }
    }
}

/// Where an area goes that overlaps no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    place: Place,
    /// Whether an area ends where it begins, or begins where it ends.
    touched: bool,
}

impl<B> Default for MemorySet<B> {
    fn default() -> Self {
        Self { chunks: Chunks::default(), len: 0 }
    }
}

impl<B: Joinable> MemorySet<B> {
    /// Number of areas.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no area.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All areas, in ascending order.
    pub fn iter(&self) -> Areas<'_, B> {
        Areas { set: self, place: Place { chunk: 0, index: 0 }, left: self.len }
    }

    /// The area that `address` is in.
    pub fn find(&self, address: u64) -> Option<&Area<B>> {
        self.starting_up_to(address).filter(|area| area.range().contains(address))
    }

    /// The areas that have addresses in `range`.
    pub fn overlapping(&self, range: ClosedRange) -> impl Iterator<Item = &Area<B>> + Clone {
        self.parts(range).map(|(_, area)| area)
    }

    /// The parts of areas that lie in `range`.
    pub(super) fn parts(&self, range: ClosedRange) -> Parts<'_, B> {
        self.parts_from(self.place(range.start()), range)
    }

    /// The same, where the place of the first of its addresses is known.
    pub(super) fn parts_from(&self, place: Place, range: ClosedRange) -> Parts<'_, B> {
        Parts { set: self, place, range }
    }

    /// The lowest range of `size` bytes that starts at a multiple of `1 << align` inside `within` and has no area.
    pub fn find_free(&self, size: u64, align: u8, within: ClosedRange) -> Option<ClosedRange> {
        let align_up = |address: u64| match ClosedRange::around(address, align) {
            block if block.start() == address => Some(address),
            block => block.last().checked_add(1),
        };
        let mut start = align_up(within.start())?;
        let mut areas = self.overlapping(ClosedRange::clamp(start, within.last()));
        loop {
            let wanted = ClosedRange::from_start_size(start, size).filter(|wanted| within.covers(wanted))?;
            // Gaps that the alignment passes over are none.
            match areas.find(|area| area.range().last() >= start).filter(|area| area.range().start() <= wanted.last()) {
                None => return Some(wanted),
                Some(area) => start = align_up(area.range().last().checked_add(1)?)?,
            }
        }
    }

    /// Makes room for `more` areas. Inserting takes one, removing up to one, changing up to two.
    ///
    /// # Errors
    ///
    /// If there is no memory for them; then nothing changed.
    pub fn reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        // An area that comes divides a chunk only if that is full: each may be at first, at its end and in the middle. One
        // that was divided has room for all but one of half a chunk, which then counts for it and for the one before.
        let divisions = 2 * self.chunks.len() + 3 * more / (CHUNK / 2 - 1);
        self.chunks.try_reserve(more, more.min(divisions + 1))
    }

    /// Makes room for what takes `range` out of the area at `place`: one with addresses on both sides becomes two.
    pub(super) fn reserve_for_hole(&mut self, place: Place, range: ClosedRange) -> Result<(), TryReserveError> {
        let is_hole = |whole: ClosedRange| whole.start() < range.start() && range.last() < whole.last();
        if self.area(place).is_some_and(|area| is_hole(area.range())) { self.reserve(1) } else { Ok(()) }
    }

    /// Makes room for `more` areas that are inserted in ascending order with no other between them, after one is removed.
    pub(super) fn reserve_row(&mut self, more: usize) -> Result<(), TryReserveError> {
        // A chunk that is divided has room for at least as many as half of one.
        self.chunks.try_reserve(more + 1, 2 + more / (CHUNK / 2))
    }

    /// Adds an area, and joins it with its neighbours where they are of one piece.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Overlap`] names an area that is in the way; [`SpaceError::NoMemory`]. Then nothing changed.
    pub fn insert(&mut self, area: Area<B>) -> Result<(), SpaceError> {
        let gap = self.gap(area.range()).map_err(SpaceError::Overlap)?;
        self.reserve(1).map_err(|_| SpaceError::NoMemory)?;
        self.fill(gap, area);
        Ok(())
    }

    /// Where an area with this range goes; the range of an area in the way, if there is one.
    pub(super) fn gap(&self, range: ClosedRange) -> Result<Gap, ClosedRange> {
        let chunk = self.chunks.around(range.start());
        let index = self.chunks.get(chunk).map_or(0, |chunk| chunk.up_to(range.start()));
        let place = Place { chunk, index };
        let mut touched = false;
        if let Some(index) = index.checked_sub(1)
            && let Some(before) = self.area(Place { chunk, index })
        {
            if before.range().last() >= range.start() {
                return Err(before.range());
            }
            touched = before.range().last() + 1 == range.start();
        }
        // Where the next area starts is known without looking at it.
        let after = self.settled(place);
        if let Some(start) = self.start(after) {
            if start <= range.last() {
                return Err(self.area(after).map_or(range, Area::range));
            }
            touched |= start - 1 == range.last();
        }
        Ok(Gap { place, touched })
    }

    /// As [`MemorySet::insert`], of an area for which there is room, and for whose range [`MemorySet::gap`] answered, with no
    /// change since then.
    pub(super) fn fill(&mut self, gap: Gap, area: Area<B>) {
        let range = area.range();
        self.insert_at(gap.place, area);
        if gap.touched {
            self.join_around(range);
        }
    }

    /// The place of the first area that ends at `address` or later.
    pub(super) fn place(&self, address: u64) -> Place {
        let chunk = self.chunks.around(address);
        let after = self.chunks.get(chunk).map_or(0, |chunk| chunk.up_to(address));
        let before = after.checked_sub(1).map(|index| Place { chunk, index });
        let around = before.filter(|&place| self.area(place).is_some_and(|area| area.range().last() >= address));
        around.unwrap_or(Place { chunk, index: after })
    }

    /// The same place, but that of the first area of the next chunk where it is one after the last of its own.
    fn settled(&self, place: Place) -> Place {
        match self.chunks.get(place.chunk) {
            Some(chunk) if place.index >= chunk.len() => Place { chunk: place.chunk + 1, index: 0 },
            _ => place,
        }
    }

    /// The last area that starts at `address` or before.
    fn starting_up_to(&self, address: u64) -> Option<&Area<B>> {
        let chunk = self.chunks.get(self.chunks.around(address))?;
        chunk.get(chunk.up_to(address).checked_sub(1)?)
    }

    /// Where the area at `place` starts.
    fn start(&self, place: Place) -> Option<u64> {
        self.chunks.get(place.chunk)?.key(place.index)
    }

    fn area(&self, place: Place) -> Option<&Area<B>> {
        self.chunks.get(place.chunk)?.get(place.index)
    }

    fn area_mut(&mut self, place: Place) -> Option<&mut Area<B>> {
        self.chunks.get_mut(place.chunk)?.get_mut(place.index)
    }

    /// Puts an area where it belongs, and says where it is then; a full chunk is divided.
    fn insert_at(&mut self, mut place: Place, area: Area<B>) -> Place {
        let start = area.range().start();
        if self.chunks.is_full(place.chunk) {
            // What comes between two chunks, as from the top down, goes to the upper one.
            let upper = Place { chunk: place.chunk + 1, index: 0 };
            let has_room = place.index == CHUNK && upper.chunk < self.chunks.len() && !self.chunks.is_full(upper.chunk);
            place = if has_room { upper } else { self.divide(place, start) };
        }
        let Some(chunk) = self.chunks.get_mut(place.chunk) else { return place };
        chunk.insert(place.index, start, area);
        self.len += 1;
        if place.index == 0 {
            self.chunks.update_key(place.chunk);
        }
        place
    }

    /// Divides a full chunk; `place`, which an area that begins at `start` goes to, as it is then.
    fn divide(&mut self, place: Place, start: u64) -> Place {
        // Areas that come in ascending order fill chunks to the last place.
        let keep = if place.index == CHUNK { CHUNK } else { CHUNK / 2 };
        self.chunks.divide(place.chunk, keep, start);
        let is_above = place.index > keep || keep == CHUNK;
        if is_above { Place { chunk: place.chunk + 1, index: place.index - keep } } else { place }
    }
}

#[cfg(test)]
mod tests;
