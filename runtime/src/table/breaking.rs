//! Changing the attributes of a range where some leaves must be broken for that.

use core::cell::Cell;

use super::{
    Error, PageTable,
    alike::{Alike, Seen},
    build::Found,
    entries::Entries,
    remake::{Pass, Rewrites},
};
use crate::{Change, ClosedRange, Edit, Format, Hal, Level};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Checks that no leaf has to be broken where an MMU cannot retry.
    pub(super) fn refuse_breaks(&self, range: ClosedRange, change: &Change, rewrites: &Rewrites) -> Result<(), Error> {
        if !self.format.may_break(change) || !self.is_strict() {
            return Ok(());
        }
        let judge = |level, address, raw| {
            let mut alike = self.changed(level, raw, rewrites);
            if alike.breaks {
                return Err(self.needs_break(address, level, raw));
            }
            // One leaf speaks for all that are alike.
            alike.rewrite = None;
            Ok(alike)
        };
        self.for_all_groups(range, &judge, &mut |group| group.items)
    }

    /// What becomes of leaves like `raw`.
    fn changed(&self, level: Level, raw: u64, rewrites: &Rewrites) -> Alike {
        let rewrite = rewrites.at(level).filter(|rewrite| rewrite.apply(raw) != raw);
        let breaks =
            rewrite.is_some_and(|rewrite| self.format.edit(level, raw, rewrite.apply(raw)) == Edit::BreakBeforeMake);
        self.alike(level, raw, !self.address_bits(level), rewrite, breaks)
    }

    /// Whether the first leaf in `range` that changes must be broken; `None` if none changes.
    fn first_breaks(&self, range: ClosedRange, rewrites: &Rewrites) -> Option<bool> {
        let first = Cell::new(None);
        let judge = |level, address, raw| {
            let alike = self.changed(level, raw, rewrites);
            if alike.rewrite.is_some() {
                first.set(Some(alike.breaks));
                // Any error ends the search.
                return Err(self.needs_break(address, level, raw));
            }
            Ok(alike)
        };
        let _ = self.for_all_groups(range, &judge, &mut |group| group.items);
        first.get()
    }

    /// Rewrites every leaf in the part of `range` that this table translates. A leaf that is only partly covered already
    /// is as it should be.
    pub(super) fn rewrite_breaking(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        seen: &mut Seen,
        pass: &mut Pass<'_, '_, '_, F, H>,
    ) {
        let level = entries.level();
        let rewrites = pass.rewrites;
        let states = self.format.accessed_dirty(level);
        let judge = |level, _, raw| Ok(self.changed(level, raw, rewrites));
        let mut changed: Option<ClosedRange> = None;
        for (index, part) in Self::parts(level, range) {
            match self.visit(entries, index) {
                (raw, Found::Table(below)) => {
                    // If the first leaf that changes must be broken, most of those that follow are like it. Then it is
                    // cheaper to take the whole table away once.
                    let whole = Self::slot(level, part.start()) == part;
                    match if whole { self.first_breaks(part, rewrites) } else { Some(false) } {
                        Some(true) => {
                            entries.store(&self.hal, index, self.format.empty(level));
                            pass.broken.push(raw, part);
                        }
                        Some(false) => {
                            self.make(entries, pass);
                            self.rewrite_breaking(below, part, seen, pass);
                        }
                        None => {}
                    }
                }
                (raw, Found::Leaf) => {
                    let Ok(alike) = seen.judge(level, part.start(), raw, &judge) else { continue };
                    let Some(rewrite) = alike.rewrite else { continue };
                    if alike.breaks {
                        let leaf = self.locate(entries, part.start(), raw);
                        if Self::items(&leaf) > 1 {
                            self.remake(&leaf, &rewrite, pass.pages, pass.gather);
                        } else {
                            pass.broken.push(entries.swap(&self.hal, index, self.format.empty(level)), part);
                        }
                    } else {
                        let mut old = raw;
                        if states.hardware {
                            old = entries.update(&self.hal, index, |raw| Some(rewrite.apply(raw))).unwrap_or(raw);
                        } else {
                            entries.store(&self.hal, index, rewrite.apply(raw));
                        }
                        self.account(level, part, [old, rewrite.apply(old)], pass.pages, pass.gather);
                        changed = Some(changed.map_or(part, |changed| changed.hull(&part)));
                    }
                }
                (_, Found::Absent) => {}
            }
            if pass.broken.is_full() {
                self.make(entries, pass);
            }
        }
        self.make(entries, pass);
        if let Some(changed) = changed {
            pass.gather.record(changed, true, Self::entry_bits(level));
        }
    }
}
