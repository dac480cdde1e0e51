//! An MMU that sets accessed and dirty states.

use loom::sync::atomic::Ordering::{AcqRel, Acquire};
use tablewright::{EntryWord, Format, HostPhysAddr, walk};

use crate::{memory::Memory, tiny};

/// It caches nothing between accesses. But within a walk, the table that it read from an entry may have been freed when
/// it gets there.
pub struct Mmu {
    /// The memory with the tables.
    pub memory: Memory,
    /// The format of the entries.
    pub format: tiny::Format,
    /// The root table.
    pub root: HostPhysAddr,
}

impl Mmu {
    /// Lets the guest store a word. Returns whether it did; if not, the address was not mapped, or the store must be
    /// retried.
    pub fn store(&self, ia: u64, value: u64) -> bool {
        let _walking = self.memory.walking();
        for _ in 0..2 {
            let mut at = 0;
            let read = |address| {
                at = address;
                Some(self.memory.word(address).load(Acquire))
            };
            let Ok(leaf) = walk(&self.format, self.root.as_usize() as u64, ia, read, |_| {}) else { return false };
            let states = self.format.accessed_dirty(leaf.level);
            let kept = leaf.raw & !(states.accessed_mask | states.dirty_mask);
            let marked = kept | states.accessed_value | states.dirty_value;
            let entry = self.memory.word(at);
            let [old, new] = [leaf.raw, marked].map(|raw| <tiny::Format as Format>::Word::set(0, at, raw));
            if marked == leaf.raw || entry.compare_exchange(old, new, AcqRel, Acquire).is_ok() {
                if let Some(datum) = self.memory.datum(leaf.address) {
                    // SAFETY: of the model's threads, only one runs at a time.
                    unsafe { datum.write_volatile(value) };
                }
                return true;
            }
        }
        false
    }
}
