//! Moving areas to another place.

use alloc::vec::Vec;

use super::{AddrSpace, Area, Backend, Gathering, SpaceError};
use crate::{ClosedRange, Format, GuestPhysAddr, Hal};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Moves all areas in `size` bytes from `start` on, and what is mapped there, to the addresses from `to` on, where
    /// there must be no area. Areas that reach beyond the range are cut. If the move cannot be done, nothing changes.
    ///
    /// Rights, memory types and contents stay as they are, pages that were not used yet still wait for their first use,
    /// and no frame is copied or freed. Pages that were accessed or written since the last [harvest](AddrSpace::harvest)
    /// show in the next one at their new addresses. The move itself does not count as a write: whoever migrates a guest
    /// by a dirty log has to send the pages that have moved.
    ///
    /// Leaves keep their size if the distance is a multiple of it. A guest that runs meanwhile may find the memory at
    /// both places, or at neither; then it faults, and waits until this operation, which has exclusive access, is done.
    /// A device that [cannot retry](Hal::retries) must not use the memory meanwhile, as when it is unmapped.
    ///
    /// ```
    /// use tablewright::{AddrSpace, Format, GuestMemoryAccessor, MappingFlags, Tag};
    /// use tablewright::{sim::Machine, x86_64::ept};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
    /// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// space.map_alloc(0x1000.into(), 0x8000, MappingFlags::READ | MappingFlags::WRITE, false)?;
    /// space.write_obj(0x2ffc.into(), 7_u32)?;
    /// let frame = space.translate(0x2000.into());
    ///
    /// // The second of its pages, and the third, which was not used yet.
    /// space.move_range(0x2000.into(), 0x2000, 0x8000_0000.into())?;
    /// assert_eq!(space.areas().map(|area| area.range().start()).collect::<Vec<_>>(), [0x1000, 0x4000, 0x8000_0000]);
    /// assert_eq!(space.read_obj::<u32>(0x8000_0ffc.into())?, 7);
    /// assert_eq!(space.translate(0x8000_0000.into()), frame);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`] and [`SpaceError::Misaligned`], for either place; [`SpaceError::Overlap`] names an
    /// area at the new place, which may be one of those that should move; [`SpaceError::Area`] names an area that
    /// [cannot move](Backend::moved); [`SpaceError::Table`] with those of
    /// [`PageTable::move_range`](crate::PageTable::move_range); [`SpaceError::NoMemory`].
    pub fn move_range(&mut self, start: GuestPhysAddr, size: usize, to: GuestPhysAddr) -> Result<(), SpaceError> {
        let Some((range, target)) = self.whole_pages(start, size)?.zip(self.whole_pages(to, size)?) else {
            return Ok(());
        };
        if let Some(area) = self.areas.overlapping(target).next() {
            return Err(SpaceError::Overlap(area.range()));
        }
        let distance = target.start().wrapping_sub(range.start());
        let moved = self.moved(range, distance)?;
        let (Some(first), Some(last)) = (moved.first(), moved.last()) else { return Ok(()) };
        // The two ranges may overlap where there is no area; from the first area to the last, they do not.
        let target = first.range().hull(&last.range());
        let range = target.shifted(distance.wrapping_neg());
        self.areas.reserve(moved.len() + 1).map_err(|_| SpaceError::NoMemory)?;

        let mut gather = Gathering::new(&mut self.gather, &self.table);
        self.table.move_range(range, target.start(), &mut gather)?;
        self.areas.remove_from(self.areas.place(range.start()), range);
        for area in moved {
            match self.areas.gap(area.range()) {
                Some(gap) => self.areas.fill(gap, area),
                None => debug_assert!(false, "there was no area, and now there is one"),
            }
        }
        Ok(())
    }

    /// The parts of areas in `range`, moved up by `distance`.
    fn moved(&self, range: ClosedRange, distance: u64) -> Result<Vec<Area<B>>, SpaceError> {
        let parts = self.areas.parts(range);
        let mut moved = Vec::new();
        moved.try_reserve_exact(parts.clone().count()).map_err(|_| SpaceError::NoMemory)?;
        for (part, area) in parts {
            let backend = area.backend().moved(distance).map_err(|error| SpaceError::Area { area: part, error })?;
            moved.push(area.moved(part.shifted(distance), backend));
        }
        Ok(moved)
    }
}
