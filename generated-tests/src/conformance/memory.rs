//! The tables of a machine that is started again for each question: memory that outlives the machine.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;

use super::{Judge, Live};
use crate::mmu::x86_64::Outcome;
use crate::mmu::{Access, Chunk, Probe, Verdict};

/// A judge whose machine is started for each question, with the memory as the last question left it.
pub trait Restarted: Judge {
    /// What outlives the machine.
    fn memory(&mut self) -> &mut Memory;

    /// Starts the machine with tables and registers, makes the probes, and then reads the words at the addresses in
    /// `peek`.
    fn run(&mut self, image: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe], peek: &[u64]) -> Outcome;
}

/// Tables and registers that outlive the machine.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    registers: Vec<(&'static str, u64)>,
    words: BTreeMap<u64, u64>,
}

impl Memory {
    fn image(&self) -> Vec<Chunk> {
        let mut image: Vec<Chunk> = Vec::new();
        for (&at, word) in &self.words {
            match image.last_mut().filter(|(start, bytes)| start + bytes.len() as u64 == at) {
                Some((_, bytes)) => bytes.extend(word.to_le_bytes()),
                None => image.push((at, word.to_le_bytes().to_vec())),
            }
        }
        image
    }
}

impl<J: Restarted> Live for J {
    const REMEMBERED: Access = Access::Read;
    const REMEMBERS: bool = false;

    fn begin(&mut self, registers: &[(&'static str, u64)], _targets: &Range<u64>) {
        *self.memory() = Memory { registers: registers.to_vec(), words: BTreeMap::new() };
    }

    /// Whole words.
    fn write(&mut self, chunks: &[Chunk]) {
        for (address, bytes) in chunks {
            let words = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
            self.memory().words.extend((*address..).step_by(8).zip(words));
        }
    }

    /// Whole words; what was never written is zero.
    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        let memory = self.memory();
        let words = (address..address + length as u64).step_by(8);
        words.flat_map(|at| memory.words.get(&at).copied().unwrap_or(0).to_le_bytes()).collect()
    }

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        if probes.is_empty() {
            return Vec::new();
        }
        let mut memory = mem::take(self.memory());
        let peek: Vec<u64> = memory.words.keys().copied().collect();
        let outcome = self.run(&memory.image(), &memory.registers, probes, &peek);
        memory.words.extend(peek.into_iter().zip(outcome.words));
        *self.memory() = memory;
        outcome.verdicts
    }
}
