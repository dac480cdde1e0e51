//! Simulated physical memory: frames with accounting, fault injection, and a log of invalidations.

mod blocks;
mod hal;

extern crate std;

use core::ptr::NonNull;
use std::{
    alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error},
    boxed::Box,
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    vec::Vec,
};

use blocks::Blocks;

use super::Observer;
use crate::{Completion, EntryWord, HostPhysAddr, Invalidation, Sink, Tag};

/// log2 of the granule of the accounting.
const UNIT: u8 = 12;

/// A mistake in the use of simulated physical memory.
///
/// ```
/// use tablewright::{Hal, sim::{Machine, MemoryError}};
///
/// let machine = Machine::new(0x8000_0000, 1 << 20);
/// // SAFETY: none, which the machine notices.
/// unsafe { machine.free(0x8000_0000.into(), 12) };
/// assert_eq!(machine.take_errors(), [MemoryError::NotAllocated { address: 0x8000_0000, size: 12 }]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// A frame was freed that is not allocated.
    #[error("frame {address:#x} of 2^{size} bytes was freed but is not allocated")]
    NotAllocated {
        /// Its address.
        address: u64,
        /// log2 of its size.
        size: u8,
    },
    /// A frame was freed with another size than it was allocated with.
    #[error("frame {address:#x} was freed as 2^{size} bytes but is part of one of 2^{allocated}")]
    WrongSize {
        /// Its address.
        address: u64,
        /// log2 of the size it was freed with.
        size: u8,
        /// log2 of the size of the frame that it is part of.
        allocated: u8,
    },
    /// Something was used that is not allocated, or not memory at all.
    #[error("address {0:#x} was used but is not allocated")]
    UseAfterFree(u64),
}

/// A simulated machine's physical memory, with an allocator. This is a cheap handle: clones share the memory.
///
/// Dropping the last handle panics if there are recorded mistakes that nobody took with [`Machine::take_errors`].
///
/// ```
/// use tablewright::{Hal, sim::Machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = Machine::new(0x8000_0000, 1 << 20);
/// let frame = machine.allocate(12).ok_or("no memory")?;
/// assert!(machine.is_allocated(frame.as_usize() as u64) && machine.used() == 4096);
/// // The allocation after the next fails, once.
/// machine.fail_allocation(0);
/// assert_eq!(machine.allocate(12), None);
/// // SAFETY: it was allocated so, and nobody uses it.
/// unsafe { machine.free(frame, 12) };
/// assert!(machine.take_errors().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Machine(Arc<Shared>);

struct Shared {
    base: u64,
    size: usize,
    host: NonNull<u8>,
    /// What `host` is a part of, and was allocated as.
    allocated: (NonNull<u8>, Layout),
    parts: bool,
    /// For each unit: log2 of the size of the frame it belongs to; 0: free.
    owner: Box<[AtomicU8]>,
    state: Mutex<State>,
    observers: Mutex<Vec<Arc<dyn Observer>>>,
    /// Whether there are any.
    observed: AtomicBool,
}

#[derive(Default)]
struct State {
    blocks: Blocks,
    /// Bytes that are allocated.
    used: usize,
    allocations: u64,
    fail: Option<u64>,
    errors: Vec<MemoryError>,
    log: Vec<(Tag, Invalidation)>,
    device_log: Vec<(Sink, Tag, Invalidation)>,
    /// How many invalidations were deferred; `None`: each is done when it begins.
    deferred: Option<u64>,
    waiting: VecDeque<(Completion, Asked)>,
    /// A bit for each sink that cannot retry.
    strict: u8,
    /// Whether frames may be freed as the larger one that they fill.
    joined: bool,
}

/// An invalidation that was requested.
#[derive(Clone, Copy)]
struct Asked {
    sink: Sink,
    root: HostPhysAddr,
    tag: Tag,
    set: Invalidation,
}

// SAFETY: the memory behind `host` is only accessed through what `phys_to_virt` gives out, whose users synchronise, and
// by the allocator for frames that nobody holds.
unsafe impl Send for Shared {}
// SAFETY: as above; all other fields synchronise themselves.
unsafe impl Sync for Shared {}

impl Machine {
    /// A machine with `size` bytes of memory from `base` on; both are multiples of 4 KiB.
    ///
    /// # Panics
    ///
    /// If there is no such memory: it has no frame, `base` is not a multiple of 4 KiB, it ends beyond 2^64, or the host
    /// has less.
    pub fn new(base: u64, size: usize) -> Self {
        Self::build(base, size, true)
    }

    /// Like [`Machine::new`], but frames can only be freed whole.
    ///
    /// # Panics
    ///
    /// As [`Machine::new`].
    pub fn with_whole_frames(base: u64, size: usize) -> Self {
        Self::build(base, size, false)
    }

    fn build(base: u64, size: usize, parts: bool) -> Self {
        let units = size >> UNIT;
        assert!(units > 0 && base.is_multiple_of(1 << UNIT) && base.checked_add(size as u64 - 1).is_some());
        let size = units << UNIT;
        // With an alignment of its own, memory would be cleared, and so be there, before anybody uses it.
        let layout = Layout::from_size_align(size.saturating_add(1 << UNIT), align_of::<u64>())
            .expect("a size that the host can address");
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        // SAFETY: a unit was allocated for this beside the memory.
        let host = unsafe { start.add(start.align_offset(1 << UNIT)) };
        let state = State { blocks: Blocks::new(base, size), ..State::default() };
        Self(Arc::new(Shared {
            base,
            size,
            host,
            allocated: (start, layout),
            parts,
            owner: (0..units).map(|_| AtomicU8::new(0)).collect(),
            state: Mutex::new(state),
            observers: Mutex::default(),
            observed: AtomicBool::new(false),
        }))
    }

    /// Makes the allocation after the next `n` fail, once.
    pub fn fail_allocation(&self, n: u64) {
        let mut state = self.state();
        state.fail = Some(state.allocations + n);
    }

    /// Cancels [`Machine::fail_allocation`], and returns whether the failure was still to come.
    pub fn cancel_failure(&self) -> bool {
        self.state().fail.take().is_some()
    }

    /// How many frames have been requested since the machine was made.
    pub fn allocations(&self) -> u64 {
        self.state().allocations
    }

    /// The bytes that are allocated.
    pub fn used(&self) -> usize {
        self.state().used
    }

    /// Takes the mistakes that have been recorded so far.
    pub fn take_errors(&self) -> Vec<MemoryError> {
        core::mem::take(&mut self.state().errors)
    }

    /// Takes the invalidations since the last call, in order.
    pub fn take_log(&self) -> Vec<(Tag, Invalidation)> {
        core::mem::take(&mut self.state().log)
    }

    /// Takes the invalidations at other sinks than the CPUs since the last call, in order.
    pub fn take_device_log(&self) -> Vec<(Sink, Tag, Invalidation)> {
        core::mem::take(&mut self.state().device_log)
    }

    /// Defers invalidations: from now on, they take effect only when they are waited for.
    pub fn defer_invalidations(&self) {
        self.state().deferred.get_or_insert(0);
    }

    /// Makes `sink` one that cannot retry an access after it met an entry which is not present.
    pub fn forbid_retries(&self, sink: Sink) {
        self.state().strict |= 1 << sink.number();
    }

    /// Allows frames to be freed, from now on, as the larger frame that they fill: see
    /// [`Hal::frees_joined`](crate::Hal::frees_joined).
    pub fn join_frames(&self) {
        self.state().joined = true;
    }

    /// Lets an invalidation take effect.
    fn perform(&self, Asked { sink, root, tag, set }: Asked) {
        match sink {
            Sink::CPUS => self.state().log.push((tag, set)),
            _ => self.state().device_log.push((sink, tag, set)),
        }
        for observer in self.observers() {
            observer.invalidated_at(self, sink, root, tag, &set);
        }
    }

    /// Tells `observer`, from now on, what happens to memory and translations.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.0.observers.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
        self.0.observed.store(true, Ordering::Release);
    }

    /// The base and size of the memory.
    pub fn memory(&self) -> (u64, usize) {
        (self.0.base, self.0.size)
    }

    /// Reads a word, as an MMU does; `None` outside the allocated memory.
    pub fn read_word(&self, address: u64) -> Option<u64> {
        if !address.is_multiple_of(8) || !self.is_allocated(address) {
            return None;
        }
        // SAFETY: aligned, inside the memory, which others access through atomics only.
        Some(unsafe { self.host(address).cast::<core::sync::atomic::AtomicU64>().as_ref() }.load(Ordering::Acquire))
    }

    /// Reads an entry of a table, as an MMU does; `None` outside the allocated memory.
    pub fn read_entry<W: EntryWord>(&self, address: u64) -> Option<u64> {
        self.read_word(address & !7).map(|word| W::get(word, address))
    }

    /// Whether `address` is in an allocated frame.
    pub fn is_allocated(&self, address: u64) -> bool {
        self.owner(address).is_some_and(|owner| owner.load(Ordering::Acquire) != 0)
    }

    /// A copy of the `1 << size` bytes at `address`.
    pub fn dump(&self, address: HostPhysAddr, size: u8) -> Vec<u8> {
        let address = address.as_usize() as u64;
        let words = (0..1_u64 << size).step_by(8).map(|offset| self.read_word(address + offset).unwrap_or(0));
        words.flat_map(u64::to_ne_bytes).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observers(&self) -> Vec<Arc<dyn Observer>> {
        self.0.observers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn owner(&self, address: u64) -> Option<&AtomicU8> {
        self.0.owner.get((address.checked_sub(self.0.base)? >> UNIT) as usize)
    }

    /// Where the host sees an address inside the memory.
    fn host(&self, address: u64) -> NonNull<u8> {
        // SAFETY: callers checked that the address is inside the memory.
        unsafe { self.0.host.add((address - self.0.base) as usize) }
    }

    /// The owners of a frame's units.
    fn units(&self, frame: u64, size: u8) -> &[AtomicU8] {
        let first = ((frame - self.0.base) >> UNIT) as usize;
        &self.0.owner[first..first + (1 << (size - UNIT))]
    }
}

impl core::fmt::Debug for Machine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Machine({:#x}, {:#x} bytes)", self.0.base, self.0.size)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let (start, layout) = self.allocated;
        // SAFETY: allocated with this layout, and the last handle is gone.
        unsafe { dealloc(start.as_ptr(), layout) };
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !std::thread::panicking() {
            assert!(state.errors.is_empty(), "mistakes in the use of physical memory: {:?}", state.errors);
        }
    }
}
