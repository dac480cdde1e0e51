//! Joining neighbouring areas that can be one.

use super::{MemorySet, Place};
use crate::ClosedRange;
use crate::space::{Area, Joinable};

impl<B: Joinable> MemorySet<B> {
    /// Extends a neighbour of the place where this area would go by the area, if both can be one; returns whether one
    /// was.
    pub(super) fn take_in(&mut self, place: Place, area: &Area<B>) -> bool {
        let start = area.range().start();
        let next = self.tree.after(place, start);
        if let Some(before) = place.before()
            && let Some(backend) = self.area(before).and_then(|before| before.join(area))
        {
            self.widen(before, area.range(), area.is_logged(), backend);
            next.map(|next| self.join(before, next));
            return true;
        }
        if let Some(next) = next
            && let Some(backend) = self.area(next).and_then(|next| area.join(next))
        {
            self.widen(next, area.range(), area.is_logged(), backend);
            self.tree.restart(next, start);
            return true;
        }
        false
    }

    /// Joins two areas that follow each other, and returns where the joined area is; `None` if they cannot be one.
    pub(super) fn join(&mut self, place: Place, next: Place) -> Option<Place> {
        let [area, following] = [self.area(place)?, self.area(next)?];
        let backend = area.join(following)?;
        let (start, range, logged) = (area.range().start(), following.range(), following.is_logged());
        self.widen(place, range, logged, backend);
        self.remove_at(next);
        // Nodes may have been merged.
        let is_there = self.tree.start(place) == Some(start);
        if is_there { Some(place) } else { self.tree.up_to(start) }
    }

    /// Extends the area at `place` by what is beside it, with the backend of both.
    fn widen(&mut self, place: Place, range: ClosedRange, logged: bool, backend: B) {
        let Some(link) = self.tree.link(place) else { return };
        if let Some(area) = self.areas.get_mut(link) {
            area.take_in(range, logged, backend);
            self.grew(link);
        }
    }
}
