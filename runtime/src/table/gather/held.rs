//! What a gather frees after the invalidation.

use crate::table::release::free_tree;
use crate::{Format, Hal, HostPhysAddr, Level};

/// What may be freed after the invalidation.
#[derive(Clone, Copy, Debug)]
pub(in crate::table) enum Held {
    /// `count` consecutive frames of `1 << size` bytes.
    Frames { first: u64, size: u8, count: u64 },
    /// A detached table with all tables below it and, with `frames`, the frames that they map. It keeps its entries,
    /// because MMUs may still walk it; so it is itself the list of what is to be freed.
    Tree { table: HostPhysAddr, level: Level, frames: bool },
}

impl Held {
    /// Joins `new` into `self` if it continues it, upwards or, as allocators often hand out frames that were freed,
    /// downwards.
    pub(in crate::table) fn join(&mut self, new: Held) -> bool {
        let (Held::Frames { first, size, count }, Held::Frames { first: other, size: as_large, count: more }) =
            (self, new)
        else {
            return false;
        };
        let after = |first: u64, count: u64| first.checked_add(count << as_large);
        let joins = *size == as_large && (after(*first, *count) == Some(other) || after(other, more) == Some(*first));
        if joins {
            *first = other.min(*first);
            *count += more;
        }
        joins
    }

    /// Frees it.
    ///
    /// # Safety
    ///
    /// Neither MMU nor CPU can reach it any more; frames belong to the HAL, as `depopulate` asks for.
    pub(super) unsafe fn release<F: Format, H: Hal>(self, format: &F, hal: &H) {
        match self {
            Held::Frames { first, size, count } => {
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
