//! Giving tables back, after nobody can walk them any more.

use super::entries::Entries;
use crate::{Format, Hal, HostPhysAddr, Level, Next};

/// Frees a table and all below it; with `frames`, the frames that its leaves map, too.
///
/// # Safety
///
/// The tables were allocated from `hal` for this format, and neither MMU nor CPU can reach them any more. With `frames`:
/// as for [`PageTable::depopulate`](super::PageTable::depopulate).
pub(super) unsafe fn free_tree<F: Format, H: Hal>(
    format: &F,
    hal: &H,
    level: Level,
    table: HostPhysAddr,
    frames: bool,
) {
    let geometry = format.geometry();
    let size = geometry.table_bits(level);
    if level == 0 && !frames {
        // SAFETY: tables are allocated with this size.
        return unsafe { hal.free(table, size) };
    }
    // SAFETY: it is allocated, as the caller promises.
    let entries = unsafe { Entries::new(hal, &geometry, level, table) };
    let (kinds, empty, count) = (format.kinds(level), format.empty(level), geometry.entries(level));
    let entry_bits = geometry.entry_bits(level);
    let mut index = 0;
    while index < count {
        let raw = entries.load(index);
        index += 1;
        if raw == empty || kinds.is_absent(raw) {
            continue;
        }
        if !kinds.is_leaf(raw) {
            if let (Next::Table(address), Some(below)) = (format.next(level, raw), level.checked_sub(1)) {
                let address = HostPhysAddr::from_usize(address as usize);
                if below == 0 && !frames {
                    // SAFETY: it is part of the tree, and there is nothing below it; all tables below the root are alike.
                    unsafe { hal.free(address, geometry.table_bits(0)) };
                } else {
                    // SAFETY: it is part of the tree.
                    unsafe { free_tree(format, hal, below, address, frames) };
                }
            }
        } else if frames {
            let size = format.leaf_bits(level, raw);
            // Of a run, this is the first item: they are freed as one.
            index += (1 << (size - entry_bits)) - 1;
            // SAFETY: the caller promises that leaves map frames of the HAL.
            unsafe { hal.free(HostPhysAddr::from_usize(format.output(level, raw) as usize), size) };
        }
    }
    // SAFETY: tables are allocated with this size.
    unsafe { hal.free(table, size) };
}
