//! What cannot be done while others use the table, and the exclusive forms that do it.

use super::{
    Error, FaultIn, Gather, PageTable, Relax,
    layout::{Piece, Prototypes, size_mask},
};
use crate::{Attributes, Change, ClosedRange, Edit, Format, Hal, Refusal, Rights};

/// What an operation through `&self` would have to do, but only one through `&mut self` can.
///
/// ```
/// use tablewright::{Error, Operation, PageBitmap, State};
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
/// // A page of a block of 2 MiB: others may be using the block at this moment.
/// let page = ClosedRange::around(0x8000_1000, 12);
/// let mut words = [0; 1];
/// let mut pages = PageBitmap::new(page, 12, &mut words).ok_or("too short")?;
/// let refused = table.harvest(State::Accessed, &mut pages, &mut gather);
/// assert_eq!(refused, Err(Error::NeedsExclusive(Operation::Split)));
/// table.harvest_exclusive(State::Accessed, &mut pages, &mut gather)?;
/// assert_eq!(pages.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Split a leaf.
    Split,
    /// Change a run of several entries as a whole.
    Run,
    /// Take an entry away from the MMU before changing it: break-before-make.
    Break,
    /// Give a page a frame of its own in place of the one that it shares.
    CopyOnWrite,
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// As [`PageTable::fault_in`], and installs runs, too.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::fault_in`]; [`Error::ForeignGather`].
    ///
    /// # Safety
    ///
    /// As for [`PageTable::map`], if the answer is [`FaultIn::Installed`].
    pub unsafe fn fault_in_exclusive(
        &mut self,
        ia: u64,
        size: u8,
        oa: u64,
        attributes: &Attributes,
        gather: &mut Gather<F, H>,
    ) -> Result<FaultIn, Error> {
        let page = ClosedRange::around(ia, F::PAGE_BITS);
        let ia = ok!(self.feeding(page, gather)).start();
        // What was unmapped there must be invalidated first.
        gather.settle(ClosedRange::around(ia, size), true);
        let before = self.reserved.len();
        let mut tables = core::mem::take(&mut self.reserved);
        let installed = self.install_given(page.start(), size, oa, attributes, &mut tables);
        self.reserved = tables;
        self.reserved.shrink(&self.hal, before);
        match installed? {
            FaultIn::NeedsExclusive(_) => {}
            done => return Ok(done),
        }
        let refused = Error::Refused { level: 0, refusal: Refusal::Size { level: 0, size } };
        let level = self.level_of(size).ok_or(refused)?;
        let prototype = self.format.prototype(level, size, attributes);
        let leaf = Prototypes::single(prototype.map_err(|refusal| Error::Refused { level, refusal })?);
        let range = ClosedRange::around(ia, size);
        let pieces = [Some(Piece::new(range, oa.wrapping_sub(range.start()), &leaf)), None, None];
        match self.map_pieces(range, &pieces, gather) {
            Err(Error::AlreadyMapped { .. }) => self.in_the_way(page.start()),
            result => result.map(|()| FaultIn::Installed),
        }
    }

    /// Makes the leaf that maps `ia` map to `oa` from its start on, with `attributes`: for a page that moves, or gets a
    /// frame of its own. Returns `false` if there is no such leaf, or it is a run of several entries.
    ///
    /// The former memory may be reused once `gather` has been flushed. The leaf's accessed and dirty states are
    /// forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`]; [`Error::OutputOutOfRange`]; [`Error::Misaligned`] (of `oa`, to the leaf's size);
    /// [`Error::Refused`]; [`Error::NeedsBreak`]; [`Error::ForeignGather`].
    ///
    /// # Safety
    ///
    /// As for [`PageTable::map`], if the answer is `true`.
    pub unsafe fn remap(
        &mut self,
        ia: u64,
        oa: u64,
        attributes: &Attributes,
        gather: &mut Gather<F, H>,
    ) -> Result<bool, Error> {
        let page = ok!(self.feeding(ClosedRange::around(ia, F::PAGE_BITS), gather));
        let Some(leaf) = self.find(page.start()).filter(|leaf| Self::items(leaf) == 1) else { return Ok(false) };
        let (level, size, index) = (leaf.level, leaf.size, leaf.index);
        if oa & size_mask(size) != 0 {
            return Err(Error::Misaligned { address: oa, size });
        }
        ok!(self.output_fits(oa, size_mask(size)));
        let prototype = self.format.prototype(level, size, attributes);
        let prototype = prototype.map_err(|refusal| Error::Refused { level, refusal })?;
        let (old, new) = (leaf.entries.load(index), self.format.strip(prototype, oa, 1).first);
        if self.format.edit(level, old, new) == Edit::BreakBeforeMake {
            if self.is_strict() {
                return Err(self.needs_break(leaf.range.start(), level, old));
            }
            leaf.entries.store(&self.hal, index, self.format.empty(level));
            self.invalidate(leaf.range, level, true);
            leaf.entries.store(&self.hal, index, new);
            self.made(leaf.range, true, gather);
        } else {
            leaf.entries.store(&self.hal, index, new);
            gather.record(leaf.range, true, size);
        }
        Ok(true)
    }

    /// As [`PageTable::relax`], and also changes runs, and entries that need break-before-make.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::relax`]; [`Error::NeedsBreak`]; [`Error::ForeignGather`].
    pub fn relax_exclusive(&mut self, ia: u64, rights: Rights, gather: &mut Gather<F, H>) -> Result<Relax, Error> {
        let page = ok!(self.feeding(ClosedRange::around(ia, F::PAGE_BITS), gather));
        match ok!(self.relax(ia, rights)) {
            Relax::NeedsExclusive(_) => {}
            done => return Ok(done),
        }
        let Some(leaf) = self.find(page.start()) else { return Ok(Relax::NotMapped) };
        let Some((_, attributes)) = self.attributes(&leaf) else { return Ok(Relax::NotMapped) };
        let change = Change { rights: Some(attributes.rights | rights), ..Change::default() };
        ok!(self.protect(self.extend(leaf.range), &change, gather));
        self.mark(ia, rights.intersects(Rights::W));
        Ok(Relax::Relaxed)
    }
}
