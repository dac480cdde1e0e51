//! Intel's EPT, as Bochs has it: tables and probes in, VM exits out.
//!
//! A run boots a small hypervisor, `x86_64/stub.rs`, as the firmware of an emulated PC. For each probe it points the
//! only page of a guest's window at the guest-physical address, enters the guest for one load, store or fetch, and
//! records how the guest came back. The verdict is read from that VM exit by the manual's encoding. *SDM* is Intel's
//! Software Developer's Manual, volume 3.
//!
//! What the judge can say and what not:
//! - Guest-physical addresses have 40 bits, whatever the processor model: the first two entries of a level-4 root. Up
//!   to 52 bits, the guest's own page walk refuses the address ([`AddressSize`](super::FaultKind::AddressSize)).
//! - There are no 5-level tables. Each level-4 table of a 5-level tree can be judged as a root.
//! - While an address in one root entry is probed, the stub's guest lives in the other one (entry 1 for addresses below
//!   512 GiB, else entry 0). It is restored after the probe; the tables under test need not know.
//! - The output address is seen where it is in [`Machine::ram`]; elsewhere the verdict has none.
//! - Memory types have no effect in Bochs, except that illegal ones are a misconfiguration.
//! - A violation whose qualification grants nothing is `NotMapped`, even if the levels' rights merely exclude each
//!   other: the processor does not tell the two apart.

mod exit;
mod layout;
mod program;
mod stub;
mod vmcs;

use std::ops::Range;
use std::time::Duration;

use dynasmrt::DynasmError;

use super::bochs::{self, Deviation, Run};
use super::{Chunk, Probe, Verdict};
use crate::emulators::{Emulator, Found};
use exit::Exit;
use layout::PAGE;
use program::Program;

/// Why there are no verdicts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bochs did not do it.
    #[error(transparent)]
    Bochs(#[from] bochs::Error),
    /// The stub could not be assembled.
    #[error("the stub: {0}")]
    Stub(#[from] DynasmError),
    /// The processor model lacks a feature.
    #[error("Bochs model {model} has no {feature}")]
    Lacks {
        /// Bochs' name of the model.
        model: &'static str,
        /// What it has not.
        feature: &'static str,
    },
    /// A chunk, a root or a word to read is not in [`Machine::ram`].
    #[error("{start:#x}..{end:#x} is not in the memory free for tables")]
    OutsideRam {
        /// First address.
        start: u64,
        /// The address after the last one.
        end: u64,
    },
    /// A guest-physical address of more than 52 bits, which no processor has.
    #[error("{address:#x} is not a guest-physical address")]
    NoSuchAddress {
        /// The address of the probe.
        address: u64,
    },
    /// A batch is too large for one run.
    #[error("a batch for Bochs has {size} bytes, more than the 2 MiB of a ROM")]
    TooLarge {
        /// Size of its tables and probes, as the stub reads them.
        size: usize,
    },
    /// VM entry failed, so the EPT pointer is illegal (SDM *Checks on VM-Execution Control Fields*).
    #[error("VM entry with EPT pointer {eptp:#x} failed: VM-instruction error {error}")]
    EntryRefused {
        /// The EPT pointer.
        eptp: u64,
        /// The error's number (SDM *VM Instruction Error Numbers*).
        error: u64,
    },
    /// The guest came back in a way that no probe should end with.
    #[error("{probe:x?} ended with exit reason {reason:#x}, qualification {qualification:#x}")]
    StrangeExit {
        /// What was asked.
        probe: Probe,
        /// The exit reason.
        reason: u64,
        /// The exit qualification.
        qualification: u64,
    },
}

/// Tables, and questions about them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What is in memory. Chunks must not overlap; the rest of their pages is zero, and other pages hold a tag.
    pub image: &'a [Chunk],
    /// The EPT pointer (SDM *Extended-Page-Table Pointer*).
    pub eptp: u64,
    /// Whether execute rights are by mode (SDM *Mode-Based Execute Control for EPT*): a fetch with [`Probe::user`] then
    /// needs bit 10 in place of bit 2. Without it, `user` makes no difference.
    pub mode_based_execute: bool,
    /// What is asked, in this order.
    pub probes: &'a [Probe],
    /// Words of memory to read afterwards: entries in which the processor may have set flags.
    pub peek: &'a [u64],
}

/// What came of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// One for each probe.
    pub verdicts: Vec<Verdict>,
    /// The words asked for.
    pub words: Vec<u64>,
}

/// An emulated PC with EPT.
#[derive(Clone)]
pub struct Machine {
    pc: Pc,
    /// Control fields of the VMCS but the secondary ones, and their values.
    controls: Vec<(u64, u64)>,
    secondary_allowed: u64,
    ept_capabilities: u64,
    physical_address_bits: u64,
}

impl Machine {
    /// Finds Bochs, and asks a processor model (one of those that `bochs-bin --help cpu` lists) what it can do.
    ///
    /// # Errors
    ///
    /// [`Error::Bochs`], also if the model has no VMX; [`Error::Lacks`] if it has no EPT; [`Error::Stub`].
    pub fn start(model: &'static str) -> Result<Self, Error> {
        let bochs = Emulator::Bochs.find().map_err(bochs::Error::Find)?;
        let pc = Pc { bochs, model, firmware: layout::own_memory(&stub::page()?) };
        let mut program = Program::default();
        program.cpuid(0x8000_0008);
        program.read_msr(vmcs::EPT_CAPABILITY);
        program.read_msr(vmcs::SECONDARY_CAPABILITY);
        for (_, capability, _) in vmcs::CONTROLS {
            program.read_msr(capability);
        }
        let results = pc.run(program, 3 + vmcs::CONTROLS.len(), &format!("the capabilities of {model}"))?;
        // The low half of a capability has the bits that must be 1, the high half those that may be.
        let settle = |(&(field, _, wanted), capability): (&(u64, u32, u64), &u64)| {
            (field, (wanted | capability & 0xffff_ffff) & capability >> 32)
        };
        let machine = Self {
            pc,
            controls: vmcs::CONTROLS.iter().zip(&results[3..]).map(settle).collect(),
            secondary_allowed: results[2] >> 32,
            ept_capabilities: results[1],
            physical_address_bits: results[0] & 0xff,
        };
        machine.require(vmcs::ENABLE_EPT, "EPT")?;
        Ok(machine)
    }

    /// The physical memory that is free for tables and for what they map.
    #[must_use]
    pub fn ram(&self) -> Range<u64> {
        layout::FREE
    }

    /// The capabilities of EPT: IA32_VMX_EPT_VPID_CAP (SDM appendix A.10).
    #[must_use]
    pub fn ept_capabilities(&self) -> u64 {
        self.ept_capabilities
    }

    /// Whether execute rights can be by mode.
    #[must_use]
    pub fn has_mode_based_execute(&self) -> bool {
        self.secondary_allowed & vmcs::MODE_BASED_EXECUTE != 0
    }

    /// Width of physical addresses, guest-physical ones too: MAXPHYADDR.
    #[must_use]
    pub fn physical_address_bits(&self) -> u64 {
        self.physical_address_bits
    }

    /// Whether this Bochs is known to depart from the manual in this way.
    #[must_use]
    pub fn deviates(&self, deviation: Deviation) -> bool {
        deviation.is_in(self.pc.bochs.version)
    }

    /// What the processor does with each probe, under these tables.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn probe_ept(&self, image: &[Chunk], eptp: u64, probes: &[Probe]) -> Result<Vec<Verdict>, Error> {
        let batch = Batch { image, eptp, mode_based_execute: false, probes, peek: &[] };
        Ok(self.run(&[batch])?.into_iter().flat_map(|outcome| outcome.verdicts).collect())
    }

    /// Runs batches one after the other, with as few starts of Bochs as they fit in.
    ///
    /// Probes must lead to scratch memory: a store does store, and a fetch executes what lies there, which should be
    /// zeros or what this machine puts in the pages that no chunk covers.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`]; the first failure ends the run.
    pub fn run(&self, batches: &[Batch<'_>]) -> Result<Vec<Outcome>, Error> {
        let mut outcomes = Vec::with_capacity(batches.len());
        let mut waiting = batches;
        while let [first, ..] = waiting {
            let mut program = self.setup();
            let mut fitting = 0;
            for batch in waiting {
                if !program.append(&self.program(batch)?) {
                    break;
                }
                fitting += 1;
            }
            if fitting == 0 {
                return Err(Error::TooLarge { size: self.program(first)?.bytes().len() });
            }
            let (now, later) = waiting.split_at(fitting);
            let what = format!("{fitting} batches, the first with EPT pointer {:#x}", first.eptp);
            let results = self.pc.run(program, now.iter().map(Batch::results).sum(), &what)?;
            let mut rest = results.as_slice();
            for batch in now {
                let (words, after) = rest.split_at(batch.results());
                outcomes.push(batch.outcome(words)?);
                rest = after;
            }
            waiting = later;
        }
        Ok(outcomes)
    }

    fn require(&self, control: u64, feature: &'static str) -> Result<(), Error> {
        if self.secondary_allowed & control == 0 { Err(Error::Lacks { model: self.pc.model, feature }) } else { Ok(()) }
    }

    /// What is done once in a run.
    fn setup(&self) -> Program {
        let mut program = Program::default();
        program.tag(self.ram().start, self.ram().end);
        for &(field, value) in self.controls.iter().chain(&vmcs::STATE) {
            program.write_vmcs(field, value);
        }
        program
    }

    /// What is done for a batch. It leaves memory as it was.
    fn program(&self, batch: &Batch<'_>) -> Result<Program, Error> {
        let root = batch.eptp & 0x000f_ffff_ffff_f000;
        self.check_ram(root, PAGE)?;
        let mut controls = vmcs::ENABLE_EPT;
        if batch.mode_based_execute {
            self.require(vmcs::MODE_BASED_EXECUTE, "mode-based execute control")?;
            controls |= vmcs::MODE_BASED_EXECUTE;
        }
        let mut program = Program::default();
        program.write_vmcs(vmcs::SECONDARY_CONTROLS, controls);
        program.write_vmcs(vmcs::EPT_POINTER, batch.eptp);
        for (address, bytes) in batch.image {
            self.check_ram(*address, bytes.len() as u64)?;
            let pages = pages(*address, bytes);
            program.zero(pages.start, pages.end);
        }
        for (address, bytes) in batch.image {
            program.load(*address, bytes);
        }
        let mut slot = None;
        for probe in batch.probes {
            if probe.address >> 52 != 0 {
                return Err(Error::NoSuchAddress { address: probe.address });
            }
            let (index, cr3) = layout::overlay_for(probe.address);
            if slot != Some(index) {
                program.slot(root + index * 8);
                program.write_vmcs(vmcs::GUEST_CR3, cr3);
                slot = Some(index);
            }
            program.probe(probe);
        }
        for &address in batch.peek {
            self.check_ram(address, 8)?;
            program.peek(address);
        }
        for (address, bytes) in batch.image {
            let pages = pages(*address, bytes);
            program.zero(pages.start, pages.end);
            program.tag(pages.start, pages.end);
        }
        Ok(program)
    }

    fn check_ram(&self, start: u64, size: u64) -> Result<(), Error> {
        let ram = self.ram();
        let end = start.saturating_add(size);
        if ram.start <= start && end <= ram.end { Ok(()) } else { Err(Error::OutsideRam { start, end }) }
    }
}

impl Batch<'_> {
    /// How many words the stub gives for it.
    fn results(&self) -> usize {
        self.probes.len() * Exit::WORDS + self.peek.len()
    }

    /// What these words mean.
    fn outcome(&self, words: &[u64]) -> Result<Outcome, Error> {
        let (exits, words) = words.split_at(self.probes.len() * Exit::WORDS);
        let exits = exits.as_chunks().0.iter().map(Exit::new);
        let verdicts = self.probes.iter().zip(exits).map(|(probe, exit)| exit.verdict(self, probe));
        Ok(Outcome { verdicts: verdicts.collect::<Result<_, _>>()?, words: words.to_vec() })
    }
}

/// What it takes to start the emulated PC.
#[derive(Clone)]
struct Pc {
    bochs: Found,
    model: &'static str,
    /// The stub, and the memory that it brings along.
    firmware: Vec<u8>,
}

impl Pc {
    /// Runs a program, and gives the words that it gives.
    fn run(&self, mut program: Program, results: usize, what: &str) -> Result<Vec<u64>, bochs::Error> {
        program.end();
        let mut rom = program.bytes().to_vec();
        rom.resize(layout::PROGRAM_SIZE, 0);
        rom.extend(&self.firmware);
        let run = Run {
            model: self.model,
            memory: layout::RAM_SIZE >> 20,
            rom: &rom,
            magic: program::MAGIC,
            results,
            time_limit: Duration::from_secs(60),
            what: &format!("{what} on {}", self.model),
        };
        bochs::run(&self.bochs, &run)
    }
}

/// The whole pages that bytes lie in.
fn pages(address: u64, bytes: &[u8]) -> Range<u64> {
    address / PAGE * PAGE..(address + bytes.len() as u64).next_multiple_of(PAGE)
}
