//! Joining areas that are of one piece.

use super::{MemorySet, Place};
use crate::ClosedRange;
use crate::space::{Area, Joinable};

impl<B: Joinable> MemorySet<B> {
    /// Lets the areas beside the place where this one would go take it in, as far as they are of one piece; whether one did.
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

    /// Joins two areas that follow each other, and says where the one is then; `None` if they are not of one piece.
    pub(super) fn join(&mut self, place: Place, next: Place) -> Option<Place> {
        let [area, following] = [self.area(place)?, self.area(next)?];
        let backend = area.join(following)?;
        let (start, range, logged) = (area.range().start(), following.range(), following.is_logged());
        self.widen(place, range, logged, backend);
        self.remove_at(next);
        // Nodes may have been put together.
        let is_there = self.tree.start(place) == Some(start);
        if is_there { Some(place) } else { self.tree.up_to(start) }
    }

    /// Lets the area at `place` take in what is beside it, with what is behind both.
    fn widen(&mut self, place: Place, range: ClosedRange, logged: bool, backend: B) {
        let Some(link) = self.tree.link(place) else { return };
        if let Some(area) = self.areas.get_mut(link) {
            area.take_in(range, logged, backend);
            self.grew(link);
        }
    }
}
