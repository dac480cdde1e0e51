//! The first write to a page that was write-protected, or clean, so that writes are noticed. While a guest's writes are
//! logged, nearly all faults are of this kind.

use super::{Admitted, PageTable, build::Way};
use crate::{Format, Hal, Rights};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Adds the rights `rights`, which include one to write, to those of the page at `ia`, and marks it written. Changes
    /// nothing and returns `None` if the page is not one of those that the format [knows](Format::first_writes), or if
    /// somebody else changed it at this moment.
    // One walk and one store: small enough to keep everything in registers.
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
            // A plain store loses nothing: whoever else changes the page at this moment gives or marks less than this
            // does, or harvests, and then this store comes after that.
            page.overwrite(&self.hal, written.raw);
        } else {
            page.exchange(&self.hal, raw, written.raw).ok()?;
        }
        self.invalidate_shared(Self::slot(0, ia), 0, true);
        Some(if written.had_right { Admitted::Marked } else { Admitted::Relaxed })
    }
}
