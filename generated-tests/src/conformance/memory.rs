//! The tables of a machine that is started anew for each question: what its next start finds, and what it left there.

use std::collections::BTreeMap;

use crate::mmu::x86_64::Outcome;
use crate::mmu::{Chunk, Probe, Verdict};

/// Tables and registers that outlive the machine.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    registers: Vec<(&'static str, u64)>,
    words: BTreeMap<u64, u64>,
}

impl Memory {
    /// Nothing but registers.
    pub fn new(registers: &[(&'static str, u64)]) -> Self {
        Self { registers: registers.to_vec(), words: BTreeMap::new() }
    }

    /// Writes whole words.
    pub fn write(&mut self, chunks: &[Chunk]) {
        for (address, bytes) in chunks {
            let words = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
            self.words.extend((*address..).step_by(8).zip(words));
        }
    }

    /// Reads whole words; what was never written is zero.
    pub fn read(&self, address: u64, length: usize) -> Vec<u8> {
        let words = (address..address + length as u64).step_by(8);
        words.flat_map(|at| self.words.get(&at).copied().unwrap_or(0).to_le_bytes()).collect()
    }

    /// Asks a machine that runs on tables and registers, and gives the words at these addresses as it leaves them, too.
    pub fn ask(
        &mut self,
        probes: &[Probe],
        run: impl FnOnce(&[Chunk], &[(&'static str, u64)], &[u64]) -> Outcome,
    ) -> Vec<Verdict> {
        if probes.is_empty() {
            return Vec::new();
        }
        let mut image: Vec<Chunk> = Vec::new();
        for (&at, word) in &self.words {
            match image.last_mut().filter(|(start, bytes)| start + bytes.len() as u64 == at) {
                Some((_, bytes)) => bytes.extend(word.to_le_bytes()),
                None => image.push((at, word.to_le_bytes().to_vec())),
            }
        }
        let peek: Vec<u64> = self.words.keys().copied().collect();
        let outcome = run(&image, &self.registers, &peek);
        self.words.extend(peek.into_iter().zip(outcome.words));
        outcome.verdicts
    }
}
