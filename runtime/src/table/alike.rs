//! Leaves that differ only in their address, as most neighbours do: what becomes of them is worked out once for all.

use core::ops::Range;

use super::{
    Error, PageTable,
    entries::Entries,
    layout::{has_runs, size_mask},
};
use crate::{EntryWord, Format, Geometry, Hal, Level, Prototype, Rewrite};

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
    /// Whether they are items of runs that change as a whole.
    pub(super) run: bool,
}

impl Alike {
    /// Whether `raw` is one of them.
    #[inline]
    pub(super) const fn contains(&self, raw: u64) -> bool {
        raw & self.mask == self.value
    }

    /// A bit for each entry of a block that is one of them, if it is a leaf: see [`Entries::which`].
    pub(super) fn which<W: EntryWord>(&self, entries: &Entries<W>, index: usize) -> u32 {
        entries.which(index, self.mask, self.value)
    }

    /// Whether they change and may do so one by one, unlike items of runs and leaves that must be broken.
    pub(super) const fn is_plain(&self) -> bool {
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
pub(super) struct Seen([Latest; Geometry::MAX_LEVELS]);

/// The two groups that were met last at one level.
#[derive(Debug, Default)]
pub(super) struct Latest([Option<Alike>; 2]);

impl Seen {
    /// The groups that were met at `level`.
    #[inline]
    pub(super) fn at(&self, level: Level) -> &Latest {
        &self.0[usize::from(level) % Geometry::MAX_LEVELS]
    }

    /// The group of a leaf, which `judge` decides about if it is unlike those met before.
    pub(super) fn judge(
        &mut self,
        level: Level,
        address: u64,
        raw: u64,
        judge: &(impl Judge + ?Sized),
    ) -> Result<Alike, Error> {
        let latest = &mut self.0[usize::from(level) % Geometry::MAX_LEVELS];
        if let Some(alike) = latest.find([raw, raw]) {
            return Ok(*alike);
        }
        let alike = ok!(judge.judge(level, address, raw));
        latest.add(&alike);
        Ok(alike)
    }
}

impl Latest {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Alike> {
        self.0.iter().flatten()
    }

    /// The group to which all entries belong that have at least the bits `all` and at most the bits `any`.
    #[inline]
    pub(super) fn find(&self, [all, any]: [u64; 2]) -> Option<&Alike> {
        let has = |alike: &&Alike| alike.contains(all) && alike.contains(any);
        self.0[0].as_ref().filter(has).or(self.0[1].as_ref().filter(has))
    }

    /// If all entries that have at least the bits `all` and at most the bits `any` belong to either group, and a bit
    /// tells which, as the dirty bit does: the group whose leaves change one by one while those of the other stay as
    /// they are, and that bit as a mask and a value.
    #[inline]
    pub(super) fn find_either(&self, [all, any]: [u64; 2]) -> Option<(&Alike, [u64; 2])> {
        let [Some(last), Some(before)] = &self.0 else { return None };
        let (changes, stays) = if last.rewrite.is_some() { (last, before) } else { (before, last) };
        let bit = changes.value ^ stays.value;
        let is_one = |raw| (raw ^ changes.value) & changes.mask & !bit == 0;
        let are_told = changes.mask == stays.mask && bit.is_power_of_two() && is_one(all) && is_one(any);
        let found = are_told && changes.is_plain() && stays.rewrite.is_none();
        found.then_some((changes, [bit, changes.value & bit]))
    }

    /// Adds a group.
    fn add(&mut self, alike: &Alike) {
        let [last, before] = &mut self.0;
        match last.and_then(|last| last.joined(alike)) {
            Some(both) => *last = Some(both),
            None => *before = last.replace(*alike),
        }
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
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

    /// How many of the entries at `indices` continue the leaf of one entry before them, which maps `address` and whose
    /// other bits are `rest`: as far as they map what follows, and are like it otherwise.
    pub(super) fn continuing(
        &self,
        entries: Entries<F::Word>,
        indices: Range<usize>,
        address: u64,
        rest: u64,
    ) -> usize {
        let (level, size) = (entries.level(), Self::entry_bits(entries.level()));
        let Some(left) = self.geometry.last_output().checked_sub(address) else { return 0 };
        let most = indices.len().min((left >> size) as usize) + 1;
        let strip = self.format.strip(Prototype { bits: 0, level, size }, address, most);
        let is_next = |&((_, raw), item): &((usize, u64), usize)| {
            raw == rest | strip.first.wrapping_add(strip.step.wrapping_mul(item as u64))
        };
        entries.iter(indices).zip(1..strip.items).take_while(is_next).count()
    }

    /// Whether leaves at `level` may be runs.
    pub(super) fn has_runs(&self, level: Level) -> bool {
        has_runs(&self.format, level)
    }

    /// Whether a leaf in this table is a run.
    pub(super) fn holds_runs(&self, entries: Entries<F::Word>) -> bool {
        let kinds = self.format.kinds(entries.level());
        let is_item = |(_, raw)| kinds.is_leaf(raw) && kinds.is_item(raw);
        self.has_runs(entries.level()) && entries.iter(0..entries.count()).any(is_item)
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
