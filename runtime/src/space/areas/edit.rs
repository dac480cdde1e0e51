//! Taking areas out, and changing, cutting and joining them.

use core::mem;

use super::{CHUNK, Chunk, MemorySet, Place};
use crate::space::{Area, Joinable, SpaceError};
use crate::{Change, ClosedRange};

impl<B: Joinable> MemorySet<B> {
    /// Takes `range` out of all areas. Those that it covers in part are cut short; one all around it becomes two.
    ///
    /// # Errors
    ///
    /// [`SpaceError::NoMemory`] if one becomes two; then nothing changed.
    pub fn remove(&mut self, range: ClosedRange) -> Result<(), SpaceError> {
        let place = self.place(range.start());
        self.reserve_for_hole(place, range).map_err(|_| SpaceError::NoMemory)?;
        self.remove_from(place, range);
        Ok(())
    }

    /// The same, where there is room for it, and the place of the first of its addresses is known.
    pub(in crate::space) fn remove_from(&mut self, mut place: Place, range: ClosedRange) {
        if let Some(area) = self.area_mut(place) {
            let whole = area.range();
            if whole == range {
                return self.remove_at(place);
            }
            if let Some(left) = before(range).and_then(|last| ClosedRange::new(whole.start(), last)) {
                place = place.next();
                let right = after(range).and_then(|start| ClosedRange::new(start, whole.last()));
                let rest = right.map(|right| area.part(right));
                area.shrink(left);
                if let Some(rest) = rest {
                    self.insert_at(place, rest);
                    return;
                }
            }
        }
        let first = place.chunk;
        while let Some(chunk) = self.chunks.get_mut(place.chunk) {
            let mut end = chunk.up_to(range.last());
            if let Some(last) = end.checked_sub(1).filter(|&last| last >= place.index)
                && let Some(area) = chunk.get_mut(last)
                && let Some(right) = after(range).and_then(|start| ClosedRange::new(start, area.range().last()))
            {
                area.shrink(right);
                chunk.set_key(last, right.start());
                end = last;
            }
            if place.index < end {
                chunk.remove_range(place.index..end);
                self.len -= end - place.index;
            }
            let is_last = place.index < chunk.len();
            self.update_key(place.chunk);
            if is_last {
                break;
            }
            place = Place { chunk: place.chunk + 1, index: 0 };
        }
        self.tidy(first, place.chunk);
    }

    /// Applies `change` to all areas in `range`. Those that it covers in part are cut.
    ///
    /// # Errors
    ///
    /// [`SpaceError::NoMemory`]; then nothing changed.
    pub fn change(&mut self, range: ClosedRange, change: &Change) -> Result<(), SpaceError> {
        self.reserve(2).map_err(|_| SpaceError::NoMemory)?;
        self.cut_and_change(self.place(range.start()), range, |area| area.change(change));
        Ok(())
    }

    /// The same with whatever `change` does to areas, where there is room for it, and the place of the first address is
    /// known.
    pub(in crate::space) fn cut_and_change(
        &mut self,
        place: Place,
        range: ClosedRange,
        mut change: impl FnMut(&mut Area<B>),
    ) {
        let first = self.cut_before(place, range.start());
        let mut place = self.settled(first);
        while let Some(area) = self.area(place)
            && area.range().start() <= range.last()
        {
            if let Some(after) = after(range)
                && area.range().contains(after)
            {
                let rest = self.cut_before(place, after);
                // Where a chunk was divided for it, what stands before may be in another place.
                place = self.previous(rest).unwrap_or(place);
            }
            let Some(area) = self.area_mut(place) else { return };
            change(area);
            place = self.settled(place.next());
        }
        self.join_around(range);
    }

    /// Takes the area at `place` out.
    fn remove_at(&mut self, place: Place) {
        let Some(chunk) = self.chunks.get_mut(place.chunk) else { return };
        chunk.remove(place.index);
        // One that is more than half full is never put together with another.
        let is_small = chunk.len() <= CHUNK / 2;
        self.len -= 1;
        self.update_key(place.chunk);
        if is_small {
            self.tidy(place.chunk, place.chunk);
        }
    }

    /// Takes empty chunks among those from `first` to `last` out, and puts small neighbours together: two that follow each
    /// other have more than half of one between them.
    fn tidy(&mut self, first: usize, last: usize) {
        let is_empty = |chunk: usize| self.chunks.get(chunk).is_some_and(Chunk::is_empty);
        // Those between have lost all areas, if any have.
        let from = if is_empty(first) { first } else { first + 1 };
        let end = if is_empty(last) { last + 1 } else { last };
        // The last of all stays: there may be room in it that somebody counts on.
        let from = if end - from.min(end) == self.chunks.len() { from + 1 } else { from };
        for empty in from..end {
            let empty = self.chunks.get_mut(empty).map(mem::take);
            self.keep(empty);
        }
        if from < end {
            self.chunks.remove_range(from..end);
        }
        // Of those around the gap and those next to them, each may fit into the one before.
        let mut here = first.saturating_sub(1);
        for _ in 0..3 {
            if !self.put_together(here) {
                here += 1;
            }
        }
    }

    /// Puts a chunk and the next together, if both are small.
    fn put_together(&mut self, here: usize) -> bool {
        let len = |chunk: usize| self.chunks.get(chunk).map(Chunk::len);
        let small = len(here).zip(len(here + 1)).is_some_and(|(lower, upper)| lower + upper <= CHUNK / 2);
        let upper = if small { self.chunks.remove(here + 1) } else { None };
        let Some(mut upper) = upper else { return false };
        if let Some(lower) = self.chunks.get_mut(here) {
            upper.move_to(lower, 0);
        }
        self.keep(Some(upper));
        true
    }

    /// Keeps an empty chunk, if it is one that somebody may count on.
    fn keep(&mut self, chunk: Option<Chunk<B>>) {
        if self.spare.len() < self.spare.capacity() {
            self.spare.extend(chunk);
        }
    }

    /// Cuts the area at `place`, if both `address` and the address before it are in it; the place of what is at `address` or
    /// comes next then.
    fn cut_before(&mut self, place: Place, address: u64) -> Place {
        let Some(area) = self.area_mut(place) else { return place };
        let whole = area.range();
        let left = address.checked_sub(1).and_then(|last| ClosedRange::new(whole.start(), last));
        match (left, ClosedRange::new(address, whole.last())) {
            (Some(left), Some(right)) => {
                let rest = area.part(right);
                area.shrink(left);
                self.insert_at(place.next(), rest)
            }
            _ => place,
        }
    }

    /// The place of the area before `place`.
    fn previous(&self, place: Place) -> Option<Place> {
        if let Some(index) = place.index.checked_sub(1) {
            return Some(Place { index, ..place });
        }
        let chunk = place.chunk.checked_sub(1)?;
        Some(Place { chunk, index: self.chunks.get(chunk)?.len().checked_sub(1)? })
    }

    /// Joins the areas in `range` with each other and with their neighbours.
    pub(super) fn join_around(&mut self, range: ClosedRange) {
        let mut place = self.settled(self.place(range.start().saturating_sub(1)));
        while let Some(left) = self.area(place)
            && left.range().start() <= range.last()
        {
            let next = self.settled(place.next());
            let Some(right) = self.area(next) else { return };
            let start = right.range().start();
            if let Some(joined) = left.joined(right)
                && let Some(left) = self.area_mut(place)
            {
                *left = joined;
                self.remove_at(next);
                // The chunks may have been put together.
                place = self.place(start);
            } else {
                place = next;
            }
        }
    }
}

/// The address before a range, if there is one.
fn before(range: ClosedRange) -> Option<u64> {
    range.start().checked_sub(1)
}

/// The address after a range, if there is one.
fn after(range: ClosedRange) -> Option<u64> {
    range.last().checked_add(1)
}
