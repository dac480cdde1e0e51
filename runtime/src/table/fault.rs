//! Installing one leaf while other CPUs use the table and may install leaves, too.

use super::{
    Error, FrameCache, Mapping, Operation, PageTable,
    build::{End, Found, Way},
    frames::{Frames, List},
    layout::{Piece, Prototypes, size_mask},
};
use crate::{Attributes, ClosedRange, Format, Hal, Level, Prototype, Refusal};

/// What [`PageTable::fault_in`] found or did.
///
/// ```
/// use tablewright::FaultIn;
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
/// // SAFETY: nobody translates through this table, and nothing was unmapped there.
/// let mut fault = |ia| unsafe { table.fault_in(ia, 12, 0x9000, &rw) };
/// assert_eq!(fault(0x9000_0123)?, FaultIn::Installed);
/// let FaultIn::Present(found) = fault(0x9000_0456)? else { panic!("it was just installed") };
/// assert_eq!(found.output(0x9000_0456), 0x9456);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultIn {
    /// The leaf was installed.
    Installed,
    /// The address is mapped already, perhaps because another CPU was faster. The caller keeps its frame.
    Present(Mapping),
    /// A table stands where the leaf should go, with a hole at the address: a leaf of at most `1 << size` bytes fits.
    Smaller {
        /// log2 of the size of the largest leaf that fits.
        size: u8,
    },
    /// It needs [`PageTable::fault_in_exclusive`]: a leaf of this size is a run of several entries.
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
    /// As for [`PageTable::map`], if the answer is [`FaultIn::Installed`]. And no gather still has to invalidate what was
    /// unmapped there, or a table around it that lost its last page.
    pub unsafe fn fault_in(&self, ia: u64, size: u8, oa: u64, attributes: &Attributes) -> Result<FaultIn, Error> {
        let mut tables = List::default();
        let result = self.install_given(ia, size, oa, attributes, &mut tables);
        // Gives back those that another CPU's tables made superfluous.
        tables.shrink(&self.hal, 0);
        result
    }

    /// As [`PageTable::fault_in`], with frames for tables from `cache`, and from the HAL only if it has too few.
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
        self.install_given(ia, size, oa, attributes, self.frames_of(cache)?)
    }

    /// As [`PageTable::fault_in_cached`], but maps a new zeroed frame, from `cache` or, if that has none of this size,
    /// from the HAL. The frame is taken only once nothing is found to be mapped.
    ///
    /// # Errors
    ///
    /// Those of [`PageTable::fault_in_cached`], save those of `oa`; [`Error::Refused`] also if the frame is beyond what
    /// an entry can hold.
    ///
    /// # Safety
    ///
    /// No gather still has to invalidate what was unmapped there, or a table around it that lost its last page.
    #[inline]
    pub unsafe fn fault_in_zeroed(
        &self,
        ia: u64,
        size: u8,
        attributes: &Attributes,
        cache: &mut FrameCache<H>,
    ) -> Result<FaultIn, Error> {
        // SAFETY: as the caller promises.
        self.with_leaf(ia, size, attributes, |leaf| unsafe { self.fault_in_zeroed_leaf(ia, leaf, cache) })
    }

    /// As [`PageTable::fault_in_zeroed`], for a leaf that the format has resolved and that is not a run. Returns whether
    /// it was installed.
    ///
    /// # Safety
    ///
    /// As for [`PageTable::fault_in_zeroed`].
    #[inline]
    pub(crate) unsafe fn fault_in_zeroed_leaf(
        &self,
        ia: u64,
        leaf: Prototype,
        cache: &mut FrameCache<H>,
    ) -> Result<bool, Error> {
        let size = leaf.size;
        let mut taken = None;
        let result = self.install(ia, leaf, self.frames_of(cache)?, |table_size, tables| {
            let at_hand = if size == table_size { tables.take(&self.hal) } else { None };
            let frame = at_hand.map(|(frame, _)| frame).or_else(|| self.hal.allocate(size));
            let frame = frame.ok_or(Error::NoMemory { size })?;
            taken = Some(frame);
            let address = frame.as_usize() as u64;
            let refused = Error::Refused { level: 0, refusal: Refusal::Address(address) };
            self.output_fits(address, size_mask(size)).map_err(|_| refused)?;
            // SAFETY: the frame has this size and is ours alone.
            unsafe { self.hal.zero_frame(frame, size) };
            self.hal.prepare_frame(frame, size);
            Ok(address)
        });
        if let Ok(true) = result {
            return Ok(true);
        }
        if let Some(frame) = taken {
            // SAFETY: it was just taken with this size, and is not installed.
            unsafe { cache.give_back(frame, size) };
        }
        result
    }

    pub(super) fn install_given(
        &self,
        ia: u64,
        size: u8,
        oa: u64,
        attributes: &Attributes,
        tables: &mut List,
    ) -> Result<FaultIn, Error> {
        if oa & size_mask(size) != 0 {
            return Err(Error::Misaligned { address: oa, size });
        }
        ok!(self.output_fits(oa, size_mask(size)));
        self.with_leaf(ia, size, attributes, |leaf| self.install(ia, leaf, tables, |_, _| Ok(oa)))
    }

    /// Lets `install` put in a leaf of `1 << size` bytes around `ia`, unless that is a run.
    #[inline]
    fn with_leaf(
        &self,
        ia: u64,
        size: u8,
        attributes: &Attributes,
        install: impl FnOnce(Prototype) -> Result<bool, Error>,
    ) -> Result<FaultIn, Error> {
        let mut leaf = Prototype { bits: 0, level: 0, size };
        if size == F::PAGE_BITS {
            // The usual case.
            leaf.bits = self.page(attributes).map_err(|refusal| Error::Refused { level: 0, refusal })?;
        } else {
            if self.reduce(ia).is_none() {
                return self.in_the_way(ia);
            }
            let refused = |refusal| Error::Refused { level: 0, refusal };
            leaf.level = self.level_of(size).ok_or(refused(Refusal::Size { level: 0, size }))?;
            if size != Self::entry_bits(leaf.level) {
                return Ok(FaultIn::NeedsExclusive(Operation::Run));
            }
            let level = leaf.level;
            let prototype = self.format.prototype(level, size, attributes);
            leaf.bits = prototype.map_err(|refusal| Error::Refused { level, refusal })?.bits;
        }
        if install(leaf)? { Ok(FaultIn::Installed) } else { self.in_the_way(ia) }
    }

    /// Installs a leaf for `ia` that maps to what `output` returns, given the size of tables and those at hand. `output`
    /// is called once at most, and only if nothing is there. Returns whether the leaf was installed: if not, something
    /// is in the way, or the table cannot translate `ia`.
    #[inline]
    fn install(
        &self,
        ia: u64,
        prototype: Prototype,
        tables: &mut List,
        output: impl FnOnce(u8, &mut List) -> Result<u64, Error>,
    ) -> Result<bool, Error> {
        let (target, size) = (prototype.level, prototype.size);
        let Some(Way { level, entry: place, raw }) = self.way_to(ia) else { return Ok(false) };
        // The usual case: the leaf is a page, its table is there, and its entry is absent.
        let is_hole = level == 0 && target == 0 && self.format.kinds(0).is_absent(raw);
        if !is_hole && !self.has_room(ia, target) {
            return Ok(false);
        }
        let oa = output(self.start.table_bits, tables)?;
        let entry = self.format.strip(Prototype { level: 0, ..prototype }, oa, 1).first;
        let is_done = is_hole && place.exchange(&self.hal, raw, entry).is_ok();
        if !is_done && !ok!(self.install_below(ia, prototype, oa, tables)) {
            return Ok(false);
        }
        if self.format.invalid_cached() {
            // If the table for the leaf was not there, tables were added.
            self.invalidate_shared(ClosedRange::block(ia, size), 0, level == target);
        }
        Ok(true)
    }

    /// Whether `ia` can be mapped by a leaf at `level`: no leaf maps it, and no table stands where that leaf would go.
    #[cold]
    #[inline(never)]
    fn has_room(&self, ia: u64, level: Level) -> bool {
        let end = self.reduce(ia).map(|ia| self.descend(ia));
        end.is_some_and(|end| !end.is_leaf && end.level >= level)
    }

    /// [`Self::install`] if tables are missing, or another CPU was faster once.
    #[cold]
    #[inline(never)]
    fn install_below(&self, ia: u64, leaf: Prototype, oa: u64, tables: &mut List) -> Result<bool, Error> {
        let ia = ia & self.start.input;
        loop {
            let end = self.descend(ia);
            if end.is_leaf || end.level < leaf.level {
                return Ok(false);
            }
            let is_done = if end.level > leaf.level {
                ok!(self.install_tables(ia, end, leaf, oa, tables))
            } else {
                end.entry.exchange(&self.hal, end.raw, self.format.strip(leaf, oa, 1).first).is_ok()
            };
            if is_done {
                return Ok(true);
            }
        }
    }

    /// Puts in a subtree with the leaf where nothing is, and returns whether no other CPU was faster.
    fn install_tables(
        &self,
        ia: u64,
        end: End<F>,
        prototype: Prototype,
        oa: u64,
        tables: &mut List,
    ) -> Result<bool, Error> {
        let range = ClosedRange::block(ia, prototype.size);
        let leaf = Prototypes::single(prototype);
        let pieces = [Some(Piece::new(range, oa.wrapping_sub(range.start()), &leaf)), None, None];
        let mut reserve = Frames::of(&self.hal, core::mem::take(tables));
        let mut result = Ok(());
        while result.is_ok() && reserve.len() < usize::from(end.level - prototype.level) {
            result = self.reserve_table(&mut reserve);
        }
        let linked = result.map(|()| {
            let slot = Self::slot(end.level, ia);
            let Some(entry) = self.build(end.level - 1, slot, &pieces, &mut reserve) else { return false };
            let linked = end.entry.exchange(&self.hal, end.raw, entry).is_ok();
            if !linked && let Found::Table(below) = self.found(end.level, entry) {
                self.unbuild(below, false, &mut reserve);
            }
            linked
        });
        *tables = reserve.into_list();
        linked
    }

    /// The level of leaves of `1 << size` bytes.
    // Not inlined: most leaves are pages, and callers know the level of these.
    #[inline(never)]
    pub(super) fn level_of(&self, size: u8) -> Option<Level> {
        let mut level = 0;
        while Self::entry_bits(level + 1) <= size && level < self.geometry.top() {
            level += 1;
        }
        self.format.page_sizes(level).contains(size).then_some(level)
    }

    /// What is in the way of a leaf that should map `ia`: a leaf, or a table with a hole.
    #[cold]
    pub(super) fn in_the_way(&self, ia: u64) -> Result<FaultIn, Error> {
        let ia = self.reduce(ia).ok_or(Error::OutOfRange(ClosedRange::around(ia, 0)))?;
        let end = self.descend(ia);
        if let Some(leaf) = self.leaf_at(ia, end) {
            return Ok(FaultIn::Present(self.mapping(&leaf)));
        }
        let entry = |level| Self::entry_bits(level);
        let fits = (0..=end.level).rev().find(|&level| self.format.page_sizes(level).contains(entry(level)));
        Ok(FaultIn::Smaller { size: entry(fits.unwrap_or(0)) })
    }
}
