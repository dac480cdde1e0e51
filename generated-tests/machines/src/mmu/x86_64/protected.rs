//! The same PC in protected mode, whose tables are those of 32-bit paging, or of PAE paging: tables and probes in, page
//! faults out.
//!
//! A run boots a small program, `protected/stub.rs`, as the firmware. For each probe it turns paging on, makes one load,
//! store or call, at privilege level 0 or 3, and turns paging off again. The verdict is read from the page fault, or from
//! where the access came to, by the manual's encoding (SDM volume 3, *32-Bit Paging*, *PAE Paging* and *Page-Fault
//! Exceptions*).
//!
//! What the judge can say and what not:
//! - While an address is probed, the root entry of [`Machine::OWN`] is the stub's, and mapped as it is: what the tables under
//!   test say of these addresses cannot be asked. With PAE a root entry spans 1 GiB: the first then leads to a copy of the
//!   directory that it led to, with the stub's pages in it, and what the processor marks in the copy is marked in the other.
//! - Nor can what is executed at the few addresses of a page that hold its tag ([`Machine::may_ask`]).
//! - Memory types have no effect.
//! - The output address is seen where it is in [`Machine::RAM`]; elsewhere the verdict has none.

mod stub;

use std::ops::Range;
use std::time::Duration;

use super::layout::{self, PAGE};
use crate::emulators::{Emulator, Found};
use crate::mmu::deviations::Deviation;
use crate::mmu::pc::{self, Board, Run};
use crate::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

pub use super::{Error, Outcome};

/// An emulated PC that stays in protected mode.
#[derive(Clone)]
pub struct Machine {
    found: Found,
    model: String,
    /// The stub, and the memory that it brings along.
    firmware: Vec<u8>,
}

/// Control registers: those bits that matter to 32-bit paging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// CR0: bit 16 (WP) makes supervisors heed read-only entries.
    pub cr0: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4: bit 5 (PAE) says which paging it is.
    pub cr4: u32,
    /// IA32_EFER: bit 11 (NXE).
    pub efer: u32,
}

/// Tables, and questions about them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What is in memory. Chunks must not overlap; the rest of their pages is zero, and other pages hold a tag.
    pub image: &'a [Chunk],
    /// The registers.
    pub paging: Paging,
    /// What is asked of linear addresses, in this order; [`Probe::user`] is privilege level 3.
    pub probes: &'a [Probe],
    /// Words of 64 bits to read afterwards: entries in which the processor may have set flags.
    pub peek: &'a [u64],
}

/// CR0.WP.
const WRITE_PROTECT: u32 = 1 << 16;
/// IA32_EFER.NXE.
const NO_EXECUTE: u32 = 1 << 11;

impl Machine {
    /// The physical memory that is free for tables and for what they map.
    pub const RAM: Range<u64> = layout::FREE.start..Self::OWN.start;
    /// The addresses that the stub has for itself, linear and physical: what one entry of a root spans.
    pub const OWN: Range<u64> = layout::RAM_SIZE - stub::SPAN..layout::RAM_SIZE;

    /// Finds an emulator, and has it have this processor model.
    ///
    /// # Errors
    ///
    /// [`Error::Pc`], [`Error::Stub`].
    pub fn new(emulator: Emulator, model: &str) -> Result<Self, Error> {
        let found = emulator.find().map_err(pc::Error::Find)?;
        Ok(Self { found, model: model.to_owned(), firmware: stub::own_memory()? })
    }

    /// The same with another processor model.
    #[must_use]
    pub fn with_model(self, model: String) -> Self {
        Self { model, ..self }
    }

    /// Whether the emulator departs from its manual so.
    #[must_use]
    pub fn deviates(&self, deviation: &Deviation) -> bool {
        deviation.applies_to(&self.found)
    }

    /// Whether there is an answer.
    #[must_use]
    pub fn may_ask(probe: &Probe) -> bool {
        let tagged = stub::TAGS.into_iter().any(|tag| (tag..tag + 4).contains(&(probe.address % PAGE)));
        probe.address >> 32 == 0 && !Self::OWN.contains(&probe.address) && !(tagged && probe.access == Access::Execute)
    }

    /// Runs a batch, with as many starts of the emulator as it takes.
    ///
    /// Probes must lead to scratch memory: a store does store.
    ///
    /// # Errors
    ///
    /// [`Error::Pc`], [`Error::OutsideRam`], [`Error::StrangeExit`], and [`Error::TooLarge`] for an image that fits no ROM.
    pub fn run(&self, batch: &Batch<'_>) -> Result<Outcome, Error> {
        let mut program = Program::default();
        program.add(Operation::Tag, [Self::RAM.start as u32, Self::RAM.end as u32]);
        for (address, bytes) in batch.image {
            let (start, end) = (address / PAGE * PAGE, (address + bytes.len() as u64).next_multiple_of(PAGE));
            if start < Self::RAM.start || end > Self::RAM.end {
                return Err(Error::OutsideRam { start, end });
            }
            program.add(Operation::Zero, [start as u32, (end - start) as u32 / 4]);
        }
        for (address, bytes) in batch.image {
            program.add(Operation::Load, [*address as u32, bytes.len() as u32]);
            program.0.extend(bytes);
        }
        let Paging { cr0, cr3, cr4, efer } = batch.paging;
        for probe in batch.probes {
            let kind = match probe.access {
                Access::Read => 0,
                Access::Write => 1,
                Access::Execute => 2,
            };
            let user = if probe.user { stub::USER } else { 0 };
            let kind = kind | user | cr0 & WRITE_PROTECT | efer & NO_EXECUTE;
            program.add(Operation::Probe, [probe.address as u32, cr3, cr4, kind]);
        }
        for &word in batch.peek {
            program.add(Operation::Peek, [word as u32]);
        }
        program.add(Operation::End, []);
        let mut rom = program.0;
        if rom.len() > layout::PROGRAM_SIZE {
            return Err(Error::TooLarge { size: rom.len() });
        }
        rom.resize(layout::PROGRAM_SIZE, 0);
        rom.extend(&self.firmware);
        let run = Run {
            board: Board { model: &self.model, memory: layout::RAM_SIZE >> 20, rom: &rom },
            magic: super::program::MAGIC,
            results: 2 * batch.probes.len() + batch.peek.len(),
            time_limit: Duration::from_secs(60),
            what: &format!("{} probes in protected mode on {}", batch.probes.len(), self.model),
        };
        let results = pc::run(&self.found, &run)?;
        let (exits, words) = results.split_at(2 * batch.probes.len());
        let exits = exits.as_chunks().0.iter().zip(batch.probes);
        let verdicts = exits.map(|(exit, probe)| verdict(*exit, probe)).collect::<Result<_, _>>()?;
        Ok(Outcome { verdicts, words: words.to_vec() })
    }
}

/// What an access came to: what was found, or the error code, and which of both it is; CR2.
fn verdict([what, cr2]: [u64; 2], probe: &Probe) -> Result<Verdict, Error> {
    let (found, kind) = (what & 0xffff_ffff, what >> 32);
    let report = vec![("error_code", found), ("cr2", cr2)];
    match kind {
        stub::CAME_THROUGH => {
            let seen = found & (PAGE - 1) == stub::TAG_MARK;
            Ok(Verdict::Translated(seen.then_some(found & !(PAGE - 1) | (probe.address % PAGE))))
        }
        // No page fault: the root's entries were not loaded.
        stub::REFUSED => Ok(Verdict::Fault(Fault { kind: FaultKind::Misconfigured, level: None, report: Vec::new() })),
        // Bit 3: a reserved bit is set. Bit 0: an entry on the way is present, and so all are.
        stub::FAULTED if cr2 == probe.address => {
            let kind = match (found >> 3 & 1, found & 1) {
                (1, _) => FaultKind::Misconfigured,
                (_, 0) => FaultKind::NotMapped,
                _ => FaultKind::Permission,
            };
            Ok(Verdict::Fault(Fault { kind, level: None, report }))
        }
        _ => Err(Error::StrangeExit { probe: *probe, report }),
    }
}

/// What the stub can do.
#[derive(Clone, Copy)]
enum Operation {
    End,
    Load,
    Zero,
    Tag,
    Peek,
    Probe,
}

/// Operations in the form in which the stub reads them: five words of 32 bits each, and for `Load` the bytes.
#[derive(Default)]
struct Program(Vec<u8>);

impl Program {
    fn add<const N: usize>(&mut self, operation: Operation, operands: [u32; N]) {
        let words = [operation as u32].into_iter().chain(operands).chain([0; 4]).take(5);
        self.0.extend(words.flat_map(u32::to_le_bytes));
    }
}
