//! Installing one leaf while other CPUs use the table and may install leaves, too.

use super::{
    Error, FrameCache, Mapping, Operation, PageTable,
    build::Found,
    entries::Entries,
    layout::{Piece, Prototypes, sizes_of},
    reserve::Frames,
};
use crate::{Attributes, ClosedRange, Format, Hal, Level, Refusal};

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
    /// It takes [`PageTable::fault_in_exclusive`]: a leaf of this size is a run of several entries.
    NeedsExclusive(Operation),
}

impl<F: Format, H: Hal> PageTable<F, H> {
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
    /// As for [`PageTable::map`], if the answer is [`FaultIn::Installed`]; and no gather has yet to invalidate what was
    /// unmapped there, or a table around it that lost its last page.
    pub unsafe fn fault_in(&self, ia: u64, size: u8, oa: u64, attributes: &Attributes) -> Result<FaultIn, Error> {
        // Tables that another CPU's make superfluous go back when this is dropped.
        self.install(ia, size, oa, attributes, &mut Frames::new(&self.hal))
    }

    /// As [`PageTable::fault_in`], with tables from `cache`; only if it has too few, from the HAL.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::fault_in`]; [`Error::ForeignCache`].
    ///
    /// # Safety
    ///
    /// As for [`PageTable::fault_in`].
    pub unsafe fn fault_in_cached(
        &self,
        ia: u64,
        size: u8,
        oa: u64,
        attributes: &Attributes,
        cache: &mut FrameCache<H>,
    ) -> Result<FaultIn, Error> {
        let mut frames = self.frames_of(cache)?;
        let result = self.install(ia, size, oa, attributes, &mut frames);
        Self::put_back(cache, frames);
        result
    }

    pub(super) fn install(
        &self,
        ia: u64,
        size: u8,
        oa: u64,
        attributes: &Attributes,
        reserve: &mut Frames<'_, H>,
    ) -> Result<FaultIn, Error> {
        let outside = Error::OutOfRange(ClosedRange::around(ia, 0));
        let ia = self.geometry.reduce(ClosedRange::around(ia, 0)).ok_or(outside)?.start();
        let Some(target) = self.level_of(size) else {
            return Err(Error::Refused { level: 0, refusal: Refusal::Size { level: 0, size } });
        };
        let range = ClosedRange::around(ia, size);
        if ClosedRange::around(oa, size).start() != oa {
            return Err(Error::Misaligned { address: oa, size });
        }
        self.output_fits(oa, range.span())?;
        if size != self.geometry.entry_bits(target) {
            return Ok(FaultIn::NeedsExclusive(Operation::Run));
        }
        let prototype = self.format.prototype(target, size, attributes);
        let prototype = prototype.map_err(|refusal| Error::Refused { level: target, refusal })?;
        let leaf = Prototypes::single(prototype);
        let pieces = [Some(Piece { range, delta: oa.wrapping_sub(range.start()), leaf: &leaf }), None, None];
        let entry = self.format.strip(prototype, oa, 1).first;

        let (mut level, mut entries) = (self.geometry.top(), self.root_entries());
        let leaf_only = loop {
            let index = self.geometry.index(level, ia);
            let (raw, found) = self.visit(level, &entries, index);
            match found {
                Found::Leaf => return Ok(FaultIn::Present(self.mapping(&self.locate(level, &entries, ia, raw)))),
                Found::Table { .. } if level == target => return Ok(self.below(ia, level, entries)),
                Found::Table { entries: below, level: lower, .. } => (level, entries) = (lower, below),
                Found::Absent if level == target => {
                    if entries.exchange(&self.hal, index, raw, entry).is_ok() {
                        break true;
                    }
                }
                Found::Absent => {
                    while reserve.len() < usize::from(level - target) {
                        self.reserve_table(reserve)?;
                    }
                    let slot = self.geometry.slot(level, ia);
                    let size = self.geometry.table_bits(0);
                    let subtree = self.build(level - 1, slot, &pieces, reserve).ok_or(Error::NoMemory { size })?;
                    if entries.exchange(&self.hal, index, raw, subtree).is_ok() {
                        break false;
                    }
                    self.unbuild(level, subtree, reserve);
                }
            }
        };
        if self.format.invalid_cached() {
            self.invalidate(range, 0, leaf_only);
        }
        Ok(FaultIn::Installed)
    }

    /// The level at which leaves of `1 << size` bytes stand.
    pub(super) fn level_of(&self, size: u8) -> Option<Level> {
        let sizes = |level| sizes_of(&self.geometry, level, self.format.page_sizes(level));
        (0..self.geometry.levels).find(|&level| sizes(level).contains(size))
    }

    /// What stands at `ia` below a table entry, where a leaf was to go.
    pub(super) fn below(&self, ia: u64, mut level: Level, mut entries: Entries) -> FaultIn {
        loop {
            match self.visit(level, &entries, self.geometry.index(level, ia)) {
                (_, Found::Table { entries: below, level: lower, .. }) => (level, entries) = (lower, below),
                (raw, Found::Leaf) => return FaultIn::Present(self.mapping(&self.locate(level, &entries, ia, raw))),
                (_, Found::Absent) => {
                    let entry = |level| self.geometry.entry_bits(level);
                    let fits = (0..=level).rev().find(|&level| self.format.page_sizes(level).contains(entry(level)));
                    return FaultIn::Smaller { size: entry(fits.unwrap_or(0)) };
                }
            }
        }
    }
}
