//! Giving a leaf that is there what a faulting access lacks, in one walk.

use super::PageTable;
use crate::{Format, Hal, Rights};

/// What [`PageTable::admit`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// The leaf lacked nothing, perhaps because another CPU was faster.
    Already,
    /// It is marked accessed or dirty now, and had the rights.
    Marked,
    /// It has the rights now.
    Relaxed,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// Makes the leaf that maps `ia` admit an access that needs the rights `access`: adds the rights `wanted`, which
    /// include `access`, and marks the leaf accessed and, with a right to write, dirty. Changes nothing and returns
    /// `None` if there is no such leaf, or if this takes more than one store: see [`Format::grant`].
    // Out of line and by value, so that callers can keep their fault in registers: the first use of a page never gets
    // here.
    #[inline(never)]
    pub(crate) fn admit(&self, ia: u64, access: Rights, wanted: Rights) -> Option<Admitted> {
        self.write_first(ia, wanted).or_else(|| self.admit_leaf(ia, access, wanted))
    }

    /// [`Self::admit`] for any kind of leaf.
    #[cold]
    fn admit_leaf(&self, ia: u64, access: Rights, wanted: Rights) -> Option<Admitted> {
        let ia = self.reduce(ia)?;
        let write = access.intersects(Rights::W);
        self.exchange_leaf(ia, |level, raw| {
            let new = self.format.grant(level, raw, wanted, write).ok_or(None)?;
            if new == raw {
                return Err(Some(Admitted::Already));
            }
            let states = self.format.accessed_dirty(level);
            let keeps_states = states.accessed_mask | states.dirty_mask != 0;
            let had_rights = keeps_states && self.format.rights(level, raw).contains(access);
            Ok((new, Some(if had_rights { Admitted::Marked } else { Admitted::Relaxed })))
        })?
    }
}
