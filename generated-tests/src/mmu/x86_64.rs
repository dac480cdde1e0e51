//! Intel's EPT, as Bochs has it: tables and probes in, VM exits out.
//!
//! A run boots a small hypervisor (`stub.s`) as the firmware of an emulated PC. For each probe it points the only page
//! of a guest's window at the guest-physical address, enters the guest for one load, store or fetch, and records how
//! the guest came back. The verdict is read from that VM exit by the manual's encoding. *SDM* is Intel's Software
//! Developer's Manual, volume 3.
//!
//! What the judge can say and what not:
//! - Guest-physical addresses have 40 bits, whatever the processor model: the first two entries of a level-4 root. Up to
//!   52 bits, the guest's own page walk refuses the address ([`FaultKind::AddressSize`]). There are no 5-level tables.
//! - While an address in one root entry is probed, the stub's guest lives in the other one (entry 1 for addresses below
//!   512 GiB, else entry 0). It is restored after the probe; the tables under test need not know.
//! - The output address is seen where it is in [`Machine::ram`]; elsewhere the verdict has none.
//! - Memory types have no effect in Bochs, except that illegal ones are a misconfiguration.
//! - A violation whose qualification grants nothing is `NotMapped`, even if the levels' rights merely exclude each
//!   other: the processor does not tell the two apart.

mod layout;
mod program;
mod vmcs;

use std::ops::Range;

use super::{
    Access, Chunk, Fault, FaultKind, Probe, Verdict,
    bochs::{self, Run},
};
use crate::emulators::{Emulator, Found};
use layout::{OWN, PAGE};
use program::{Exit, Program};

/// Why there are no verdicts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bochs did not do it.
    #[error(transparent)]
    Bochs(#[from] bochs::Error),
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
    /// VM entry failed, so the EPT pointer is illegal (SDM section 27.2.1.1).
    #[error("VM entry with EPT pointer {eptp:#x} failed: VM-instruction error {error}")]
    EntryRefused {
        /// The EPT pointer.
        eptp: u64,
        /// The VM-instruction error (SDM section 31.4).
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
    /// What is in memory; all else is zero.
    pub image: &'a [Chunk],
    /// The EPT pointer (SDM section 26.6.11).
    pub eptp: u64,
    /// Whether execute rights are by mode (SDM section 30.3.3.1): a fetch for [`Probe::user`] then needs bit 10 in place of bit 2.
    /// Without it, `user` makes no difference.
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
#[derive(Clone, Debug)]
pub struct Machine {
    bochs: Found,
    model: &'static str,
    /// Pairs of control field and value, without the secondary controls.
    controls: Vec<(u64, u64)>,
    secondary_allowed: u64,
    ept_capabilities: u64,
    physical_address_bits: u8,
}

impl Machine {
    /// Finds Bochs, and asks a processor model what it can do.
    ///
    /// # Errors
    ///
    /// [`Error::Bochs`], also if the model has no VMX; [`Error::Lacks`] if it has no EPT.
    pub fn start(model: &'static str) -> Result<Self, Error> {
        let bochs = Emulator::Bochs.find().map_err(bochs::Error::Find)?;
        let mut program = Program::default();
        for (_, capability, _) in vmcs::CONTROLS {
            program.rdmsr(capability);
        }
        program.rdmsr(vmcs::SECONDARY_CAPABILITY);
        program.rdmsr(vmcs::EPT_CAPABILITY);
        program.cpuid(0x8000_0008);
        let what = format!("the capabilities of {model}");
        let mut words = run(&bochs, model, program, vmcs::CONTROLS.len() + 3, &what)?.into_iter();
        let mut next = || words.next().unwrap_or_default();
        let controls = vmcs::CONTROLS
            .map(|(field, _, wanted)| {
                let capability = next();
                (
                    field,
                    (wanted | capability & 0xffff_ffff) & capability >> 32,
                )
            })
            .to_vec();
        let machine = Self {
            bochs,
            model,
            controls,
            secondary_allowed: next() >> 32,
            ept_capabilities: next(),
            physical_address_bits: next() as u8,
        };
        machine.require(vmcs::ENABLE_EPT, "EPT")?;
        Ok(machine)
    }

    /// The physical memory that is free for tables and for what they map.
    #[must_use]
    pub fn ram(&self) -> Range<u64> {
        0x10_0000..OWN
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
    pub fn physical_address_bits(&self) -> u8 {
        self.physical_address_bits
    }

    /// What the processor does with each probe, under these tables.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn probe_ept(
        &self,
        image: &[Chunk],
        eptp: u64,
        probes: &[Probe],
    ) -> Result<Vec<Verdict>, Error> {
        let batch = Batch {
            image,
            eptp,
            mode_based_execute: false,
            probes,
            peek: &[],
        };
        Ok(self
            .run(&[batch])?
            .into_iter()
            .flat_map(|outcome| outcome.verdicts)
            .collect())
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
        while !waiting.is_empty() {
            let mut program = self.setup();
            let mut fitting = 0;
            for batch in waiting {
                let more = self.program(batch)?;
                if !program.has_room_for(&more) {
                    break;
                }
                program.append(&more);
                fitting += 1;
            }
            if fitting == 0 {
                return Err(Error::TooLarge {
                    size: self.program(&waiting[0])?.size(),
                });
            }
            let (now, later) = waiting.split_at(fitting);
            let words = now.iter().map(words_of).sum();
            let what = format!(
                "{fitting} batches from EPT pointer {:#x} on {}",
                now[0].eptp, self.model
            );
            let results = run(&self.bochs, self.model, program, words, &what)?;
            let mut results = results.as_slice();
            for batch in now {
                let (own, rest) = results.split_at(words_of(batch));
                outcomes.push(outcome(batch, own)?);
                results = rest;
            }
            waiting = later;
        }
        Ok(outcomes)
    }

    fn require(&self, control: u64, feature: &'static str) -> Result<(), Error> {
        if self.secondary_allowed & control == 0 {
            Err(Error::Lacks {
                model: self.model,
                feature,
            })
        } else {
            Ok(())
        }
    }

    /// What is done once in a run.
    fn setup(&self) -> Program {
        let mut program = Program::default();
        program.tag(self.ram().start, self.ram().end);
        for &(field, value) in self.controls.iter().chain(&vmcs::STATE) {
            program.vmwrite(field, value);
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
        program.vmwrite(vmcs::SECONDARY_CONTROLS, controls);
        program.vmwrite(vmcs::EPT_POINTER, batch.eptp);
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
                return Err(Error::NoSuchAddress {
                    address: probe.address,
                });
            }
            let (index, cr3) = layout::overlay_for(probe.address);
            if slot != Some(index) {
                program.slot(root + index * 8);
                program.vmwrite(vmcs::GUEST_CR3, cr3);
                slot = Some(index);
            }
            program.probe(probe.address, probe.user, probe.access);
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
        if ram.start <= start && end <= ram.end {
            Ok(())
        } else {
            Err(Error::OutsideRam { start, end })
        }
    }
}

/// The whole pages that bytes lie in.
fn pages(address: u64, bytes: &[u8]) -> Range<u64> {
    address / PAGE * PAGE..(address + bytes.len() as u64).next_multiple_of(PAGE)
}

fn run(
    bochs: &Found,
    model: &str,
    program: Program,
    results: usize,
    what: &str,
) -> Result<Vec<u64>, bochs::Error> {
    bochs::run(
        bochs,
        &Run {
            model,
            memory: layout::RAM_SIZE >> 20,
            rom: &program.rom(),
            magic: program::MAGIC,
            results,
            what,
        },
    )
}

/// How many words the stub gives for a batch.
fn words_of(batch: &Batch<'_>) -> usize {
    batch.probes.len() * Exit::WORDS + batch.peek.len()
}

/// What the words that the stub gave for a batch mean.
fn outcome(batch: &Batch<'_>, words: &[u64]) -> Result<Outcome, Error> {
    let (exits, words) = words.split_at(batch.probes.len() * Exit::WORDS);
    let exits = exits.as_chunks().0.iter().map(Exit::new);
    let verdicts = batch
        .probes
        .iter()
        .zip(exits)
        .map(|(probe, exit)| verdict(batch.eptp, probe, &exit));
    Ok(Outcome {
        verdicts: verdicts.collect::<Result<_, _>>()?,
        words: words.to_vec(),
    })
}

/// Reads a VM exit (SDM appendix C for reasons, table 29-7 for the qualification of EPT violations).
fn verdict(eptp: u64, probe: &Probe, exit: &Exit) -> Result<Verdict, Error> {
    const EXCEPTION: u64 = 0;
    const VMCALL: u64 = 18;
    const EPT_VIOLATION: u64 = 48;
    const EPT_MISCONFIGURATION: u64 = 49;

    if exit.refused != 0 {
        return Err(Error::EntryRefused {
            eptp,
            error: exit.refused,
        });
    }
    let fault = |kind, more: &[(&'static str, u64)]| {
        let mut report = vec![("exit_reason", exit.reason)];
        report.extend(more);
        Ok(Verdict::Fault(Fault {
            kind,
            level: None,
            report,
        }))
    };
    let address = ("guest_physical_address", exit.guest_physical_address);
    match exit.reason {
        // Bit 8: it was the access itself, not the guest's page walk.
        EPT_VIOLATION if exit.qualification & 1 << 8 != 0 => {
            let granted = exit.qualification >> 3 & 0b111;
            let kind = if granted == 0 {
                FaultKind::NotMapped
            } else {
                FaultKind::Permission
            };
            fault(kind, &[("exit_qualification", exit.qualification), address])
        }
        EPT_MISCONFIGURATION => fault(FaultKind::Misconfigured, &[address]),
        EXCEPTION if exit.is_reserved_bit_page_fault() => fault(
            FaultKind::AddressSize,
            &[
                ("exit_interruption_information", exit.interruption),
                ("exit_interruption_error_code", exit.interruption_error),
            ],
        ),
        VMCALL => Ok(translated(probe, exit)),
        // Where there is no tag, a fetch ends in whatever exception the bytes there bring about.
        EXCEPTION if probe.access == Access::Execute => Ok(translated(probe, exit)),
        reason => Err(Error::StrangeExit {
            probe: *probe,
            reason,
            qualification: exit.qualification,
        }),
    }
}

fn translated(probe: &Probe, exit: &Exit) -> Verdict {
    Verdict::Translated(exit.tag().map(|page| page + probe.address % PAGE))
}
