//! Guest memory by the guest's virtual addresses: through tables that the guest writes, and then through ours.

mod fault;
mod report;

pub use fault::{VirtError, VirtFault};
pub use report::Stage1Report;

use core::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{GuestError, GuestFault, GuestMemoryAccessor};
use crate::{
    Attributes, ClosedRange, Entry, EntryWord, Format, Geometry, GuestPhysAddr, GuestVirtAddr, Rights, Stage1Cause,
    WalkError, WalkStep, Walked, format::SealedAtomic as _, walk,
};

/// A guest's own page tables, read from its memory as its MMU would read them.
///
/// Nothing is cached, and nothing that the tables say is trusted. Tables that loop, lie outside the guest's memory, or
/// change at any moment give errors, or what they said at some moment; they never lead beyond what the guest physical
/// address space allows. Each access names the rights that it needs at one privilege level ([`Rights::PR`],
/// [`Rights::UW`], ...). The format says whether the tables and the registers in `controls` (CR0.WP, SMAP, SUM, PAN,
/// ...) grant them.
///
/// If the format's parameters say that hardware sets accessed and dirty flags, an access marks the leaf as hardware
/// would: accessed, and dirty by a write. If they do not, the guest has to be told of [`Stage1Cause::NotMarked`].
/// Entries for tables that have an accessed flag, as on x86, are marked, too, if the access that goes through them is
/// allowed.
///
/// Where two roots share the addresses (AArch64's TTBR0 and TTBR1), there is one `GuestTables` for each;
/// [`Stage1Cause::Input`] says that an address belongs to the other.
///
/// ```
/// use tablewright::{AddrSpace, Format, GuestMemoryAccessor, GuestTables, MappingFlags, Rights, Stage1Cause, Tag};
/// use tablewright::{VirtFault, riscv64::{sv, sv_x4}, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut space = AddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// space.map_alloc(0x8000_0000.into(), 0x8000, MappingFlags::READ | MappingFlags::WRITE, false)?;
///
/// // The guest made a table in which 1 GiB at 0x4000_0000 is the memory at 0x8000_0000, for the supervisor.
/// let entry = 0x8000_0000_u64 >> 2 | 0b1100_0111;
/// space.write_obj(0x8000_1008.into(), entry)?;
///
/// let guest_format = sv::Format::new(&sv::Config::new(3, 39))?;
/// let tables = GuestTables::new(&space, &guest_format, 0x8000_1000.into(), sv::Controls::default());
/// tables.write_obj(0x4000_2ffe.into(), Rights::PW, 0x1234_5678_u32)?;
/// assert_eq!(space.read_obj::<u32>(0x8000_2ffe.into())?, 0x1234_5678);
///
/// let error = tables.read_obj::<u32>(0x4000_2ffe.into(), Rights::UR).unwrap_err();
/// assert_eq!(error.fault, VirtFault::Stage1 { level: 2, cause: Stage1Cause::Denied });
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GuestTables<'a, F: Format, M: GuestMemoryAccessor> {
    memory: &'a M,
    format: &'a F,
    root: GuestPhysAddr,
    controls: F::Controls,
}

impl<F: Format, M: GuestMemoryAccessor> Clone for GuestTables<'_, F, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Format, M: GuestMemoryAccessor> Copy for GuestTables<'_, F, M> {}

/// Where a guest virtual address leads.
///
/// ```
/// # use tablewright::{AddrSpace, Format, GuestMemoryAccessor, GuestTables, MappingFlags, Rights, Tag};
/// # use tablewright::{riscv64::{sv, sv_x4}, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// # let mut space = AddrSpace::<_, _>::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
/// # space.map_alloc(0x8000_0000.into(), 0x8000, MappingFlags::READ | MappingFlags::WRITE, false)?;
/// # // The guest's table: 1 GiB at 0x4000_0000 is the memory at 0x8000_0000, for the supervisor.
/// # space.write_obj(0x8000_1008.into(), 0x8000_0000_u64 >> 2 | 0b1100_0111)?;
/// # let guest_format = sv::Format::new(&sv::Config::new(3, 39))?;
/// # let tables = GuestTables::new(&space, &guest_format, 0x8000_1000.into(), sv::Controls::default());
/// let found = tables.translate(0x4000_2123.into(), Rights::PR)?;
/// assert_eq!((found.address, found.page_bits), (0x8000_2123.into(), 30));
/// assert_eq!(found.attributes.rights, Rights::PR | Rights::PW);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage1Translation {
    /// The guest physical address.
    pub address: GuestPhysAddr,
    /// The attributes that leaf and tables give, before the registers in `controls` modify them.
    pub attributes: Attributes,
    /// log2 of the size of the page that maps it.
    pub page_bits: u8,
}

/// How often a walk is repeated because the leaf changed before it was marked: so a guest cannot hold up the host for
/// ever.
const ATTEMPTS: usize = 64;

impl<'a, F: Format, M: GuestMemoryAccessor> GuestTables<'a, F, M> {
    /// The tables under the table at `root` (from the guest's root register, without the tag), in the guest memory
    /// `memory`. A table is aligned to its size; bits of `root` below that are ignored, as by an MMU: on x86-64 they are
    /// flags or a PCID.
    pub const fn new(memory: &'a M, format: &'a F, root: GuestPhysAddr, controls: F::Controls) -> Self {
        Self { memory, format, root, controls }
    }

    /// Translates an access that needs the rights `access`, and marks the leaf as that access would.
    ///
    /// # Errors
    ///
    /// Any [`VirtFault`] but [`VirtFault::Overflow`] and [`VirtFault::Stage2`].
    pub fn translate(&self, address: GuestVirtAddr, access: Rights) -> Result<Stage1Translation, VirtFault> {
        let walked = self.resolve(address, access)?;
        Ok(Stage1Translation {
            address: GuestPhysAddr::from_usize(walked.address as usize),
            attributes: walked.attributes,
            page_bits: walked.size,
        })
    }

    fn resolve(&self, address: GuestVirtAddr, access: Rights) -> Result<Walked, VirtFault> {
        for _ in 0..ATTEMPTS {
            let mut tables = ArrayVec::<_, { Geometry::MAX_LEVELS }>::new();
            let (walked, entry) = self.walk(address, |step| {
                let marked = step.raw | self.format.table_accessed(step.level);
                if marked != step.raw && matches!(step.entry, Entry::Table(_)) {
                    // There is room: a walk has at most as many steps as levels.
                    let _ = tables.try_push((GuestPhysAddr::from_usize(step.address as usize), step.raw, marked));
                }
            })?;
            let marked = self.check(&walked, access)?;
            let leaf = (marked != walked.raw).then_some((entry, walked.raw, marked));
            let mut all = tables.into_iter().chain(leaf);
            if all.try_fold(true, |done, (at, old, new)| Ok(done && self.mark(at, old, new)?))? {
                return Ok(walked);
            }
        }
        Err(VirtFault::Changing)
    }

    /// The leaf that maps `address`, and where it is. `see` is called with each entry that is read.
    fn walk(
        &self,
        address: GuestVirtAddr,
        mut see: impl FnMut(&WalkStep),
    ) -> Result<(Walked, GuestPhysAddr), VirtFault> {
        let geometry = self.format.geometry();
        // A guest may place several roots with few entries in the space that one table takes for us.
        let root_bits = geometry.level_index_bits(geometry.top()) + F::Word::SIZE;
        let root = ClosedRange::around(self.root.as_usize() as u64, root_bits).start();
        let place = |address: u64| GuestPhysAddr::from_usize(address as usize);
        let (mut entry, mut fault) = (root, GuestFault::NotMapped);
        let read = |at| {
            let word = self.memory.read_volatile::<u64>(place(at));
            word.map_err(|error| fault = error.fault).ok()
        };
        let walked = walk(self.format, root, address.as_usize() as u64, read, |step| {
            entry = step.address;
            see(step);
        });
        let stage1 = |level, cause| VirtFault::Stage1 { level, cause };
        walked.map(|walked| (walked, place(entry))).map_err(|error| match error {
            WalkError::Unreadable { address } => VirtFault::Walk { entry: place(address), fault },
            WalkError::Input => stage1(geometry.top(), Stage1Cause::Input),
            WalkError::NotMapped { level } => stage1(level, Stage1Cause::NotMapped),
            WalkError::Reserved { level, rule } => stage1(level, Stage1Cause::Reserved(rule)),
        })
    }

    /// The value of the leaf after an access that needs the rights `access`, if that is allowed.
    fn check(&self, walked: &Walked, access: Rights) -> Result<u64, VirtFault> {
        let refuse = |cause| Err(VirtFault::Stage1 { level: walked.level, cause });
        let states = self.format.accessed_dirty(walked.level);
        let accessed = walked.raw & !states.accessed_mask | states.accessed_value;
        // On Arm, access flag faults take precedence over permission faults; elsewhere the guest cannot tell the order.
        if accessed != walked.raw && !states.hardware {
            return refuse(Stage1Cause::NotMarked);
        }
        if !self.format.permits(walked.level, walked.raw, walked.attributes.rights, access, &self.controls) {
            return refuse(Stage1Cause::Denied);
        }
        if !access.intersects(Rights::W) {
            return Ok(accessed);
        }
        let dirty = accessed & !states.dirty_mask | states.dirty_value;
        if dirty != accessed && !states.hardware { refuse(Stage1Cause::NotMarked) } else { Ok(dirty) }
    }

    /// Replaces the entry at `at`, if it is still `old`, by `new`, and returns whether it did.
    fn mark(&self, at: GuestPhysAddr, old: u64, new: u64) -> Result<bool, VirtFault> {
        let refused = |error: GuestError| VirtFault::Walk { entry: at, fault: error.fault };
        let entry = self.memory.atomic::<F::Word>(at).map_err(refused)?;
        let done = entry.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok();
        self.memory.mark_written(at, 1 << F::Word::SIZE).map_err(refused)?;
        Ok(done)
    }

    /// Fills `buffer` with the memory from `address` on. `access` is [`Rights::PR`] or [`Rights::UR`]; to read
    /// instructions, it is a right to execute.
    ///
    /// # Errors
    ///
    /// [`VirtError`] says how many bytes were read; as many bytes of `buffer` are valid.
    pub fn read_buffer(&self, address: GuestVirtAddr, access: Rights, buffer: &mut [u8]) -> Result<(), VirtError> {
        self.for_each_page(address, access, buffer.len(), |at, done, length| {
            self.memory.read_buffer(at, buffer.get_mut(done..done + length).unwrap_or_default())
        })
    }

    /// Writes `buffer` to the memory from `address` on. `access` is [`Rights::PW`] or [`Rights::UW`]; leaves are marked
    /// dirty only if it is a right to write.
    ///
    /// # Errors
    ///
    /// [`VirtError`] says how many bytes were written.
    pub fn write_buffer(&self, address: GuestVirtAddr, access: Rights, buffer: &[u8]) -> Result<(), VirtError> {
        self.for_each_page(address, access, buffer.len(), |at, done, length| {
            self.memory.write_buffer(at, buffer.get(done..done + length).unwrap_or_default())
        })
    }

    /// Reads a value: see [`GuestTables::read_buffer`].
    ///
    /// # Errors
    ///
    /// [`VirtError`] if not all of it can be read.
    pub fn read_obj<V: FromBytes + IntoBytes>(&self, address: GuestVirtAddr, access: Rights) -> Result<V, VirtError> {
        let mut value = V::new_zeroed();
        self.read_buffer(address, access, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a value: see [`GuestTables::write_buffer`].
    ///
    /// # Errors
    ///
    /// [`VirtError`] if not all of it can be written; it says how many bytes were.
    pub fn write_obj<V: IntoBytes + Immutable>(
        &self,
        address: GuestVirtAddr,
        access: Rights,
        value: V,
    ) -> Result<(), VirtError> {
        self.write_buffer(address, access, value.as_bytes())
    }

    /// Calls `copy` for the part of the bytes that each entry maps: its guest physical address, the number of bytes
    /// before it, and its length.
    fn for_each_page(
        &self,
        address: GuestVirtAddr,
        access: Rights,
        length: usize,
        mut copy: impl FnMut(GuestPhysAddr, usize, usize) -> Result<(), GuestError>,
    ) -> Result<(), VirtError> {
        let start = address.as_usize();
        if start.checked_add(length.saturating_sub(1)).is_none() {
            return Err(VirtError { address, done: 0, fault: VirtFault::Overflow });
        }
        let mut done = 0;
        while done < length {
            let at = GuestVirtAddr::from_usize(start + done);
            let found = self.resolve(at, access).map_err(|fault| VirtError { address: at, done, fault })?;
            // Each item of a run is looked at and marked by itself.
            let bits = self.format.geometry().entry_bits(found.level).min(63);
            let rest = (1_usize << bits) - (at.as_usize() & ((1 << bits) - 1));
            let part = rest.min(length - done);
            copy(GuestPhysAddr::from_usize(found.address as usize), done, part).map_err(|error| VirtError {
                address: GuestVirtAddr::from_usize(start + done + error.done),
                done: done + error.done,
                fault: VirtFault::Stage2 { address: error.address, fault: error.fault },
            })?;
            done += part;
        }
        Ok(())
    }
}
