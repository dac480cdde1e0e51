//! Reading and clearing what leaves say of accesses, over a range, while others use the table.
//!
//! The entry's own bits say it where the format has them, whether hardware sets them or a fault does. A format without a
//! dirty state has the right to write in its place: what may be written counts as dirty and is write-protected, and the
//! next store faults and gets the right back (see [`PageTable::relax`]).

use core::cell::Cell;

use super::{
    Error, Gather, Operation, PageTable,
    build::Found,
    entries::Entries,
    layout::{size_mask, slots},
    walk::{Met, Walk},
};
use crate::{
    AccessedDirty, Change, ClosedRange, Edit, Entry, Format, Hal, Level, PageBitmap, Prototype, Refusal, Rewrite,
    Rights,
};

/// What is harvested.
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
    /// Inserts the pages that are in `state` into `pages`, over all of its range, and clears their state: what is
    /// accessed or written from then on shows in the next harvest. All pages of a larger leaf are in the state of the
    /// leaf.
    ///
    /// Nothing is lost to an MMU, a fault or another harvest at the same time. An MMU that still holds translations
    /// from before need not set a state again, so read a page that was dirty only after `gather` has been flushed.
    ///
    /// # Errors
    ///
    /// [`Error::NeedsExclusive`], and nothing has changed, if a leaf reaches beyond the range ([`Operation::Split`]), or
    /// where there is no dirty state to clear and a writable leaf takes [`Operation::Run`] or [`Operation::Break`]:
    /// [`PageTable::harvest_exclusive`] does it. [`Error::OutOfRange`]; [`Error::Misaligned`] if `pages` has
    /// pages of another size; [`Error::Refused`] if the format does not record the state, or has no leaf with the rights
    /// that remain; [`Error::Corrupt`]; [`Error::ForeignGather`].
    pub fn harvest(&self, state: State, pages: &mut PageBitmap<'_>, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let range = self.harvested(pages, gather)?;
        for end in [range.start(), range.last()] {
            if self.find(end).is_some_and(|leaf| !range.covers(&leaf.range)) {
                return Err(Error::NeedsExclusive(Operation::Split));
            }
        }
        if self.bits(0, state).is_some() {
            self.clear_states(self.geometry.top(), &self.root_entries(), range, state, pages, gather);
            return Ok(());
        }
        self.plan_write_protection(range, state, true)?;
        self.write_protect(range, pages, gather)
    }

    /// As [`PageTable::harvest`], and splits leaves that reach beyond the range, and changes what takes exclusive
    /// access.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::harvest`], save [`Error::NeedsExclusive`]; [`Error::NoMemory`] if a
    /// leaf cannot be split; [`Error::NeedsBreak`].
    pub fn harvest_exclusive(
        &mut self,
        state: State,
        pages: &mut PageBitmap<'_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let range = self.harvested(pages, gather)?;
        if self.bits(0, state).is_none() {
            self.plan_write_protection(range, state, false)?;
        }
        self.split(pages.range(), gather)?;
        if self.bits(0, state).is_some() {
            return self.harvest(state, pages, gather);
        }
        self.write_protect(range, pages, gather)
    }

    /// The range to harvest, in input bits.
    fn harvested(&self, pages: &PageBitmap<'_>, gather: &mut Gather<F, H>) -> Result<ClosedRange, Error> {
        let range = self.exclusive(pages.range(), gather)?;
        let size = self.geometry.page_bits;
        if pages.fits(&self.geometry) {
            Ok(range)
        } else {
            Err(Error::Misaligned { address: pages.range().start(), size })
        }
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

    /// Clears the state of all leaves in the part of `range` that this table translates.
    fn clear_states(
        &self,
        level: Level,
        entries: &Entries,
        range: ClosedRange,
        state: State,
        pages: &mut PageBitmap<'_>,
        gather: &mut Gather<F, H>,
    ) {
        let Some((mask, value)) = self.bits(level, state) else { return };
        let kinds = self.format.kinds(level);
        let bits = self.geometry.entry_bits(level);
        let first = self.geometry.index(level, range.start());
        let end = first + slots(&self.geometry, level, range);
        let start = self.geometry.slot(level, range.start()).start();
        let mut cleared: Option<ClosedRange> = None;
        let mut index = first;
        while index < end {
            // At the lowest level, there are only leaves.
            if level == 0 && value != 0 && end - index >= Entries::BLOCK && entries.union_of_block(index) & value == 0 {
                index += Entries::BLOCK;
                continue;
            }
            let slot = ClosedRange::around(start + (((index - first) as u64) << bits), bits);
            let raw = entries.load(index);
            if kinds.is_leaf(raw) {
                if raw & mask == value {
                    let leaf = ClosedRange::around(slot.start(), self.format.leaf_bits(level, raw)).hull(&slot);
                    let shown = self.extend(leaf);
                    // A state is one bit, or bits of which each tells.
                    let clear = |raw: u64| (raw & mask == value).then_some(raw ^ mask);
                    // A leaf that was installed meanwhile may reach beyond: it waits for a harvest of all its pages.
                    if pages.range().covers(&shown) && entries.update_from(&self.hal, index, raw, clear).is_some() {
                        pages.insert(shown);
                        cleared = Some(cleared.map_or(leaf, |cleared| cleared.hull(&leaf)));
                    }
                }
            } else if let Found::Table { entries, level, .. } = self.found(level, raw)
                && let Some(part) = slot.intersection(&range)
            {
                self.clear_states(level, &entries, part, state, pages, gather);
            }
            index += 1;
        }
        if let Some(cleared) = cleared {
            gather.record(cleared, true, bits);
        }
    }

    /// Finds every reason not to write-protect a range. `shared`: others use the table.
    fn plan_write_protection(&self, range: ClosedRange, state: State, shared: bool) -> Result<(), Error> {
        if state == State::Accessed {
            return Err(Error::Refused { level: 0, refusal: Refusal::Untracked });
        }
        let last = Cell::new(None);
        for met in Walk::new(self, Some(range)) {
            let Met::Leaf(leaf) = met else { continue };
            let raw = leaf.entries.load(leaf.index);
            let protection = self.protection(leaf.level, leaf.range, raw, &last)?;
            if protection.rewrite.is_none() {
                continue;
            }
            if shared && leaf.items > 1 {
                return Err(Error::NeedsExclusive(Operation::Run));
            }
            if protection.breaks {
                if self.is_strict() {
                    return Err(self.needs_break(leaf.range.start(), leaf.level, raw));
                }
                if shared {
                    return Err(Error::NeedsExclusive(Operation::Break));
                }
            }
        }
        Ok(())
    }

    /// How the right to write is taken from the leaf `raw`. `last`: what this answered last, for leaves like each other
    /// follow each other.
    fn protection(
        &self,
        level: Level,
        range: ClosedRange,
        raw: u64,
        last: &Cell<Option<Protection>>,
    ) -> Result<Protection, Error> {
        if let Some(last) = last.get().filter(|last| last.level == level && raw & !last.address == last.rest) {
            return Ok(last);
        }
        let Entry::Leaf(leaf) = self.format.decode(level, raw) else {
            return Err(Error::Corrupt { address: self.geometry.extend(range.start()), level, entry: raw });
        };
        let rights = leaf.attributes.rights;
        let rewrite = if rights.intersects(Rights::W) {
            let change = Change { rights: Some(rights - Rights::W), ..Change::default() };
            Some(self.format.rewrite(level, &change).map_err(|refusal| Error::Refused { level, refusal })?)
        } else {
            None
        };
        let breaks = |rewrite: Rewrite| self.format.edit(level, raw, rewrite.apply(raw)) == Edit::BreakBeforeMake;
        let size = self.geometry.entry_bits(level);
        let nothing = Prototype { bits: 0, level, size };
        let address = self.format.strip(nothing, self.geometry.last_output() & !size_mask(size), 1).first;
        let protection =
            Protection { level, address, rest: raw & !address, rewrite, breaks: rewrite.is_some_and(breaks) };
        last.set(Some(protection));
        Ok(protection)
    }

    /// Takes the right to write from all leaves in `range`, after the plan.
    fn write_protect(
        &self,
        range: ClosedRange,
        pages: &mut PageBitmap<'_>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let last = Cell::new(None);
        for met in Walk::new(self, Some(range)) {
            let Met::Leaf(leaf) = met else { continue };
            // It was installed meanwhile: see `clear_states`.
            if !range.covers(&leaf.range) {
                continue;
            }
            let (level, raw) = (leaf.level, leaf.entries.load(leaf.index));
            let protection = self.protection(level, leaf.range, raw, &last)?;
            let Some(rewrite) = protection.rewrite else { continue };
            if protection.breaks {
                self.remake(&leaf, &rewrite, &mut Some(&mut *pages), gather);
            } else {
                for item in leaf.index..leaf.index + leaf.items {
                    // A fault may have given the right meanwhile, or the MMU set a state: the entry as it is now.
                    let protect = |raw| {
                        let protection = self.protection(level, leaf.range, raw, &last).ok()?;
                        Some(protection.rewrite?.apply(raw))
                    };
                    leaf.entries.update(&self.hal, item, protect);
                }
                gather.record(leaf.range, true, self.geometry.entry_bits(level));
            }
            pages.insert(self.extend(leaf.range));
        }
        Ok(())
    }
}

/// What write protection does to leaves that differ in their address alone.
#[derive(Clone, Copy)]
struct Protection {
    level: Level,
    /// The bits of an entry that hold an address, and what the others are.
    address: u64,
    rest: u64,
    /// `None`: there is no right to write.
    rewrite: Option<Rewrite>,
    /// Whether a leaf in use must be broken for it.
    breaks: bool,
}
