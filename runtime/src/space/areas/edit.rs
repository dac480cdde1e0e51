//! Taking areas out, and changing, cutting and joining them.

use super::{MemorySet, Place, chunks::CHUNK};
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
            self.chunks.update_key(place.chunk);
            if is_last {
                break;
            }
            place = Place { chunk: place.chunk + 1, index: 0 };
        }
        self.chunks.tidy(first, place.chunk);
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
        let whole = self.area(place).map(Area::range);
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
            let before = *area.attributes();
            change(area);
            if *area.attributes() != before
                && whole.is_some_and(|whole| whole.start() < range.start() && range.last() < whole.last())
            {
                // It stands between what is left of the area that it was cut out of, and now is unlike that.
                return;
            }
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
        self.chunks.update_key(place.chunk);
        if is_small {
            self.chunks.tidy(place.chunk, place.chunk);
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
