//! The caches of an MMU: final translations, tables on the way to them, and (where the architecture may) holes.

extern crate std;

use std::vec::Vec;

use tablewright_archdefs::interpret::{Start, Translation};

use super::Rules;
use crate::{ClosedRange, Invalidation, Tag};

/// What a cache holds: the input addresses it is for, what it says, and the tables it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) tag: Tag,
    pub(super) range: ClosedRange,
    pub(super) what: What,
    /// The tables the walk went through, root first.
    pub(super) path: Vec<u64>,
}

/// What a cached walk ended at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A final translation: that of the range's start.
    Leaf(Translation),
    /// A table, from which a walk may go on.
    Table(Start),
    /// Nothing.
    Hole,
}

/// Any number of cached walks, without an order: what is found first may be any that fits, as in hardware.
#[derive(Debug, Default)]
pub(super) struct Tlb {
    entries: Vec<Cached>,
}

impl Tlb {
    /// More than this would make the checks slow, and small caches evict more.
    const CAPACITY: usize = 256;

    /// A cached final translation or hole for `ia`.
    pub(super) fn last_step(&self, tag: Tag, ia: u64) -> Option<&Cached> {
        self.find(tag, ia).find(|entry| !matches!(entry.what, What::Table(_)))
    }

    /// A cached table on the way to `ia`, the one nearest to the leaves.
    pub(super) fn nearest_table(&self, tag: Tag, ia: u64) -> Option<&Cached> {
        self.find(tag, ia).filter(|entry| matches!(entry.what, What::Table(_))).min_by_key(|entry| entry.range.span())
    }

    fn find(&self, tag: Tag, ia: u64) -> impl Iterator<Item = &Cached> {
        self.entries.iter().filter(move |entry| entry.tag == tag && entry.range.contains(ia))
    }

    /// Caches a walk; `random` picks what makes room.
    pub(super) fn insert(&mut self, entry: Cached, random: u64) {
        if self.entries.contains(&entry) {
            return;
        }
        if self.entries.len() >= Self::CAPACITY {
            self.evict(random);
        }
        self.entries.push(entry);
    }

    /// Forgets one entry, as hardware may at any time.
    pub(super) fn evict(&mut self, random: u64) {
        if !self.entries.is_empty() {
            self.entries.swap_remove((random % self.entries.len() as u64) as usize);
        }
    }

    /// Forgets all of a tag.
    pub(super) fn forget(&mut self, tag: Tag) {
        self.entries.retain(|entry| entry.tag != tag);
    }

    /// Performs an invalidation, no more of it than was asked for and `rules` have an operation for.
    pub(super) fn invalidate(&mut self, rules: &Rules, tag: Tag, set: &Invalidation) {
        self.entries.retain(|entry| {
            let named = match set {
                Invalidation::Space | Invalidation::All => true,
                Invalidation::Range { leaf_only, .. } if rules.drops_all(*leaf_only) => true,
                Invalidation::Range { range, leaf_only, granule } => {
                    let spared = *leaf_only && matches!(entry.what, What::Table(_));
                    !spared && is_hit(entry.range, *range, *granule)
                }
            };
            !((entry.tag == tag || *set == Invalidation::All) && named)
        });
    }

    /// All entries.
    pub(super) fn entries(&self) -> &[Cached] {
        &self.entries
    }
}

/// Whether one of the addresses `range.start`, one granule on, and so on, up to `range.last`, lies in `entry`: each is
/// the operand of one by-address operation, which drops what translates that very address.
fn is_hit(entry: ClosedRange, range: ClosedRange, granule: u8) -> bool {
    entry.intersection(&range).is_some_and(|common| {
        let step = 1_u128 << granule;
        let offset = u128::from(common.start() - range.start());
        let next = offset.div_ceil(step) * step;
        u128::from(range.start()) + next <= u128::from(common.last())
    })
}

#[cfg(test)]
mod tests {
    use tablewright_archdefs::model::Facts;

    use super::*;
    use crate::sim::ByAddress;

    fn range(start: u64, last: u64) -> ClosedRange {
        ClosedRange::new(start, last).unwrap()
    }

    #[test]
    fn the_rules_say_what_an_operation_with_an_address_reaches() {
        let left = |by_address, leaf_only| {
            let mut tlb = Tlb::default();
            let table = What::Table(Start { table: 0x7000, level: 0, limit: Facts::empty() });
            let cached = [
                (range(0x1000, 0x1fff), What::Hole),
                (range(0, 0x1f_ffff), table),
                (range(0x5000, 0x5fff), What::Hole),
            ];
            for (range, what) in cached {
                tlb.insert(Cached { tag: Tag(1), range, what, path: Vec::new() }, 0);
            }
            let rules = Rules { by_address, ..Rules::STRICTEST };
            tlb.invalidate(
                &rules,
                Tag(1),
                &Invalidation::Range { range: range(0x1000, 0x1fff), leaf_only, granule: 12 },
            );
            tlb.entries().len()
        };
        assert_eq!([true, false].map(|leaf_only| left(ByAddress::Nothing, leaf_only)), [0, 0]);
        assert_eq!([true, false].map(|leaf_only| left(ByAddress::Leaves, leaf_only)), [2, 0]);
        assert_eq!([true, false].map(|leaf_only| left(ByAddress::LeavesOrAll, leaf_only)), [2, 1]);
    }

    #[test]
    fn an_operation_drops_only_what_translates_its_operand() {
        let two_pages = range(0x1000, 0x2fff);
        assert!(is_hit(range(0x2000, 0x2fff), two_pages, 12));
        assert!(!is_hit(range(0x3000, 0x3fff), two_pages, 12));
        // One operation for 2 MiB misses a 4 KiB translation in its middle, and hits a 2 MiB one from any operand.
        let block = range(0x20_0000, 0x3f_ffff);
        assert!(!is_hit(range(0x20_1000, 0x20_1fff), block, 21));
        assert!(is_hit(range(0x20_0000, 0x3f_ffff), range(0x20_5000, 0x20_5fff), 12));
        let everything = range(0, u64::MAX);
        assert!(is_hit(range(u64::MAX - 0xfff, u64::MAX), everything, 12));
    }
}
