//! How a live entry may be changed.

use super::Decoded;
use crate::bound::Bound;
use crate::model::{EditClass, Facts};

/// How a live entry may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// By one store, followed by an invalidation.
    Direct,
    /// By break-before-make: store "nothing mapped", invalidate, then store the new value.
    BreakBeforeMake,
}

impl Bound {
    /// Whether a live entry may go from `old` to `new` in one store.
    ///
    /// An entry that makes accesses fault may always be replaced, and may always replace another.
    pub fn edit(&self, level: u8, old: u64, new: u64) -> Edit {
        let breaks = |class| self.breaks.contains(&class);
        let needs_break = match (self.decode(level, old), self.decode(level, new)) {
            (Decoded::Leaf(old), Decoded::Leaf(new)) => {
                breaks(EditClass::Size) && old.size != new.size
                    || breaks(EditClass::Output) && old.address != new.address
                    || breaks(EditClass::Memory) && old.memory != new.memory
                    || breaks(EditClass::Rights) && !((old.facts ^ new.facts) & Facts::RIGHTS).is_empty()
                    || breaks(EditClass::Restriction) && !((old.facts - new.facts) & Facts::RIGHTS).is_empty()
                    || breaks(EditClass::Option) && old.options != new.options
            }
            (Decoded::Table(old), Decoded::Table(new)) => {
                breaks(EditClass::Size) && old.level != new.level
                    || breaks(EditClass::Output) && old.address != new.address
                    || breaks(EditClass::Rights) && old.limit != new.limit
                    || breaks(EditClass::Restriction) && !new.limit.contains(old.limit)
            }
            (Decoded::Table(_), Decoded::Leaf(_)) | (Decoded::Leaf(_), Decoded::Table(_)) => breaks(EditClass::Size),
            _ => false,
        };
        if needs_break { Edit::BreakBeforeMake } else { Edit::Direct }
    }
}
