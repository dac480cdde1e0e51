//! What the simulated machine does for an engine.

extern crate std;

use core::ptr::NonNull;
use std::sync::atomic::Ordering;

use super::{Asked, Machine, MemoryError, UNIT};
use crate::{Completion, Format, Hal, HostPhysAddr, Invalidation, Sink, Tag};

// SAFETY: frames come from memory that this machine owns and gives out once; translations are cached by observers only,
// which are told.
unsafe impl Hal for Machine {
    fn allocate(&self, size: u8) -> Option<HostPhysAddr> {
        let size = size.max(UNIT);
        let mut state = self.state();
        let number = state.allocations;
        state.allocations += 1;
        if state.fail == Some(number) {
            state.fail = None;
            return None;
        }
        let address = state.blocks.take(size)?;
        state.used += 1 << size;
        for unit in self.units(address, size) {
            unit.store(size, Ordering::Release);
        }
        // SAFETY: the frame is inside the memory and nobody else's. Junk, so that nobody relies on zeros.
        unsafe { self.host(address).write_bytes(0xa5, 1 << size) };
        Some(HostPhysAddr::from_usize(address as usize))
    }

    unsafe fn free(&self, frame: HostPhysAddr, size: u8) {
        let address = frame.as_usize() as u64;
        for observer in self.observers() {
            observer.freed(self, frame, size);
        }
        let end = self.0.base as u128 + self.0.size as u128;
        let mut state = self.state();
        let inside = address >= self.0.base && address as u128 + (1 << size) <= end && size >= UNIT;
        let units = if inside && address.is_multiple_of(1 << size) { self.units(address, size) } else { &[] };
        // A frame that was freed in part has units without an owner.
        let owner = units.iter().map(|unit| unit.load(Ordering::Acquire)).min().unwrap_or(0);
        if owner == 0 {
            state.errors.push(MemoryError::NotAllocated { address, size });
        } else if owner < size && !state.joined || owner > size && !self.0.parts {
            state.errors.push(MemoryError::WrongSize { address, size, allocated: owner });
        } else {
            for unit in units {
                unit.store(0, Ordering::Release);
            }
            // SAFETY: the frame is inside the memory and nobody's any more. Junk, so that stale uses show.
            unsafe { self.host(address).write_bytes(0xf5, 1 << size) };
            state.used -= 1 << size;
            state.blocks.release(address, size);
        }
    }

    fn frees_parts(&self) -> bool {
        self.0.parts
    }

    fn frees_joined(&self) -> bool {
        self.state().joined
    }

    fn phys_to_virt(&self, address: HostPhysAddr) -> NonNull<u8> {
        let address = address.as_usize() as u64;
        if !self.is_allocated(address) {
            self.state().errors.push(MemoryError::UseAfterFree(address));
        }
        assert!(self.owner(address).is_some(), "address {address:#x} is not memory");
        self.host(address)
    }

    fn publish_table(&self, start: HostPhysAddr, length: usize) {
        if self.0.observed.load(Ordering::Acquire) {
            for observer in self.observers() {
                observer.published(self, start, length);
            }
        }
    }

    fn invalidate<F: Format>(&self, _format: &F, root: HostPhysAddr, tag: Tag, set: &Invalidation) {
        for sink in core::iter::once(Sink::CPUS).chain((1..Sink::MOST).filter_map(Sink::device)) {
            self.perform(Asked { sink, root, tag, set: *set });
        }
    }

    fn begin_invalidation<F: Format>(
        &self,
        sink: Sink,
        _format: &F,
        root: HostPhysAddr,
        tag: Tag,
        set: &Invalidation,
    ) -> Completion {
        let asked = Asked { sink, root, tag, set: *set };
        let mut state = self.state();
        let Some(number) = &mut state.deferred else {
            drop(state);
            self.perform(asked);
            return Completion::default();
        };
        *number += 1;
        let completion = Completion(*number);
        state.waiting.push_back((completion, asked));
        completion
    }

    fn is_complete(&self, sink: Sink, completion: Completion) -> bool {
        !self.state().waiting.iter().any(|(begun, asked)| asked.sink == sink && begun.0 <= completion.0)
    }

    fn wait(&self, sink: Sink, completion: Completion) {
        loop {
            let mut state = self.state();
            let due = |(begun, asked): &(Completion, Asked)| asked.sink == sink && begun.0 <= completion.0;
            let Some(next) = state.waiting.iter().position(due) else { return };
            let asked = state.waiting.remove(next);
            drop(state);
            if let Some((_, asked)) = asked {
                self.perform(asked);
            }
        }
    }

    fn retries(&self, sink: Sink) -> bool {
        self.state().strict >> sink.number() & 1 == 0
    }
}
