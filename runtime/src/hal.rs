//! What the engine needs from the machine and its owner: frames, addresses, cache and TLB maintenance.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{ClosedRange, Format, HostPhysAddr, Tag};

/// What a hypervisor implements for its machine: frames, addresses, cache and TLB maintenance.
///
/// A frame is a naturally aligned block of `1 << size` bytes; `size` is at least 12.
///
/// ```
/// use core::alloc::Layout;
/// use core::ptr::NonNull;
/// use std::alloc::{alloc, dealloc};
/// use tablewright::{Format, Hal, HostPhysAddr, Invalidation, PageTable, Tag, x86_64::ept};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// /// A program that makes tables which no MMU will use: its memory is what the allocator has, mapped one to one.
/// #[derive(Clone)]
/// struct Process;
///
/// fn layout(size: u8) -> Layout {
///     Layout::from_size_align(1 << size, 1 << size).expect("no frame is that large")
/// }
///
/// // SAFETY: frames are memory of the allocator's, aligned to their size; there is no MMU.
/// unsafe impl Hal for Process {
///     fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
///         // SAFETY: the size is not 0.
///         let frame = unsafe { alloc(layout(size)) };
///         (!frame.is_null()).then(|| HostPhysAddr::from_usize(frame.expose_provenance()))
///     }
///
///     unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
///         // SAFETY: it was allocated so.
///         unsafe { dealloc(core::ptr::with_exposed_provenance_mut(frame.as_usize()), layout(size)) };
///     }
///
///     fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
///         NonNull::new(core::ptr::with_exposed_provenance_mut(address.as_usize())).expect("no frame is at 0")
///     }
///
///     fn invalidate<F: Format>(&self, _format: &F, _root: HostPhysAddr, _tag: Tag, _set: &Invalidation) {}
/// }
///
/// let format = ept::Format::new(&ept::Config { pa_bits: 52, ..ept::Config::new(4, 48) })?;
/// let table = PageTable::new(format, Process, Tag(1))?;
/// assert_eq!(table.translate(0x1000), None);
/// # Ok(())
/// # }
/// ```
///
/// # Safety
///
/// `allocate` must return naturally aligned memory that nobody else uses until it is freed, and that `phys_to_virt` maps
/// for reading and writing for as long as it is allocated. Any clone may free what another allocated. `invalidate` must
/// not return while any CPU or device of this machine can still use a translation that `set` names.
pub unsafe trait Hal: Clone {
    /// Takes a frame of `1 << size` bytes; its content is arbitrary. `None` if there is none.
    fn allocate(&self, size: u8) -> Option<HostPhysAddr>;

    /// Gives a frame back.
    ///
    /// # Safety
    ///
    /// It was allocated with this size, and nobody uses it any more. Or it is an aligned part of such a frame, if
    /// [`Hal::frees_parts`] holds; or it consists of such frames or parts, if [`Hal::frees_joined`] holds.
    unsafe fn free(&self, frame: HostPhysAddr, size: u8);

    /// Whether a frame may be freed in smaller parts than it was allocated in. By default, it may not.
    fn frees_parts(&self) -> bool {
        false
    }

    /// Whether frames that were allocated one by one, and together fill a larger frame, may be freed as that frame. By
    /// default, they may not. An allocator that keeps no record of the frames it gives out can allow it.
    ///
    /// Leaves that a dirty log split can then become large again: see
    /// [`AddrSpace::stop_dirty_log`](crate::AddrSpace::stop_dirty_log).
    fn frees_joined(&self) -> bool {
        false
    }

    /// Where the host sees the physical address `address`. Never called for device memory.
    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8>;

    /// Fills a new data frame with zeros. Override it if the machine has a faster way, or if memory is zero when it is
    /// allocated.
    ///
    /// # Safety
    ///
    /// The frame was allocated with this size, and nobody uses it yet.
    unsafe fn zero_frame(&self, frame: HostPhysAddr, size: u8) {
        // SAFETY: it is memory that is mapped, as large as that, and the caller's alone.
        unsafe { self.phys_to_virt(frame).write_bytes(0, 1 << size) };
    }

    /// Makes the zeros just written to a new data frame visible to a guest, however its caches are set up. Called before
    /// the frame is mapped; nothing to do where guests' accesses are coherent.
    fn prepare_frame(&self, _frame: HostPhysAddr, _size: u8) {}

    /// Makes the entries just written at `start..start + length` visible to MMUs that do not snoop caches. Called before
    /// the store that links a new table, and after changes of live entries.
    fn publish_table(&self, _start: HostPhysAddr, _length: usize) {}

    /// Invalidates what `set` names for `tag` on every CPU and device that may hold it, and waits for completion.
    /// `root` serves only to name the translations, on machines that ask for it. No MMU may walk from it: if a gather
    /// outlives its table, the root is gone.
    ///
    /// On bare metal, where one CPU runs the guest or the instructions broadcast, this is
    /// `unsafe { format.invalidate(root, tag, set); }`. Where [`Format::at_entry`] returns a value, there is nothing to
    /// execute: make every CPU that runs the guest leave it, and keep the value for the next entry of each.
    fn invalidate<F: Format>(&self, format: &F, root: HostPhysAddr, tag: Tag, set: &Invalidation);

    /// Begins at `sink` what [`Hal::invalidate`] does, and returns without waiting: for CPUs that are told by interrupts,
    /// or a device with a command queue. Until [`Hal::wait`] has returned, nothing that `set` names is freed or mapped
    /// anew. Invalidations at one sink complete in the order in which they began.
    ///
    /// For a device with a command queue: submit the format's [commands](Format::commands), then its
    /// [completion](Format::completion), which makes the device write a number that grows with each completion; return
    /// that number. [`Hal::is_complete`] compares it with what the device has written, [`Hal::wait`] polls.
    ///
    /// By default, [`Hal::invalidate`] does it at once, for CPUs and devices alike.
    fn begin_invalidation<F: Format>(
        &self,
        _sink: Sink,
        format: &F,
        root: HostPhysAddr,
        tag: Tag,
        set: &Invalidation,
    ) -> Completion {
        self.invalidate(format, root, tag, set);
        Completion::default()
    }

    /// Whether an invalidation is complete, so that [`Hal::wait`] would not wait.
    fn is_complete(&self, _sink: Sink, _completion: Completion) -> bool {
        true
    }

    /// Waits until an invalidation is complete, and with it all that began earlier at the same sink.
    fn wait(&self, _sink: Sink, _completion: Completion) {}

    /// Whether an access through `sink` that meets an entry which is not present faults and is tried again later. If not,
    /// an entry in use must not be taken away even for a moment: see [`Error::NeedsBreak`](crate::Error::NeedsBreak).
    ///
    /// The default is `true`: right for CPUs, but not for an IOMMU whose devices do not stall or ask for pages.
    fn retries(&self, _sink: Sink) -> bool {
        true
    }
}

/// Something that caches translations of a table: the CPUs, or an IOMMU.
///
/// [`Hal::begin_invalidation`] gets the format that the table is written in, whatever the sink. A CPU's format has no
/// commands for a device's queue. Where a device walks the CPUs' tables, the HAL keeps a value of the device's format with
/// the same parameters (SMMUv3's beside stage 2, the RISC-V IOMMU's beside the G-stage, ...), and asks that one for
/// [commands](Format::commands), [completion](Format::completion), and the [registers](Format::registers) to put into the
/// device's own tables.
///
/// ```
/// use tablewright::{Format, PageTable, Sink, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0, 1 << 20);
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut table = PageTable::new(format, machine, Tag(1))?;
/// // The HAL's IOMMU number 1 translates through this table, too.
/// let iommu = Sink::device(1).ok_or("there are not that many")?;
/// table.attach(iommu);
/// table.detach(iommu);
/// assert_eq!((Sink::CPUS.number(), iommu.number()), (0, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sink(u8);

impl Sink {
    /// How many sinks a table can have at most.
    pub const MOST: u8 = 4;
    /// The CPUs, which every table has.
    pub const CPUS: Self = Self(0);

    /// Another sink, such as an IOMMU, by the HAL's number for it; `None` unless that is from 1 to below [`Sink::MOST`].
    pub const fn device(number: u8) -> Option<Self> {
        if number >= 1 && number < Self::MOST { Some(Self(number)) } else { None }
    }

    /// The HAL's number for it; 0 stands for the CPUs.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Identifies an invalidation that has begun, by a number of the HAL's choice.
///
/// ```
/// use tablewright::{Completion, Format, Hal, Invalidation, Sink, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0, 1 << 20);
/// machine.defer_invalidations();
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let begun: Completion =
///     machine.begin_invalidation(Sink::CPUS, &format, 0x4000.into(), Tag(1), &Invalidation::Space);
/// assert!(!machine.is_complete(Sink::CPUS, begun));
/// machine.wait(Sink::CPUS, begun);
/// assert!(machine.is_complete(Sink::CPUS, begun));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Completion(pub u64);

/// What must be invalidated.
///
/// ```
/// use tablewright::{AddrSpace, Format, Invalidation, MappingFlags, Tag, riscv64::sv_x4, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0, 1 << 20);
/// let format = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
/// let mut space = AddrSpace::<_, _>::new_empty(format, machine.clone(), Tag(1))?;
/// space.map_alloc(0x8000_0000.into(), 0x2000, MappingFlags::READ | MappingFlags::WRITE, true)?;
/// machine.take_log();
/// space.protect(0x8000_0000.into(), 0x2000, MappingFlags::READ)?;
/// let [(Tag(1), Invalidation::Range { range, leaf_only: true, granule: 12 })] = machine.take_log()[..] else {
///     panic!("two pages changed, and no table");
/// };
/// assert_eq!((range.start(), range.last()), (0x8000_0000, 0x8000_1fff));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// The input addresses in a range.
    Range {
        /// The range, in whole pages.
        range: ClosedRange,
        /// Whether only leaves changed, so that cached entries for tables still hold.
        leaf_only: bool,
        /// log2 of the size of the smallest leaf that changed: one operation for each `1 << granule` bytes is enough.
        granule: u8,
    },
    /// Everything under the tag.
    Space,
    /// Everything under every tag.
    All,
}

/// Copies `1 << size` bytes, word by word.
///
/// # Safety
///
/// Both are memory that `phys_to_virt` maps, as large as that, and aligned to it; the new one is the caller's alone. Others
/// may write to the old one meanwhile, by words: guests do, and whoever accesses guest memory.
pub(crate) unsafe fn copy_frame(hal: &impl Hal, from: HostPhysAddr, to: HostPhysAddr, size: u8) {
    // Eight at once, for no compiler puts atomic loads together.
    let (from, to) = (hal.phys_to_virt(from).cast::<[AtomicU64; 8]>(), hal.phys_to_virt(to).cast::<[u64; 8]>());
    for words in 0..(1 << size) / size_of::<[u64; 8]>() {
        // SAFETY: as the caller promises; frames are no smaller.
        unsafe { to.add(words).write(from.add(words).as_ref().each_ref().map(|word| word.load(Relaxed))) };
    }
}
