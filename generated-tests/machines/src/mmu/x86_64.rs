//! A processor of Intel or AMD, as Bochs and QEMU have it: tables and probes in, VM exits out.
//!
//! A run boots a small hypervisor, `x86_64/stub.rs`, as the firmware of an emulated PC. For each probe it enters a guest
//! for one load, store or fetch, and records how the guest came back. The verdict is read from that VM exit by the
//! manual's encoding. *SDM* is Intel's Software Developer's Manual, volume 3; *APM* is AMD's Architecture Programmer's
//! Manual, volume 2.
//!
//! Under test are nested tables (EPT, or AMD's), a guest's own long-mode tables, or both. Where the guest's own are not,
//! the stub points the only page of a guest's window at the guest-physical address of the probe.
//!
//! What the judge can say and what not:
//! - In Bochs, physical addresses have 40 bits, whatever the processor model; QEMU takes what it is told (`phys-bits`).
//!   Up to 52 bits, the guest's own page walk refuses an address ([`AddressSize`](super::FaultKind::AddressSize)).
//! - EPT has no 5-level tables here. Each level-4 table of a 5-level tree can be judged as a root.
//! - While an address in one root entry is probed, the stub's guest lives in another one (entry 1 for what is in entry 0,
//!   else entry 0). It is restored after the probe; the tables under test need not know. Where both stages are under
//!   test, guest-physical addresses must be in nested root entry 0.
//! - The output address is seen where it is in [`Machine::RAM`]; elsewhere the verdict has none.
//! - Memory types have no effect, except that illegal ones of EPT are a misconfiguration.
//! - An EPT violation whose qualification grants nothing is `NotMapped`, even if the levels' rights merely exclude each
//!   other: the processor does not tell the two apart.
//! - A fetch from an address that is not canonical cannot be asked for.

mod batch;
mod error;
mod exit;
mod layout;
mod program;
pub mod protected;
mod question;
mod stub;
mod vmcb;
mod vmcs;

use std::ops::Range;
use std::time::Duration;

use super::deviations::Deviation;
use super::pc::{self, Board, Run};
use super::{Chunk, Probe, Verdict};
use crate::emulators::{Emulator, Found};
use layout::Extension;
use program::Program;
use question::{LONG_MODE, PAE};

pub use error::Error;
pub use question::{Batch, Host, Nested, Outcome, Paging};

/// An emulated PC with hardware virtualization.
#[derive(Clone)]
pub struct Machine {
    pc: Pc,
    vmx: Option<Vmx>,
    physical_address_bits: u64,
}

/// What a processor of Intel's can do.
#[derive(Clone)]
struct Vmx {
    /// Control fields of the VMCS but the secondary ones, and their values.
    controls: Vec<(u64, u64)>,
    secondary_allowed: u64,
    ept_capabilities: u64,
}

impl Machine {
    /// The physical memory that is free for tables and for what they map.
    pub const RAM: Range<u64> = layout::FREE;

    /// Finds Bochs, and asks a processor model (one of those that `bochs-bin --help cpu` lists) what it can do.
    ///
    /// # Errors
    ///
    /// [`Error::Pc`], also if the model has no VMX; [`Error::Lacks`] if it has no EPT; [`Error::Stub`].
    pub fn vmx(model: &str) -> Result<Self, Error> {
        let host = Host { cr4: vmcs::CR4, ..Host::PLAIN };
        let pc = Pc::new(Emulator::Bochs, model, Extension::Vmx, host)?;
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
        let vmx = Vmx {
            controls: vmcs::CONTROLS.iter().zip(&results[3..]).map(settle).collect(),
            secondary_allowed: results[2] >> 32,
            ept_capabilities: results[1],
        };
        let machine = Self { pc, vmx: Some(vmx), physical_address_bits: results[0] & 0xff };
        machine.require(vmcs::ENABLE_EPT, "EPT")?;
        Ok(machine)
    }

    /// Finds an emulator, and starts a processor model of AMD's in it, with a host like this.
    ///
    /// # Errors
    ///
    /// [`Error::Pc`], also if the model has no SVM or cannot have such a host; [`Error::Stub`].
    pub fn svm(emulator: Emulator, model: &str, host: Host) -> Result<Self, Error> {
        let host = Host { cr4: host.cr4 | PAE, efer: host.efer | LONG_MODE | vmcb::SVM_ENABLE };
        let pc = Pc::new(emulator, model, Extension::Svm { five_level: host.five_level() }, host)?;
        let mut program = Program::default();
        program.cpuid(0x8000_0008);
        let results = pc.run(program, 1, &format!("the capabilities of {model}"))?;
        Ok(Self { pc, vmx: None, physical_address_bits: results[0] & 0xff })
    }

    /// The capabilities of EPT: IA32_VMX_EPT_VPID_CAP (SDM appendix A.10); none without VMX.
    #[must_use]
    pub fn ept_capabilities(&self) -> u64 {
        self.vmx.as_ref().map_or(0, |vmx| vmx.ept_capabilities)
    }

    /// Whether execute rights can be by mode.
    #[must_use]
    pub fn has_mode_based_execute(&self) -> bool {
        self.secondary_allowed() & vmcs::MODE_BASED_EXECUTE != 0
    }

    /// Width of physical addresses, guest-physical ones too: MAXPHYADDR.
    #[must_use]
    pub fn physical_address_bits(&self) -> u64 {
        self.physical_address_bits
    }

    /// Whether this emulator is known to depart from the manual in this way.
    #[must_use]
    pub fn deviates(&self, deviation: &Deviation) -> bool {
        deviation.applies_to(&self.pc.found)
    }

    /// What the processor does with each probe, under these nested tables.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn probe(&self, image: &[Chunk], nested: Nested, probes: &[Probe]) -> Result<Vec<Verdict>, Error> {
        let batch = Batch { image, guest: None, nested, probes, peek: &[] };
        Ok(self.run(&[batch])?.into_iter().flat_map(|outcome| outcome.verdicts).collect())
    }

    /// Runs batches one after the other, with as few starts of the emulator as they fit in.
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
            let what = format!("{fitting} batches, the first with {:x?} and {:x?}", first.guest, first.nested);
            let results = self.pc.run(program, now.iter().map(|batch| self.results(batch)).sum(), &what)?;
            let mut rest = results.as_slice();
            for batch in now {
                let (words, after) = rest.split_at(self.results(batch));
                outcomes.push(self.outcome(batch, words)?);
                rest = after;
            }
            waiting = later;
        }
        Ok(outcomes)
    }

    fn secondary_allowed(&self) -> u64 {
        self.vmx.as_ref().map_or(0, |vmx| vmx.secondary_allowed)
    }

    fn require(&self, control: u64, feature: &'static str) -> Result<(), Error> {
        if self.secondary_allowed() & control == 0 { Err(self.lacks(feature)) } else { Ok(()) }
    }

    fn lacks(&self, feature: &'static str) -> Error {
        Error::Lacks { model: self.pc.model.clone(), feature }
    }

    fn check_ram(&self, start: u64, size: u64) -> Result<(), Error> {
        let ram = Self::RAM;
        let end = start.saturating_add(size);
        if ram.start <= start && end <= ram.end { Ok(()) } else { Err(Error::OutsideRam { start, end }) }
    }
}

/// What it takes to start the emulated PC.
#[derive(Clone)]
struct Pc {
    found: Found,
    model: String,
    extension: Extension,
    /// The stub, and the memory that it brings along.
    firmware: Vec<u8>,
}

impl Pc {
    fn new(emulator: Emulator, model: &str, extension: Extension, host: Host) -> Result<Self, Error> {
        let found = emulator.find().map_err(pc::Error::Find)?;
        let firmware = extension.own_memory(&stub::page(extension, host)?);
        Ok(Self { found, model: model.to_owned(), extension, firmware })
    }

    /// Runs a program, and gives the words that it gives.
    fn run(&self, mut program: Program, results: usize, what: &str) -> Result<Vec<u64>, pc::Error> {
        program.end();
        let mut rom = program.bytes().to_vec();
        rom.resize(layout::PROGRAM_SIZE, 0);
        rom.extend(&self.firmware);
        let run = Run {
            board: Board { model: &self.model, memory: layout::RAM_SIZE >> 20, rom: &rom },
            magic: program::MAGIC,
            results,
            time_limit: Duration::from_secs(60),
            what: &format!("{what} on {}", self.model),
        };
        pc::run(&self.found, &run)
    }
}
