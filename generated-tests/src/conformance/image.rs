//! Tables that are built entry by entry, and not by an address space.

use std::collections::BTreeMap;

use fastrand::Rng;
use tablewright::{Attributes, ByName, EntryWord, Geometry, Level};

use super::Ground;
use crate::laws::{Generated, Subject};
use crate::mmu::Chunk;

/// Tables, with room for more after them.
pub(super) struct Image<'a, F: ByName> {
    generated: &'a Generated<F>,
    geometry: Geometry,
    tables: BTreeMap<u64, Vec<u64>>,
    free: u64,
}

impl<'a, F: ByName> Image<'a, F> {
    /// No tables yet. The first will be at `start`, or above at the next aligned address.
    pub(super) fn new(generated: &'a Generated<F>, start: u64) -> Self {
        Self { generated, geometry: generated.format.geometry(), tables: BTreeMap::new(), free: start }
    }

    /// An empty table.
    pub(super) fn table(&mut self, level: Level) -> u64 {
        let bytes = 1 << self.geometry.table_bits(level);
        let address = self.free.next_multiple_of(bytes);
        self.free = address + bytes;
        self.tables.insert(address, vec![0; (bytes / 8) as usize]);
        for slot in (address..address + bytes).step_by(1 << F::Word::SIZE) {
            self.set(slot, self.generated.format.empty(level));
        }
        address
    }

    /// A root, and the table at `level` that translates the lowest addresses.
    pub(super) fn path_to(&mut self, level: Level) -> (u64, u64) {
        let root = self.table(self.geometry.top());
        let mut table = root;
        for above in (level + 1..self.geometry.levels).rev() {
            let next = self.table(above - 1);
            self.set(table, self.generated.table(above, next).expect("a table in memory"));
            table = next;
        }
        (root, table)
    }

    /// A table at `level` with entries of all kinds, and what they point to.
    pub(super) fn tree(&mut self, level: Level, ground: &Ground, random: &mut Rng) -> u64 {
        let below = (level > 0).then(|| self.tree(level - 1, ground, random));
        let table = self.table(level);
        let size = self.geometry.entry_bits(level);
        for index in 0..self.geometry.entries(level) as u64 {
            let rights = ground.rights[random.usize(..ground.rights.len())];
            let attributes = Attributes { accessed: true, dirty: true, ..Attributes::new(rights, ground.memory[0]) };
            let leaf = || self.generated.leaf(level, size, ground.target(size), &attributes).ok().map(|items| items[0]);
            let entry = match (random.u8(..4), below) {
                (0, _) => None,
                (1 | 2, Some(below)) => self.generated.table(level, below).ok(),
                _ => leaf(),
            };
            if let Some(entry) = entry {
                self.set(table + (index << F::Word::SIZE), entry);
            }
        }
        table
    }

    /// Writes an entry.
    pub(super) fn set(&mut self, address: u64, entry: u64) {
        let word = self.word(address & !7).expect("an entry of a table");
        *word = F::Word::set(*word, address, entry);
    }

    /// Loads the word of an entry, as a CPU does; `None` outside the tables.
    pub(super) fn read(&self, address: u64) -> Option<u64> {
        let (start, words) = self.tables.range(..=address).next_back()?;
        words.get(((address - start) / 8) as usize).copied().filter(|_| address.is_multiple_of(8))
    }

    /// The tables as bytes in memory.
    pub(super) fn chunks(&self) -> Vec<Chunk> {
        let bytes = |words: &Vec<u64>| words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.tables.iter().map(|(address, words)| (*address, bytes(words))).collect()
    }

    fn word(&mut self, address: u64) -> Option<&mut u64> {
        let (start, words) = self.tables.range_mut(..=address).next_back()?;
        words.get_mut(((address - start) / 8) as usize)
    }
}
