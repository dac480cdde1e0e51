//! Mapping something in place of what is there.

use super::{AddrSpace, Area, Backend, Gathering, SpaceError};
use crate::{Attributes, Format, GuestPhysAddr, Hal};

impl<F: Format, H: Hal, B: Backend> AddrSpace<F, H, B> {
    /// Adds an area of `size` bytes from `start` on in place of whatever is there: areas that reach beyond it are cut.
    /// If this cannot be done, nothing changes.
    ///
    /// For a moment, nothing is mapped there: a guest that runs meanwhile faults, and waits until this operation, which
    /// has exclusive access, is done.
    ///
    /// ```
    /// use tablewright::{AddrSpace, Alloc, Format, GuestMemoryAccessor, MappingFlags, Tag};
    /// use tablewright::{sim::Machine, x86_64::ept};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
    /// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// let rights = MappingFlags::READ | MappingFlags::WRITE;
    /// space.map_alloc(0.into(), 0x8000, rights, true)?;
    /// space.write_obj(0x1ffc.into(), 7_u32)?;
    /// space.replace(0x2000.into(), 0x1000, MappingFlags::READ, Alloc::POPULATED)?;
    /// assert_eq!(space.areas().len(), 3);
    /// assert_eq!(space.read_obj::<u64>(0x1ffc.into())?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`AddrSpace::map`], save [`SpaceError::Overlap`], and those of [`AddrSpace::unmap`];
    /// [`SpaceError::Table`] also if there are no frames for tables.
    pub fn replace(
        &mut self,
        start: GuestPhysAddr,
        size: usize,
        attributes: impl Into<Attributes>,
        backend: impl Into<B>,
    ) -> Result<(), SpaceError> {
        let (attributes, backend) = (attributes.into(), backend.into());
        let range = self.whole_pages(start, size)?.ok_or(SpaceError::Empty(start))?;
        let refused = |error| SpaceError::Area { area: range, error };
        backend.accepts(&self.table, &attributes).map_err(|refusal| refused(refusal.into()))?;
        self.table.check_partial(range)?;
        // Room for an area that is cut in two, and for the new one.
        self.areas.reserve(2).map_err(|_| SpaceError::NoMemory)?;

        // The new mapping is built aside. Once there is room for it, nothing can fail any more.
        let mut aside = self.table.aside()?;
        let mut gather = aside.gather();
        backend.map(range, &attributes, &mut aside, &mut gather).map_err(refused)?;
        if let Err(error) = self.unmap_range(range) {
            // SAFETY: it mapped all that is there.
            unsafe { backend.unmap(range, &mut aside, &mut gather) }.map_err(refused)?;
            return Err(error);
        }
        self.table.take_over(range, &mut aside, &mut Gathering::new(&mut self.gather, &self.table))?;
        let mut area = Area::new(range, attributes, backend);
        area.resolve(&self.table);
        self.areas.insert(area)
    }
}
