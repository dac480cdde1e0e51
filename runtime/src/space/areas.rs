//! The areas of an address space: ranges that do not overlap, in ascending order.

use alloc::{collections::TryReserveError, vec::Vec};
use core::ops::Range;

use crate::{Attributes, Change, ClosedRange};

/// A range of guest physical addresses, what may be done there, and what is behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area<B> {
    range: ClosedRange,
    attributes: Attributes,
    backend: B,
}

impl<B> Area<B> {
    /// An area.
    pub const fn new(range: ClosedRange, attributes: Attributes, backend: B) -> Self {
        Self { range, attributes, backend }
    }

    /// Its addresses.
    pub const fn range(&self) -> ClosedRange {
        self.range
    }

    /// What may be done there, and how the memory behaves.
    pub const fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// What is behind it.
    pub const fn backend(&self) -> &B {
        &self.backend
    }
}

/// What can be behind several areas at once, so that they can be cut and joined.
///
/// An area that is cut leaves a copy on both sides: a backend speaks of guest addresses, not of offsets in its area.
pub trait Joinable: Clone {
    /// What is behind an area and the one that follows it, as one; `None` if they are not of one piece.
    fn join(&self, next: &Self) -> Option<Self>;
}

/// Areas that do not overlap, in ascending order. Neighbours that are of one piece are joined.
///
/// It grows only in [`MemorySet::reserve`]; after that, nothing can fail for want of memory.
#[derive(Clone, Debug)]
pub struct MemorySet<B> {
    areas: Vec<Area<B>>,
}

impl<B> Default for MemorySet<B> {
    fn default() -> Self {
        Self { areas: Vec::new() }
    }
}

impl<B: Joinable> MemorySet<B> {
    /// Number of areas.
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether there is no area.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// All areas, in ascending order.
    pub fn iter(&self) -> core::slice::Iter<'_, Area<B>> {
        self.areas.iter()
    }

    /// The area that `address` is in.
    pub fn find(&self, address: u64) -> Option<&Area<B>> {
        self.overlapping(ClosedRange::around(address, 0)).first()
    }

    /// The areas that have addresses in `range`.
    pub fn overlapping(&self, range: ClosedRange) -> &[Area<B>] {
        self.areas.get(self.indices(range)).unwrap_or_default()
    }

    /// The lowest range of `size` bytes that starts at a multiple of `1 << align` inside `within` and has no area.
    pub fn find_free(&self, size: u64, align: u8, within: ClosedRange) -> Option<ClosedRange> {
        let align_up = |address: u64| match ClosedRange::around(address, align) {
            block if block.start() == address => Some(address),
            block => block.last().checked_add(1),
        };
        let mut start = align_up(within.start())?;
        loop {
            let wanted = ClosedRange::from_start_size(start, size).filter(|wanted| within.covers(wanted))?;
            match self.overlapping(wanted).last() {
                None => return Some(wanted),
                Some(area) => start = align_up(area.range.last().checked_add(1)?)?,
            }
        }
    }

    /// Makes room for `more` areas. Inserting takes one, removing up to one, changing up to two.
    ///
    /// # Errors
    ///
    /// If there is no memory for them; then nothing changed.
    pub fn reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        self.areas.try_reserve(more)
    }

    /// Adds an area, and joins it with its neighbours where they are of one piece.
    ///
    /// # Errors
    ///
    /// The range of an area that is in the way; then nothing changed.
    pub fn insert(&mut self, area: Area<B>) -> Result<(), ClosedRange> {
        let at = self.indices(area.range);
        if let Some(other) = self.areas.get(at.start).filter(|_| !at.is_empty()) {
            return Err(other.range);
        }
        self.areas.insert(at.start, area);
        self.join_around(at.start..at.start + 1);
        Ok(())
    }

    /// Takes `range` out of all areas. Those that it covers in part are cut short; one all around it becomes two.
    pub fn remove(&mut self, range: ClosedRange) {
        let left =
            |area: &Area<B>| range.start().checked_sub(1).and_then(|last| ClosedRange::new(area.range.start(), last));
        let right =
            |area: &Area<B>| range.last().checked_add(1).and_then(|start| ClosedRange::new(start, area.range.last()));
        if let Some(rest) = self.find(range.start()).filter(|area| left(area).is_some()).and_then(right) {
            self.cut_before(rest.start());
        }
        let Range { mut start, mut end } = self.indices(range);
        if let Some(first) = self.areas.get_mut(start..end).unwrap_or_default().first_mut()
            && let Some(rest) = left(first)
        {
            first.range = rest;
            start += 1;
        }
        if let Some(last) = self.areas.get_mut(start..end).unwrap_or_default().last_mut()
            && let Some(rest) = right(last)
        {
            last.range = rest;
            end -= 1;
        }
        self.areas.drain(start..end);
    }

    /// Applies `change` to all areas in `range`. Those that it covers in part are cut.
    pub fn change(&mut self, range: ClosedRange, change: &Change) {
        let at = self.cut_out(range);
        for area in self.areas.get_mut(at.clone()).unwrap_or_default() {
            area.attributes = area.attributes.with(change);
        }
        self.join_around(at);
    }

    /// The indices of the areas that have addresses in `range`; if there are none, the place where one would go.
    fn indices(&self, range: ClosedRange) -> Range<usize> {
        let start = self.areas.partition_point(|area| area.range.last() < range.start());
        let end = self.areas.partition_point(|area| area.range.start() <= range.last());
        start..end.max(start)
    }

    /// Cuts areas at the ends of `range`; the indices of those that are then in it.
    fn cut_out(&mut self, range: ClosedRange) -> Range<usize> {
        self.cut_before(range.start());
        if let Some(after) = range.last().checked_add(1) {
            self.cut_before(after);
        }
        self.indices(range)
    }

    /// Cuts the area that both `address` and the address before it are in.
    fn cut_before(&mut self, address: u64) {
        let at = self.areas.partition_point(|area| area.range.last() < address);
        let Some(area) = self.areas.get_mut(at) else { return };
        let before = address.checked_sub(1).and_then(|last| ClosedRange::new(area.range.start(), last));
        if let (Some(before), Some(rest)) = (before, ClosedRange::new(address, area.range.last())) {
            area.range = before;
            let rest = Area { range: rest, ..area.clone() };
            self.areas.insert(at + 1, rest);
        }
    }

    /// Joins the areas at `indices` with each other and with their neighbours.
    fn join_around(&mut self, indices: Range<usize>) {
        let first = indices.start.saturating_sub(1);
        let end = (indices.end + 1).min(self.areas.len());
        for right in (first + 1..end).rev() {
            let [left, next] = match self.areas.get_mut(right - 1..=right) {
                Some([left, next]) => [left, next],
                _ => continue,
            };
            let adjacent = left.range.last().checked_add(1) == Some(next.range.start());
            if !adjacent || left.attributes != next.attributes {
                continue;
            }
            if let Some(backend) = left.backend.join(&next.backend) {
                left.range = left.range.hull(&next.range);
                left.backend = backend;
                self.areas.remove(right);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{MemoryType, Rights};

    impl Joinable for char {
        fn join(&self, next: &Self) -> Option<Self> {
            (self == next).then_some(*self)
        }
    }

    fn range(start: u64, last: u64) -> ClosedRange {
        ClosedRange::new(start, last).unwrap()
    }

    fn set(areas: &[(u64, u64, char)]) -> MemorySet<char> {
        let mut set = MemorySet::default();
        for &(start, last, backend) in areas {
            set.insert(Area::new(range(start, last), Attributes::new(Rights::RW, MemoryType::WriteBack), backend))
                .unwrap();
        }
        set
    }

    fn shape(set: &MemorySet<char>) -> Vec<(u64, u64, char)> {
        set.iter().map(|area| (area.range.start(), area.range.last(), area.backend)).collect()
    }

    #[test]
    fn an_overlap_names_the_area_in_the_way() {
        let mut set = set(&[(10, 19, 'a'), (30, 39, 'b')]);
        let new = Area::new(range(19, 30), *set.find(10).unwrap().attributes(), 'c');
        assert_eq!(set.insert(new), Err(range(10, 19)));
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn neighbours_of_one_piece_are_joined() {
        let set = set(&[(10, 19, 'a'), (30, 39, 'a'), (20, 29, 'a'), (40, 49, 'b')]);
        assert_eq!(shape(&set), [(10, 39, 'a'), (40, 49, 'b')]);
    }

    #[test]
    fn a_hole_cuts_an_area_in_two() {
        let mut set = set(&[(10, 19, 'a')]);
        set.remove(range(13, 15));
        assert_eq!(shape(&set), [(10, 12, 'a'), (16, 19, 'a')]);
        assert!(set.find(14).is_none());
    }

    #[test]
    fn only_a_hole_takes_room() {
        let mut set = set(&[(10, 19, 'a'), (20, 29, 'b'), (30, 39, 'a')]);
        set.areas.shrink_to_fit();
        set.remove(range(15, 32));
        assert_eq!((shape(&set), set.areas.capacity()), (vec![(10, 14, 'a'), (33, 39, 'a')], 3));
        set.remove(range(12, 12));
        assert_eq!((shape(&set), set.areas.capacity()), (vec![(10, 11, 'a'), (13, 14, 'a'), (33, 39, 'a')], 3));
        set.remove(range(14, 40));
        assert_eq!(shape(&set), [(10, 11, 'a'), (13, 13, 'a')]);
    }

    #[test]
    fn a_change_cuts_and_taking_it_back_joins() {
        let mut set = set(&[(10, 19, 'a'), (20, 29, 'b')]);
        let rights = |rights| Change { rights: Some(rights), ..Change::default() };
        set.change(range(15, 24), &rights(Rights::R));
        assert_eq!(shape(&set), [(10, 14, 'a'), (15, 19, 'a'), (20, 24, 'b'), (25, 29, 'b')]);
        set.change(range(0, 100), &rights(Rights::RW));
        assert_eq!(shape(&set), [(10, 19, 'a'), (20, 29, 'b')]);
    }

    #[test]
    fn the_ends_of_the_space_are_ordinary() {
        let mut set = set(&[(0, u64::MAX, 'a')]);
        set.remove(range(u64::MAX, u64::MAX));
        set.remove(range(0, 0));
        assert_eq!(shape(&set), [(1, u64::MAX - 1, 'a')]);
        assert!(set.find_free(2, 0, ClosedRange::FULL).is_none());
        assert_eq!(set.find_free(1, 0, range(5, u64::MAX)), Some(range(u64::MAX, u64::MAX)));
    }

    #[test]
    fn free_ranges_are_aligned() {
        let set = set(&[(0, 19, 'a'), (40, 69, 'b')]);
        assert_eq!(set.find_free(8, 4, ClosedRange::FULL), Some(range(32, 39)));
        assert_eq!(set.find_free(16, 4, ClosedRange::FULL), Some(range(80, 95)));
        assert_eq!(set.find_free(16, 4, range(0, 94)), None);
    }
}
