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

mod exit;
mod layout;
mod program;
mod stub;
mod vmcb;
mod vmcs;

use std::ops::Range;
use std::time::Duration;

use dynasmrt::DynasmError;

use super::deviations::Deviation;
use super::pc::{self, Board, Run};
use super::{Access, Chunk, Probe, Verdict};
use crate::emulators::{Emulator, Found};
use exit::Exit;
use layout::{Extension, PAGE};
use program::{Entry, Program};

/// Why there are no verdicts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The emulator did not do it.
    #[error(transparent)]
    Pc(#[from] pc::Error),
    /// The stub could not be assembled.
    #[error("the stub: {0}")]
    Stub(#[from] DynasmError),
    /// The processor model lacks a feature.
    #[error("the processor model {model} has no {feature}")]
    Lacks {
        /// The emulator's name of the model.
        model: String,
        /// What it has not.
        feature: &'static str,
    },
    /// A chunk, a root or a word to read is not in [`Machine::RAM`].
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
    #[error("a batch has {size} bytes, more than the 2 MiB of a ROM")]
    TooLarge {
        /// Size of its tables and probes, as the stub reads them.
        size: usize,
    },
    /// VM entry failed, so the root register is illegal (SDM *Checks on VM-Execution Control Fields*), or another.
    #[error("VM entry with {nested:x?} failed: error {error}")]
    EntryRefused {
        /// The nested tables.
        nested: Nested,
        /// The number of the VM-instruction error (SDM *VM Instruction Error Numbers*); AMD's processors have but one.
        error: u64,
    },
    /// The guest came back in a way that no probe should end with.
    #[error("{probe:x?} ended with {report:x?}")]
    StrangeExit {
        /// What was asked.
        probe: Probe,
        /// What the processor reported.
        report: Vec<(&'static str, u64)>,
    },
}

/// Control registers of the host, to which nested tables of AMD owe their depth and their execute rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// CR4; bit 12 (LA57) makes five levels.
    pub cr4: u64,
    /// EFER; bit 11 (NXE) makes bit 63 of entries forbid execution.
    pub efer: u64,
}

/// CR4.PAE.
const PAE: u64 = 1 << 5;
/// CR4.LA57.
const LA57: u64 = 1 << 12;
/// EFER.LME.
const LONG_MODE: u64 = 1 << 8;
/// EFER.LMA.
const LONG_MODE_ACTIVE: u64 = 1 << 10;

impl Host {
    /// Long mode of four levels, without anything else.
    pub const PLAIN: Self = Self { cr4: PAE, efer: LONG_MODE };

    fn five_level(self) -> bool {
        self.cr4 & LA57 != 0
    }
}

/// Nested tables under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// None.
    Off,
    /// Intel's.
    Ept {
        /// The EPT pointer (SDM *Extended-Page-Table Pointer*).
        eptp: u64,
        /// Whether execute rights are by mode (SDM *Mode-Based Execute Control for EPT*): a fetch with [`Probe::user`]
        /// then needs bit 10 in place of bit 2. Without it, `user` makes no difference.
        mode_based_execute: bool,
    },
    /// AMD's, as deep as the host's own.
    Npt {
        /// What is at offset 90h of the VMCB.
        nested_control: u64,
        /// N_CR3.
        n_cr3: u64,
        /// The guest's ASID.
        guest_asid: u64,
    },
}

/// A guest's own tables under test, in long mode: the control registers of the guest. Without nested tables these are
/// tables like any others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// CR0. What a processor needs besides is added, here and below.
    pub cr0: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// Where the root is in the machine's memory: what CR3 says, if nothing is nested.
    pub root: u64,
}

/// Tables, and questions about them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What is in memory. Chunks must not overlap; the rest of their pages is zero, and other pages hold a tag.
    pub image: &'a [Chunk],
    /// The guest's own tables, if they are under test.
    pub guest: Option<Paging>,
    /// The nested tables, if they are.
    pub nested: Nested,
    /// What is asked, in this order: of guest-physical addresses, or of linear ones if the guest's own tables are under
    /// test, where [`Probe::user`] is privilege level 3.
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

    /// What is done once in a run.
    fn setup(&self) -> Program {
        let mut program = Program::default();
        program.tag(Self::RAM.start, Self::RAM.end);
        match &self.vmx {
            Some(vmx) => vmx.controls.iter().chain(&vmcs::STATE).for_each(|&field| program.set_guest(field)),
            None => vmcb::STATE.into_iter().for_each(|field| program.set_guest(field)),
        }
        program
    }

    /// What is done for a batch. It leaves memory as it was.
    fn program(&self, batch: &Batch<'_>) -> Result<Program, Error> {
        let mut program = Program::default();
        for field in self.guest_state(batch.guest).into_iter().chain(self.nested_state(batch.nested)?) {
            program.set_guest(field);
        }
        for (address, bytes) in batch.image {
            self.check_ram(*address, bytes.len() as u64)?;
            let pages = pages(*address, bytes);
            program.zero(pages.start, pages.end);
        }
        for (address, bytes) in batch.image {
            program.load(*address, bytes);
        }
        self.ask(batch, &mut program)?;
        for words in batch.peek.chunk_by(|word, next| word + 8 == *next) {
            self.check_ram(words[0], words.len() as u64 * 8)?;
            program.peek(words[0], words.len() as u64);
        }
        for (address, bytes) in batch.image {
            let pages = pages(*address, bytes);
            program.zero(pages.start, pages.end);
            program.tag(pages.start, pages.end);
        }
        Ok(program)
    }

    /// The guest's control registers but CR3, which follows the overlay where its own tables are not under test.
    fn guest_state(&self, guest: Option<Paging>) -> [(u64, u64); 4] {
        let plain = Paging { cr0: vmcs::CR0, cr3: 0, cr4: PAE, efer: LONG_MODE, rflags: 0, root: 0 };
        let Paging { cr0, cr4, efer, rflags, .. } = guest.unwrap_or(plain);
        let (cr0, cr4, efer, rflags) = (cr0 | vmcs::CR0, cr4 | PAE, efer | LONG_MODE | LONG_MODE_ACTIVE, rflags | 2);
        if self.vmx.is_some() {
            [
                (vmcs::GUEST_CR0, cr0),
                (vmcs::GUEST_CR4, cr4 | vmcs::VMX_ENABLE),
                (vmcs::GUEST_EFER, efer),
                (vmcs::GUEST_RFLAGS, rflags),
            ]
        } else {
            [(vmcb::CR0, cr0), (vmcb::CR4, cr4), (vmcb::EFER, efer | vmcb::SVM_ENABLE), (vmcb::RFLAGS, rflags)]
        }
    }

    /// The controls of nested tables.
    fn nested_state(&self, nested: Nested) -> Result<Vec<(u64, u64)>, Error> {
        if let Some(root) = nested.root() {
            self.check_ram(root, PAGE)?;
        }
        Ok(match (nested, &self.vmx) {
            (Nested::Off, Some(_)) => vec![(vmcs::SECONDARY_CONTROLS, 0)],
            (Nested::Off, None) => vec![(vmcb::NESTED_CONTROL, 0), (vmcb::ASID, 1 | vmcb::FLUSH)],
            (Nested::Ept { eptp, mode_based_execute }, Some(_)) => {
                let mut controls = vmcs::ENABLE_EPT;
                if mode_based_execute {
                    self.require(vmcs::MODE_BASED_EXECUTE, "mode-based execute control")?;
                    controls |= vmcs::MODE_BASED_EXECUTE;
                }
                vec![(vmcs::SECONDARY_CONTROLS, controls), (vmcs::EPT_POINTER, eptp)]
            }
            (Nested::Npt { nested_control, n_cr3, guest_asid }, None) => vec![
                (vmcb::NESTED_CONTROL, nested_control),
                (vmcb::N_CR3, n_cr3),
                (vmcb::ASID, guest_asid | vmcb::FLUSH),
            ],
            (Nested::Ept { .. }, None) => return Err(self.lacks("EPT")),
            (Nested::Npt { .. }, Some(_)) => return Err(self.lacks("nested tables of AMD's")),
        })
    }

    /// The probes of a batch.
    fn ask(&self, batch: &Batch<'_>, program: &mut Program) -> Result<(), Error> {
        let extension = self.pc.extension;
        let cr3 = if self.vmx.is_some() { vmcs::GUEST_CR3 } else { vmcb::CR3 };
        let mut now = None;
        for probe in batch.probes {
            if batch.guest.is_none() && probe.address >> 52 != 0 {
                return Err(Error::NoSuchAddress { address: probe.address });
            }
            // The guest's own tables are in entry 0 if they are under test, and so is what they map.
            let nested_address = if batch.guest.is_some() { 0 } else { probe.address };
            let nested_slot = batch.nested.root().map(|_| extension.nested_slot(nested_address));
            let window = || (0, layout::CODE);
            let own = |guest: Paging| layout::guest_slot(probe.address, guest.five_level(), probe.user);
            let (guest_slot, code) = batch.guest.map_or_else(window, own);
            let user = batch.guest.is_some() && probe.user;
            if now != Some((nested_slot, guest_slot, user)) {
                now = Some((nested_slot, guest_slot, user));
                let (guest_entry, guest_overlay, top) = match batch.guest {
                    None => (layout::NOWHERE, 0, extension.guest_top(nested_slot)),
                    Some(guest) => {
                        self.check_ram(guest.root, PAGE)?;
                        let overlay = extension.guest_overlay(nested_slot, guest.five_level());
                        (guest.root + guest_slot * 8, overlay, guest.cr3)
                    }
                };
                let nested_entry = batch.nested.root().zip(nested_slot).map(|(root, slot)| root + slot * 8);
                program.lend(0, guest_entry, guest_overlay);
                program.lend(1, nested_entry.unwrap_or(layout::NOWHERE), extension.nested_overlay());
                program.set_guest((cr3, top));
                self.privilege(user).into_iter().for_each(|field| program.set_guest(field));
            }
            entries(batch, probe, code).into_iter().for_each(|entry| program.enter(entry));
        }
        Ok(())
    }

    fn privilege(&self, user: bool) -> Vec<(u64, u64)> {
        let level = if user { 3 } else { 0 };
        if self.vmx.is_some() { vmcs::privilege(level).into() } else { vmcb::privilege(level).into() }
    }

    /// How many words the stub gives for a batch.
    fn results(&self, batch: &Batch<'_>) -> usize {
        let entries: usize = batch.probes.iter().map(entries_of).sum();
        entries * Exit::words(self.pc.extension) + batch.peek.len()
    }

    /// What these words mean.
    fn outcome(&self, batch: &Batch<'_>, words: &[u64]) -> Result<Outcome, Error> {
        let (exits, words) = words.split_at(words.len() - batch.peek.len());
        let mut exits = exits.chunks(Exit::words(self.pc.extension)).filter_map(|words| Exit::new(words, batch));
        let mut verdicts = Vec::with_capacity(batch.probes.len());
        for probe in batch.probes {
            let Some(first) = exits.next() else { break };
            let second = (entries_of(probe) == 2).then(|| exits.next()).flatten();
            verdicts.push(first.verdict(batch, probe, second.as_ref())?);
        }
        Ok(Outcome { verdicts, words: words.to_vec() })
    }

    fn check_ram(&self, start: u64, size: u64) -> Result<(), Error> {
        let ram = Self::RAM;
        let end = start.saturating_add(size);
        if ram.start <= start && end <= ram.end { Ok(()) } else { Err(Error::OutsideRam { start, end }) }
    }
}

impl Nested {
    /// The root in the machine's memory, if there is one.
    fn root(self) -> Option<u64> {
        const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
        match self {
            Self::Off => None,
            Self::Ept { eptp, .. } => Some(eptp & ADDRESS),
            Self::Npt { n_cr3, .. } => Some(n_cr3 & ADDRESS),
        }
    }
}

impl Paging {
    fn five_level(&self) -> bool {
        self.cr4 & LA57 != 0
    }
}

/// How often the guest is entered for a probe: it fetches what is at the address, and then the tag of that page.
fn entries_of(probe: &Probe) -> usize {
    if probe.access == Access::Execute { 2 } else { 1 }
}

/// The entries for a probe, by a guest whose code is at this linear address.
fn entries(batch: &Batch<'_>, probe: &Probe, code: u64) -> Vec<Entry> {
    let offset = probe.address % PAGE;
    let page = probe.address - offset;
    let (linear, window) = match batch.guest {
        Some(_) => (page, 0),
        None => (layout::WINDOW, layout::window_entry(page, probe.user)),
    };
    let address = linear + offset;
    let tag = linear + if offset < PAGE / 2 { program::SECOND_TAG } else { 0 };
    let enter = |rip| Entry { address, tag, rip, window };
    match probe.access {
        Access::Read => vec![enter(code + stub::GUEST_LOAD)],
        Access::Write => vec![enter(code + stub::GUEST_STORE)],
        Access::Execute => vec![enter(address), enter(tag)],
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

/// The whole pages that bytes lie in.
fn pages(address: u64, bytes: &[u8]) -> Range<u64> {
    address / PAGE * PAGE..(address + bytes.len() as u64).next_multiple_of(PAGE)
}
