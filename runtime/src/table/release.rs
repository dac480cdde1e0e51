//! Giving tables and frames back once no MMU can reach them any more.

use core::ops::Range;

use arrayvec::ArrayVec;

use super::{
    PageTable,
    build::Found,
    entries::{BLOCK, Entries, Fresh},
    frames::Frames,
    gather::{Extent, HELD, Held},
    sinks::Sinks,
    slots::{entry_bits, slots},
};
use crate::{ClosedRange, Format, Hal, HostPhysAddr, Invalidation, Level, Next};

impl<F: Format, H: Hal> PageTable<F, H> {
    /// To be called when no MMU will walk this table any more: invalidates what is cached of it, for the last time.
    pub(crate) fn retire(&mut self) {
        self.invalidate_at_once(&Invalidation::Space);
        self.sinks = Sinks::NONE;
    }

    /// Gives the frames that are mapped in `range` back to the HAL, and leaves the entries as they are.
    ///
    /// # Safety
    ///
    /// As for [`PageTable::depopulate`], and `range` covers whole leaves. The table is [retired](Self::retire), and
    /// nobody looks at `range` any more.
    pub(crate) unsafe fn discard(&mut self, range: ClosedRange) {
        if let Some(range) = self.reduce_range(range) {
            // SAFETY: as the caller promises.
            unsafe { self.discard_in(self.root_entries(), range) };
        }
    }

    /// # Safety
    ///
    /// As for [`Self::discard`].
    unsafe fn discard_in(&self, entries: Entries<F::Word>, range: ClosedRange) {
        let level = entries.level();
        // SAFETY: as the caller promises.
        unsafe { free_frames(&self.format, &self.hal, entries, slots::<F>(level, entries.count(), range)) };
        if level == 0 {
            return;
        }
        for (index, part) in Self::parts(level, range) {
            if let (_, Found::Table(below)) = self.visit(entries, index) {
                // SAFETY: as the caller promises.
                unsafe { self.discard_in(below, part) };
            }
        }
    }

    /// The frames that the leaves at `indices` of one table map, runs whole. `None` if these are more than `most` extents.
    pub(super) fn extents(
        &self,
        entries: Entries<F::Word>,
        indices: Range<usize>,
        most: usize,
    ) -> Option<ArrayVec<Extent, HELD>> {
        let level = entries.level();
        let (kinds, bits) = (self.format.kinds(level), Self::entry_bits(level));
        let (mut extents, mut last) = (ArrayVec::new(), None::<Extent>);
        let mut put = |extent| if extents.len() < most { extents.try_push(extent).ok() } else { None };
        for (index, raw) in entries.iter(indices).filter(|&(_, raw)| kinds.is_leaf(raw)) {
            let run_bits = self.format.run_bits(level, raw);
            if !index.is_multiple_of(1 << run_bits) {
                continue;
            }
            let new = Extent { first: self.format.output(level, raw), size: bits + run_bits, count: 1 };
            if last.as_mut().is_some_and(|last| last.join(new)) {
                continue;
            }
            if let Some(done) = last.replace(new) {
                put(done)?;
            }
        }
        if let Some(last) = last {
            put(last)?;
        }
        Some(extents)
    }

    /// Lists the leaves at `indices`, whose frames are to be freed, in a table of their own that is never linked: as one
    /// thing to be held. `None` if there is no frame for it.
    pub(super) fn list(&self, entries: Entries<F::Word>, indices: Range<usize>) -> Option<Held> {
        let level = entries.level();
        if level == self.geometry.top() {
            return None;
        }
        let size = self.geometry.table_bits(level);
        let frame = self.hal.allocate(size)?;
        // SAFETY: it was just allocated with this size.
        let mut table = unsafe { Fresh::<F::Word>::new(&self.hal, frame, size) };
        table.clear(self.format.empty(level));
        let kinds = self.format.kinds(level);
        for (index, raw) in entries.iter(indices).filter(|&(_, raw)| kinds.is_leaf(raw)) {
            table.write(index, raw);
        }
        Some(Held::Tree { table: frame, level, frames: true })
    }

    /// Takes a built subtree, which was never linked, apart again; with `frames`, the frames that it maps go back to the
    /// HAL.
    pub(super) fn unbuild(&self, entries: Entries<F::Word>, frames: bool, reserve: &mut Frames<'_, H>) {
        if frames {
            // SAFETY: nobody else knows the subtree, and its frames were allocated for it.
            unsafe { free_frames(&self.format, &self.hal, entries, 0..entries.count()) };
        }
        if entries.level() > 0 {
            for index in 0..entries.count() {
                if let (_, Found::Table(below)) = self.visit(entries, index) {
                    self.unbuild(below, frames, reserve);
                }
            }
        }
        reserve.put(entries.address(), self.start.table_bits);
    }
}

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
    // A table of pages is read only to find frames.
    let is_opaque = |level| level == 0 && !frames;
    if !is_opaque(level) {
        // SAFETY: it is allocated, as the caller promises.
        let entries = unsafe { Entries::new(hal, level, geometry.level_index_bits(level), table) };
        if frames {
            // SAFETY: as the caller promises.
            unsafe { free_frames(format, hal, entries, 0..entries.count()) };
        }
        if let Some(below) = level.checked_sub(1) {
            let (kinds, empty, size) = (format.kinds(level), format.empty(level), geometry.table_bits(below));
            let mut index = 0;
            while index < entries.count() {
                // Most entries of most tables are empty.
                if empty == 0 && index % BLOCK == 0 && entries.common(index).is_some_and(|[_, any]| any == 0) {
                    index += BLOCK;
                    continue;
                }
                let raw = entries.load(index);
                index += 1;
                if raw == empty || kinds.is_absent(raw) || kinds.is_leaf(raw) {
                    continue;
                }
                let Next::Table(address) = format.next(level, raw) else { continue };
                let address = HostPhysAddr::from_usize(address as usize);
                if is_opaque(below) {
                    // SAFETY: it is part of the tree, and allocated with this size.
                    unsafe { hal.free(address, size) };
                } else {
                    // SAFETY: it is part of the tree.
                    unsafe { free_tree(format, hal, below, address, frames) };
                }
            }
        }
    }
    // SAFETY: tables are allocated with this size.
    unsafe { hal.free(table, geometry.table_bits(level)) };
}

/// Frees the frames that the leaves at `indices` of one table map. A loop of its own, as most frames are freed here.
///
/// # Safety
///
/// As for [`free_tree`] with `frames`.
#[inline(never)]
unsafe fn free_frames<F: Format, H: Hal>(format: &F, hal: &H, entries: Entries<F::Word>, indices: Range<usize>) {
    let level = entries.level();
    let (kinds, entry_bits) = (format.kinds(level), entry_bits::<F>(level));
    // In a table of pages, one test is enough.
    let is_leaf = |raw| !kinds.is_absent(raw) && (level == 0 || kinds.is_leaf(raw));
    // SAFETY: the caller promises that leaves map frames of the HAL.
    let free = |raw, size| unsafe { hal.free(HostPhysAddr::from_usize(format.output(level, raw) as usize), size) };
    let is_item = |raw| format.run_bits(level, raw) != 0;
    let mut leaves = entries.iter(indices).filter(|&(_, raw)| is_leaf(raw));
    loop {
        // Most leaves are not items of runs: these go in a loop that knows their size.
        let item = leaves.find(|&(_, raw)| {
            is_item(raw) || {
                free(raw, entry_bits);
                false
            }
        });
        let Some((index, raw)) = item else { return };
        let run_bits = format.run_bits(level, raw);
        // The first item of a run stands for all: they are freed as one.
        if index.is_multiple_of(1 << run_bits) {
            free(raw, entry_bits + run_bits);
        }
    }
}
