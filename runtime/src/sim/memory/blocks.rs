//! Which memory is free.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};

/// Free blocks: a buddy allocator, lowest address first.
#[derive(Default)]
pub(super) struct Blocks {
    /// By log2 of their size.
    free: BTreeMap<u8, BTreeSet<u64>>,
    base: u64,
    /// The address after the last; it may be 2^64.
    end: u128,
}

impl Blocks {
    /// The `size` bytes from `base` on, all free.
    pub(super) fn new(base: u64, size: usize) -> Self {
        let end = base as u128 + size as u128;
        let mut blocks = Self { free: BTreeMap::new(), base, end };
        let mut next = Some(base);
        while let Some(address) = next.filter(|&address| (address as u128) < end) {
            let room = (end - address as u128).ilog2() as u8;
            let block = room.min(address.trailing_zeros() as u8).min(63);
            blocks.release(address, block);
            next = address.checked_add(1 << block);
        }
        blocks
    }

    /// Puts a block back and joins it with its buddies.
    pub(super) fn release(&mut self, mut address: u64, mut size: u8) {
        while size < 62 {
            let buddy = address ^ (1 << size);
            let inside = buddy >= self.base && (buddy as u128) < self.end;
            if !inside || !self.free.get_mut(&size).is_some_and(|blocks| blocks.remove(&buddy)) {
                break;
            }
            address &= !(1 << size);
            size += 1;
        }
        self.free.entry(size).or_default().insert(address);
    }

    /// Takes the lowest block of the smallest size that will do.
    pub(super) fn take(&mut self, size: u8) -> Option<u64> {
        let (&found, blocks) = self.free.range_mut(size..).find(|(_, blocks)| !blocks.is_empty())?;
        let address = blocks.pop_first()?;
        for half in size..found {
            self.free.entry(half).or_default().insert(address + (1 << half));
        }
        Some(address)
    }
}
