//! QEMU's RISC-V as a judge: here of G-stage tables, in [`stage1`] of those for satp.
//!
//! M-mode loads and stores as the guest would, by HLV and HSV with vsatp bare. For a fetch it goes to the guest by MRET. A
//! guest with tables of its own does it all [itself](Machine::probe_by_guest).
//!
//! The output address is seen in the memory reached: the upper half of each 64-bit word of RAM tells its own address. The
//! lower half is zero, which is an illegal instruction, so that a fetch that is let through ends in a trap of its own.
//!
//! Manual: The RISC-V Instruction Set Manual, Volume II, *"H" Extension for Hypervisor Support*.

mod guest;
pub mod stage1;
mod stub;

use std::io;
use std::ops::Range;

use super::qemu::{Call, Image, Link, RunError, Session, StartError};
use super::shared::SharedRam;
use super::{Access, Chunk, Fault, FaultKind, Probe, Verdict};
use crate::emulators::Emulator;
pub use guest::GuestCode;
use stub::{NO_TRAP, REPORT_WORDS, REPORTED};

/// Where the stub is: the start of RAM, where the reset vector goes.
const BASE: u64 = 0x8000_0000;
const POOL: Range<u64> = BASE + 0x1_0000..BASE + 0x10_0000;
/// QEMU puts the device tree near the end of its 256 MiB.
const RAM: Range<u64> = 0x8040_0000..0x8fc0_0000;

const HGATP: u32 = 0x680;
const VSATP: u32 = 0x280;
const VSSTATUS: u32 = 0x200;
const MENVCFG: u32 = 0x30a;
const HENVCFG: u32 = 0x60a;
const MEDELEG: u32 = 0x302;
const MIE: u32 = 0x304;
/// Where the upper half of menvcfg and henvcfg is, from the lower one, if registers have 32 bits.
const UPPER_HALF: u32 = 0x10;

/// hstatus.SPVP: HLV and HSV act as VS, not VU.
const SPVP: u64 = 1 << 8;
/// mstatus.MPP: where MRET goes.
const MPP: u64 = 0b11 << 11;
const MPP_S: u64 = 0b01 << 11;
/// mstatus.MPRV: loads and stores act as where MRET would go.
const MPRV: u64 = 1 << 17;

/// Causes (mcause).
const FETCH_ACCESS: u64 = 1;
const ILLEGAL_INSTRUCTION: u64 = 2;
const LOAD_ACCESS: u64 = 5;
const STORE_ACCESS: u64 = 7;
const ECALL_FROM_USER: u64 = 8;
const ECALL_FROM_VIRTUAL_SUPERVISOR: u64 = 10;
const FETCH_PAGE: u64 = 12;
const LOAD_PAGE: u64 = 13;
const STORE_PAGE: u64 = 15;
const FETCH_GUEST_PAGE: u64 = 20;
const LOAD_GUEST_PAGE: u64 = 21;
const STORE_GUEST_PAGE: u64 = 23;

/// How wide a machine's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xlen {
    /// 32 bits.
    Rv32,
    /// 64 bits.
    Rv64,
}

impl Xlen {
    /// How many they are.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Rv32 => 32,
            Self::Rv64 => 64,
        }
    }

    const fn emulator(self) -> Emulator {
        match self {
            Self::Rv32 => Emulator::QemuRiscv32,
            Self::Rv64 => Emulator::QemuRiscv64,
        }
    }

    /// The bits of hgatp and vsatp that are their mode, from this one on.
    const fn mode(self) -> u32 {
        match self {
            Self::Rv32 => 31,
            Self::Rv64 => 60,
        }
    }
}

/// A running machine with 256 MiB of RAM, and a G-stage under test.
pub struct Machine {
    session: Session<REPORT_WORDS>,
    xlen: Xlen,
}

impl Machine {
    /// Starts QEMU.
    ///
    /// # Errors
    ///
    /// [`StartError::Find`] if there is no QEMU that can be used, [`StartError::Io`] if it cannot be run,
    /// [`StartError::Lost`] if the program in it does not answer.
    pub fn start(xlen: Xlen) -> Result<Self, StartError> {
        let mut machine = Self::start_with(xlen, "", &[])?;
        machine.tag(RAM);
        Ok(machine)
    }

    /// As [`Machine::start`] with 64 bits, with memory that the caller sees, too, and that does not tell where it is.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::start`].
    pub fn start_in(ram: &SharedRam) -> Result<Self, StartError> {
        Self::start_with(Xlen::Rv64, ",memory-backend=ram", &ram.arguments())
    }

    /// RAM for [`Machine::start_in`], whose frames come from some part of [`Machine::ram`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedRam::new`].
    pub fn shared_ram(frames: Range<u64>) -> io::Result<SharedRam> {
        SharedRam::new(BASE, 256 << 20, frames)
    }

    fn start_with(xlen: Xlen, options: &str, arguments: &[String]) -> Result<Self, StartError> {
        let machine = format!("virt{options}");
        let own = ["-M", &machine, "-bios", "none", "-cpu", "max", "-m", "256M"].map(String::from);
        let image = Image {
            machine: &[&own, arguments].concat(),
            stub: &stub::image(xlen),
            base: BASE,
            pool: POOL,
            link: Link::Semihosting,
        };
        let session = Session::start(xlen.emulator(), &image, &stub::RETURN)?;
        let mut machine = Self { session, xlen };
        for (register, value) in [(VSATP, 0), (MEDELEG, 0), (MIE, 0)] {
            machine.set(register, value);
        }
        Ok(machine)
    }

    /// Writes to 64 pages of the guest from `gpa` on, in an order that depends on `seed`, by HSV, where that is
    /// translated; after each it drops all translations. What is written is a count of the writes, which the word at
    /// `counter` has too; it ends where the word after that says. Meanwhile the caller does something else.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::run`].
    pub fn write_meanwhile(
        &mut self,
        [gpa, counter, seed]: [u64; 3],
        meanwhile: impl FnOnce(),
    ) -> Result<(), RunError> {
        let report = Report(self.session.call_meanwhile(&stub::WRITE_PAGES, [gpa, 0, counter, seed], meanwhile)?);
        if report.cause() == NO_TRAP { Ok(()) } else { Err(RunError::Trap(report.registers().collect())) }
    }

    /// The physical memory that is free for tables and targets.
    pub fn ram(&self) -> Range<u64> {
        RAM
    }

    /// Puts bytes into physical memory.
    pub fn load(&mut self, chunks: &[Chunk]) {
        self.session.load(chunks);
    }

    /// Reads physical memory. Where nothing was loaded, it has what tells its address.
    pub fn dump(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.session.dump(address, length)
    }

    /// Makes memory tell its address again where it was loaded.
    pub fn clear(&mut self) {
        for range in self.session.take_loaded() {
            self.tag(range);
        }
    }

    /// Sets `hgatp`, `menvcfg` (which governs the G-stage), `henvcfg` (which governs the VS-stage), `vsatp` and
    /// `vsstatus`, and empties the TLB. All but `hgatp` are zero unless they are given, whatever they were before.
    ///
    /// # Panics
    ///
    /// For any other register, and if the mode of `hgatp` or `vsatp` is not taken.
    pub fn set_gstage(&mut self, registers: &[(&str, u64)]) {
        for register in [MENVCFG, HENVCFG] {
            self.set_environment(register, 0);
        }
        for register in [VSATP, VSSTATUS] {
            self.set(register, 0);
        }
        for &(name, value) in registers {
            match name {
                "menvcfg" => self.set_environment(MENVCFG, value),
                "henvcfg" => self.set_environment(HENVCFG, value),
                "vsstatus" => {
                    self.set(VSSTATUS, value);
                }
                "hgatp" | "vsatp" => {
                    let taken = self.set(if name == "vsatp" { VSATP } else { HGATP }, value);
                    let [mode, wanted] = [taken, value].map(|value| value >> self.xlen.mode());
                    assert!(mode == wanted, "{name} reads {taken:#x} after {value:#x} was written");
                }
                _ => panic!("{name} does not take part in the G-stage"),
            };
        }
        self.session.call(&stub::INVALIDATE, [0; 4]);
    }

    /// Runs instructions in M-mode. They are for straight-line code, and a0 to a3 are theirs.
    ///
    /// # Errors
    ///
    /// [`RunError::Trap`] if they trap, [`RunError::Lost`] if they end the emulator or do not end.
    pub fn run(&mut self, words: &[u32]) -> Result<(), RunError> {
        self.run_with(words, [0; 4])
    }

    /// As [`Machine::run`], with values in a0 to a3.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::run`].
    pub fn run_with(&mut self, words: &[u32], arguments: [u64; 4]) -> Result<(), RunError> {
        let report = Report(self.session.try_call(&[words, &stub::RETURN].concat(), arguments)?);
        if report.cause() == NO_TRAP { Ok(()) } else { Err(RunError::Trap(report.registers().collect())) }
    }

    /// Asks each probe, by way of the TLB: what it answers is stale where a stale entry is used. (But QEMU empties the
    /// TLB when it enters and leaves the guest, which a fetch does.)
    ///
    /// A probed page is really accessed: hardware may set flags in descriptors. What a write finds it writes again.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let all: Vec<usize> = (0..probes.len()).collect();
        let mut reports = self.ask(probes, &all, |probe| match probe.access {
            Access::Read => stub::LOAD_BYTE_AND_TAG.as_slice(),
            Access::Write => &stub::REWRITE_BYTE,
            // HLVX needs the right to execute, but QEMU reports its lack by a cause of its own: MRET asks for the fault.
            Access::Execute => stub::LOAD_CODE_AND_TAG.as_slice(),
        });
        store_only(probes, &mut reports, |stores| self.ask(probes, stores, |_| &stub::STORE_BYTE));
        // What was loaded to be run may be no instruction: then it is not run.
        let runs: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&i| probes[i].access == Access::Execute && (reports[i].cause() != NO_TRAP || reports[i].0[1] == 0))
            .collect();
        for (i, report) in runs.iter().zip(self.enter(probes, &runs)) {
            // Zeros that were fetched are illegal instructions.
            if reports[*i].cause() != NO_TRAP || report.cause() != ILLEGAL_INSTRUCTION {
                reports[*i] = report;
            }
        }
        let mut verdicts: Vec<Verdict> =
            probes.iter().zip(&reports).map(|(probe, report)| report.verdict(probe.address)).collect();
        // A page that was written tells its address if it can be read too.
        let written: Vec<usize> = all
            .into_iter()
            .filter(|&i| probes[i].access == Access::Write && matches!(verdicts[i], Verdict::Translated(_)))
            .collect();
        let read = self.ask(probes, &written, |_| &stub::LOAD_BYTE_AND_TAG);
        see(probes, &mut verdicts, &written, &read);
        verdicts
    }

    /// Loads or stores at the addresses of these probes. Those of code are cut to whole words.
    fn ask(&mut self, probes: &[Probe], asked: &[usize], code: impl Fn(&Probe) -> &'static [u32]) -> Vec<Report> {
        let call = |&i: &usize| {
            let probe = &probes[i];
            let address = if probe.access == Access::Execute { probe.address & !7 } else { probe.address };
            (code(probe), [address, 0, tag_of(address), if probe.user { 0 } else { SPVP }])
        };
        let calls: Vec<Call<'_>> = asked.iter().map(call).collect();
        self.session.call_all(&calls).into_iter().map(Report).collect()
    }

    /// Runs what is at the addresses of these probes.
    fn enter(&mut self, probes: &[Probe], asked: &[usize]) -> Vec<Report> {
        let call = |&i: &usize| {
            let mode = if probes[i].user { 0 } else { MPP_S };
            (stub::enter_guest(self.xlen), [probes[i].address & !7, mode, MPP, 0])
        };
        let calls: Vec<Call<'_>> = asked.iter().map(call).collect();
        self.session.call_all(&calls).into_iter().map(Report).collect()
    }

    /// Sets a register, and returns what it then reads.
    fn set(&mut self, register: u32, value: u64) -> u64 {
        let report = Report(self.session.call(&stub::set(register), [value, 0, 0, 0]));
        assert!(report.cause() == NO_TRAP, "no register {register:#x}: {report:#x?}");
        report.0[0]
    }

    /// Sets a register of 64 bits, of which there may be two halves.
    fn set_environment(&mut self, register: u32, value: u64) {
        self.set(register, value);
        if self.xlen == Xlen::Rv32 {
            self.set(register + UPPER_HALF, value >> 32);
        }
    }

    /// Writes into each 64-bit word its address, divided by 8, in the upper half.
    fn tag(&mut self, range: Range<u64>) {
        let start = range.start & !7;
        self.session.call(&stub::FILL, [start, range.end, start >> 3, 0]);
    }
}

/// Where the word at an address has its tag.
fn tag_of(address: u64) -> u64 {
    address & !7 | 4
}

/// Asks again for writes whose reading was refused, which says nothing of the writing: by stores alone.
fn store_only(probes: &[Probe], reports: &mut [Report], ask: impl FnOnce(&[usize]) -> Vec<Report>) {
    let refused = |report: &Report| matches!(report.cause(), LOAD_ACCESS | LOAD_PAGE | LOAD_GUEST_PAGE);
    let write = |&i: &usize| probes[i].access == Access::Write && refused(&reports[i]);
    let stores: Vec<usize> = (0..probes.len()).filter(write).collect();
    for (i, report) in stores.iter().zip(ask(&stores)) {
        reports[*i] = report;
    }
}

/// Takes from reading there where these probes lead; what cannot be read does not tell.
fn see(probes: &[Probe], verdicts: &mut [Verdict], asked: &[usize], read: &[Report]) {
    for (&i, report) in asked.iter().zip(read) {
        verdicts[i] = match report.verdict(probes[i].address) {
            Verdict::Fault(_) => Verdict::Translated(None),
            read => read,
        };
    }
}

/// What the stub says after a call: a0, a1, and [`REPORTED`].
#[derive(Debug)]
struct Report([u64; REPORT_WORDS]);

impl Report {
    fn registers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REPORTED.iter().map(|(name, _)| *name).zip(self.0.iter().skip(2).copied())
    }

    /// The registers by the names under which HS-mode has them, to which hypervisors have these faults delegated.
    fn delegated(&self) -> Vec<(&'static str, u64)> {
        let names = ["scause", "sepc", "stval", "htval", "htinst"];
        names.into_iter().zip(self.registers().map(|(_, value)| value)).collect()
    }

    fn cause(&self) -> u64 {
        self.0[2]
    }

    /// Whether the code went through to its end.
    fn has_returned(&self) -> bool {
        matches!(self.cause(), NO_TRAP | ECALL_FROM_USER | ECALL_FROM_VIRTUAL_SUPERVISOR)
    }

    /// What the report of an access says. If that went through, a0 has a tag.
    fn verdict(&self, address: u64) -> Verdict {
        match self.cause() {
            _ if self.has_returned() => {
                let output = self.0[0] << 3 | address & 7;
                // Memory that was loaded has no tags.
                let told = RAM.contains(&output) && output & 0xfff == address & 0xfff;
                Verdict::Translated(told.then_some(output))
            }
            // Zeros were fetched, from memory that tells nothing of itself.
            ILLEGAL_INSTRUCTION => Verdict::Translated(None),
            // The memory does not exist.
            FETCH_ACCESS | LOAD_ACCESS | STORE_ACCESS => Verdict::Translated(None),
            FETCH_PAGE | LOAD_PAGE | STORE_PAGE | FETCH_GUEST_PAGE | LOAD_GUEST_PAGE | STORE_GUEST_PAGE => {
                Verdict::Fault(Fault { kind: FaultKind::Unspecified, level: None, report: self.delegated() })
            }
            _ => panic!("the probe of {address:#x} went astray: {self:#x?}"),
        }
    }
}
