//! What the host has to know about a leaf to access memory on the guest's behalf.

use super::{PageTable, build::End};
use crate::{Format, Hal, Level, Rights};

/// What a leaf means for an access at one of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// The output address.
    pub(crate) output: u64,
    /// How many addresses of the leaf follow.
    pub(crate) rest: u64,
    /// What the leaf grants.
    pub(crate) rights: Rights,
    /// Whether it is as marked as the access would leave it.
    pub(crate) is_marked: bool,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// What the leaf that maps `ia` means for a read, or a write; `None` if nothing is mapped.
    pub(crate) fn reach(&self, ia: u64, write: bool) -> Option<Reached> {
        let End { level, raw, is_leaf, .. } = self.end(self.way_to(ia)?);
        is_leaf.then(|| Reached {
            output: self.format.translate(level, raw, ia),
            rest: !ia & self.within(level, raw),
            rights: self.format.rights(level, raw),
            is_marked: self.with_states(level, raw, write) == raw,
        })
    }

    /// The bits of an address that a leaf passes through unchanged.
    #[inline]
    fn within(&self, level: Level, raw: u64) -> u64 {
        !(u64::MAX << (self.format.leaf_bits(level, raw) & 63))
    }
}
