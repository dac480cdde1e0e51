//! Frames that are taken before anything is changed.

use super::{
    Error, PageTable,
    frames::{Frames, List},
    gather::Identity,
    walk::{Met, Walk},
};
use crate::{ClosedRange, Format, Hal, HostPhysAddr, Level, Refusal};

/// A virtual CPU's cache of frames, so that its faults need not allocate: filled by [`PageTable::top_up`] where
/// allocation is allowed. All frames have the size of a table below the root. Those that are left when it is dropped go
/// back to the HAL.
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
/// let mut cache = table.frame_cache();
/// table.top_up(&mut cache, 2)?;
/// let asked = machine.allocations();
/// // SAFETY: nobody translates through this table, and nothing was unmapped there.
/// unsafe { table.fault_in_cached(0x1000, 12, 0x9000, &rw, &mut cache)? };
/// assert_eq!((machine.allocations(), cache.len()), (asked, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FrameCache<H: Hal> {
    hal: H,
    identity: Identity,
    size: u8,
    /// The highest address that an entry of the table can hold.
    last_output: u64,
    list: List,
}

impl<H: Hal> FrameCache<H> {
    /// Number of frames at hand.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a frame of `1 << size` bytes with arbitrary content: from the cache if its frames have this size, else from
    /// the HAL. The caller owns it, and may pass it to [`FrameCache::give_back`] or free it.
    pub fn take(&mut self, size: u8) -> Option<HostPhysAddr> {
        let at_hand = if size == self.size { self.list.take(&self.hal) } else { None };
        at_hand.map(|(frame, _)| frame).or_else(|| self.hal.allocate(size))
    }

    /// Takes back a frame that was not used after all. A frame that the table refused goes back to the HAL, so that the
    /// next fault does not get it again.
    ///
    /// # Safety
    ///
    /// It came from [`FrameCache::take`] with this size, and nobody uses it.
    pub unsafe fn give_back(&mut self, frame: HostPhysAddr, size: u8) {
        if size == self.size && frame.as_usize() as u64 <= self.last_output {
            self.list.put(&self.hal, frame, size);
        } else {
            // SAFETY: as the caller promises.
            unsafe { self.hal.free(frame, size) };
        }
    }
}

impl<H: Hal> Drop for FrameCache<H> {
    fn drop(&mut self) {
        self.list.shrink(&self.hal, 0);
    }
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// An empty cache for faults on this table.
    pub fn frame_cache(&self) -> FrameCache<H> {
        let (hal, identity, list) = (self.hal.clone(), self.identity, List::default());
        FrameCache { hal, identity, size: self.start.table_bits, last_output: self.start.last_output, list }
    }

    /// Takes frames from the HAL until `cache` has `frames` of them. A fault takes at most one for each level below the
    /// root, and one for the page itself if that comes from the HAL.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], or [`Error::Refused`] if the HAL's frames are beyond what a table entry can hold: the cache
    /// keeps what it has. [`Error::ForeignCache`].
    pub fn top_up(&self, cache: &mut FrameCache<H>, frames: usize) -> Result<(), Error> {
        let list = ok!(self.frames_of(cache));
        let mut more = Frames::of(&self.hal, core::mem::take(list));
        let mut result = Ok(());
        while more.len() < frames && result.is_ok() {
            result = self.reserve_table(&mut more);
        }
        *list = more.into_list();
        result
    }

    /// The most tables that an operation through `&mut self` on `range`, or faults in it, can add: those for pages
    /// wherever nothing is mapped, and those for splitting leaves across its ends. Tables for leaves that
    /// [`PageTable::split_to`] splits inside the range are not included.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`].
    pub fn tables_needed(&self, range: ClosedRange) -> Result<usize, Error> {
        let (range, entries) = (ok!(self.input(range)), self.root_entries());
        let split = |end| self.cut_leaf(entries, range, end).map_or(0, |leaf| usize::from(leaf.level));
        Ok(split(range.start()) + split(range.last()) + self.tables_missing(range))
    }

    /// Reserves frames for `tables` tables, for operations through `&mut self`: one that adds no more of them (see
    /// [`PageTable::tables_needed`] or [`PageTable::tables_for`]) cannot fail because memory runs out. Frames that are
    /// to be mapped, as by [`PageTable::populate`], are not included.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], [`Error::Refused`]; then none were taken.
    pub fn reserve(&mut self, tables: usize) -> Result<(), Error> {
        let mut more = ok!(self.allocate_tables(tables.saturating_sub(self.reserved.len())));
        while let Some((frame, size)) = more.take(&self.hal) {
            self.reserved.put(&self.hal, frame, size);
        }
        Ok(())
    }

    /// How many tables are reserved.
    pub fn reserved(&self) -> usize {
        self.reserved.len()
    }

    /// Gives the reserved frames back to the HAL.
    pub fn release_reserve(&mut self) {
        self.reserved.shrink(&self.hal, 0);
    }

    /// Takes frames for `count` tables below the root, those that are reserved first.
    pub(super) fn reserve_tables(&mut self, count: usize) -> Result<List, Error> {
        let mut list = ok!(self.allocate_tables(count.saturating_sub(self.reserved.len())));
        while list.len() < count
            && let Some((frame, size)) = self.reserved.take(&self.hal)
        {
            list.put(&self.hal, frame, size);
        }
        Ok(list)
    }

    fn allocate_tables(&self, count: usize) -> Result<List, Error> {
        let mut frames = Frames::new(&self.hal);
        for _ in 0..count {
            ok!(self.reserve_table(&mut frames));
        }
        Ok(frames.into_list())
    }

    /// Takes one more frame for a table below the root.
    pub(super) fn reserve_table(&self, frames: &mut Frames<'_, H>) -> Result<(), Error> {
        frames.put(ok!(self.allocate_table()), self.start.table_bits);
        Ok(())
    }

    /// A new frame for a table below the root.
    pub(super) fn allocate_table(&self) -> Result<HostPhysAddr, Error> {
        let size = self.start.table_bits;
        let frame = self.hal.allocate(size).ok_or(Error::NoMemory { size })?;
        let linked = (1..self.geometry.levels).try_for_each(|level| self.link_entry(level, frame).map(|_| ()));
        if linked.is_err() {
            // SAFETY: it was just allocated with this size.
            unsafe { self.hal.free(frame, size) };
        }
        linked.map(|()| frame)
    }

    /// What `cache` has.
    #[inline]
    pub(super) fn frames_of<'a>(&self, cache: &'a mut FrameCache<H>) -> Result<&'a mut List, Error> {
        if cache.identity == self.identity { Ok(&mut cache.list) } else { Err(Error::ForeignCache) }
    }

    /// How many tables are missing for pages in all of `range`.
    fn tables_missing(&self, range: ClosedRange) -> usize {
        // One for each entry above the pages that is touched, unless there is a table already, or a leaf in its place.
        let touched = |range: ClosedRange, top: Level| {
            let of_level = |level| {
                let bits = Self::entry_bits(level);
                ((range.last() >> bits) - (range.start() >> bits)) as usize + 1
            };
            (1..=top).map(of_level).sum::<usize>()
        };
        let mut missing = touched(range, self.geometry.top());
        let mut walk = Walk::new(self, Some(range));
        while let Some(met) = walk.next() {
            let there = match met {
                Met::Table { level, range, .. } => {
                    if level == 0 {
                        walk.advance(range.last());
                    }
                    1
                }
                Met::Leaf(leaf) => leaf.range.intersection(&range).map_or(0, |part| touched(part, leaf.level)),
            };
            missing = missing.saturating_sub(there);
        }
        missing
    }

    /// The entry at `level` that leads to the table at `frame`.
    pub(super) fn link_entry(&self, level: Level, frame: HostPhysAddr) -> Result<u64, Error> {
        let entry: Result<u64, Refusal> = self.format.table(level, frame.as_usize() as u64);
        entry.map_err(|refusal| Error::Refused { level, refusal })
    }
}
