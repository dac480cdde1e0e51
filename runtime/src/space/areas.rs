//! The areas of an address space: ranges that do not overlap, in ascending order.

mod edit;
mod iter;
mod join;
mod slots;
mod tree;

pub use iter::Areas;
pub(super) use iter::Parts;
pub(super) use tree::Place;

use alloc::collections::TryReserveError;

use super::{Area, Joinable, SpaceError};
use crate::ClosedRange;
use slots::Slots;
use tree::Tree;

/// A set of areas that do not overlap, in ascending order. Neighbours that can be one area are joined.
///
/// No operation aborts when memory runs out: each makes room first, and after [`MemorySet::reserve`] the room is there.
/// An operation on one area takes time that hardly depends on how many areas there are.
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
    /// Finds an area's place in the slots, which does not change when other areas come or go.
    tree: Tree,
    areas: Slots<Area<B>>,
    /// The places of the two areas that were the largest when they came or grew, as long as they are there. Most faults
    /// are in these: they are the guest's memory below and above its devices.
    largest: [u32; 2],
}

/// Where to insert an area that overlaps no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    place: Place,
    /// Whether another area touches it on either side.
    touched: bool,
}

impl<B> Default for MemorySet<B> {
    fn default() -> Self {
        Self { tree: Tree::NONE, areas: Slots::NONE, largest: [u32::MAX; 2] }
    }
}

impl<B> MemorySet<B> {
    fn area(&self, place: Place) -> Option<&Area<B>> {
        self.areas.get(self.tree.link(place)?)
    }

    fn area_mut(&mut self, place: Place) -> Option<&mut Area<B>> {
        self.areas.get_mut(self.tree.link(place)?)
    }
}

impl<B: Joinable> MemorySet<B> {
    /// Number of areas.
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether there is no area.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All areas, in ascending order.
    pub fn iter(&self) -> Areas<'_, B> {
        Areas { set: self, place: self.place(0), left: self.len() }
    }

    /// The area that `address` is in.
    #[inline]
    pub fn find(&self, address: u64) -> Option<&Area<B>> {
        let likely = |link: &u32| self.areas.get(*link).filter(|area| area.range().contains(address));
        self.largest.iter().find_map(likely).or_else(|| self.find_among_all(address))
    }

    #[inline(never)]
    fn find_among_all(&self, address: u64) -> Option<&Area<B>> {
        self.areas.get(self.tree.find(address)?).filter(|area| area.range().last() >= address)
    }

    /// The areas that have addresses in `range`.
    pub fn overlapping(&self, range: ClosedRange) -> impl Iterator<Item = &Area<B>> + Clone {
        self.parts(range).map(|(_, area)| area)
    }

    /// The parts of areas that lie in `range`.
    pub(super) fn parts(&self, range: ClosedRange) -> Parts<'_, B> {
        self.parts_from(self.place(range.start()), range)
    }

    /// As [`MemorySet::parts`], if the place of the first area that ends in the range or later is known.
    pub(super) fn parts_from(&self, place: Option<Place>, range: ClosedRange) -> Parts<'_, B> {
        Parts { set: self, entries: place.map_or(&[], |place| self.tree.entries(place)), range }
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
            // Gaps that the alignment skips do not count.
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
        self.tree.try_reserve(more)?;
        self.areas.try_reserve(more)
    }

    /// Makes room for taking `range` out of the area at `place`: if addresses remain on both sides, it becomes two.
    pub(super) fn reserve_for_hole(&mut self, place: Option<Place>, range: ClosedRange) -> Result<(), TryReserveError> {
        let is_hole = |whole: ClosedRange| whole.start() < range.start() && range.last() < whole.last();
        let area = place.and_then(|place| self.area(place));
        if area.is_some_and(|area| is_hole(area.range())) { self.reserve(1) } else { Ok(()) }
    }

    /// Adds an area, and joins it with its neighbours where they can be one area.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Overlap`] names an area that is in the way; [`SpaceError::NoMemory`]. Then nothing changed.
    pub fn insert(&mut self, area: Area<B>) -> Result<(), SpaceError> {
        let gap = self.gap(area.range()).ok_or_else(|| self.overlap(area.range()))?;
        self.reserve(1).map_err(|_| SpaceError::NoMemory)?;
        self.fill(gap, area);
        Ok(())
    }

    /// Where an area with this range goes; `None` if another is in the way.
    pub(super) fn gap(&self, range: ClosedRange) -> Option<Gap> {
        let place = self.tree.place(range.start());
        let before = place.before().and_then(|place| self.area(place)).map(|area| area.range().last());
        // Where that starts is known without looking at it.
        let after = self.tree.after(place, range.start()).and_then(|after| self.tree.start(after));
        let is_free = before.is_none_or(|last| last < range.start()) && after.is_none_or(|start| range.last() < start);
        let touched = before.is_some_and(|last| last.checked_add(1) == Some(range.start()))
            || after.is_some_and(|start| start - 1 == range.last());
        is_free.then_some(Gap { place, touched })
    }

    /// The error if [`MemorySet::gap`] finds none.
    #[cold]
    pub(super) fn overlap(&self, range: ClosedRange) -> SpaceError {
        SpaceError::Overlap(self.overlapping(range).next().map_or(range, Area::range))
    }

    /// As [`MemorySet::insert`], for an area for which there is room, at the gap that [`MemorySet::gap`] found for its
    /// range; nothing has changed since then.
    #[inline]
    pub(super) fn fill(&mut self, gap: Gap, area: Area<B>) {
        if !gap.touched || !self.take_in(gap.place, &area) {
            self.insert_at(gap.place, area);
        }
    }

    /// The place of the first area that ends at `address` or later.
    pub(super) fn place(&self, address: u64) -> Option<Place> {
        let place = self.tree.place(address);
        let around = |&place: &Place| self.area(place).is_some_and(|area| area.range().last() >= address);
        place.before().filter(around).or_else(|| self.tree.after(place, address))
    }

    /// Inserts an area, for which there is room, and returns where it is then.
    fn insert_at(&mut self, place: Place, area: Area<B>) -> Option<Place> {
        let start = area.range().start();
        let link = self.areas.insert(area);
        self.grew(link);
        self.tree.insert(place, start, link)
    }

    /// Notes that an area may be one of the largest now.
    fn grew(&mut self, link: u32) {
        let Some(span) = self.areas.get(link).map(|area| area.range().span()) else { return };
        let is_larger = |other| self.areas.get(other).is_none_or(|other| other.range().span() < span);
        let [first, second] = self.largest;
        if link != first && is_larger(first) {
            self.largest = [link, first];
        } else if link != first && is_larger(second) {
            self.largest = [first, link];
        }
    }
}

#[cfg(test)]
impl<B> MemorySet<B> {
    /// For how many nodes and areas there is room.
    fn capacity(&self) -> [usize; 2] {
        [self.tree.nodes.capacity(), self.areas.capacity()]
    }

    /// Gives back the room that is not in use.
    fn shrink_to_fit(&mut self) {
        self.tree.nodes.shrink_to_fit();
        self.areas.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests;
