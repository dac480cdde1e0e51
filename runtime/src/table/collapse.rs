//! Splitting leaves into smaller ones and collapsing them again, on a table in use: to log writes page by page, and to
//! stop.

use super::{
    Error, Gather, PageTable,
    build::Found,
    edges::Edges,
    entries::Entries,
    frames::Frames,
    gather::Held,
    layout::{size_mask, sizes_of},
    located::Located,
    slots::slots,
    split::Fate,
    walk::{Met, Walk},
};
use crate::{Attributes, ClosedRange, Edit, Format, Hal, Level, PageSizes, Strip};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Splits every leaf that is larger than `1 << size` bytes, as far as `range` covers it, into leaves of at most that
    /// size. The mapping stays the same; [`PageTable::collapse`] is the way back. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::NoMemory`] or [`Error::Refused`] if a leaf cannot be
    /// split; [`Error::NeedsBreak`]; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn split_to(&mut self, range: ClosedRange, size: u8, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let range = ok!(self.feeding(range, gather));
        let size = size.max(F::PAGE_BITS);
        let mut edges = Edges::default();
        ok!(self.plan_edges(&self.cut_leaves(self.table_around(range), range), range, Fate::Kept, &mut edges));
        // Larger leaves at the edges are counted with all larger leaves.
        let small = edges.each_ref().map(|edge| edge.as_ref().filter(|edge| edge.leaf.size <= size));
        let mut tables: usize = small.into_iter().flatten().map(|edge| self.tables_for_split(edge, range)).sum();
        let mut walk = Walk::new(self, Some(range));
        while let Some(leaf) = walk.next_larger(size) {
            if let Some(split) = ok!(self.plan_split(&leaf, Fate::Cut(size))) {
                ok!(self.check_break(&split, split.leaf.range));
                tables += self.tables_for_split(&split, range);
            }
        }

        let tables = ok!(self.reserve_tables(tables));
        let mut reserve = Frames::of(&self.hal, tables);
        self.commit_edges(&mut edges, range, &mut reserve, gather);
        let mut walk = Walk::new(self, Some(range));
        while let Some(leaf) = walk.next_larger(size) {
            let done = self.cut(&leaf, size, &mut reserve, gather);
            debug_assert!(done.is_some(), "the plan counted too few tables");
        }
        Ok(())
    }

    /// Cuts a leaf: a run first into its items, which have to be replaced one by one.
    fn cut(&self, leaf: &Located<F>, size: u8, reserve: &mut Frames<'_, H>, gather: &mut Gather<F, H>) -> Option<()> {
        let entry = Self::entry_bits(leaf.level);
        let (range, items) = (leaf.range, Self::items(leaf) as u64);
        if items > 1 {
            self.cut_once(leaf, size.max(entry), reserve, gather)?;
        }
        if size < entry {
            for item in 0..items {
                let leaf = self.find(range.start() + (item << entry))?;
                self.cut_once(&leaf, size, reserve, gather)?;
            }
        }
        Some(())
    }

    fn cut_once(
        &self,
        leaf: &Located<F>,
        size: u8,
        reserve: &mut Frames<'_, H>,
        gather: &mut Gather<F, H>,
    ) -> Option<()> {
        let mut split = self.plan_split(leaf, Fate::Cut(size)).ok()??;
        let range = split.leaf.range;
        self.commit_split(&mut split, range, reserve, gather)
    }

    /// Replaces leaves in `range` that continue each other in input, output and attributes by the largest leaves of up
    /// to `1 << largest` bytes that map the same, and frees the tables that this makes superfluous. The mapping stays
    /// the same; a larger leaf is accessed or dirty if one of the leaves that it replaces was. Takes no memory. Where a
    /// device [cannot retry](Hal::retries), what would take a break is left as it is.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::ForeignGather`].
    ///
    /// # Safety
    ///
    /// If what is mapped in `range` will be freed leaf by leaf (see [`PageTable::depopulate`]), the HAL must accept as
    /// one frame what was allocated as several.
    pub unsafe fn collapse(&mut self, range: ClosedRange, largest: u8, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let range = ok!(self.exclusive(range, gather));
        if largest > F::PAGE_BITS {
            self.collapse_in(self.root_entries(), range, largest, gather);
            self.collapse_into_runs(self.root_entries(), range, largest, gather);
        }
        Ok(())
    }

    /// Collapses the tables below this one as far as they translate `range`, the lowest first.
    fn collapse_in(&self, entries: Entries<F::Word>, range: ClosedRange, largest: u8, gather: &mut Gather<F, H>) {
        let (level, entry) = (entries.level(), Self::entry_bits(entries.level()));
        let fits = entry <= largest && self.sizes(level).contains(entry);
        for (index, part) in Self::parts(level, range) {
            let (_, Found::Table(below)) = self.visit(entries, index) else { continue };
            self.collapse_in(below, part, largest, gather);
            // Runs are made only where one leaf cannot replace them all.
            if !fits || !self.collapse_table(entries, index, below, part, gather) {
                self.collapse_into_runs(below, part, largest, gather);
            }
        }
    }

    /// Replaces the table below this entry by a leaf that maps the same, if there is one and `part` is all that the entry
    /// translates. Returns whether it did.
    fn collapse_table(
        &self,
        entries: Entries<F::Word>,
        index: usize,
        below: Entries<F::Word>,
        part: ClosedRange,
        gather: &mut Gather<F, H>,
    ) -> bool {
        let (level, entry, raw) = (entries.level(), Self::entry_bits(entries.level()), entries.load(index));
        if ClosedRange::block(part.start(), entry) != part {
            return false;
        }
        let Some((_, Strip { first: new, .. })) = self.whole(below, part, level, entry) else { return false };
        if self.takes_break_for(level, raw, new) {
            if self.is_strict() {
                return false;
            }
            entries.store(&self.hal, index, self.format.empty(level));
            self.invalidate(part, 0, false);
            // Now no MMU marks the leaves any more. If no larger leaf can say what they have come to say, they stay.
            let marked = self.whole(below, part, level, entry);
            entries.store(&self.hal, index, marked.map_or(raw, |(_, strip)| strip.first));
            self.made(part, true, gather);
            if marked.is_none() {
                return false;
            }
        } else {
            entries.store(&self.hal, index, new);
            gather.record(part, false, F::PAGE_BITS);
        }
        gather.hold(Held::Tree { table: below.address(), level: below.level(), frames: false });
        true
    }

    /// Makes runs of the leaves of this table, the largest first.
    fn collapse_into_runs(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        largest: u8,
        gather: &mut Gather<F, H>,
    ) {
        let level = entries.level();
        if self.has_runs(level) {
            let sizes = self.sizes(level);
            let fits = |size: &u8| *size <= largest && sizes.contains(*size);
            for size in (Self::entry_bits(level) + 1..64).rev().filter(fits) {
                self.collapse_runs(entries, range, size, gather);
            }
        }
    }

    /// The sizes of leaves at `level`.
    fn sizes(&self, level: Level) -> PageSizes {
        sizes_of(&self.geometry, level, self.format.page_sizes(level))
    }

    /// Makes runs of `1 << size` bytes of the leaves of this table.
    fn collapse_runs(&self, entries: Entries<F::Word>, range: ClosedRange, size: u8, gather: &mut Gather<F, H>) {
        let level = entries.level();
        let mut left = Some(range);
        while let Some(rest) = left {
            let run = ClosedRange::block(rest.start(), size);
            left = range.after(run.last());
            if !range.covers(&run) {
                continue;
            }
            let Some((address, strip)) = self.whole(entries, run, level, size) else { continue };
            let index = Self::index(level, run.start());
            if (0..strip.items).any(|item| self.takes_break_for(level, entries.load(index + item), strip.first)) {
                if self.is_strict() {
                    continue;
                }
                let taken = self.take_away(&Located { entries, level, index, range: run, address, size });
                let first = self.format.accessed_dirty(level).join(strip.first, taken);
                entries.store_strip(&self.hal, index, Strip { first, ..strip });
                self.made(run, true, gather);
            } else {
                entries.store_strip(&self.hal, index, strip);
                gather.record(run, true, Self::entry_bits(level));
            }
        }
    }

    /// Whether entries must be taken away before `new` replaces them: by break-before-make, or because an MMU could mark
    /// them up to the last moment.
    fn takes_break_for(&self, level: Level, old: u64, new: u64) -> bool {
        let hardware = self.format.accessed_dirty(level).hardware;
        hardware || self.format.edit(level, old, new) == Edit::BreakBeforeMake
    }

    /// The leaf of `1 << size` bytes at level `target` that maps `range` as the smaller leaves in this table do: its
    /// output address, and its entries. `None` if there is none.
    fn whole(&self, entries: Entries<F::Word>, range: ClosedRange, target: Level, size: u8) -> Option<(u64, Strip)> {
        let level = entries.level();
        // Of the leaf before, all bits but those of the address.
        let (telling, mut before) = (!self.address_bits(level), None);
        let mut whole = None;
        let mut next = range.start();
        loop {
            let (raw, Found::Leaf) = self.visit(entries, Self::index(level, next)) else { return None };
            let leaf = self.locate(entries, next, raw);
            if leaf.size >= size || !range.covers(&leaf.range) {
                return None;
            }
            let address = leaf.address.wrapping_sub(next - range.start());
            if address & size_mask(size) != 0 || whole.is_some_and(|(whole, _)| whole != address) {
                return None;
            }
            if before.replace(raw & telling) != Some(raw & telling) || Self::items(&leaf) > 1 {
                let (_, attributes) = self.attributes(&leaf)?;
                let (_, all) = whole.get_or_insert((address, attributes));
                let unmarked = |attributes| Attributes { accessed: false, dirty: false, ..attributes };
                if unmarked(*all) != unmarked(attributes) {
                    return None;
                }
                all.accessed |= attributes.accessed;
                all.dirty |= attributes.dirty;
            }
            let mut last = leaf.range.last();
            if Self::items(&leaf) == 1
                && let Some(rest) = range.after(last)
            {
                // Most of those that follow differ only in their address.
                let indices = slots::<F>(level, entries.count(), rest);
                last += (self.continuing(entries, indices, leaf.address, raw & telling) as u64) << leaf.size;
            }
            match range.after(last) {
                Some(after) => next = after.start(),
                None => break,
            }
        }
        let (address, attributes) = whole?;
        let prototype = self.format.prototype(target, size, &attributes).ok()?;
        Some((address, self.format.strip(prototype, address, 1 << (size - Self::entry_bits(target)))))
    }
}

impl<F: Format, H: Hal> Walk<'_, F, H> {
    /// The next leaf that is larger than `1 << size` bytes. It passes over tables that have none.
    // Not inlined: it has two callers.
    #[inline(never)]
    fn next_larger(&mut self, size: u8) -> Option<Located<F>> {
        loop {
            match self.next()? {
                Met::Leaf(leaf) if leaf.size > size => return Some(leaf),
                Met::Table { level, address, range }
                    if PageTable::<F, H>::entry_bits(level) <= size
                        && !self.table.holds_runs(self.table.entries(level, address)) =>
                {
                    self.advance(range.last());
                }
                _ => {}
            }
        }
    }
}
