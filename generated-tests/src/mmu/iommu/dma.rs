//! Accesses of a device, and what became of them.
//!
//! The output address is seen in the memory reached: the upper half of each 64-bit word tells its own address, in units
//! of 8 bytes. A load copies a word to the device's buffer, which is copied to memory when nothing is translated. A store
//! writes a number to the lower half of a word, and a load after it shows where it went.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{BUFFER, Board, OWN_SIZE, Path, RAM_SIZE, Registers, Report};
use crate::mmu::{Access, Chunk, Fault, Probe, Verdict};

/// Registers of the device (QEMU's *EDU device*): source, destination and count of a copy, and what starts it.
const SOURCE: u64 = 0x80;
const DESTINATION: u64 = 0x88;
const COUNT: u64 = 0x90;
const COMMAND: u64 = 0x98;
const RUN: u64 = 1 << 0;
const TO_MEMORY: u64 = 1 << 1;

/// Where the device has its buffer, of a page: for words that were loaded in its first half, and then for the numbers
/// that are stored.
const BUFFER_START: u64 = 0x4_0000;
const NUMBERS: u64 = BUFFER_START + 0x800;
/// How many of both.
const SLOTS: usize = 0x100;

/// How long a copy may take. It is done as soon as the machine's time goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine with a device behind an IOMMU.
pub struct Dma {
    path: &'static Path,
    /// For commands.
    pub board: Board,
    registers: u64,
    /// What leads to the tables.
    leading: Vec<(&'static str, u64)>,
    /// Pages that do not tell where they are.
    loaded: Vec<Range<u64>>,
}

impl Dma {
    /// Starts the machine; `None` if there is no QEMU that has the model.
    ///
    /// # Panics
    ///
    /// If QEMU does not run.
    #[must_use]
    pub fn start(path: &'static Path) -> Option<Self> {
        let mut board = Board::start(path.model)?;
        let registers = (path.plug)(&mut board);
        let mut dma = Self { path, board, registers, leading: Vec::new(), loaded: Vec::new() };
        let ram = dma.ram();
        dma.tag(ram);
        (path.bypass)(&mut dma.board);
        for slot in 0..SLOTS as u64 / 2 {
            dma.board.write(path.model.own + BUFFER + slot * 8, (2 * slot + 1) | (2 * slot + 2) << 32);
        }
        dma.copy(path.model.own + BUFFER, NUMBERS, 4 * SLOTS as u64, 0);
        Some(dma)
    }

    /// The memory that is free for tables and what they map.
    #[must_use]
    pub fn ram(&self) -> Range<u64> {
        self.path.model.own + OWN_SIZE..self.path.model.base + RAM_SIZE
    }

    /// Makes all memory tell where it is.
    pub fn clear(&mut self) {
        for range in std::mem::take(&mut self.loaded) {
            self.tag(range);
        }
    }

    fn tag(&self, range: Range<u64>) {
        range.step_by(8).for_each(|address| self.board.write(address, address >> 3 << 32));
    }

    /// Writes memory. Nothing is forgotten.
    pub fn load(&mut self, chunks: &[Chunk]) {
        for (address, bytes) in chunks {
            for (at, word) in (*address..).step_by(8).zip(bytes.as_chunks().0) {
                self.board.write(at, u64::from_le_bytes(*word));
            }
            self.loaded.push(*address..*address + bytes.len() as u64);
        }
    }

    /// Reads memory.
    #[must_use]
    pub fn dump(&self, address: u64, length: usize) -> Vec<u8> {
        let words = (address..address + length as u64).step_by(8);
        words.flat_map(|at| self.board.read(at).to_le_bytes()).collect()
    }

    /// Has what the device does translated by tables that these registers lead to; nothing before is remembered.
    ///
    /// # Panics
    ///
    /// If the IOMMU refuses to forget.
    pub fn translate(&mut self, registers: Registers<'_>) {
        self.leading = registers.to_vec();
        (self.path.translate)(&mut self.board, registers);
        self.forget();
        assert!(self.board.done(), "it does not forget");
    }

    /// Loads and stores of the device, for each of which nothing is remembered, nor is it afterwards.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let verdicts = probes.chunks(SLOTS).flat_map(|batch| self.batch(batch, true)).collect();
        self.forget();
        verdicts
    }

    /// Loads of the device, for which all is remembered that loads before them met.
    pub fn remembered(&mut self, addresses: &[u64]) -> Vec<Verdict> {
        let load = |&address: &u64| Probe { address, access: Access::Read, user: false };
        let probes: Vec<Probe> = addresses.iter().map(load).collect();
        probes.chunks(SLOTS).flat_map(|batch| self.batch(batch, false)).collect()
    }

    fn batch(&mut self, probes: &[Probe], anew: bool) -> Vec<Verdict> {
        let slots = 0..SLOTS as u64;
        let access = |(probe, slot): (&Probe, u64)| {
            if anew {
                self.forget();
            }
            let load = |dma: &mut Self| dma.copy(probe.address, BUFFER_START + slot * 8, 8, 0);
            match probe.access {
                Access::Read => load(self),
                // What was stored is loaded again, if it can be.
                Access::Write => self.copy(NUMBERS + slot * 4, probe.address, 4, TO_MEMORY).or_else(|| {
                    load(self);
                    None
                }),
                Access::Execute => panic!("the device does not execute"),
            }
        };
        let reports: Vec<Option<Report>> = probes.iter().zip(slots.clone()).map(access).collect();
        let seen = self.seen(probes.len());
        let mut verdicts = Vec::new();
        for ((probe, report), (slot, &word)) in probes.iter().zip(reports).zip(slots.zip(&seen)) {
            verdicts.push(match report {
                Some(report) => Verdict::Fault(Fault { kind: (self.path.kind)(&report), level: None, report }),
                None => {
                    let at = Some(word >> 32 << 3).filter(|at| self.ram().contains(at));
                    at.into_iter().for_each(|at| self.tag(at..at + 8));
                    // What was just stored was loaded again.
                    let is_stored = word & 0xffff_ffff == slot + 1;
                    Verdict::Translated(at.filter(|_| probe.access == Access::Read || is_stored))
                }
            });
        }
        verdicts
    }

    fn forget(&mut self) {
        self.path.forget.iter().for_each(|command| self.board.push(command));
        let submitted = self.board.submitted;
        (self.path.model.submit)(&mut self.board, submitted);
    }

    /// The words that were loaded.
    fn seen(&mut self, count: usize) -> Vec<u64> {
        let buffer = self.path.model.own + BUFFER;
        (self.path.bypass)(&mut self.board);
        let fault = self.copy(BUFFER_START, buffer, 8 * count as u64, TO_MEMORY);
        assert_eq!(fault, None, "nothing is translated");
        let leading = std::mem::take(&mut self.leading);
        (self.path.translate)(&mut self.board, &leading);
        self.leading = leading;
        (0..count as u64).map(|slot| self.board.read(buffer + slot * 8)).collect()
    }

    /// Has the device copy, and tells whether that met a fault.
    fn copy(&mut self, from: u64, to: u64, bytes: u64, direction: u64) -> Option<Report> {
        let machine = &mut self.board.machine;
        let command = [(SOURCE, from), (DESTINATION, to), (COUNT, bytes), (COMMAND, RUN | direction)];
        for (register, value) in command {
            machine.write(self.registers + register, 8, value);
        }
        let told_by = [&[(self.registers + COMMAND, 8)], self.path.told_by].concat();
        let start = Instant::now();
        loop {
            let told = machine.read_all(&told_by);
            if told[0] & RUN == 0 {
                return (self.path.fault)(&mut self.board, &told[1..]);
            }
            assert!(start.elapsed() < PATIENCE, "the device hangs while it copies from {from:#x} to {to:#x}");
        }
    }
}
