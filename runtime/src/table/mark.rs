//! Setting the accessed and dirty states that an MMU does not set by itself.

use super::{PageTable, build::Found};
use crate::{ClosedRange, Entry, Format, Hal, Rights};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Marks the leaf that maps `ia` accessed and, with `write` and where it may be written, dirty, while others use
    /// the table. `true` if it was not marked so before; then stale translations have been invalidated, too. `false`
    /// also if nothing is mapped or the format does not keep these states.
    pub fn mark(&self, ia: u64, write: bool) -> bool {
        let Some(range) = self.geometry.reduce(ClosedRange::around(ia, 0)) else { return false };
        let ia = range.start();
        let (mut level, mut entries) = (self.geometry.top(), self.root_entries());
        loop {
            let index = self.geometry.index(level, ia);
            match self.visit(level, &entries, index) {
                (_, Found::Absent) => return false,
                (_, Found::Table { entries: below, level: lower, .. }) => (level, entries) = (lower, below),
                (raw, Found::Leaf) => {
                    let marked = self.marked(level, raw, write);
                    if marked == raw {
                        return false;
                    }
                    // If the MMU or another CPU was faster, the entry is looked at again.
                    if entries.exchange(&self.hal, index, raw, marked).is_ok() {
                        self.invalidate(self.geometry.slot(level, ia), level, true);
                        return true;
                    }
                }
            }
        }
    }

    /// The leaf `raw`, accessed and, with `write` and if it may be written, dirty.
    fn marked(&self, level: u8, raw: u64, write: bool) -> u64 {
        let accessed = self.with_states(level, raw, false);
        match self.format.decode(level, accessed) {
            Entry::Leaf(leaf) if write && leaf.attributes.rights.intersects(Rights::W) => {
                self.with_states(level, accessed, true)
            }
            _ => accessed,
        }
    }

    /// The leaf `raw`, accessed and, with `dirty`, dirty: only a leaf that may be written can be that.
    pub(super) fn with_states(&self, level: u8, raw: u64, dirty: bool) -> u64 {
        let states = self.format.accessed_dirty(level);
        let accessed = raw & !states.accessed_mask | states.accessed_value;
        if dirty { accessed & !states.dirty_mask | states.dirty_value } else { accessed }
    }
}
