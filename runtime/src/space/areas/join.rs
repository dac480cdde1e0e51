//! Joining areas that are of one piece.

use super::{MemorySet, Place};
use crate::space::Joinable;

impl<B: Joinable> MemorySet<B> {
    /// Joins the area at `place` with those beside it, as far as they are of one piece.
    pub(super) fn join_around(&mut self, place: Place) {
        let joined = self.tree.previous(place).and_then(|before| self.join(before, place));
        let place = joined.unwrap_or(place);
        if let Some(next) = self.tree.next(place) {
            self.join(place, next);
        }
    }

    /// Joins two areas that follow each other, and says where the one is then; `None` if they are not of one piece.
    pub(super) fn join(&mut self, place: Place, next: Place) -> Option<Place> {
        let [link, other] = [self.tree.link(place)?, self.tree.link(next)?];
        let [area, following] = [self.areas.get(link)?, self.areas.get(other)?];
        let backend = area.join(following)?;
        let (start, range, logged) = (area.range().start(), following.range(), following.is_logged());
        self.areas.get_mut(link)?.take_in(range, logged, backend);
        self.grew(link);
        self.remove_at(next);
        // Nodes may have been put together.
        let is_there = self.tree.start(place) == Some(start);
        if is_there { Some(place) } else { self.tree.up_to(start) }
    }
}
