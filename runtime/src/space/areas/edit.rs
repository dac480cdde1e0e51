//! Removing, changing and cutting areas.

use super::{MemorySet, Place};
use crate::space::{Area, Joinable, SpaceError};
use crate::{Change, ClosedRange};

impl<B: Joinable> MemorySet<B> {
    /// Removes `range` from all areas. Areas that it covers in part are cut short; an area all around it becomes two.
    ///
    /// # Errors
    ///
    /// [`SpaceError::NoMemory`], only if an area would become two; then nothing changed.
    pub fn remove(&mut self, range: ClosedRange) -> Result<(), SpaceError> {
        let place = self.place(range.start());
        self.reserve_for_hole(place, range).map_err(|_| SpaceError::NoMemory)?;
        self.remove_from(place, range);
        Ok(())
    }

    /// As [`MemorySet::remove`], if there is room for it and the place of the first of these areas is known.
    pub(in crate::space) fn remove_from(&mut self, place: Option<Place>, range: ClosedRange) {
        let Some((place, link)) = place.and_then(|place| Some((place, self.tree.link(place)?))) else { return };
        let Some(area) = self.areas.get_mut(link) else { return };
        let whole = area.range();
        let left = before(range).and_then(|last| ClosedRange::new(whole.start(), last));
        match left {
            Some(left) => {
                area.shrink(left);
                if let Some(right) = after(range).and_then(|start| ClosedRange::new(start, whole.last())) {
                    self.insert_part(link, right, place.behind());
                }
            }
            None if whole.last() == range.last() => self.remove_at(place),
            None => self.begin_after(place, range),
        }
        if whole.last() < range.last() {
            // There may be others.
            if let Some(last) = self.tree.up_to(range.last()) {
                self.begin_after(last, range);
            }
            self.tree.remove_all(range, &mut |link| self.areas.remove(link));
        }
    }

    /// Makes the area at `place` begin after `range`, if that ends in it.
    fn begin_after(&mut self, place: Place, range: ClosedRange) {
        if let Some(area) = self.area_mut(place)
            && let Some(start) = after(range).filter(|&after| area.range().contains(after))
            && let Some(rest) = ClosedRange::new(start, area.range().last())
        {
            area.shrink(rest);
            self.tree.restart(place, start);
        }
    }

    /// Applies `change` to all areas in `range`. Areas that it covers in part are cut.
    ///
    /// # Errors
    ///
    /// [`SpaceError::NoMemory`]; then nothing changed.
    pub fn change(&mut self, range: ClosedRange, change: &Change) -> Result<(), SpaceError> {
        self.reserve(2).map_err(|_| SpaceError::NoMemory)?;
        let place = self.place(range.start());
        if self.parts_from(place, range).any(|(_, area)| area.attributes().with(change) != *area.attributes()) {
            self.cut_and_change(place, range, &mut |area| area.change(change));
        }
        Ok(())
    }

    /// As [`MemorySet::change`], with a closure that changes an area, if there is room for it, the place of the first
    /// area is known, and at least one area really changes.
    pub(in crate::space) fn cut_and_change(
        &mut self,
        place: Option<Place>,
        range: ClosedRange,
        change: &mut dyn FnMut(&mut Area<B>),
    ) {
        let mut next = place;
        let mut before = place.and_then(|place| self.tree.previous(place));
        while let Some(mut place) = next
            && let Some(area) = self.area_mut(place)
            && let Some(part) = area.range().intersection(&range)
        {
            let whole = area.range();
            if part == whole {
                change(area);
            } else {
                let Some(cut) = self.cut_out(place, part) else { return };
                place = cut;
                self.area_mut(place).into_iter().for_each(&mut *change);
                if whole.start() < part.start() && part.last() < whole.last() {
                    // It is between the rests of the area that it was cut out of, and no longer like these.
                    return;
                }
                before = self.tree.previous(place);
            }
            let joined = before.and_then(|before| self.join(before, place));
            before = joined.or(Some(place));
            next = before.and_then(|before| self.tree.next(before));
            let mut end = after(part);
            while part.last() < range.last()
                && let Some(last) = next.and_then(|next| self.change_apart(next, range, &mut end, change))
            {
                before = Some(last);
                next = self.tree.next(last);
            }
        }
        if let Some((before, next)) = before.zip(next) {
            self.join(before, next);
        }
    }

    /// Changes the area at `place` and those after it in the same leaf, as long as all of each is in `range` and none
    /// begins at `end`, after the one before it, so that none can be joined. Returns where the last of them is.
    fn change_apart(
        &mut self,
        place: Place,
        range: ClosedRange,
        end: &mut Option<u64>,
        change: &mut dyn FnMut(&mut Area<B>),
    ) -> Option<Place> {
        let (mut next, mut last) = (place, None);
        for entry in self.tree.entries(place) {
            let area = self.areas.get_mut(entry.link)?;
            if !range.covers(&area.range()) || *end == Some(entry.start) {
                break;
            }
            change(area);
            *end = after(area.range());
            last = Some(next);
            next = next.behind();
        }
        last
    }

    /// Sets whether a dirty log tells pages apart, for all areas that are in `range` at least in part.
    // Not inlined: it has two callers.
    #[inline(never)]
    pub(in crate::space) fn log(&mut self, range: ClosedRange, logged: bool) {
        let mut next = self.place(range.start());
        while let Some(place) = next
            && let Some(area) = self.area_mut(place)
            && area.range().start() <= range.last()
        {
            area.log(logged);
            next = self.tree.next(place);
        }
    }

    /// Takes the area at `place` out.
    pub(super) fn remove_at(&mut self, place: Place) {
        if let Some(link) = self.tree.remove(place) {
            self.areas.remove(link);
        }
    }

    /// Makes `part` of the area at `place` an area of its own, and returns where it is. There is room for it and for
    /// the rest after it.
    fn cut_out(&mut self, place: Place, part: ClosedRange) -> Option<Place> {
        let link = self.tree.link(place)?;
        let area = self.areas.get_mut(link)?;
        let whole = area.range();
        let mut cut = place;
        if let Some(left) = before(part).and_then(|last| ClosedRange::new(whole.start(), last)) {
            area.shrink(left);
            cut = self.insert_part(link, part, place.behind())?;
        } else {
            area.shrink(part);
        }
        if let Some(right) = after(part).and_then(|start| ClosedRange::new(start, whole.last())) {
            let right = self.insert_part(link, right, cut.behind())?;
            // The part before it may be at another place now.
            cut = self.tree.previous(right)?;
        }
        Some(cut)
    }

    /// Adds an area, for which there is room, that differs from the one at `link` only in its range, and returns where
    /// it is.
    // Not inlined: the copy is made from slot to slot.
    #[inline(never)]
    fn insert_part(&mut self, link: u32, range: ClosedRange, place: Place) -> Option<Place> {
        let part = self.areas.get(link)?.part(range);
        self.insert_at(place, part)
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
