//! Changing one leaf while an MMU or other CPUs may change it, too; and setting accessed and dirty states where the MMU
//! does not.

use super::{PageTable, build::End};
use crate::{Format, Hal, Level, Rights};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Marks the leaf that maps `ia` accessed and, with `write` and if it is writable, dirty, while others use the
    /// table. Returns `true` if that changed the leaf; stale translations have then been invalidated. Returns `false` if
    /// it was marked already, nothing is mapped, or the format does not keep these states.
    pub fn mark(&self, ia: u64, write: bool) -> bool {
        let Some(ia) = self.reduce(ia) else { return false };
        let marked = self.exchange_leaf(ia, |level, raw| match self.marked(level, raw, write) {
            marked if marked == raw => Err(false),
            marked => Ok((marked, true)),
        });
        marked.unwrap_or(false)
    }

    /// Replaces the leaf that maps `ia` by what `change` makes of it, given its level and value, and invalidates stale
    /// translations; returns the answer that `change` gives with it. If `change` returns `Err`, the leaf stays, and that
    /// is the answer. `None` if nothing is mapped.
    ///
    /// `change` is called again if the MMU or another CPU was faster.
    #[inline]
    pub(super) fn exchange_leaf<T>(
        &self,
        ia: u64,
        mut change: impl FnMut(Level, u64) -> Result<(u64, T), T>,
    ) -> Option<T> {
        let mut end = self.descend(ia);
        while end.is_leaf {
            let End { level, entry, raw, .. } = end;
            let (new, answer) = match change(level, raw) {
                Ok(new) => new,
                Err(answer) => return Some(answer),
            };
            if entry.exchange(&self.hal, raw, new).is_ok() {
                self.invalidate_shared(Self::slot(level, ia), level, true);
                return Some(answer);
            }
            end = self.descend(ia);
        }
        None
    }

    /// The leaf `raw` marked accessed and, with `write` and if it is writable, dirty.
    fn marked(&self, level: Level, raw: u64, write: bool) -> u64 {
        let accessed = self.with_states(level, raw, false);
        let writable = write && self.format.rights(level, accessed).intersects(Rights::W);
        if writable { self.with_states(level, accessed, true) } else { accessed }
    }

    /// The leaf `raw` marked accessed and, with `dirty`, dirty, which only a writable leaf can be.
    pub(super) fn with_states(&self, level: Level, raw: u64, dirty: bool) -> u64 {
        let states = self.format.accessed_dirty(level);
        let accessed = raw & !states.accessed_mask | states.accessed_value;
        if dirty { accessed & !states.dirty_mask | states.dirty_value } else { accessed }
    }
}
