//! Operations on a space whose guest runs: harvests, splitting and joining leaves, tags, devices, and frames for faults.

use core::sync::atomic::{
    Ordering::{Relaxed, SeqCst},
    fence,
};

use super::{AddrSpace, Backend, Gathering, SpaceError};
use crate::{Format, FrameCache, GuestPhysAddr, Hal, PageBitmap, PartialChange, Sink, State, Tags};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Inserts into `pages` all pages of its range that were accessed, or written, since the last harvest, while the
    /// guest runs. When this returns, dirty pages may be read: later writes show in the next harvest.
    ///
    /// Bytes written through a [`GuestSlice`](crate::GuestSlice) or an atomic count as written when that was taken, and
    /// again with each [`mark_written`](crate::GuestMemoryAccessor::mark_written).
    ///
    /// # Errors
    ///
    /// [`SpaceError::Table`] with those of [`PageTable::harvest`](crate::PageTable::harvest); then nothing has changed.
    pub fn harvest(&self, state: State, pages: &mut PageBitmap<'_>) -> Result<(), SpaceError> {
        let mut gather = self.table.gather();
        let result = self.table.harvest(state, pages, &mut gather);
        gather.flush();
        // See `mark_written`.
        fence(SeqCst);
        self.harvests.fetch_add(gather.invalidations(), Relaxed);
        ok!(result);
        Ok(())
    }

    /// As [`AddrSpace::harvest`], including what takes exclusive access: leaves that reach beyond the range are split.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Table`] with those of [`PageTable::harvest_exclusive`](crate::PageTable::harvest_exclusive).
    pub fn harvest_exclusive(&mut self, state: State, pages: &mut PageBitmap<'_>) -> Result<(), SpaceError> {
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        ok!(self.table.harvest_exclusive(state, pages, &mut gather));
        Ok(())
    }

    /// Splits leaves in `size` bytes from `start` on into leaves of at most `1 << largest` bytes, so that a harvest can
    /// tell these apart.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`]; [`SpaceError::Table`] with those of
    /// [`PageTable::split_to`](crate::PageTable::split_to).
    pub fn split(&mut self, start: GuestPhysAddr, size: usize, largest: u8) -> Result<(), SpaceError> {
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(()) };
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        ok!(self.table.split_to(range, largest, &mut gather));
        Ok(())
    }

    /// Joins leaves in `size` bytes from `start` on into the largest leaves that map the same, in areas whose
    /// [backends](Backend::collapses_to) allow that.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`].
    pub fn collapse(&mut self, start: GuestPhysAddr, size: usize) -> Result<(), SpaceError> {
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(()) };
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        for (part, area) in self.areas.parts(range) {
            let largest = area.backend().collapses_to(self.table.hal());
            // SAFETY: the backend says that this may be.
            ok!(unsafe { self.table.collapse(part, largest, &mut gather) });
        }
        Ok(())
    }

    /// Moves areas in `size` bytes from `start` on to larger frames, where [`Alloc::up_to`](super::Alloc::up_to) allows
    /// them: wherever pages fill a larger frame, it takes one from the HAL, copies the pages into it, and gives their
    /// frames back. Returns how many larger frames it took.
    ///
    /// This gives a space whose pages were first used one by one the large leaves that it would have had if there had
    /// been frames for them. A guest that runs meanwhile faults on the memory that is being copied, and waits until this
    /// operation, which has exclusive access, is done. Where a device [cannot retry](Hal::retries), nothing changes. A
    /// dirty log no longer tells the pages of a larger leaf apart.
    ///
    /// ```
    /// use tablewright::{AddrSpace, Alloc, Format, GuestMemoryAccessor, MappingFlags, Tag};
    /// use tablewright::{sim::Machine, x86_64::ept};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
    /// let mut space = AddrSpace::new_empty(format, Machine::new(0, 8 << 20), Tag(1))?;
    /// let rights = MappingFlags::READ | MappingFlags::WRITE;
    /// space.map(0.into(), 2 << 20, rights, Alloc::LAZY.up_to(21))?;
    /// // A page that the guest gave up for a while: what is around it are pages, too.
    /// space.write_obj(0x1ff8.into(), 1_u64)?;
    /// space.unmap(0x8000.into(), 0x1000)?;
    /// space.map(0x8000.into(), 0x1000, rights, Alloc::LAZY.up_to(21))?;
    /// space.write_obj(0x8000.into(), 2_u64)?;
    /// assert_eq!(space.statistics().leaves[12], 512);
    /// assert_eq!(space.enlarge(0.into(), 2 << 20)?, 1);
    /// assert_eq!((space.statistics().leaves[21], space.read_obj::<u64>(0x1ff8.into())?), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`]; [`SpaceError::Area`] names an area whose backend cannot
    /// do it.
    pub fn enlarge(&mut self, start: GuestPhysAddr, size: usize) -> Result<usize, SpaceError> {
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(0) };
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        let mut taken = 0;
        for (part, area) in self.areas.parts(range) {
            // SAFETY: the area's backend maps in its areas, and others' hooks stay out of them.
            let enlarged = unsafe { area.backend().enlarge(part, &mut self.table, &mut gather) };
            taken += enlarged.map_err(|error| SpaceError::Area { area: part, error })?;
        }
        Ok(taken)
    }

    /// Lets `sink` translate through this space from now on: see [`PageTable::attach`](crate::PageTable::attach).
    pub fn attach(&mut self, sink: Sink) {
        self.table.attach(sink);
    }

    /// Notes that `sink` no longer translates through this space: see [`PageTable::detach`](crate::PageTable::detach).
    pub fn detach(&mut self, sink: Sink) {
        self.table.detach(sink);
    }

    /// Gives the space a tag of the current generation if it has none, and returns whether it got a new one. Call it
    /// before entering the guest: see [`PageTable::renew_tag`](crate::PageTable::renew_tag).
    ///
    /// # Errors
    ///
    /// [`SpaceError::Table`] if the root register cannot hold the tag, or devices are attached.
    pub fn renew_tag(&mut self, tags: &Tags) -> Result<bool, SpaceError> {
        Ok(self.table.renew_tag(tags)?)
    }

    /// Sets what operations do that change only part of a larger leaf.
    pub fn set_partial_change(&mut self, policy: PartialChange) {
        self.table.set_partial_change(policy);
    }

    /// An empty cache of frames for the faults of one virtual CPU: see [`AddrSpace::handle_fault_cached`].
    pub fn frame_cache(&self) -> FrameCache<H> {
        self.table.frame_cache()
    }

    /// Fills `cache`, where allocation is allowed, so that the next fault on a page finds all the frames it can need:
    /// one for each level.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Table`] with those of [`PageTable::top_up`](crate::PageTable::top_up).
    pub fn top_up(&self, cache: &mut FrameCache<H>) -> Result<(), SpaceError> {
        ok!(self.table.top_up(cache, usize::from(self.table.geometry().levels)));
        Ok(())
    }

    /// Reserves the memory for tables and areas that any operation on `size` bytes from `start` on can take, so that it
    /// cannot fail because memory runs out. This does not include the frames of areas that are populated at once, what
    /// [`AddrSpace::replace`] and [`AddrSpace::move_range`] take in addition, and the tables for leaves that
    /// [`AddrSpace::split`] and [`AddrSpace::start_dirty_log`] split inside the range.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`]; [`SpaceError::Table`] or [`SpaceError::NoMemory`] if there
    /// is no memory.
    pub fn reserve(&mut self, start: GuestPhysAddr, size: usize) -> Result<(), SpaceError> {
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(()) };
        self.areas.reserve(2).map_err(|_| SpaceError::NoMemory)?;
        let tables = ok!(self.table.tables_needed(range));
        ok!(self.table.reserve(tables));
        Ok(())
    }

    /// Gives the frames reserved for tables back to the HAL.
    pub fn release_reserve(&mut self) {
        self.table.release_reserve();
    }
}
