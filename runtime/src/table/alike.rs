//! Leaves that differ only in their address, as most neighbours do: what becomes of them is worked out once for all.

use core::ops::Range;

use super::{
    Error, PageTable,
    build::Found,
    entries::{BLOCK, Entries},
    layout::{has_runs, size_mask},
    slots::slots,
};
use crate::{ClosedRange, EntryWord, Format, Geometry, Hal, Kinds, Level, Prototype, Rewrite};

/// Leaves of one level that have certain bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alike {
    /// The leaves with `raw & mask == value`.
    mask: u64,
    value: u64,
    /// How they change; `None` if they stay as they are.
    pub(super) rewrite: Option<Rewrite>,
    /// Whether a live one must be broken for that.
    pub(super) breaks: bool,
    /// Whether they are items of runs.
    pub(super) run: bool,
}

impl Alike {
    /// Whether `raw` is one of them.
    #[inline]
    pub(super) const fn contains(&self, raw: u64) -> bool {
        raw & self.mask == self.value
    }

    /// Whether they change and may do so one by one, unlike items of runs and leaves that must be broken.
    const fn is_plain(&self) -> bool {
        self.rewrite.is_some() && !self.run && !self.breaks
    }

    /// Those of them with `raw & mask == value`; `None` if there are none.
    pub(super) const fn with(&self, mask: u64, value: u64) -> Option<Self> {
        if (self.value ^ value) & self.mask & mask != 0 {
            return None;
        }
        Some(Self { mask: self.mask | mask, value: self.value | value, ..*self })
    }

    /// These and the others together, if both stay as they are and differ in one bit, as clean leaves do from dirty ones.
    const fn joined(&self, other: &Self) -> Option<Self> {
        let apart = self.value ^ other.value;
        let is_one = self.mask == other.mask && apart.is_power_of_two();
        if !is_one || self.rewrite.is_some() || other.rewrite.is_some() {
            return None;
        }
        Some(Self { mask: self.mask & !apart, value: self.value & !apart, ..*self })
    }
}

/// Decides what becomes of a leaf, given its level, the first address of its entry and its value; or why it cannot.
// With `dyn Fn`, each would be compiled a second time, for owned closures.
pub(super) trait Judge {
    fn judge(&self, level: Level, address: u64, raw: u64) -> Result<Alike, Error>;
}

impl<J: Fn(Level, u64, u64) -> Result<Alike, Error>> Judge for J {
    fn judge(&self, level: Level, address: u64, raw: u64) -> Result<Alike, Error> {
        self(level, address, raw)
    }
}

/// The two groups of alike leaves that were met last at each level.
#[derive(Debug, Default)]
struct Seen([[Option<Alike>; 2]; Geometry::MAX_LEVELS]);

impl Seen {
    /// The groups that were met at `level`.
    #[inline]
    fn at(&self, level: Level) -> &[Option<Alike>; 2] {
        &self.0[usize::from(level) % Geometry::MAX_LEVELS]
    }

    /// Adds a group.
    fn add(&mut self, level: Level, alike: &Alike) {
        let [last, before] = &mut self.0[usize::from(level) % Geometry::MAX_LEVELS];
        match last.and_then(|last| last.joined(alike)) {
            Some(both) => *last = Some(both),
            None => *before = last.replace(*alike),
        }
    }
}

/// The group in `seen` to which all entries belong that have at least the bits `all` and at most the bits `any`.
#[inline]
fn find(seen: &[Option<Alike>; 2], [all, any]: [u64; 2]) -> Option<&Alike> {
    let has = |alike: &&Alike| alike.contains(all) && alike.contains(any);
    seen[0].as_ref().filter(has).or(seen[1].as_ref().filter(has))
}

/// If all entries that have at least the bits `all` and at most the bits `any` belong to either group in `seen`, and a
/// bit tells which, as the dirty bit does: the group whose leaves change one by one while those of the other stay as they
/// are, and that bit.
#[inline]
fn find_either(seen: &[Option<Alike>; 2], [all, any]: [u64; 2]) -> Option<(&Alike, u64)> {
    let [Some(last), Some(before)] = seen else { return None };
    let (changes, stays) = if last.rewrite.is_some() { (last, before) } else { (before, last) };
    let bit = changes.value ^ stays.value;
    let is_one = |raw| (raw ^ changes.value) & changes.mask & !bit == 0;
    let are_told = changes.mask == stays.mask && bit.is_power_of_two() && is_one(all) && is_one(any);
    (are_told && changes.is_plain() && stays.rewrite.is_none()).then_some((changes, bit))
}

/// What a block of entries is at a glance.
enum Block<'a> {
    /// Nothing.
    Empty,
    /// Leaves that stay as they are, and holes.
    Idle,
    /// Leaves, of which those with a bit are of one group, and change one by one; the others stay as they are.
    Busy(&'a Alike, u32),
    /// Anything else, or fewer entries than a block: a bit for each entry that has to be looked at.
    Mixed(u32),
}

impl<'a> Block<'a> {
    /// The block of entries at the start of `indices`, at a level with these `kinds`.
    #[inline(always)]
    fn at<W: EntryWord>(
        entries: Entries<W>,
        indices: Range<usize>,
        kinds: &Kinds,
        seen: &'a [Option<Alike>; 2],
    ) -> Self {
        let every = Self::Mixed(u32::MAX);
        if indices.len() < BLOCK {
            return Self::Mixed(!(u32::MAX << indices.len()));
        }
        let start = indices.start;
        let Some(common @ [all, any]) = entries.common(start) else { return every };
        let found = find(seen, common);
        let mut left = u32::MAX;
        if kinds.shows_leaves(all) {
            match found {
                Some(alike) if alike.rewrite.is_none() => return Self::Idle,
                Some(alike) if alike.is_plain() => return Self::Busy(alike, u32::MAX),
                Some(_) => return every,
                None => {}
            }
            if let Some((alike, bit)) = find_either(seen, common) {
                return Self::Busy(alike, entries.which(start, bit, alike.value & bit));
            }
        } else if all == any && kinds.is_absent(all) {
            return Self::Empty;
        } else if kinds.has_tables() {
            return every;
        } else if found.is_some_and(|alike| alike.rewrite.is_none()) {
            // They would stay as they are even if all were leaves.
            return Self::Idle;
        } else {
            left = !entries.which(start, kinds.absent_mask, kinds.absent_value);
        }
        // Those that stay as they are need no look.
        for alike in seen.iter().flatten().filter(|alike| alike.rewrite.is_none()) {
            left &= !entries.which(start, alike.mask, alike.value);
        }
        if left == 0 { Self::Idle } else { Self::Mixed(left) }
    }
}

/// Leaves that are alike, adjacent in one table, and change.
pub(super) struct Group<'a, F: Format> {
    pub(super) alike: &'a Alike,
    pub(super) level: Level,
    pub(super) entries: Entries<F::Word>,
    pub(super) index: usize,
    /// How many are known to be alike. A run comes item by item.
    pub(super) items: usize,
    /// Which of the items these are; `u32::MAX`: all.
    pub(super) which: u32,
    /// Up to which index more of them may follow: those that the range covers.
    pub(super) end: usize,
    /// What they translate: the whole run, for an item of one.
    pub(super) range: ClosedRange,
    /// The first of them as it was.
    pub(super) raw: u64,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Calls `act` for each group of leaves in `range` that change, and goes on after as many items as it returns: at
    /// least those of the group. `judge` decides about leaves that are unlike those met before.
    pub(super) fn for_all_groups(
        &self,
        range: ClosedRange,
        judge: &dyn Judge,
        act: &mut dyn FnMut(&Group<'_, F>) -> usize,
    ) -> Result<(), Error> {
        self.for_groups(self.table_around(range), range, &mut Seen::default(), judge, act)
    }

    /// As [`Self::for_all_groups`], for the part of `range` that this table translates.
    fn for_groups(
        &self,
        entries: Entries<F::Word>,
        range: ClosedRange,
        seen: &mut Seen,
        judge: &dyn Judge,
        act: &mut dyn FnMut(&Group<'_, F>) -> usize,
    ) -> Result<(), Error> {
        let level = entries.level();
        let kinds = self.format.kinds(level);
        let bits = Self::entry_bits(level);
        let Range { start: first, end } = slots::<F>(level, entries.count(), range);
        let start = Self::slot(level, range.start()).start();
        let slot = |index: usize| ClosedRange::block(start + (((index - first) as u64) << bits), bits);
        let covered = if slot(end - 1).last() > range.last() { end - 1 } else { end };
        let mut index = first;
        while index < end {
            let mut left = match Block::at(entries, index..end, &kinds, seen.at(level)) {
                Block::Empty | Block::Idle => {
                    index += BLOCK;
                    continue;
                }
                Block::Busy(alike, which) => {
                    let (items, raw) = (BLOCK, entries.load(index + which.trailing_zeros() as usize));
                    let range = slot(index).hull(&slot(index + items - 1));
                    index += act(&Group { alike, level, entries, index, items, which, end: covered, range, raw });
                    continue;
                }
                Block::Mixed(left) => left,
            };
            let block = index;
            index = end.min(index + BLOCK);
            // First those that are like what has been met, adjacent or not. Without tables, only leaves are left.
            let others = || match kinds.has_tables() {
                true => {
                    entries.which(block, kinds.absent_mask, kinds.absent_value)
                        | entries.which(block, kinds.table_mask, kinds.table_value)
                }
                false => 0,
            };
            for alike in seen.at(level).iter().flatten().filter(|alike| alike.is_plain()) {
                let which = if left.count_ones() > 1 && block + BLOCK <= covered {
                    left & entries.which(block, alike.mask, alike.value) & !others()
                } else {
                    0
                };
                if which != 0 {
                    let (items, end, raw) =
                        (BLOCK, block + BLOCK, entries.load(block + which.trailing_zeros() as usize));
                    let range = slot(block).hull(&slot(end - 1));
                    act(&Group { alike, level, entries, index: block, items, which, end, range, raw });
                    left &= !which;
                }
            }
            // Then the others, one by one.
            while left != 0 {
                let index = block + left.trailing_zeros() as usize;
                left &= left - 1;
                let raw = entries.load(index);
                let slot = slot(index);
                if kinds.is_leaf(raw) {
                    let judged;
                    let alike = match find(seen.at(level), [raw, raw]) {
                        Some(alike) => alike,
                        None => {
                            judged = ok!(judge.judge(level, slot.start(), raw));
                            seen.add(level, &judged);
                            &judged
                        }
                    };
                    if alike.rewrite.is_some() {
                        let range = ClosedRange::block(slot.start(), self.format.leaf_bits(level, raw));
                        let (items, which, end) = (1, u32::MAX, index + 1);
                        act(&Group { alike, level, entries, index, items, which, end, range, raw });
                    }
                } else if let Found::Table(entries) = self.found(level, raw)
                    && let Some(part) = slot.intersection(&range)
                {
                    ok!(self.for_groups(entries, part, seen, judge, act));
                }
            }
        }
        Ok(())
    }

    /// The group of all leaves like `raw`, given the bits that decide what becomes of them.
    pub(super) fn alike(&self, level: Level, raw: u64, mask: u64, rewrite: Option<Rewrite>, breaks: bool) -> Alike {
        let (run, mask) = if self.has_runs(level) {
            // The bits that mark a run are not part of the address.
            (self.format.kinds(level).is_item(raw), mask | !self.address_bits(level))
        } else {
            (false, mask)
        };
        Alike { mask, value: raw & mask, rewrite, breaks, run }
    }

    /// Whether leaves at `level` may be runs.
    pub(super) fn has_runs(&self, level: Level) -> bool {
        has_runs(&self.format, level)
    }

    /// How many entries from the start of `indices` on are of the same kind as `first`, tables or leaves of one entry,
    /// as far as whole blocks tell.
    pub(super) fn entries_like(&self, entries: Entries<F::Word>, first: u64, indices: Range<usize>) -> usize {
        let kinds = self.format.kinds(entries.level());
        let are_leaves = kinds.is_leaf(first);
        let telling = if !are_leaves { kinds.absent_mask | kinds.table_mask } else { kinds.single_mask };
        let mut index = indices.start;
        // The last block overlaps the one before.
        while index < indices.end
            && let Some(start) = indices.end.checked_sub(BLOCK).map(|last| last.min(index))
            && let Some([all, any]) = entries.common(start)
            && (!are_leaves || kinds.shows_leaves(all))
            && (all ^ first | any ^ first) & telling == 0
        {
            index = start + BLOCK;
        }
        index - indices.start
    }

    /// The bits that hold the address in a leaf of one entry at `level`.
    // Not inlined: it has many callers.
    #[inline(never)]
    pub(super) fn address_bits(&self, level: Level) -> u64 {
        let size = Self::entry_bits(level);
        let nothing = Prototype { bits: 0, level, size };
        self.format.strip(nothing, self.geometry.last_output() & !size_mask(size), 1).first
    }
}

#[cfg(test)]
mod tests {
    use super::Alike;

    #[test]
    fn kinds_together_are_those_apart_and_no_others() {
        let kind = |mask, value| Alike { mask, value: value & mask, rewrite: None, breaks: false, run: false };
        let kinds = || (0..256_u64).map(|bits| kind(bits >> 4, bits & 15));
        let mut joined = 0;
        for (one, other) in kinds().flat_map(|one| kinds().map(move |other| (one, other))) {
            if let Some(both) = one.joined(&other) {
                joined += 1;
                assert!((0..16).all(|raw| both.contains(raw) == (one.contains(raw) || other.contains(raw))));
            }
        }
        assert!(joined > 0);
    }
}
