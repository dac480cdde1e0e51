//! Accesses of devices, and what became of them.
//!
//! The output address is seen in the memory reached: the upper half of each 64-bit word tells its own address, in units
//! of 8 bytes. A load copies a word to a device's buffer, which is copied to memory when nothing is translated. A store
//! writes a number to the lower half of a word, and a load after it shows where it went.
//!
//! Many devices make accesses at once, each remembering nothing of another's.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{BUFFER, Board, Copy, OWN_SIZE, Path, RAM_SIZE, REGISTERS_SIZE, Registers, Report, Reports};
use crate::mmu::{Access, Chunk, Fault, Probe, Verdict};

/// Registers of a device (QEMU's *EDU device*): the first of source, destination and count of a copy and what starts it,
/// which is the last.
const SOURCE: u64 = 0x80;
const COMMAND: u64 = 0x98;
const RUN: u64 = 1 << 0;
const TO_MEMORY: u64 = 1 << 1;

/// Where a device has its buffer, of a page: for words that were loaded in its first half, and then for the numbers that
/// are stored.
const BUFFER_START: u64 = 0x4_0000;
const NUMBERS: u64 = BUFFER_START + 0x800;
/// How many of both.
const SLOTS: u64 = 0x100;
/// How much memory the first half of each takes.
const BUFFER_SIZE: u64 = 8 * SLOTS;

/// How long a copy may take. It is done as soon as the machine's time goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine with devices behind an IOMMU.
pub struct Dma {
    path: &'static Path,
    /// For commands.
    pub board: Board,
    /// Of the first device.
    registers: u64,
    /// How many devices are asked at once.
    width: usize,
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
        let mut dma = Self { path, board, registers, width: 1, leading: Vec::new(), loaded: Vec::new() };
        let ram = dma.ram();
        dma.tag(ram);
        (path.bypass)(&mut dma.board);
        let own = |device| path.model.own + BUFFER + device * BUFFER_SIZE;
        for device in 0..path.model.devices {
            let pairs = (0..SLOTS).step_by(2).map(|slot| number(device, slot) | number(device, slot + 1) << 32);
            dma.board.write_words(own(device), &pairs.collect::<Vec<_>>());
        }
        let take = |device| Copy { device, from: own(device), to: NUMBERS, bytes: 4 * SLOTS, to_memory: false };
        dma.copy(&(0..path.model.devices).map(take).collect::<Vec<_>>());
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
        let words = self.board.ram.words(range.start, (range.end - range.start) as usize / 8);
        words.iter().zip(range.start >> 3..).for_each(|(word, tag)| word.store(tag << 32, Ordering::Release));
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

    /// Has what the devices do translated by tables that these registers lead to; nothing before is remembered.
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

    /// Loads and stores of devices, for each of which nothing is remembered, nor is it afterwards.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let verdicts = self.ask(probes, true);
        self.forget();
        verdicts
    }

    /// Loads of the first device, for which all is remembered that loads before them met.
    pub fn remembered(&mut self, addresses: &[u64]) -> Vec<Verdict> {
        let load = |&address: &u64| Probe { address, access: Access::Read, user: false };
        self.ask(&addresses.iter().map(load).collect::<Vec<_>>(), false)
    }

    fn ask(&mut self, probes: &[Probe], anew: bool) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Translated(None); probes.len()];
        // Those of one kind tell more of each other.
        let is_load = |probe: &usize| probes[*probe].access == Access::Read;
        let (loads, stores): (Vec<usize>, Vec<usize>) = (0..probes.len()).partition(is_load);
        let mut left = [loads.as_slice(), stores.as_slice()];
        let mut again = Vec::new();
        while left.iter().any(|kind| !kind.is_empty()) {
            let made = self.fill(probes, &mut left, anew);
            again.extend(self.look(probes, made, &mut verdicts));
        }
        for probe in again {
            verdicts[probe] = self.ask(&[probes[probe]], anew).remove(0);
        }
        verdicts
    }

    /// Makes the first of the probes that are left, as many as there are slots for.
    fn fill(&mut self, probes: &[Probe], left: &mut [&[usize]; 2], anew: bool) -> Vec<Made> {
        let mut made = Vec::new();
        for slot in 0..SLOTS {
            let Some(left) = left.iter_mut().find(|kind| !kind.is_empty()) else { break };
            if anew {
                self.forget();
            }
            let width = if anew { self.width.min(left.len()) } else { left.len().min(1) };
            let load = |device, probe: usize| load(device, probes[probe].address, slot);
            let now = (0..).zip(&left[..width]);
            let copies = now.clone().map(|(device, &probe)| match probes[probe].access {
                Access::Read => load(device, probe),
                Access::Write => store(device, probes[probe].address, slot),
                Access::Execute => panic!("the device does not execute"),
            });
            let reports = self.copy(&copies.collect::<Vec<_>>());
            let known = reports.len();
            if anew {
                // Where one is known after another, fewer at once come to more.
                let less = if known == 0 { width / 2 } else { known };
                self.width = if known == width { (2 * self.width).min(self.path.model.devices as usize) } else { less };
            }
            let done = now.zip(reports).map(|((device, &probe), report)| Made { probe, device, slot, report });
            let done: Vec<Made> = done.collect();
            // What was stored is loaded again, if it can be.
            let stored = done.iter().filter(|made| probes[made.probe].access == Access::Write && made.report.is_none());
            let again: Vec<Copy> = stored.map(|made| load(made.device, made.probe)).collect();
            self.copy(&again);
            made.extend(done);
            *left = &left[known..];
        }
        made
    }

    /// What was seen in the slots. Gives the probes of which it does not tell, as others stored to the same place.
    fn look(&mut self, probes: &[Probe], made: Vec<Made>, verdicts: &mut [Verdict]) -> Vec<usize> {
        let seen = self.seen(made.last().map_or(0, |last| last.slot + 1));
        let (mut places, mut again) = (Vec::new(), Vec::new());
        for Made { probe, device, slot, report } in made {
            if let Some(report) = report {
                verdicts[probe] = Verdict::Fault(Fault { kind: (self.path.kind)(&report), level: None, report });
                continue;
            }
            let word = seen[device as usize][slot as usize];
            let at = Some(word >> 32 << 3).filter(|at| self.ram().contains(at));
            let stored = word & 0xffff_ffff;
            places.extend(at);
            if probes[probe].access == Access::Write && stored != number(device, slot) {
                let by_another = (0..self.path.model.devices).any(|other| stored == number(other, slot));
                again.extend(by_another.then_some(probe));
                continue;
            }
            verdicts[probe] = Verdict::Translated(at);
        }
        places.into_iter().for_each(|at| self.tag(at..at + 8));
        again
    }

    fn forget(&mut self) {
        self.path.forget.iter().for_each(|command| self.board.push(command));
        let submitted = self.board.submitted;
        (self.path.model.submit)(&mut self.board, submitted);
    }

    /// The words in the first of the slots of each device.
    fn seen(&mut self, slots: u64) -> Vec<Vec<u64>> {
        (self.path.bypass)(&mut self.board);
        let places =
            (0..self.path.model.devices).map(|device| (device, self.path.model.own + BUFFER + device * BUFFER_SIZE));
        let show = |(device, to)| Copy { device, from: BUFFER_START, to, bytes: 8 * slots, to_memory: true };
        let faults = self.copy(&places.clone().map(show).collect::<Vec<_>>());
        assert!(faults.iter().all(Option::is_none), "nothing is translated");
        let leading = std::mem::take(&mut self.leading);
        (self.path.translate)(&mut self.board, &leading);
        self.leading = leading;
        places.map(|(_, at)| (0..slots).map(|slot| self.board.read(at + slot * 8)).collect()).collect()
    }

    /// Has devices copy, each at most once, and tells of the first of them which fault they met, as far as it is known.
    fn copy(&mut self, copies: &[Copy]) -> Reports {
        let Some(last) = copies.last() else { return Vec::new() };
        let machine = &mut self.board.machine;
        let registers = |copy: &Copy| self.registers + copy.device * REGISTERS_SIZE;
        for copy in copies {
            let run = if copy.to_memory { RUN | TO_MEMORY } else { RUN };
            machine.write_words(registers(copy) + SOURCE, &[copy.from, copy.to, copy.bytes, run]);
        }
        // They copy in the order in which they were told to.
        let told_by = [&[(registers(last) + COMMAND, 8)], self.path.told_by].concat();
        let start = Instant::now();
        loop {
            let told = machine.read_all(&told_by);
            if told[0] & RUN == 0 {
                return (self.path.faults)(&mut self.board, &told[1..], copies);
            }
            assert!(start.elapsed() < PATIENCE, "the devices hang at {copies:x?}");
        }
    }
}

/// A probe that was made: by which device, for which of its slots, and what was reported of it.
struct Made {
    probe: usize,
    device: u64,
    slot: u64,
    report: Option<Report>,
}

/// The copy that loads a word into a slot.
fn load(device: u64, address: u64, slot: u64) -> Copy {
    Copy { device, from: address, to: BUFFER_START + slot * 8, bytes: 8, to_memory: false }
}

/// The copy that stores a number that is of this device and slot alone.
fn store(device: u64, address: u64, slot: u64) -> Copy {
    Copy { device, from: NUMBERS + slot * 4, to: address, bytes: 4, to_memory: true }
}

fn number(device: u64, slot: u64) -> u64 {
    device * SLOTS + slot + 1
}
