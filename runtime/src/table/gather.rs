//! The invalidations that are due, and everything that may be freed only after them.

mod due;
mod held;

pub(super) use held::{Extent, Held};

use core::sync::atomic::{AtomicU64, Ordering};

use arrayvec::ArrayVec;

use super::PageTable;
use super::sinks::{Pending, Sinks};
use crate::{ClosedRange, Format, Hal, HostPhysAddr, Invalidation, Tag};
use due::Due;

/// How many ranges a gather keeps apart before it joins some.
const RANGES: usize = 8;

/// How many stretches of frames or detached subtrees a gather holds before it invalidates early.
pub(super) const HELD: usize = 32;

/// The invalidations that are due after changes of a page table, and the tables and frames that may be freed only after
/// them.
///
/// Nothing is freed before the invalidation that covers it is complete. Dropping a gather performs the invalidation;
/// forgetting one (`mem::forget`) leaks what it holds. It has room for a fixed number of things: when that is full, it
/// invalidates early.
///
/// ```
/// # use tablewright::{Attributes, ClosedRange, Format, MemoryType, PageTable, Rights, Tag};
/// # use tablewright::{riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let machine = Machine::new(0, 1 << 20);
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut table = PageTable::new(format, machine.clone(), Tag(1))?;
/// # let range = ClosedRange::from_start_size(0x8000_0000, 4 << 20).ok_or("empty")?;
/// # let rw = Attributes::new(Rights::RW, MemoryType::WriteBack);
/// # let mut gather = table.gather();
/// # // SAFETY: nobody translates through this table.
/// # unsafe { table.map(range, 0x4000_0000, &rw, &mut gather)? };
/// # gather.flush();
/// let mut gather = table.gather();
/// table.unmap(ClosedRange::around(0x8000_0000, 12), &mut gather)?;
/// table.unmap(ClosedRange::around(0x8000_5000, 12), &mut gather)?;
/// // One invalidation for both. It may go on while something else is done.
/// gather.begin();
/// gather.flush();
/// assert!(gather.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it invalidates; keep it to collect the changes of several operations"]
#[derive(Debug)]
pub struct Gather<F: Format, H: Hal> {
    identity: Identity,
    format: F,
    hal: H,
    root: HostPhysAddr,
    tag: Tag,
    sinks: Sinks,
    due: ArrayVec<Due, RANGES>,
    pending: Pending,
    forgotten: Option<ClosedRange>,
    /// How many invalidations have begun.
    begun: u64,
    held: ArrayVec<Held, HELD>,
}

/// What distinguishes tables that have the same root and tag: those of other machines, and those that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64);

impl Identity {
    /// An identity that no table has yet.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl<F: Format, H: Hal> Gather<F, H> {
    pub(super) fn new(identity: Identity, format: F, hal: H, root: HostPhysAddr, tag: Tag, sinks: Sinks) -> Self {
        let (due, held) = (ArrayVec::new(), ArrayVec::new());
        Self { identity, format, hal, root, tag, sinks, due, pending: Pending::NONE, forgotten: None, begun: 0, held }
    }

    /// Whether nothing is due, and nothing is held.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty() && self.pending.is_empty() && self.held.is_empty()
    }

    /// A range around all pages whose dirty state was lost by operations with this gather, because no leaf with the new
    /// rights can record it: see [`PageTable::protect`](super::PageTable::protect).
    pub fn forgotten(&self) -> Option<ClosedRange> {
        self.forgotten
    }

    /// How many invalidations it has requested from the HAL, each for a range or for everything under the tag, at all
    /// sinks.
    pub fn invalidations(&self) -> u64 {
        self.begun
    }

    /// Notes that the dirty state of pages in `range` was lost.
    pub(super) fn forget(&mut self, range: ClosedRange) {
        let range = self.extend(range);
        self.forgotten = Some(self.forgotten.map_or(range, |forgotten| forgotten.hull(&range)));
    }

    /// Begins to invalidate what is due, without waiting. Other work can be done until [`Gather::flush`], or dropping the
    /// gather, waits and releases.
    pub fn begin(&mut self) {
        if !self.due.is_empty() {
            self.begin_due();
        }
    }

    fn begin_due(&mut self) {
        let due = &self.due;
        let is_much = || {
            let operations = due.iter().fold(0_u64, |sum, due| sum.saturating_add(due.operations()));
            let limit = due.iter().map(|due| self.format.invalidation_limit(due.leaf_only)).min();
            limit.is_some_and(|limit| operations >= limit)
        };
        // For a single range, the machine decides.
        let everything = due.len() > 1 && is_much();
        let mut begin = |set| {
            self.begun += 1;
            self.sinks.begin(&self.hal, &self.format, self.root, self.tag, &set, &mut self.pending);
        };
        if everything {
            begin(Invalidation::Space);
        } else {
            for &Due { range, leaf_only, granule } in due {
                begin(Invalidation::Range { range, leaf_only, granule });
            }
        }
        // Not earlier: if the HAL panics, the invalidations stay due, and nothing is released.
        self.due.clear();
    }

    /// Whether what has [begun](Gather::begin) is complete, so that [`Gather::flush`] would not wait for it.
    pub fn is_complete(&self) -> bool {
        self.pending.is_complete(&self.hal)
    }

    /// Invalidates what is due, waits for completion, then releases what is held.
    pub fn flush(&mut self) {
        if !self.is_empty() {
            self.flush_all();
        }
    }

    /// Flushes, and resets everything but the number of invalidations.
    pub(crate) fn finish(&mut self) {
        self.flush();
        self.forgotten = None;
    }

    fn flush_all(&mut self) {
        self.begin();
        self.pending.wait(&self.hal);
        while let Some(held) = self.held.pop() {
            // SAFETY: `hold` takes only what was taken out of the table and recorded, and the invalidation is complete.
            unsafe { held.release(&self.format, &self.hal) };
        }
    }

    /// Flushes if something in `range` is due or under way: nothing new may be mapped there before the old is
    /// invalidated. With `tables`, also flushes if an unlinked table is due: it may have stood where a new one will be
    /// linked, with `range` elsewhere in it.
    pub(super) fn settle(&mut self, range: ClosedRange, tables: bool) {
        let range = self.extend(range);
        let mut due = self.due.iter();
        let meets = |due: &Due| tables && !due.leaf_only || due.range.intersection(&range).is_some();
        if !self.pending.is_empty() || due.any(meets) {
            self.flush();
        }
    }

    /// Whether it belongs to this table. If so, it takes over the table's present tag and sinks, after doing what is due
    /// under former ones.
    pub(super) fn follows(&mut self, table: &PageTable<F, H>) -> bool {
        if self.identity != table.identity {
            return false;
        }
        let now = (table.tag, table.sinks);
        if (self.tag, self.sinks) != now {
            self.flush();
            (self.tag, self.sinks) = now;
        }
        true
    }

    /// Records that entries that translate `range` were changed and published. `granule` is log2 of what the smallest of
    /// them spans.
    pub(super) fn record(&mut self, range: ClosedRange, leaf_only: bool, granule: u8) {
        let new = Due { range: self.extend(range), leaf_only, granule };
        // Most changes continue the last one, or are the first.
        match self.due.last_mut() {
            Some(last)
                if last.range.last().wrapping_add(1) == new.range.start()
                    && (last.leaf_only, last.granule) == (leaf_only, granule) =>
            {
                last.range = last.range.hull(&new.range);
            }
            Some(_) => self.record_apart(&new),
            None => {
                let recorded = self.due.try_push(new);
                debug_assert!(recorded.is_ok(), "there is room for one");
            }
        }
    }

    /// As [`Self::record`], for a change that does not continue the last one.
    #[inline(never)]
    fn record_apart(&mut self, new: &Due) {
        let is_full = self.due.is_full();
        // The one that takes the fewest more with it.
        let mut least: Option<(u64, &mut Due)> = None;
        for due in &mut self.due {
            let more = due.more_with(new);
            if least.as_ref().is_none_or(|&(least, _)| more < least) {
                least = Some((more, due));
            }
        }
        match least {
            Some((more, due)) if is_full || more <= new.apart() => *due = due.join(new),
            _ => {
                let recorded = self.due.try_push(*new);
                debug_assert!(recorded.is_ok(), "there is room for one");
            }
        }
    }

    fn extend(&self, range: ClosedRange) -> ClosedRange {
        let geometry = self.format.geometry();
        ClosedRange::clamp(geometry.extend(range.start()), geometry.extend(range.last()))
    }

    /// How many more things can be held without a flush, even if they do not continue each other.
    pub(super) fn room(&self) -> usize {
        self.held.remaining_capacity()
    }

    /// Takes over what was taken out of the table, after that was recorded.
    pub(super) fn hold(&mut self, new: Held) {
        let new = match new {
            // Nothing below it is to be freed: it is a frame like any other.
            Held::Tree { table, level: 0, frames: false } => {
                let size = self.format.geometry().table_bits(0);
                Held::Frames(Extent { first: table.as_usize() as u64, size, count: 1 })
            }
            new => new,
        };
        // Only the last is compared: few frames continue earlier ones.
        if let (Some(Held::Frames(last)), Held::Frames(new)) = (self.held.last_mut(), new)
            && last.join(new)
        {
            return;
        }
        if self.held.is_full() {
            self.flush();
        }
        let held = self.held.try_push(new);
        debug_assert!(held.is_ok(), "a flush released everything");
    }
}

impl<F: Format, H: Hal> Drop for Gather<F, H> {
    fn drop(&mut self) {
        self.flush();
    }
}
