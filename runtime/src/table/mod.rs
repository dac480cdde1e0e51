//! The engine: one page table of any format.
//!
//! Operations that may free or that change more than one entry take `&mut self`: the borrow checker is the lock.
//! Each goes in three steps: *plan* reads only and finds every reason to refuse; *reserve* takes all frames; *commit*
//! cannot fail. So an operation that fails leaves the table as it was.

mod error;
mod gather;
mod query;

pub use error::Error;
pub use gather::Gather;
pub use query::{Lookup, Mapping, Mappings, Region, Regions, TableInfo, Tables};

use crate::{Attributes, Change, ClosedRange, Format, Geometry, Hal, HostPhysAddr, Refusal, Tag};

/// A page table: a tree of tables in one format, from its root down.
///
/// It owns its tables and frees them when it is dropped; the memory that it maps belongs to whoever mapped it.
#[derive(Debug)]
pub struct PageTable<F: Format, H: Hal> {
    format: F,
    hal: H,
    tag: Tag,
    root: HostPhysAddr,
    geometry: Geometry,
}

/// What [`PageTable::fault_in`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultIn {
    /// The leaf was installed.
    Installed,
    /// The address is mapped already, perhaps since another CPU was faster. The caller keeps its frame.
    Present(Mapping),
    /// A table stands where the leaf should go, with a hole at the address: a leaf of at most `1 << size` bytes fits.
    Smaller {
        /// log2 of the size of the largest leaf that fits.
        size: u8,
    },
    /// A leaf of this size takes more than one entry and has to be installed through `&mut self`.
    NeedsExclusive,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] if the HAL has no frame for the root; [`Error::Refused`] if the root registers cannot hold
    /// the root's address or the tag.
    pub fn new(format: F, hal: H, tag: Tag) -> Result<Self, Error> {
        let geometry = format.geometry();
        let _ = (hal, tag, geometry);
        todo!()
    }

    /// The format.
    pub fn format(&self) -> &F {
        &self.format
    }

    /// The HAL.
    pub fn hal(&self) -> &H {
        &self.hal
    }

    /// The tag of this table's translations.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Where the root table is.
    pub fn root(&self) -> HostPhysAddr {
        self.root
    }

    /// Levels and sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The values to load into the machine's registers to activate this table.
    ///
    /// # Errors
    ///
    /// [`Refusal::Address`] or [`Refusal::Tag`] if the registers cannot hold them; [`PageTable::new`] checked that.
    pub fn registers(&self) -> Result<F::Registers, Refusal> {
        self.format.registers(self.root, self.tag)
    }

    /// An empty gather for operations on this table.
    pub fn gather(&self) -> Gather<F, H> {
        Gather::new(self.format, self.hal.clone(), self.root, self.tag)
    }

    /// How many tables [`PageTable::map`] would add.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::map`], save [`Error::NoMemory`].
    pub fn tables_needed(&self, range: ClosedRange, oa: u64, attributes: &Attributes) -> Result<usize, Error> {
        let _ = (range, oa, attributes);
        todo!()
    }

    /// Maps `range` to the output addresses from `oa` on, with the largest pages that fit. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::OutputOutOfRange`], [`Error::Misaligned`]; [`Error::AlreadyMapped`] names the
    /// first address that is mapped; [`Error::Refused`] if the format has no page with these attributes;
    /// [`Error::NoMemory`]; [`Error::ForeignGather`].
    ///
    /// # Safety
    ///
    /// Whoever translates through this table may access the output addresses as `attributes` allow, until they have
    /// been unmapped and that operation's gather has been flushed.
    pub unsafe fn map(
        &mut self,
        range: ClosedRange,
        oa: u64,
        attributes: &Attributes,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let _ = (range, oa, attributes, gather);
        todo!()
    }

    /// Maps zeroed frames from the HAL at every page of `range` that is not mapped, in pages of at most
    /// `1 << largest` bytes. Pages above the granule are used only if the HAL frees frames in parts. All or nothing.
    ///
    /// [`PageTable::depopulate`] gives the frames back.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`], [`Error::Refused`], [`Error::NoMemory`], [`Error::ForeignGather`].
    pub fn populate(
        &mut self,
        range: ClosedRange,
        attributes: &Attributes,
        largest: u8,
        gather: &mut Gather<F, H>,
    ) -> Result<(), Error> {
        let _ = (range, attributes, largest, gather);
        todo!()
    }

    /// Unmaps `range`; holes in it are fine. Larger leaves that it covers in part are split. The memory stays whose
    /// it is, and may be reused once `gather` has been flushed. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::NoMemory`] or [`Error::Refused`] if a leaf cannot be
    /// split; [`Error::ForeignGather`].
    pub fn unmap(&mut self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let _ = (range, gather);
        todo!()
    }

    /// Unmaps `range` as [`PageTable::unmap`] does, and gives the frames mapped there back to the HAL once the
    /// invalidation is complete.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::unmap`]; [`Error::PartialFrame`] if `range` covers a part of a leaf and the HAL does not
    /// free parts.
    ///
    /// # Safety
    ///
    /// Every leaf in `range` maps (a part of) one frame allocated from this table's HAL, of the leaf's size unless
    /// the HAL frees parts, and nobody uses what is freed.
    pub unsafe fn depopulate(&mut self, range: ClosedRange, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let _ = (range, gather);
        todo!()
    }

    /// Changes the attributes of everything mapped in `range`; holes are skipped. Larger leaves that it covers in
    /// part are split. Accessed and dirty states are kept. All or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::Misaligned`]; [`Error::Refused`] if the format cannot express the change;
    /// [`Error::NoMemory`] if a leaf cannot be split; [`Error::ForeignGather`].
    pub fn protect(&mut self, range: ClosedRange, change: &Change, gather: &mut Gather<F, H>) -> Result<(), Error> {
        let _ = (range, change, gather);
        todo!()
    }

    /// Installs one leaf of `1 << size` bytes that maps `ia` (rounded down to the size) to `oa`, if nothing is mapped
    /// there, while other CPUs may do the same.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::OutputOutOfRange`], [`Error::Misaligned`] (of `oa`), [`Error::Refused`],
    /// [`Error::NoMemory`].
    ///
    /// # Safety
    ///
    /// As for [`PageTable::map`], if the answer is [`FaultIn::Installed`].
    pub unsafe fn fault_in(&self, ia: u64, size: u8, oa: u64, attributes: &Attributes) -> Result<FaultIn, Error> {
        let _ = (ia, size, oa, attributes);
        todo!()
    }
}
