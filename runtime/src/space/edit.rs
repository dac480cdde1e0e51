//! Mapping, unmapping and protecting. Each plans first, and records areas only after the table has taken the change.

use super::{
    AddrSpace, Alloc, Area, Backend, CopyOnWrite, Device, Gathering, Linear, Shared, SharedMemory, SpaceError,
    area::Changed,
};
use crate::{Attributes, Change, ClosedRange, Format, GuestPhysAddr, Hal, HostRegion, MemoryType, Rights};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Maps host memory at `start`, all of it at once and with the largest pages that fit. The memory still belongs to
    /// the caller.
    ///
    /// `attributes` are [`MappingFlags`](crate::MappingFlags) or [`Attributes`].
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::map`].
    pub fn map_linear(
        &mut self,
        start: GuestPhysAddr,
        region: HostRegion,
        attributes: impl Into<Attributes>,
    ) -> Result<(), SpaceError>
    where
        B: From<Linear>,
    {
        self.map(start, region.size(), attributes, Linear::new(start, region))
    }

    /// Maps zeroed frames from the HAL: all at once if `populate` is set, else each page when it is first used.
    ///
    /// For frames larger than a page, call [`AddrSpace::map`] with [`Alloc::up_to`].
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::map`].
    pub fn map_alloc(
        &mut self,
        start: GuestPhysAddr,
        size: usize,
        attributes: impl Into<Attributes>,
        populate: bool,
    ) -> Result<(), SpaceError>
    where
        B: From<Alloc>,
    {
        self.map(start, size, attributes, if populate { Alloc::POPULATED } else { Alloc::LAZY })
    }

    /// Maps memory that other guests may map, too, all of it at once.
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::map`]; a right to write is refused if `memory` is [read-only](SharedMemory::read_only).
    pub fn map_shared(
        &mut self,
        start: GuestPhysAddr,
        memory: &SharedMemory,
        attributes: impl Into<Attributes>,
    ) -> Result<(), SpaceError>
    where
        B: From<Shared>,
    {
        self.map(start, memory.size(), attributes, Shared::new(start, memory.clone()))
    }

    /// Maps a copy of `memory`, page by page: each page that the guest writes gets a frame of its own.
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::map`].
    pub fn map_copy_on_write(
        &mut self,
        start: GuestPhysAddr,
        memory: &SharedMemory,
        attributes: impl Into<Attributes>,
    ) -> Result<(), SpaceError>
    where
        B: From<CopyOnWrite>,
    {
        self.map(start, memory.size(), attributes, CopyOnWrite::new(start, memory))
    }

    /// Lets an emulated device answer all reads and writes in `size` bytes from `start` on; `handle` is the caller's
    /// name for it. See [`FaultOutcome::Device`](super::FaultOutcome::Device).
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::map`].
    pub fn map_device(&mut self, start: GuestPhysAddr, size: usize, handle: usize) -> Result<(), SpaceError>
    where
        B: From<Device>,
    {
        let attributes = Attributes::new(Rights::RW, MemoryType::DeviceNGnRE);
        self.map(start, size, attributes, Device::new(start, handle))
    }

    /// Adds an area of `size` bytes from `start` on.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`], [`SpaceError::Empty`]; [`SpaceError::Overlap`] names the
    /// area in the way; [`SpaceError::Area`] if the format cannot express the attributes, frames run out, or the
    /// backend has another reason; [`SpaceError::NoMemory`].
    pub fn map(
        &mut self,
        start: GuestPhysAddr,
        size: usize,
        attributes: impl Into<Attributes>,
        backend: impl Into<B>,
    ) -> Result<(), SpaceError> {
        self.add(start, size, attributes.into(), backend.into())
    }

    /// As [`AddrSpace::map`], compiled once for all kinds of attributes and backends.
    fn add(&mut self, start: GuestPhysAddr, size: usize, attributes: Attributes, backend: B) -> Result<(), SpaceError> {
        let range = ok!(self.whole_pages(start, size)).ok_or(SpaceError::Empty(start))?;
        let gap = self.areas.gap(range).ok_or_else(|| self.areas.overlap(range))?;
        if let Err(refusal) = backend.accepts(&self.table, &attributes) {
            return SpaceError::of_area(range, &refusal.into());
        }
        self.areas.reserve(1).map_err(|_| SpaceError::NoMemory)?;

        let mut gather = Gathering::new(&mut self.gather, &self.table);
        if let Err(error) = &backend.map(range, &attributes, &mut self.table, &mut gather) {
            return SpaceError::of_area(range, error);
        }
        drop(gather);
        let mut area = Area::new(range, attributes, backend);
        area.resolve(&self.table);
        self.areas.fill(gap, area);
        Ok(())
    }

    /// Removes `size` bytes from `start` on from all areas, whatever is or is not there.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`]; [`SpaceError::Area`] or [`SpaceError::Table`] if larger
    /// leaves that are covered in part cannot, or must not, be split; [`SpaceError::NoMemory`].
    pub fn unmap(&mut self, start: GuestPhysAddr, size: usize) -> Result<(), SpaceError> {
        match ok!(self.whole_pages(start, size)) {
            Some(range) => self.unmap_range(range),
            None => Ok(()),
        }
    }

    /// Removes all areas.
    ///
    /// # Errors
    ///
    /// [`SpaceError::Area`] only if somebody else changed the table; the areas from that one on are still there.
    pub fn clear(&mut self) -> Result<(), SpaceError> {
        if self.areas.is_empty() { Ok(()) } else { self.unmap_range(self.range) }
    }

    /// Changes the attributes of `size` bytes from `start` on, in all areas there; gaps between areas are skipped.
    ///
    /// `change` is a [`Change`], or [`MappingFlags`](crate::MappingFlags): these set the rights, and leave the memory
    /// type alone unless they name one.
    ///
    /// # Errors
    ///
    /// [`SpaceError::OutOfRange`], [`SpaceError::Misaligned`]; [`SpaceError::Area`] names the area for which the format
    /// cannot express the change, or in which leaves cannot be changed; [`SpaceError::Table`] if larger leaves cannot, or
    /// must not, be split; [`SpaceError::NoMemory`].
    pub fn protect(&mut self, start: GuestPhysAddr, size: usize, change: impl Into<Change>) -> Result<(), SpaceError> {
        match ok!(self.whole_pages(start, size)) {
            Some(range) => {
                ok!(self.protect_range(range, &change.into()));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// As [`AddrSpace::protect`]; returns the range in which pages were dirty and can no longer record it.
    pub(super) fn protect_range(
        &mut self,
        range: ClosedRange,
        change: &Change,
    ) -> Result<Option<ClosedRange>, SpaceError> {
        // Each end may cut an area.
        self.areas.reserve(2).map_err(|_| SpaceError::NoMemory)?;
        let place = self.areas.place(range.start());
        let parts = self.areas.parts_from(place, range);
        let (mut count, mut differs, mut cuts) = (0, false, false);
        let mut last = [None, None];
        for (part, area) in parts.clone() {
            let changed = Changed::of(&mut last, area.attributes(), change, &self.table);
            if let Err(refusal) = area.backend().accepts(&self.table, changed.after()) {
                return SpaceError::of_area(area.range(), &refusal.into());
            }
            count += 1;
            differs |= changed.differs();
            cuts |= part != area.range();
        }
        ok!(self.table.check_partial(range));

        let mut gather = Gathering::new(&mut self.gather, &self.table);
        if count > 1 {
            // A leaf at one end may already be as it should be. It would be split only after the others have been
            // changed, and that must not fail then.
            ok!(self.table.split(range, &mut gather));
        }
        let (done, mut result) = parts.work(&mut self.table, &mut gather, &mut |part, backend, table, gather| {
            backend.protect(part, change, table, gather)
        });
        if result.is_ok() && differs && cuts {
            // Where areas are cut, so are leaves, even those that already are as they should be: unmapping whole areas
            // must never need a frame.
            result = self.table.split(range, &mut gather).map_err(SpaceError::Table);
        }
        if result.is_err() {
            if let Some(done) = done {
                for (part, area) in self.areas.parts_from(place, done) {
                    // These are its former attributes, and no leaf has to be split any more, so this cannot fail.
                    let _ = area.backend().protect(part, &area.attributes().into(), &mut self.table, &mut gather);
                }
                // Dirty pages among these may have been unable to record it meanwhile, and the caller is told of none:
                // so all that are writable are dirty from here on.
                if let Some(forgotten) = gather.forgotten().and_then(|range| range.intersection(&done)) {
                    self.table.outputs(forgotten).for_each(|(leaf, _)| _ = self.table.mark(leaf.start(), true));
                }
            }
        } else if differs {
            // Otherwise, no leaf was split where areas would be cut.
            self.areas.cut_and_change(place, range, &mut |area| {
                area.take(Changed::of(&mut last, area.attributes(), change, &self.table));
            });
        }
        ok!(result);
        Ok(gather.forgotten())
    }

    pub(super) fn unmap_range(&mut self, range: ClosedRange) -> Result<(), SpaceError> {
        ok!(self.table.check_partial(range));
        let place = self.areas.place(range.start());
        self.areas.reserve_for_hole(place, range).map_err(|_| SpaceError::NoMemory)?;
        let parts = self.areas.parts_from(place, range);
        let mut gather = Gathering::new(&mut self.gather, &self.table);
        let (done, result) = parts.work(&mut self.table, &mut gather, &mut |part, backend, table, gather| {
            // SAFETY: the areas' backends map in their areas, and others' hooks stay out of them.
            unsafe { backend.unmap(part, table, gather) }
        });
        // Memory that the areas keep alive may be in use until this is complete.
        gather.flush();
        if let Some(done) = done {
            self.areas.remove_from(place, done);
        }
        result
    }
}

impl<F: Format, H: Hal, B: Backend> Drop for AddrSpace<F, H, B> {
    fn drop(&mut self) {
        // From here on, no MMU may reach what is given back.
        self.table.retire();
        let mut parts = self.areas.parts(self.range);
        while let Some((part, area)) = parts.next_together() {
            // SAFETY: as in `unmap_range`; nothing is left of the table after this.
            unsafe { area.backend().discard(part, &mut self.table) };
        }
    }
}
