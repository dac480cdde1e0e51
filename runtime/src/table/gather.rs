//! The collected duty to invalidate, with everything that may be freed only afterwards.

use core::sync::atomic::{AtomicU64, Ordering};

use super::release::free_tree;
use crate::{ClosedRange, Format, Hal, HostPhysAddr, Invalidation, Level, Tag};

/// How many stretches of frames or detached subtrees a gather holds before it invalidates early.
const HELD: usize = 32;

/// The duty to invalidate what operations on a page table changed, with the tables and frames that they took out of it.
///
/// Nothing is freed before the invalidation that covers it is complete. Dropping a gather performs the invalidation;
/// forgetting one leaks what rides in it. It never allocates: when its buffer is full, it invalidates early.
#[must_use = "dropping it invalidates; keep it to collect the changes of several operations"]
#[derive(Debug)]
pub struct Gather<F: Format, H: Hal> {
    identity: Identity,
    format: F,
    hal: H,
    root: HostPhysAddr,
    tag: Tag,
    due: Option<Due>,
    forgotten: Option<ClosedRange>,
    held: [Option<Held>; HELD],
}

/// Tells tables apart that have the same root and tag: those of other machines, and those that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64);

impl Identity {
    /// One that nobody has yet.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What must be invalidated, in full 64-bit addresses.
#[derive(Clone, Copy, Debug)]
struct Due {
    range: ClosedRange,
    leaf_only: bool,
    granule: u8,
}

/// What may be freed after the invalidation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    /// `count` frames of `1 << size` bytes that follow each other.
    Frames { first: u64, size: u8, count: u64 },
    /// A detached table with all below it; `frames`: and with the frames that it maps. It keeps its entries, for MMUs
    /// may still walk it, and so is itself the list of what is to be freed.
    Tree { table: HostPhysAddr, level: Level, frames: bool },
}

impl<F: Format, H: Hal> Gather<F, H> {
    pub(super) fn new(identity: Identity, format: F, hal: H, root: HostPhysAddr, tag: Tag) -> Self {
        Self { identity, format, hal, root, tag, due: None, forgotten: None, held: [None; HELD] }
    }

    /// Whether nothing is due.
    pub fn is_empty(&self) -> bool {
        self.due.is_none() && self.held.iter().all(Option::is_none)
    }

    /// The addresses around all pages whose dirty state operations with this gather forgot, since no leaf with the new
    /// rights can say it: see [`PageTable::protect`](super::PageTable::protect).
    pub fn forgotten(&self) -> Option<ClosedRange> {
        self.forgotten
    }

    /// Notes that pages in `range` are not known to be dirty any more.
    pub(super) fn forget(&mut self, range: ClosedRange) {
        let range = self.extend(range);
        self.forgotten = Some(self.forgotten.map_or(range, |forgotten| forgotten.hull(&range)));
    }

    /// Invalidates what is due, then releases what rides here.
    pub fn flush(&mut self) {
        if let Some(Due { range, leaf_only, granule }) = self.due {
            let set = Invalidation::Range { range, leaf_only, granule };
            self.hal.invalidate(&self.format, self.root, self.tag, &set);
            // Not before: if the HAL panics, the duty stays, and nothing is released.
            self.due = None;
        }
        for held in self.held.iter_mut().filter_map(Option::take) {
            // SAFETY: `hold` takes only what was taken out of the table and recorded, and the invalidation is complete.
            unsafe { release(&self.format, &self.hal, held) };
        }
    }

    /// Flushes if something in `range` is due: nothing new may stand there before what was is invalidated.
    pub(super) fn settle(&mut self, range: ClosedRange) {
        let range = self.extend(range);
        if self.due.is_some_and(|due| due.range.intersection(&range).is_some()) {
            self.flush();
        }
    }

    pub(super) fn belongs_to(&self, identity: Identity) -> bool {
        self.identity == identity
    }

    /// Entries that translate `range` changed, and the change is published. `granule`: log2 of what the smallest of
    /// them spans.
    pub(super) fn record(&mut self, range: ClosedRange, leaf_only: bool, granule: u8) {
        let range = self.extend(range);
        let new = Due { range, leaf_only, granule };
        self.due = Some(match self.due {
            None => new,
            Some(old) => Due {
                range: old.range.hull(&range),
                leaf_only: old.leaf_only && leaf_only,
                granule: old.granule.min(granule),
            },
        });
    }

    fn extend(&self, range: ClosedRange) -> ClosedRange {
        let geometry = self.format.geometry();
        ClosedRange::clamp(geometry.extend(range.start()), geometry.extend(range.last()))
    }

    /// Takes over what is out of the table, after that was recorded.
    pub(super) fn hold(&mut self, new: Held) {
        if self.held.iter_mut().flatten().any(|held| held.join(new)) {
            return;
        }
        if self.held.iter().all(Option::is_some) {
            self.flush();
        }
        if let Some(slot) = self.held.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(new);
        }
    }
}

impl Held {
    /// Takes `new` into `self` if it continues it.
    fn join(&mut self, new: Held) -> bool {
        match (self, new) {
            (Held::Frames { first, size, count }, Held::Frames { first: next, size: as_large, count: more })
                if *size == as_large && first.checked_add(*count << *size) == Some(next) =>
            {
                *count += more;
                true
            }
            _ => false,
        }
    }
}

/// # Safety
///
/// Neither MMU nor CPU can reach it any more; frames belong to the HAL, as `depopulate` asks for.
unsafe fn release<F: Format, H: Hal>(format: &F, hal: &H, held: Held) {
    match held {
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

impl<F: Format, H: Hal> Drop for Gather<F, H> {
    fn drop(&mut self) {
        self.flush();
    }
}
