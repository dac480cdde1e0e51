//! Carries an MMU model's writes to tables over to the simulated machine's memory.

use std::sync::atomic::{AtomicU64, Ordering};

use tablewright::sim::Machine;
use tablewright::{Hal, HostPhysAddr};

/// The writes of an MMU to tables.
pub(super) trait HardwareWrites {
    /// Replaces the word at an address, if it is still `old`.
    fn hardware_writes(&self, address: u64, old: u64, new: u64);
}

impl HardwareWrites for Machine {
    fn hardware_writes(&self, address: u64, old: u64, new: u64) {
        if self.read_word(address).is_none() {
            return;
        }
        let word = self.phys_to_virt(HostPhysAddr::from_usize(address as usize)).cast::<AtomicU64>();
        // SAFETY: an aligned word in an allocated frame, as it could be read; all accesses to tables are atomic.
        let word = unsafe { word.as_ref() };
        let _ = word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed);
    }
}
