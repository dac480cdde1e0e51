//! What a gather frees after the invalidation.

use crate::table::release::free_tree;
use crate::{Format, Hal, HostPhysAddr, Level};

/// What may be freed after the invalidation.
#[derive(Clone, Copy, Debug)]
pub(in crate::table) enum Held {
    /// Frames.
    Frames(Extent),
    /// A detached table with all tables below it and, with `frames`, the frames that they map. It keeps its entries,
    /// because MMUs may still walk it; so it is itself the list of what is to be freed.
    Tree { table: HostPhysAddr, level: Level, frames: bool },
}

/// Consecutive frames.
#[derive(Clone, Copy, Debug)]
pub(in crate::table) struct Extent {
    /// The first address.
    pub(in crate::table) first: u64,
    /// log2 of the size of each.
    pub(in crate::table) size: u8,
    pub(in crate::table) count: u64,
}

impl Extent {
    /// Joins `new` into `self` if it continues it, upwards or, as allocators often hand out frames that were freed,
    /// downwards.
    #[inline]
    pub(in crate::table) fn join(&mut self, new: Self) -> bool {
        let end = |frames: &Self| frames.first.checked_add(frames.count << frames.size);
        let joins = self.size == new.size && (end(self) == Some(new.first) || end(&new) == Some(self.first));
        if joins {
            self.first = self.first.min(new.first);
            self.count += new.count;
        }
        joins
    }
}

impl Held {
    /// Frees it.
    ///
    /// # Safety
    ///
    /// Neither MMU nor CPU can reach it any more; frames belong to the HAL, as `depopulate` asks for.
    pub(super) unsafe fn release<F: Format, H: Hal>(self, format: &F, hal: &H) {
        match self {
            Held::Frames(Extent { first, size, count }) => {
                for number in 0..count {
                    // SAFETY: as the caller promises.
                    unsafe { hal.free(HostPhysAddr::from_usize((first + (number << size)) as usize), size) };
                }
            }
            // SAFETY: as the caller promises.
            Held::Tree { table, level, frames } => unsafe { free_tree(format, hal, level, table, frames) },
        }
    }
}
