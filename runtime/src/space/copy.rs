//! Copy-on-write areas: they begin as shared memory, and get frames of their own where they are written.

use core::fmt::{self, Display, Formatter};

use super::{Backend, BackendError, Fault, FaultOutcome, Joinable, Shared, SharedMemory};
use crate::{
    Attributes, Change, ClosedRange, Error, FaultIn, Format, FrameCache, Gather, GuestPhysAddr, Hal, HostPhysAddr,
    Operation, PageTable, Rights, hal::copy_frame,
};

/// Copy-on-write memory: the contents of a [`SharedMemory`], where each page that is written gets a frame of its own,
/// with a copy. The shared memory should not be written any more: pages that have no copy yet would change with it.
///
/// This makes clones of a guest cheap: the template's memory is made once, and each clone takes frames only for what it
/// changes. A fault maps one page; a write to a page that was read before answers
/// [`NeedsExclusive`](FaultOutcome::NeedsExclusive) with [`Operation::CopyOnWrite`].
///
/// ```
/// use tablewright::{AddrSpace, FaultOutcome, Format, GuestMemoryAccessor, MappingFlags, Rights, SharedMemory, Tag};
/// use tablewright::{sim::Machine, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0, 64 << 20);
/// let format = ept::Format::new(&ept::Config { pa_bits: 40, ..ept::Config::new(4, 48) })?;
/// let rights = MappingFlags::READ | MappingFlags::WRITE;
/// // SAFETY: all guests run on this machine.
/// let memory = unsafe { SharedMemory::new(&machine, 16 << 20, 12, 21) }?;
/// let mut template = AddrSpace::new_empty(format, machine.clone(), Tag(1))?;
/// template.map_shared(0.into(), &memory, rights)?;
/// template.write_obj(0x1000.into(), 1_u32)?;
/// drop(template);
///
/// let mut first = AddrSpace::new_empty(format, machine.clone(), Tag(2))?;
/// let mut second = AddrSpace::new_empty(format, machine.clone(), Tag(3))?;
/// first.map_copy_on_write(0.into(), &memory, rights)?;
/// second.map_copy_on_write(0.into(), &memory, rights)?;
/// first.write_obj(0x1000.into(), 2_u32)?;
/// assert_eq!((first.read_obj::<u32>(0x1000.into())?, second.read_obj::<u32>(0x1000.into())?), (2, 1));
/// // The second has read it: what the host writes there for it, takes the space exclusively for a moment.
/// assert!(second.write_obj(0x1000.into(), 3_u32).is_err());
/// assert_eq!(second.handle_fault_exclusive(0x1000.into(), Rights::W), FaultOutcome::Mapped);
/// second.write_obj(0x1000.into(), 3_u32)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CopyOnWrite {
    base: Shared,
}

impl CopyOnWrite {
    /// A copy of `memory`, to be seen by the guest from `start` on.
    pub fn new(start: GuestPhysAddr, memory: &SharedMemory) -> Self {
        Self { base: Shared::new(start, memory.read_only()) }
    }

    /// The shared memory that it is a copy of.
    pub const fn memory(&self) -> &SharedMemory {
        self.base.memory()
    }

    /// Whether the page mapped at `address` belongs to the base (the shared memory); `None` if nothing is mapped.
    fn is_of_base<F: Format, H: Hal>(&self, address: u64, table: &PageTable<F, H>) -> Option<bool> {
        table.reach(address, false).map(|leaf| self.base.is_shared(address, leaf.output))
    }

    /// The first part of `range` in which all mapped pages belong to the base, or none do, and whether they do.
    fn part<F: Format, H: Hal>(&self, range: ClosedRange, table: &PageTable<F, H>) -> (ClosedRange, bool) {
        let mut of_base = None;
        for (leaf, output) in table.outputs(range) {
            let start = leaf.start().max(range.start());
            let shared = self.base.is_shared(start, output + (start - leaf.start()));
            if *of_base.get_or_insert(shared) != shared
                && let Some(part) = ClosedRange::new(range.start(), start - 1)
            {
                return (part, !shared);
            }
        }
        (range, of_base.unwrap_or(false))
    }

    /// Calls `each` with the parts of `range` that belong to the base, and those that do not, in ascending order.
    fn parts<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        mut each: impl FnMut(&mut PageTable<F, H>, ClosedRange, bool) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut left = Some(range);
        while let Some(range) = left {
            let (part, of_base) = self.part(range, table);
            ok!(each(table, part, of_base));
            left = range.after(part.last());
        }
        Ok(())
    }

    /// A new frame with a copy of the base's page at `address`.
    fn copy<F: Format, H: Hal>(
        &self,
        address: u64,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> Option<HostPhysAddr> {
        let (hal, page) = (table.hal(), ClosedRange::around(address, F::PAGE_BITS));
        let original = HostPhysAddr::from_usize(self.base.output(page.start())? as usize);
        let frame = frames.take(F::PAGE_BITS)?;
        // SAFETY: both are as large as a page. The frame is ours alone. Others may write the original meanwhile, as
        // guests or through `GuestSlice`.
        unsafe { copy_frame(hal, original, frame, F::PAGE_BITS) };
        hal.prepare_frame(frame, F::PAGE_BITS);
        Some(frame)
    }

    /// Installs the base's page, or a copy of it, where nothing is mapped.
    fn install<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        let writes = fault.writes();
        let copy = if writes { self.copy(fault.address, table, frames) } else { None };
        let page = ClosedRange::around(fault.address, F::PAGE_BITS);
        let (output, attributes) = match (copy, self.base.output(page.start())) {
            (Some(copy), _) => (copy.as_usize() as u64, fault.attributes),
            (None, _) if writes => return FaultOutcome::OutOfMemory,
            (None, Some(original)) => {
                (original, Attributes { rights: fault.attributes.rights - Rights::W, ..fault.attributes })
            }
            (None, None) => return FaultOutcome::NotMapped,
        };
        // SAFETY: the copy is the guest's from here on, unless it is not installed; the original is only read, and an area
        // holds a handle of it.
        let done = unsafe { table.fault_in_cached(fault.address, F::PAGE_BITS, output, &attributes, frames) };
        if let Some(copy) = copy
            && done != Ok(FaultIn::Installed)
        {
            // SAFETY: it was just taken with this size, and is not installed.
            unsafe { frames.give_back(copy, F::PAGE_BITS) };
        }
        match done {
            Ok(FaultIn::Installed) => FaultOutcome::Mapped,
            Ok(FaultIn::Present(_) | FaultIn::Smaller { .. }) => FaultOutcome::Spurious,
            Ok(FaultIn::NeedsExclusive(operation)) => FaultOutcome::NeedsExclusive(operation),
            Err(error) => error.into(),
        }
    }
}

impl Joinable for CopyOnWrite {
    fn join(&self, next: &Self) -> Option<Self> {
        self.base.join(&next.base).map(|base| Self { base })
    }
}

// SAFETY: `unmap` unmaps; hooks work on the range given. Leaves are pages of the base, which the area holds a handle of, or
// frames of the table's HAL, which `phys_to_virt` maps while they are allocated.
unsafe impl Backend for CopyOnWrite {
    fn is_ram(&self) -> bool {
        true
    }

    /// Maps nothing yet.
    fn map<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        _attributes: &Attributes,
        _table: &mut PageTable<F, H>,
        _gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        self.base.offset(range, F::PAGE_BITS).map(|_| ())
    }

    unsafe fn unmap<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        ok!(self.parts(range, table, |table, part, of_base| match of_base {
            true => table.unmap(part, gather),
            // SAFETY: what is not of the base is a page that `copy` took from this table's HAL.
            false => unsafe { table.depopulate(part, gather) },
        }));
        Ok(())
    }

    /// Pages of the base are not given back.
    unsafe fn discard<F: Format, H: Hal>(&self, range: ClosedRange, table: &mut PageTable<F, H>) {
        let _ = self.parts(range, table, |table, part, of_base| {
            if !of_base {
                // SAFETY: as in `unmap`; parts end where leaves do, and the caller drops the table.
                unsafe { table.discard(part) };
            }
            Ok(())
        });
    }

    /// Pages of the base get the new rights without the right to write. If the format has no such leaf, they are
    /// unmapped, and the next fault maps them anew.
    fn protect<F: Format, H: Hal>(
        &self,
        range: ClosedRange,
        change: &Change,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> Result<(), BackendError> {
        // Pages are never split, so after this check no part can fail when others have been changed already.
        ok!(table.check_protect(range, change));
        let of_base = Change { rights: change.rights.map(|rights| rights - Rights::W), ..*change };
        let stays = table.check_protect(range, &of_base).is_ok();
        ok!(self.parts(range, table, |table, part, is_of_base| match is_of_base {
            true if stays => table.protect(part, &of_base, gather),
            true => table.unmap(part, gather),
            false => table.protect(part, change, gather),
        }));
        Ok(())
    }

    fn moved(&self, distance: u64) -> Result<Self, BackendError> {
        Ok(Self { base: self.base.moved(distance)? })
    }

    fn fault<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &PageTable<F, H>,
        frames: &mut FrameCache<H>,
    ) -> FaultOutcome {
        match self.is_of_base(fault.address, table) {
            None => self.install(fault, table, frames),
            Some(of_base) if of_base && fault.writes() => FaultOutcome::NeedsExclusive(Operation::CopyOnWrite),
            Some(_) => fault.relax(table),
        }
    }

    fn fault_exclusive<F: Format, H: Hal>(
        &self,
        fault: &Fault,
        table: &mut PageTable<F, H>,
        gather: &mut Gather<F, H>,
    ) -> FaultOutcome {
        let mut frames = table.frame_cache();
        match self.is_of_base(fault.address, table) {
            None => self.install(fault, table, &mut frames),
            Some(of_base) if !(of_base && fault.writes()) => fault.relax_exclusive(table, gather),
            Some(_) => {
                let Some(copy) = self.copy(fault.address, table, &mut frames) else { return FaultOutcome::OutOfMemory };
                // SAFETY: the copy is the guest's from here on, unless it is not installed.
                match unsafe { table.remap(fault.address, copy.as_usize() as u64, &fault.attributes, gather) } {
                    Ok(true) => FaultOutcome::Mapped,
                    failed => {
                        // SAFETY: it was just taken with this size, and is not installed.
                        unsafe { frames.give_back(copy, F::PAGE_BITS) };
                        failed.map_or_else(FaultOutcome::from, |_| FaultOutcome::Spurious)
                    }
                }
            }
        }
    }
}

impl Display for CopyOnWrite {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("copied on write")
    }
}
