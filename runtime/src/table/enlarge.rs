//! Replacing small frames by larger ones with the same contents.

use super::{Error, Gather, PageTable, build::Found, entries::Entries, located::Located, release::free_tree};
use crate::{Attributes, ClosedRange, Format, Hal, HostPhysAddr, Prototype, hal::copy_frame};

/// An entry that leads to a table, and that a leaf may replace.
struct Slot<F: Format> {
    entries: Entries<F::Word>,
    index: usize,
    range: ClosedRange,
    /// What it is.
    raw: u64,
    /// The table.
    below: Entries<F::Word>,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Replaces small frames by larger ones: wherever leaves with the same attributes fill what a larger leaf of at most
    /// `1 << largest` bytes would translate, takes a frame of that size from the HAL, copies their contents, maps it in their
    /// place, and gives their frames back. Returns how many larger frames it took.
    ///
    /// Where the HAL has no such frame, nothing changes. Nothing changes at all if the HAL does not free frames in
    /// parts, or a device [cannot retry](Hal::retries): memory is not mapped while it is copied. The larger leaf is
    /// accessed or dirty if one of the smaller leaves was.
    ///
    /// ```
    /// use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
    /// use tablewright::{riscv64::sv_x4, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
    /// let mut table = PageTable::new(format, Machine::new(0, 8 << 20), Tag(1))?;
    /// let block = ClosedRange::around(0x8000_0000, 21);
    /// let mut gather = table.gather();
    /// table.populate(block, &Attributes::new(Rights::RW, MemoryType::WriteBack), 12, &mut gather)?;
    /// assert_eq!(table.mappings(block).count(), 512);
    /// // SAFETY: all of it was populated, and nobody uses it.
    /// assert_eq!(unsafe { table.enlarge(block, 21, &mut gather) }, Ok(1));
    /// assert_eq!(table.mappings(block).count(), 1);
    /// # // SAFETY: as above.
    /// # unsafe { table.depopulate(block, &mut gather)? };
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::ForeignGather`].
    ///
    /// # Safety
    ///
    /// As for [`PageTable::depopulate`]; and what is mapped is written only through this table.
    pub unsafe fn enlarge(
        &mut self,
        range: ClosedRange,
        largest: u8,
        gather: &mut Gather<F, H>,
    ) -> Result<usize, Error> {
        let range = ok!(self.exclusive(range, gather));
        if !self.hal.frees_parts() || self.is_strict() {
            return Ok(0);
        }
        Ok(self.enlarge_in(self.root_entries(), range, largest, gather))
    }

    /// As [`Self::enlarge`], in the part of `range` that this table translates: the largest frames first, so that
    /// nothing is copied twice.
    fn enlarge_in(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        largest: u8,
        gather: &mut Gather<F, H>,
    ) -> usize {
        let level = entries.level();
        let size = Self::entry_bits(level);
        let has_leaves = size <= largest && self.format.page_sizes(level).contains(size);
        let in_slot = |(index, part): (usize, ClosedRange)| {
            let (raw, Found::Table(below)) = self.visit(entries, index) else {
                return 0;
            };
            let slot = Slot { entries, index, range: part, raw, below };
            let whole = has_leaves && Self::slot(level, part.start()) == part;
            if whole && self.enlarge_at(&slot, gather).is_some() {
                return 1;
            }
            self.enlarge_in(below, part, largest, gather)
        };
        Self::parts(level, range).map(in_slot).sum()
    }

    /// Replaces a table and all that it maps by one frame; changes nothing and returns `None` if it cannot.
    fn enlarge_at(&self, slot: &Slot<F>, gather: &mut Gather<F, H>) -> Option<()> {
        let &Slot { entries, index, range, raw, below } = slot;
        let level = entries.level();
        self.leaf_for(slot)?;
        let size = Self::entry_bits(level);
        let frame = self.hal.allocate(size)?;
        self.check_frame(level, frame, size).ok()?;

        entries.store(&self.hal, index, self.format.empty(level));
        self.invalidate(range, 0, false);
        // Now no MMU writes to the frames or marks the leaves any more, and nobody else is here. If no larger leaf can
        // say what the leaves say, they stay.
        let leaf = self.leaf_for(slot);
        match leaf {
            Some(leaf) => {
                let output = frame.as_usize() as u64;
                let copied = self.for_leaves(below, range, &mut |small| {
                    let from = HostPhysAddr::from_usize(small.address as usize);
                    let to = HostPhysAddr::from_usize((output + (small.range.start() - range.start())) as usize);
                    // SAFETY: the smaller frame is mapped whole by a leaf in `range`, the larger is as large as `range` and
                    // nobody else's.
                    unsafe { copy_frame(&self.hal, from, to, small.size) };
                    Some(())
                });
                debug_assert!(copied.is_some(), "they fill the range");
                self.hal.prepare_frame(frame, size);
                entries.store(&self.hal, index, self.format.strip(leaf, output, 1).first);
                // SAFETY: no MMU can reach the table or its frames any more, and these are the HAL's, as the caller of
                // `enlarge` promises.
                unsafe { free_tree(&self.format, &self.hal, level - 1, below.address(), true) };
            }
            None => {
                entries.store(&self.hal, index, raw);
                // SAFETY: it was just allocated with this size, and is not mapped.
                unsafe { self.hal.free(frame, size) };
            }
        }
        self.made(range, leaf.is_some(), gather);
        leaf.map(|_| ())
    }

    /// The leaf that says the same as all leaves in a slot's table, if they fill it and are alike.
    fn leaf_for(&self, slot: &Slot<F>) -> Option<Prototype> {
        let level = slot.entries.level();
        let unmarked = |attributes| Attributes { accessed: false, dirty: false, ..attributes };
        let mut all: Option<Attributes> = None;
        // Single leaves that differ from the last one only in their address need not be decoded.
        let mut last = None;
        self.for_leaves(slot.below, slot.range, &mut |leaf| {
            let like = (leaf.level, leaf.entries.load(leaf.index) & !self.address_bits(leaf.level));
            if Self::items(leaf) == 1 && last.replace(like) == Some(like) {
                return Some(());
            }
            let (_, attributes) = self.attributes(leaf)?;
            let first = all.get_or_insert(attributes);
            first.accessed |= attributes.accessed;
            first.dirty |= attributes.dirty;
            (unmarked(*first) == unmarked(attributes)).then_some(())
        })?;
        self.format.prototype(level, Self::entry_bits(level), &all?).ok()
    }

    /// Calls `act` for all leaves in `range`, which this table translates; `None` at the first hole, or when `act` says so.
    fn for_leaves(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        act: &mut impl FnMut(&Located<F>) -> Option<()>,
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
