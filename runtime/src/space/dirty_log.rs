//! A log of the pages that a guest writes, for migration: start, harvest as often as needed, stop.

use super::{AddrSpace, Backend, Gathering, SpaceError};
use crate::{Change, Format, GuestPhysAddr, Hal, PageBitmap, State};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Starts a dirty log of `size` bytes from `start` on: from now on, [harvests](AddrSpace::harvest) of
    /// [`State::Dirty`] tell page by page what is written there. Larger leaves are split, faults in the areas there map
    /// single pages only, and what was written so far does not count. For areas that are added later, call it again.
    ///
    /// ```
    /// use tablewright::{AddrSpace, ClosedRange, Format, GuestMemoryAccessor, MappingFlags, PageBitmap, State, Tag};
    /// use tablewright::{aarch64::stage2_4k, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format = stage2_4k::Format::new(&stage2_4k::Config::new(3, 39))?;
    /// let mut space = AddrSpace::new_empty(format, Machine::new(0, 16 << 20), Tag(1))?;
    /// let (ram, size) = (0x4000_0000, 0x8000);
    /// space.map_alloc(ram.into(), size, MappingFlags::READ | MappingFlags::WRITE, true)?;
    ///
    /// space.start_dirty_log(ram.into(), size)?;
    /// // Send all of it. Meanwhile the guest writes:
    /// space.handle_page_fault((ram + 0x3000).into(), MappingFlags::WRITE);
    /// space.write_obj((ram + 0x3008).into(), 1_u64)?;
    ///
    /// let range = ClosedRange::from_start_size(ram as u64, size as u64).ok_or("empty")?;
    /// let mut words = vec![0; PageBitmap::words(range, 12)];
    /// let mut pages = PageBitmap::new(range, 12, &mut words).ok_or("too short")?;
    /// space.harvest(State::Dirty, &mut pages)?;
    /// assert!(pages.contains(ram as u64 + 0x3000) && pages.len() == 1);
    /// // Send these, and so on, until few are left; then keep the guest from running for the last.
    /// space.stop_dirty_log(ram.into(), size)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::split`] and [`AddrSpace::harvest_exclusive`]: nothing that the guest could notice has changed.
    pub fn start_dirty_log(&mut self, start: GuestPhysAddr, size: usize) -> Result<(), SpaceError> {
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(()) };
        let page_bits = self.table.geometry().page_bits;
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        ok!(self.table.split_to(range, page_bits, &mut gather));
        // What was written so far is of no interest.
        ok!(self.table.harvest_exclusive(State::Dirty, &mut PageBitmap::without_words(range, page_bits), &mut gather));
        self.areas.log(range, true);
        Ok(())
    }

    /// Ends the dirty log that [`AddrSpace::start_dirty_log`] began. Pages that were write-protected to notice writes
    /// get their areas' rights back. Leaves that lie in the range as a whole become large again where
    /// [backends](Backend::collapses_to) allow it; frames of the HAL do so if it [frees joined ones](Hal::frees_joined).
    /// If another log goes on in the same area, first uses there may map large leaves again; all pages of such a leaf
    /// then count as one.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`]; [`SpaceError::Area`] names the part of an area that did not
    /// get its rights back; those before it did.
    pub fn stop_dirty_log(&mut self, start: GuestPhysAddr, size: usize) -> Result<(), SpaceError> {
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(()) };
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        for (part, area) in self.areas.parts(range) {
            let rights = Change { rights: Some(area.attributes().rights), ..Change::default() };
            if let Err(error) = &area.backend().protect(part, &rights, &mut self.table, &mut gather) {
                return SpaceError::of_area(part, error);
            }
        }
        drop(gather);
        self.areas.log(range, false);
        self.collapse(start, size)
    }

    /// As [`AddrSpace::protect`]; first inserts into `pages` all pages of its range that were written since the last
    /// harvest. Where a page that is not writable has no way to record that it is dirty, [`AddrSpace::protect`] alone
    /// would lose that.
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::protect`] and [`AddrSpace::harvest_exclusive`]; after those of the former, `pages` has what
    /// was harvested.
    pub fn protect_and_harvest(
        &mut self,
        start: GuestPhysAddr,
        size: usize,
        change: impl Into<Change>,
        pages: &mut PageBitmap<'_>,
    ) -> Result<(), SpaceError> {
        let change = change.into();
        let Some(range) = ok!(self.whole_pages(start, size)) else { return Ok(()) };
        ok!(self.harvest_exclusive(State::Dirty, pages));
        // This covers what the guest wrote since the harvest.
        if let Some(forgotten) = self.protect_range(range, &change)? {
            pages.insert(forgotten);
        }
        Ok(())
    }
}
