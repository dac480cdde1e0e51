//! Tables for satp under test, in supervisor and user mode.
//!
//! M-mode loads and stores as a lower mode would, by mstatus.MPRV. For a fetch it goes to that mode by MRET.
//!
//! Manual: The RISC-V Instruction Set Manual, Volume II, *Memory Privilege in mstatus Register*.

use super::super::{Access, Probe, Verdict};
use super::stub::{self, NO_TRAP};
use super::{ILLEGAL_INSTRUCTION, MENVCFG, MPP, MPP_S, MPRV, Machine, Report, Xlen, see, store_only, tag_of};
use crate::mmu::qemu::{Call, StartError};

const SATP: u32 = 0x180;

/// mstatus.SUM and mstatus.MXR, which are those of sstatus.
const SUM: u64 = 1 << 18;
const MXR: u64 = 1 << 19;

/// What supervisor mode lets itself and others do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// sstatus.SUM: supervisor mode may access user memory.
    pub supervisor_user_memory: bool,
    /// sstatus.MXR: what can be executed can be read.
    pub executable_readable: bool,
}

impl Controls {
    /// They, as in sstatus.
    pub fn sstatus(self) -> u64 {
        let sum = if self.supervisor_user_memory { SUM } else { 0 };
        sum | if self.executable_readable { MXR } else { 0 }
    }
}

/// A running machine with tables for satp under test.
pub struct Stage1 {
    /// The machine.
    pub machine: Machine,
    controls: Controls,
}

impl Stage1 {
    /// Starts QEMU.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::start`].
    pub fn start(xlen: Xlen) -> Result<Self, StartError> {
        Ok(Self { machine: Machine::start(xlen)?, controls: Controls::default() })
    }

    /// Sets `satp` and `menvcfg`, which governs it, and the controls, and empties the TLB. `henvcfg`, which is for vsatp,
    /// is left alone.
    ///
    /// # Panics
    ///
    /// For any other register, and if the mode of `satp` is not taken.
    pub fn set(&mut self, controls: Controls, registers: &[(&str, u64)]) {
        self.controls = controls;
        for &(name, value) in registers {
            match name {
                "menvcfg" => self.machine.set_environment(MENVCFG, value),
                "satp" => {
                    let taken = self.machine.set(SATP, value);
                    assert!(taken == value, "satp reads {taken:#x} after {value:#x} was written");
                }
                "henvcfg" => {}
                _ => panic!("{name} does not take part in the translation by satp"),
            }
        }
        self.machine.session.call(&stub::INVALIDATE, [0; 4]);
    }

    /// Asks each probe, by way of the TLB: what it answers is stale where a stale entry is used.
    ///
    /// A probed page is really accessed: hardware may set flags in entries. What a write finds it writes again.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let all: Vec<usize> = (0..probes.len()).collect();
        let (fetches, data): (Vec<usize>, Vec<usize>) = all.iter().partition(|&&i| probes[i].access == Access::Execute);
        let mut reports: Vec<Option<Report>> = probes.iter().map(|_| None).collect();
        let first = |probe: &Probe| match probe.access {
            Access::Write => stub::REWRITE_BYTE_BY_MPRV.as_slice(),
            _ => stub::LOAD_BYTE_AND_TAG_BY_MPRV.as_slice(),
        };
        for (i, report) in data.iter().zip(self.ask(probes, &data, first)) {
            reports[*i] = Some(report);
        }
        for (i, report) in fetches.iter().zip(self.enter(probes, &fetches)) {
            reports[*i] = Some(report);
        }
        let mut reports: Vec<Report> = reports.into_iter().flatten().collect();
        store_only(probes, &mut reports, |stores| self.ask(probes, stores, |_| &stub::STORE_BYTE_BY_MPRV));
        // What was written tells its address if it can be read too, and so does what was fetched: zeros, which are an
        // illegal instruction.
        let reached = |probe: &Probe, report: &Report| match probe.access {
            Access::Read => false,
            Access::Write => report.cause() == NO_TRAP,
            Access::Execute => report.cause() == ILLEGAL_INSTRUCTION,
        };
        let silent: Vec<usize> = all.into_iter().filter(|&i| reached(&probes[i], &reports[i])).collect();
        let mut verdicts: Vec<Verdict> =
            probes.iter().zip(&reports).map(|(probe, report)| report.verdict(probe.address)).collect();
        let read = self.ask(probes, &silent, |_| &stub::LOAD_BYTE_AND_TAG_BY_MPRV);
        see(probes, &mut verdicts, &silent, &read);
        verdicts
    }

    /// Loads or stores at the addresses of these probes.
    fn ask(&mut self, probes: &[Probe], asked: &[usize], code: impl Fn(&Probe) -> &'static [u32]) -> Vec<Report> {
        let call = |&i: &usize| {
            let Probe { address, user, .. } = probes[i];
            let mode = MPRV | if user { 0 } else { MPP_S } | self.controls.sstatus();
            (code(&probes[i]), [address, MPP | SUM | MXR, tag_of(address), mode])
        };
        let calls: Vec<Call<'_>> = asked.iter().map(call).collect();
        self.machine.session.call_all(&calls).into_iter().map(Report).collect()
    }

    /// Runs what is at the addresses of these probes, and comes back by the exception that ends it.
    fn enter(&mut self, probes: &[Probe], asked: &[usize]) -> Vec<Report> {
        let call = |&i: &usize| {
            let mode = if probes[i].user { 0 } else { MPP_S };
            (stub::ENTER.as_slice(), [probes[i].address & !7, mode, MPRV | MPP, 0])
        };
        let calls: Vec<Call<'_>> = asked.iter().map(call).collect();
        self.machine.session.call_all(&calls).into_iter().map(Report).collect()
    }
}
