//! A guest whose tables an MMU walks, and what the MMU may cache of each walk.

extern crate std;

use std::{format, string::String, vec::Vec};

use tablewright_archdefs::bound::Bound;
use tablewright_archdefs::interpret::{Decoded, Start, Translation, Walk};
use tablewright_archdefs::model::Facts;

use super::tlb::{Cached, What};
use super::{Machine, Rules};
use crate::{ClosedRange, Rights, Tag};

/// A guest: its tables, and the rules by which they may be cached.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) tag: Tag,
    pub(super) root: u64,
    pub(super) bound: Bound,
    pub(super) rules: Rules,
}

impl Guest {
    /// Walks from the root, or from a cached table, and calls `seen` with what may be cached of it.
    pub(super) fn walk(&self, machine: &Machine, ia: u64, from: Option<&Cached>, mut seen: impl FnMut(Cached)) -> Walk {
        let geometry = &self.bound.geometry;
        let (start, mut path) = match from {
            Some(Cached { what: What::Table(start), path, .. }) => (*start, path.clone()),
            _ => (self.bound.start(self.root), Vec::new()),
        };
        let mut limit = start.limit;
        let mut remember = |bits: u8, what: What, path: &[u64]| {
            seen(Cached { tag: self.tag, range: ClosedRange::around(ia, bits), what, path: path.to_vec() });
        };
        let walk = self.bound.walk_from(
            start,
            ia,
            |slot| machine.read_word(slot),
            |step| {
                path.push(step.table);
                match step.decoded {
                    Decoded::Table(next) => {
                        limit &= next.limit;
                        let table = Start { table: next.address, level: next.level, limit };
                        remember(geometry.entry_bits(step.level), What::Table(table), &path);
                    }
                    Decoded::Invalid if self.rules.invalid_cached => {
                        remember(geometry.entry_bits(step.level), What::Hole, &path);
                    }
                    _ => {}
                }
            },
        );
        if let Walk::Translated(found) = walk {
            // Hardware may hold a whole run as one translation, or its items one by one.
            for size in [found.size, geometry.entry_bits(found.level)] {
                let offset = ia - ClosedRange::around(ia, size).start();
                let first = Translation { address: found.address.wrapping_sub(offset), ..found };
                remember(size, What::Leaf(first), &path);
            }
        }
        walk
    }

    /// Whether, all over the range of a cached walk, fresh walks find the same, or the same with more rights.
    pub(super) fn still_holds(&self, machine: &Machine, cached: &Cached) -> Result<(), String> {
        let mut next = Some(cached.range.start());
        while let Some(ia) = next.filter(|&ia| cached.range.contains(ia)) {
            let spoken_for = self.holds_at(machine, cached, ia)?;
            next = spoken_for.last().checked_add(1);
        }
        Ok(())
    }

    /// As [`Self::still_holds`], at `ia` only; returns the addresses for which that decides.
    fn holds_at(&self, machine: &Machine, cached: &Cached, ia: u64) -> Result<ClosedRange, String> {
        let mut tables = Vec::new();
        let now = self.walk(machine, ia, None, |seen| tables.push(seen.what));
        // Fewer rights in a cache than in the tables cost only a walk.
        let holds = match &cached.what {
            What::Leaf(then) => matches!(&now, Walk::Translated(now)
                if now.address == then.address.wrapping_add(ia - cached.range.start())
                && now.memory == then.memory
                && rights(now.facts).contains(rights(then.facts))),
            What::Table(then) => tables.iter().any(|seen| {
                matches!(seen, What::Table(now) if (now.table, now.level) == (then.table, then.level)
                    && now.limit.contains(then.limit))
            }),
            What::Hole => !matches!(now, Walk::Translated(_)),
        };
        if !holds {
            return Err(format!("{now:x?} at {ia:#x}"));
        }
        Ok(match (&cached.what, now) {
            // An entry for a table is the same for all addresses that the table translates.
            (What::Table(_), _) => cached.range,
            (_, Walk::Translated(now)) => ClosedRange::around(ia, now.size),
            (_, Walk::NotMapped { level }) => ClosedRange::around(ia, self.bound.geometry.entry_bits(level)),
            _ => cached.range,
        })
    }
}

/// The rights among some facts, as the rest of this crate names them.
pub(super) fn rights(facts: Facts) -> Rights {
    Rights::from_bits_truncate(facts.bits())
}
