//! The first write to a page that was write-protected, or clean, to see who writes: what nearly all faults are about while a
//! guest's writes are logged.

use super::{Admitted, PageTable, build::Way};
use crate::{Format, Hal, Rights};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Gives the page at `ia` the rights `rights`, among them that to write, besides those that it has, and marks it written.
    /// `None`, and nothing has changed, if there is none of those that the format [knows](Format::first_writes), or somebody
    /// else changed it at this moment.
    // One walk and one store: so small that it keeps nothing in memory.
    #[inline]
    pub(super) fn write_first(&self, ia: u64, rights: Rights) -> Option<Admitted> {
        if !rights.contains(Rights::W) {
            return None;
        }
        let Way { level, entry: page, raw } = self.way_to(ia)?;
        if level > 0 {
            return None;
        }
        let written = self.format.first_writes().after(raw, rights)?;
        if written.had_right && written.raw == raw {
            return Some(Admitted::Already);
        }
        if written.is_complete && !self.format.accessed_dirty(0).hardware {
            // Whoever else changes it at this moment gives or marks less than this does, or harvests, and then this comes
            // after it: so nothing is lost by a plain store.
            page.overwrite(&self.hal, written.raw);
        } else {
            page.exchange(&self.hal, raw, written.raw).ok()?;
        }
        self.invalidate_shared(Self::slot(0, ia), 0, true);
        Some(if written.had_right { Admitted::Marked } else { Admitted::Relaxed })
    }
}
