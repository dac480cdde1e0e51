//! Building a mapping aside, in a table that no MMU walks, to put it in at once.

use super::{
    Error, Gather, PageTable, build::Found, entries::Entries, sinks::Sinks, slots::slots, walk_cache::WalkCache,
};
use crate::{ClosedRange, Format, Hal};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// An empty table like this one that no MMU ever walks: changes there, and its end, are invalidated nowhere.
    pub(crate) fn aside(&self) -> Result<Self, Error> {
        let mut aside = ok!(Self::new(self.format, self.hal.clone(), self.tag));
        aside.sinks = Sinks::NONE;
        Ok(aside)
    }

    /// Takes over all that a table [aside](Self::aside) maps in `range`, where nothing is mapped here. It takes no frame:
    /// where a table is missing, the other's is linked with all that is in it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`], [`Error::ForeignGather`].
    pub(crate) fn take_over(
        &mut self,
        range: ClosedRange,
        aside: &mut Self,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let range = ok!(self.feeding(range, gather));
        aside.walk_cache = WalkCache::default();
        gather.settle(range, true);
        self.take_entries(aside.root_entries(), self.root_entries(), range);
        self.made(range, false, gather);
        Ok(())
    }

    /// Takes over what one table translates of `range`.
    fn take_entries(&self, from: Entries<F::Word>, to: Entries<F::Word>, range: ClosedRange) {
        let level = from.level();
        let (indices, empty) = (slots::<F>(level, from.count(), range), self.format.empty(level));
        if level == 0 {
            let first = indices.start;
            return from.move_to(&self.hal, indices, &to, first, empty, None);
        }
        for (index, part) in Self::parts(level, range) {
            match (self.visit(from, index), self.visit(to, index).1) {
                ((_, Found::Absent), _) => {}
                ((_, Found::Table(from)), Found::Table(to)) => self.take_entries(from, to, part),
                ((raw, _), there) => {
                    debug_assert!(matches!(there, Found::Absent), "something is mapped here");
                    to.store(&self.hal, index, raw);
                    from.store(&self.hal, index, empty);
                }
            }
        }
    }
}
