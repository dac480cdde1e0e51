//! What neighbours say together, where one larger leaf could stand in their place.

use super::{PageTable, alike::Alike, build::Found, entries::Entries, located::Located};
use crate::{Attributes, ClosedRange, Format, Hal, Level};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// What all leaves in `range` say, which this table translates, if they fill it, `fits` holds for each, and they say the
    /// same but for their states: what is in a state is so if one of them is.
    pub(super) fn said_by_all(
        &self,
        entries: Entries,
        range: ClosedRange,
        fits: &mut dyn FnMut(&Located) -> bool,
    ) -> Option<Attributes> {
        let unmarked = |attributes| Attributes { accessed: false, dirty: false, ..attributes };
        let mut all: Option<Attributes> = None;
        // Those like the last one say what it says.
        let mut last: Option<(Level, Alike)> = None;
        self.for_leaves(entries, range, &mut |leaf| {
            let &Located { level, entries, index, items, .. } = leaf;
            let raw = entries.load(index);
            if !fits(leaf) {
                return None;
            }
            if items == 1 && last.is_some_and(|(at, alike)| at == level && alike.contains(raw)) {
                return Some(());
            }
            last = Some((level, self.alike(level, raw, !self.address_bits(level), None, false)));
            let (_, attributes) = self.attributes(leaf)?;
            let all = all.get_or_insert(attributes);
            all.accessed |= attributes.accessed;
            all.dirty |= attributes.dirty;
            (unmarked(*all) == unmarked(attributes)).then_some(())
        })?;
        all
    }

    /// Calls `act` for all leaves in `range`, which this table translates; `None` at the first hole, or when `act` says so.
    pub(super) fn for_leaves(
        &self,
        entries: Entries,
        range: ClosedRange,
        act: &mut dyn FnMut(&Located) -> Option<()>,
    ) -> Option<()> {
        let level = entries.level();
        let mut left = Some(range);
        while let Some(rest) = left {
            let slot = Self::slot(level, rest.start());
            let mut last = slot.last();
            match self.visit(entries, Self::index(level, rest.start())) {
                (_, Found::Absent) => return None,
                (raw, Found::Leaf) => {
                    let leaf = self.locate(entries, rest.start(), raw);
                    last = leaf.range.last();
                    act(&leaf)?;
                }
                (_, Found::Table(entries)) => self.for_leaves(entries, slot, act)?,
            }
            left = range.after(last);
        }
        Some(())
    }
}
