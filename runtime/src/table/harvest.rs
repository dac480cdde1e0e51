//! Reading and clearing the accessed or dirty states of leaves in a range, while others use the table.
//!
//! Where the format has bits for the state, these are used, whether hardware or a fault sets them. A format without a
//! dirty state uses the right to write in its place: a writable leaf counts as dirty. A harvest write-protects it, and
//! the next store faults and gets the right back (see [`PageTable::relax`]).

use core::cell::Cell;

use super::{
    Error, Gather, Operation, PageTable,
    alike::{Alike, Judge},
    groups::Group,
};
use crate::{
    AccessedDirty, Change, ClosedRange, Edit, Entry, Format, Hal, Level, PageBitmap, Refusal, Rewrite, Rights,
};

/// The state that is harvested.
///
/// ```
/// use tablewright::{PageBitmap, State};
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let mut words = vec![0; PageBitmap::words(range, 12)];
/// let mut pages = PageBitmap::new(range, 12, &mut words).ok_or("too short")?;
/// table.harvest(State::Dirty, &mut pages, &mut gather)?;
/// // Writable memory is mapped as dirty, so that no fault has to say so.
/// assert_eq!(pages.len(), 1024);
/// // Now they are clean.
/// words.fill(0);
/// let mut pages = PageBitmap::new(range, 12, &mut words).ok_or("too short")?;
/// table.harvest(State::Dirty, &mut pages, &mut gather)?;
/// assert_eq!(pages.len(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// What was accessed.
    Accessed,
    /// What was written to.
    Dirty,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Inserts into `pages` all pages of its range that are in `state`, and clears their state: what is accessed or
    /// written from then on shows in the next harvest. All pages of a larger leaf are in the state of the leaf.
    ///
    /// Nothing is lost if an MMU, a fault or another harvest changes entries at the same time. An MMU that still holds
    /// translations from before need not set a state again, so read a page that was dirty only after `gather` has been
    /// flushed.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsExclusive`], and nothing has changed, if a leaf reaches beyond the range ([`Operation::Split`]), or
    /// if there is no dirty state to clear and a writable leaf needs [`Operation::Run`] or [`Operation::Break`]: use
    /// [`PageTable::harvest_exclusive`]. [`Error::OutOfRange`]; [`Error::PageSize`] if `pages` has
    /// pages of another size; [`Error::Refused`] if the format does not record the state, or has no leaf with the rights
    /// that remain; [`Error::NeedsBreak`]; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn harvest(&self, state: State, pages: &mut PageBitmap<'_>, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let range = ok!(self.harvested(pages, gather));
        for end in [range.start(), range.last()] {
            if self.cut_leaf(self.root_entries(), range, end).is_some() {
                return Err(Error::NeedsExclusive(Operation::Split));
            }
        }
        let is_due = self.bits(0, state).is_some() || ok!(self.plan_write_protection(range, state, true));
        if is_due { self.clear_state(range, (state, true), pages, gather) } else { Ok(()) }
    }

    /// As [`PageTable::harvest`], and also splits leaves that reach beyond the range, and changes what needs exclusive
    /// access.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::harvest`], save [`Error::NeedsExclusive`]; [`Error::NoMemory`] if a leaf cannot be split.
    pub fn harvest_exclusive(
        &mut self,
        state: State,
        pages: &mut PageBitmap<'_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let range = ok!(self.harvested(pages, gather));
        let is_due = self.bits(0, state).is_some() || ok!(self.plan_write_protection(range, state, false));
        ok!(self.split(pages.range(), gather));
        if is_due { self.clear_state(range, (state, false), pages, gather) } else { Ok(()) }
    }

    /// The range to harvest, in input bits.
    fn harvested(&self, pages: &PageBitmap<'_>, gather: &mut Gather<F, H>) -> Result<ClosedRange, Error> {
        ok!(self.counts_in(pages));
        self.feeding(pages.range(), gather)
    }

    /// Checks that a bitmap has pages of the table's size.
    pub(super) fn counts_in(&self, pages: &PageBitmap<'_>) -> Result<(), Error> {
        let (size, expected) = (pages.page_bits(), F::PAGE_BITS);
        if size == expected { Ok(()) } else { Err(Error::PageSize { size, expected }) }
    }

    /// The bits of a leaf at `level` that hold the state, and their value in a leaf that is in it.
    fn bits(&self, level: Level, state: State) -> Option<(u64, u64)> {
        let AccessedDirty { accessed_mask, accessed_value, dirty_mask, dirty_value, .. } =
            self.format.accessed_dirty(level);
        let bits = match state {
            State::Accessed => (accessed_mask, accessed_value),
            State::Dirty => (dirty_mask, dirty_value),
        };
        Some(bits).filter(|&(mask, _)| mask != 0)
    }

    /// Finds every reason not to write-protect a range, and whether there is something to do. With `shared`, others use
    /// the table.
    fn plan_write_protection(&self, range: ClosedRange, state: State, shared: bool) -> Result<bool, Error> {
        if state == State::Accessed {
            return Err(Error::Refused { level: 0, refusal: Refusal::Untracked });
        }
        let (judge, is_due) = (self.judge(state), Cell::new(false));
        let check = |level, address, raw| {
            let mut alike = ok!(judge(level, address, raw));
            is_due.set(is_due.get() || alike.rewrite.is_some());
            if shared && alike.run && alike.rewrite.is_some() {
                return Err(Error::NeedsExclusive(Operation::Run));
            }
            if alike.breaks && self.is_strict() {
                return Err(self.needs_break(address, level, raw));
            }
            if alike.breaks && shared {
                return Err(Error::NeedsExclusive(Operation::Break));
            }
            // One leaf speaks for all that are alike: the others need not be visited.
            alike.rewrite = None;
            Ok(alike)
        };
        ok!(self.for_all_groups(range, &check, &mut |group| group.items));
        Ok(is_due.get())
    }

    /// What becomes of leaves when their state is harvested.
    fn judge(&self, state: State) -> impl Fn(Level, u64, u64) -> Result<Alike, Error> {
        move |level, address, raw| match self.bits(level, state) {
            Some((mask, value)) => {
                // A state is one bit, or several that each tell it.
                let clear = (raw & mask == value).then_some(Rewrite { keep: !mask, set: value ^ mask });
                let mut alike = self.alike(level, raw, mask, clear, false);
                // Items of a run may be in different states: each changes for itself.
                alike.run = false;
                Ok(alike)
            }
            None => self.protection(level, address, raw),
        }
    }

    /// How to take the right to write from leaves like `raw`, where it stands for a dirty state.
    fn protection(&self, level: Level, address: u64, raw: u64) -> Result<Alike, Error> {
        let Entry::Leaf(leaf) = self.format.decode(level, raw) else {
            return Err(Error::Corrupt { address: self.geometry.extend(address), level, entry: raw });
        };
        let rights = leaf.attributes.rights;
        let change = Change { rights: Some(rights - Rights::W), ..Change::default() };
        let rewrite = if rights.intersects(Rights::W) {
            Some(self.format.rewrite(level, &change).map_err(|refusal| Error::Refused { level, refusal })?)
        } else {
            None
        };
        let breaks = |rewrite: Rewrite| {
            self.format.may_break(&change) && self.format.edit(level, raw, rewrite.apply(raw)) == Edit::BreakBeforeMake
        };
        Ok(self.alike(level, raw, !self.address_bits(level), rewrite, rewrite.is_some_and(breaks)))
    }

    /// Clears the state of all leaves in `range`, and inserts their pages into `pages`. With `shared`, others use the
    /// table.
    fn clear_state(
        &self,
        range: ClosedRange,
        (state, shared): (State, bool),
        pages: &mut PageBitmap<'_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let judge = self.judge(state);
        let mut cleared = Cleared { bits: 0, range: None };
        let result = self.for_all_groups(range, &judge, &mut |group| {
            let &Group { alike, level, entries, items, .. } = group;
            let Some(rewrite) = alike.rewrite else { return items };
            // A leaf that was installed meanwhile, and reaches beyond the range or must be broken, waits for the next
            // harvest.
            if !range.covers(&group.range) || alike.breaks && shared {
                return items;
            }
            let (bits, size) = (Self::entry_bits(level), self.format.leaf_bits(level, group.raw));
            let table = Self::span(level, group.range.start());
            // All items from one to another, and what they translate: whole leaves.
            let leaves = |first: u32, last: u32| {
                let leaf = |item| ClosedRange::block(group.range.start() + (u64::from(item) << bits), size);
                leaf(first).hull(&leaf(last))
            };
            if group.which != u32::MAX {
                let done = self.clear_some(group, rewrite, state, &judge);
                if let Some(last) = done.checked_ilog2() {
                    pages.insert_some(self.extend(group.range).start(), (bits, size), done);
                    if let Some((range, bits)) = cleared.add(leaves(done.trailing_zeros(), last), bits, table) {
                        gather.record(range, true, bits);
                    }
                }
                return items;
            }
            let mut item = 0;
            while item < items {
                let done = if alike.breaks {
                    let leaf = self.locate(entries, group.range.start(), group.raw);
                    self.remake(&leaf, &rewrite, &mut Some(&mut *pages), gather);
                    items
                } else {
                    self.clear_items(group, item, rewrite, state, &judge)
                };
                if done > 0 {
                    let range = leaves(item as u32, (item + done - 1) as u32);
                    pages.insert(self.extend(range));
                    if let Some((range, bits)) = cleared.add(range, bits, table) {
                        gather.record(range, true, bits);
                    }
                }
                // An item that could not be cleared is clear already.
                item += done.max(1);
            }
            item
        });
        if let Some(range) = cleared.range {
            gather.record(range, true, cleared.bits);
        }
        result
    }

    /// Clears the state of a group's items from `item` on, each as it is now, up to the first that is no longer in the
    /// state. Returns how many were cleared.
    fn clear_items(
        &self,
        group: &Group<'_, F>,
        item: usize,
        rewrite: Rewrite,
        state: State,
        judge: &dyn Judge,
    ) -> usize {
        let &Group { alike, level, entries, index, items, end, .. } = group;
        let mut left = items - item;
        if let Some(unmarked) = self.unmarked(alike, level, state) {
            let (first, kinds) = (index + item, self.format.kinds(level));
            let mut stored = entries.rewrite_alike(&self.hal, first..end, &kinds, &unmarked, rewrite);
            let is_one = |raw| kinds.is_leaf(raw) && unmarked.contains(raw);
            stored += entries.rewrite_while(&self.hal, first + stored..end, is_one, rewrite);
            if stored > 0 {
                return stored;
            }
            left = 1;
        }
        let mut left = index + item..index + item + left;
        let all = left.len();
        let kept = left.find(|&index| !self.clear_item(group, index, entries.load(index), rewrite, judge));
        kept.map_or(all, |kept| kept - index - item)
    }

    /// Clears the state of those items that a group consists of, and returns which were cleared.
    fn clear_some(&self, group: &Group<'_, F>, rewrite: Rewrite, state: State, judge: &dyn Judge) -> u32 {
        let &Group { alike, level, entries, index, which, .. } = group;
        // Whoever else uses the table may change a leaf, but takes none out.
        let rewrite_some = |unmarked: Alike| entries.rewrite_some(&self.hal, index, which, &unmarked, rewrite);
        let mut left = self.unmarked(alike, level, state).map_or(which, rewrite_some);
        let mut kept = 0;
        while left != 0 {
            let item = left.trailing_zeros();
            left &= left - 1;
            let index = index + item as usize;
            if !self.clear_item(group, index, entries.load(index), rewrite, judge) {
                kept |= 1 << item;
            }
        }
        which & !kept
    }

    /// Clears the state of the entry at `index`, which was `raw` (the MMU or a fault may have changed it since), and
    /// returns whether it was in the state.
    fn clear_item(&self, group: &Group<'_, F>, index: usize, raw: u64, rewrite: Rewrite, judge: &dyn Judge) -> bool {
        let change = |raw| {
            let rewrite = match group.alike.contains(raw) {
                true => rewrite,
                false => judge.judge(group.level, group.range.start(), raw).ok()?.rewrite?,
            };
            Some(rewrite.apply(raw))
        };
        group.entries.update_from(&self.hal, index, raw, change).is_some()
    }

    /// Those of the leaves `alike` whose state a plain store may clear.
    fn unmarked(&self, alike: &Alike, level: Level, state: State) -> Option<Alike> {
        match state {
            State::Accessed => None,
            State::Dirty => nobody_marks(alike, &self.format.accessed_dirty(level)),
        }
    }
}

/// Those of the leaves `alike`, which count as dirty, that a plain store may make clean without losing what others do to
/// them at the same time: hardware does not mark them, and faults do not, because they are marked already. A right that
/// a fault gives and the store overwrites is given again by the next fault.
const fn nobody_marks(alike: &Alike, states: &AccessedDirty) -> Option<Alike> {
    if states.hardware { None } else { alike.with(states.accessed_mask, states.accessed_value) }
}

/// Leaves of one table that were cleared, and that have not been recorded yet.
struct Cleared {
    /// log2 of what an entry of it spans.
    bits: u8,
    range: Option<ClosedRange>,
}

impl Cleared {
    /// Adds more in `table`; returns what has to be recorded now, if that was in another table.
    fn add(&mut self, more: ClosedRange, bits: u8, table: ClosedRange) -> Option<(ClosedRange, u8)> {
        match self.range {
            Some(range) if bits == self.bits && table.covers(&range) => {
                self.range = Some(range.hull(&more));
                None
            }
            before => {
                let due = before.map(|range| (range, self.bits));
                *self = Self { bits, range: Some(more) };
                due
            }
        }
    }
}
