//! QEMU's AArch64 as a judge of stage 2 tables.
//!
//! A probe is one instruction, run at EL1 or EL0 under software step, and judged by the exception that ends it.
//!
//! Fetches happen in the Non-secure state with stage 1 off, right at the address asked for. Loads and stores need code to
//! run, and it must not lie in the tables under test. So they happen in the Secure state, where a stage 1 table of ours
//! says page by page which stage 2 an access goes to: code goes by the Secure one (VSTTBR_EL2, our identity map), and a
//! window of 512 MiB by the Non-secure one (VTTBR_EL2), which is the one under test. Nothing needs to be planted in it.
//!
//! The output address comes from AT, but only once a real access has got through: QEMU aborts when AT S12E1* ends in a
//! stage 2 permission fault.
//!
//! Manual: Arm ARM (DDI 0487), D8 for translation, D24 for the registers.

pub mod stage1;
mod stub;

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::qemu::{Call, Image, Link, RunError, Session, StartError, lost};
use super::shared::SharedRam;
use super::{Access, Chunk, Fault, FaultKind, Probe, Verdict};
use crate::emulators::Emulator;
use stub::{REPORT_WORDS, REPORTED, system_register};

/// Where the stub is: not at the start of RAM, where QEMU puts the device tree.
const BASE: u64 = 0x4020_0000;
/// Where the machine's own tables are, and its snippets.
const STAGE1: u64 = BASE + 0x4000;
const SECURE_STAGE2: u64 = BASE + 0x5000;
const POOL: Range<u64> = BASE + 0x1_0000..BASE + 0x10_0000;
const RAM: Range<u64> = 0x4040_0000..0xc000_0000;

/// The size of the stage 1 window, a level 2 block of the 64 KiB granule, which is at address 0.
const WINDOW: u64 = 1 << 29;

const HCR_EL2: u32 = system_register(3, 4, 1, 1, 0);
const MDCR_EL2: u32 = system_register(3, 4, 1, 1, 1);
const VTTBR_EL2: u32 = system_register(3, 4, 2, 1, 0);
const VTCR_EL2: u32 = system_register(3, 4, 2, 1, 2);
const VSTTBR_EL2: u32 = system_register(3, 4, 2, 6, 0);
const VSTCR_EL2: u32 = system_register(3, 4, 2, 6, 2);
const VBAR_EL2: u32 = system_register(3, 4, 12, 0, 0);
const SCR_EL3: u32 = system_register(3, 6, 1, 1, 0);
const SCTLR_EL1: u32 = system_register(3, 0, 1, 0, 0);
const TTBR0_EL1: u32 = system_register(3, 0, 2, 0, 0);
const TCR_EL1: u32 = system_register(3, 0, 2, 0, 2);
const MAIR_EL1: u32 = system_register(3, 0, 10, 2, 0);
const MDSCR_EL1: u32 = system_register(2, 0, 0, 2, 2);
const OSLAR_EL1: u32 = system_register(2, 0, 1, 0, 4);

/// RW and HCE, the bits that are one, and EEL2: the Secure state has an EL2 as well.
const SCR_SECURE: u64 = 1 << 18 | 1 << 10 | 1 << 8 | 0b11 << 4;
/// The same, with NS.
const SCR_NON_SECURE: u64 = SCR_SECURE | 1;
/// RW. Everything else, VM too, is for who sets stage 2.
const HCR: u64 = 1 << 31;
/// The bits that are one.
const SCTLR_STAGE1_OFF: u64 = 0x30d0_0800;
/// The same, with M, C and I.
const SCTLR_STAGE1_ON: u64 = SCTLR_STAGE1_OFF | 1 << 12 | 1 << 2 | 1;
/// 52 bits of output, no TTBR1, 64 KiB granule, cacheable walks, 31 bits of input: one table of four entries.
const TCR: u64 = 6 << 32 | 1 << 23 | 1 << 14 | 0b11_0101 << 8 | (64 - 31);
/// 4 KiB granule, from level 1, 39 bits of input.
const VSTCR: u64 = 1 << 31 | 1 << 6 | (64 - 39);
/// A block at 1 GiB: AF, read and write, Normal with and without FWB. No SH bits, which VTCR_EL2.DS makes address bits.
const SECURE_BLOCK: u64 = 0x4000_0000 | 1 << 10 | 0b11 << 6 | 0b0110 << 2 | 0b01;
/// A block at 1 GiB: AF, inner shareable, read-only and executable for EL1 and EL0, Secure.
const CODE_BLOCK: u64 = 0x4000_0000 | 1 << 10 | 0b11 << 8 | 0b11 << 6 | 0b01;
/// The window: AF, inner shareable, read and write for EL1 and EL0, Non-secure.
const WINDOW_BLOCK: u64 = 1 << 10 | 0b11 << 8 | 0b01 << 6 | 1 << 5 | 0b01;

/// Exception classes (ESR_ELx.EC).
const FETCH_ABORT: u64 = 0x20;
const FETCH_ABORT_SAME_LEVEL: u64 = 0x21;
const DATA_ABORT: u64 = 0x24;
const DATA_ABORT_SAME_LEVEL: u64 = 0x25;
const STEPPED: u64 = 0x32;

/// A running machine with 2 GiB of RAM and stage 2 under test.
pub struct Machine {
    session: Session<REPORT_WORDS>,
    /// The 512 MiB of intermediate address space that the window shows.
    shown: Option<u64>,
}

impl Machine {
    /// Starts QEMU.
    ///
    /// # Errors
    ///
    /// [`StartError::Find`] if there is no QEMU that can be used, [`StartError::Io`] if it cannot be run,
    /// [`StartError::Lost`] if the program in it does not answer.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with("", &[])
    }

    /// As [`Machine::start`], with memory that the caller sees, too.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::start`].
    pub fn start_in(ram: &SharedRam) -> Result<Self, StartError> {
        Self::start_with(",memory-backend=ram", &ram.arguments())
    }

    /// RAM for [`Machine::start_in`], whose frames come from some part of [`Machine::ram`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedRam::new`].
    pub fn shared_ram(frames: Range<u64>) -> io::Result<SharedRam> {
        SharedRam::new(0x4000_0000, 2 << 30, frames)
    }

    fn start_with(options: &str, arguments: &[String]) -> Result<Self, StartError> {
        let machine = format!("virt,secure=on,virtualization=on,gic-version=3{options}");
        let loader = format!("loader,addr={BASE:#x},cpu-num=0");
        let own = ["-M", &machine, "-cpu", "max", "-m", "2G", "-device", &loader].map(String::from);
        let image = Image {
            machine: &[&own, arguments].concat(),
            stub: &stub::image(),
            base: BASE,
            pool: POOL,
            link: Link::Semihosting,
        };
        let session = Session::start(Emulator::QemuAarch64, &image, &stub::RETURN)?;
        let mut machine = Self { session, shown: None };
        machine.set_up();
        Ok(machine)
    }

    /// Writes to 64 pages of the guest from `ipa` on, in an order that depends on `seed`, as a guest does: by AT with the
    /// right to write, which has the MMU mark the page dirty, then to where that leads. What is written is a count of
    /// the writes, which the word at `counter` has too; it ends where the word after that says. Meanwhile the caller does
    /// something else.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::run`].
    pub fn write_meanwhile(
        &mut self,
        [ipa, counter, seed]: [u64; 3],
        meanwhile: impl FnOnce(),
    ) -> Result<(), RunError> {
        let report = Report(self.session.call_meanwhile(&stub::WRITE_PAGES, [ipa, 0, counter, seed], meanwhile)?);
        if report.get("esr_el3") == 0 { Ok(()) } else { Err(RunError::Trap(report.registers().collect())) }
    }

    /// Sets how long the emulator may take to answer before it counts as hung, and is killed: half a minute, at first.
    pub fn set_patience(&mut self, patience: Duration) {
        self.session.set_patience(patience);
    }

    /// The physical memory that is free for tables and targets; it is zero unless loaded.
    pub fn ram(&self) -> Range<u64> {
        RAM
    }

    /// Puts bytes into physical memory.
    pub fn load(&mut self, chunks: &[Chunk]) {
        self.session.load(chunks);
    }

    /// Reads physical memory.
    pub fn dump(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.session.dump(address, length)
    }

    /// Makes memory zero again where it was loaded.
    pub fn clear(&mut self) {
        for range in self.session.take_loaded() {
            self.session.call(&stub::CLEAR, [range.start, range.end, 0, 0]);
        }
    }

    /// Sets `vttbr_el2`, `vtcr_el2` and bits of `hcr_el2` beside RW, and empties the TLB.
    ///
    /// # Panics
    ///
    /// For any other register.
    pub fn set_stage2(&mut self, registers: &[(&str, u64)]) {
        self.set(HCR_EL2, HCR);
        for &(name, value) in registers {
            match name {
                "vttbr_el2" => self.set(VTTBR_EL2, value),
                "vtcr_el2" => self.set(VTCR_EL2, value),
                "hcr_el2" => self.set(HCR_EL2, HCR | value),
                _ => panic!("{name} does not take part in stage 2"),
            }
        }
        self.session.call(&stub::INVALIDATE, [0; 4]);
    }

    /// Runs instructions at EL3 in the Non-secure state, from where TLB maintenance works on the stage 2 under test. They
    /// are for straight-line code, and x0 to x3 are theirs.
    ///
    /// # Errors
    ///
    /// [`RunError::Trap`] if they trap, [`RunError::Lost`] if they end the emulator or do not end.
    pub fn run(&mut self, words: &[u32]) -> Result<(), RunError> {
        self.run_with(words, [0; 4])
    }

    /// As [`Machine::run`], with values in x0 to x3.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::run`].
    pub fn run_with(&mut self, words: &[u32], arguments: [u64; 4]) -> Result<(), RunError> {
        let report = Report(self.session.try_call(&[words, &stub::RETURN].concat(), arguments)?);
        if report.get("esr_el3") == 0 { Ok(()) } else { Err(RunError::Trap(report.registers().collect())) }
    }

    /// Asks each probe. Entries of the TLB play no part in loads and stores; for fetches see [`Machine::fetch`].
    ///
    /// A probed page is really accessed: QEMU may set flags in descriptors, and a write to a page that cannot be read
    /// stores a zero byte. Instructions found at an address probed for execution are run, one each.
    ///
    /// # Panics
    ///
    /// If an address has more than 52 bits, as no stage 1 gives more.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let fetched = probes.iter().filter(|probe| probe.access == Access::Execute);
        let fetched: Vec<_> = fetched.map(|probe| (probe.address, probe.user)).collect();
        let mut fetched = self.fetch_all(&fetched).into_iter();
        let mut verdicts: Vec<Verdict> = probes
            .iter()
            .map(|probe| match probe.access {
                Access::Execute => fetched.next().expect("one for each"),
                Access::Read | Access::Write => Verdict::Translated(None),
            })
            .collect();
        self.set(SCTLR_EL1, SCTLR_STAGE1_ON);
        self.set(SCR_EL3, SCR_SECURE);
        self.shown = None;
        self.access_all(probes, &mut verdicts);
        self.set(SCR_EL3, SCR_NON_SECURE);
        self.set(SCTLR_EL1, SCTLR_STAGE1_OFF);
        verdicts
    }

    /// Runs the one instruction at an address, and does nothing else that would change the TLB: what it answers is
    /// stale where a stale entry is used.
    ///
    /// # Panics
    ///
    /// If the address has more than 52 bits, as no stage 1 gives more.
    pub fn fetch(&mut self, address: u64, user: bool) -> Verdict {
        self.fetch_all(&[(address, user)]).remove(0)
    }

    /// Makes each 4 KiB page of these, at most 64 Ki of them, begin with an instruction that tells its number.
    pub fn number(&mut self, pages: &Range<u64>) {
        self.session.call(&stub::NUMBER, [pages.start, pages.end, 0, 0]);
    }

    /// As [`Machine::fetch`] at the start of each of these pages, privileged, with the number that the instruction there
    /// told of the page.
    pub fn fetch_numbers(&mut self, addresses: &[u64]) -> Vec<Result<u64, Fault>> {
        let fetches: Vec<_> = addresses.iter().map(|&address| (address, false)).collect();
        let reports = self.fetch_reports(&fetches);
        let number = |(verdict, report): (Verdict, Report)| match verdict {
            Verdict::Translated(_) => Ok(report.0[0]),
            Verdict::Fault(fault) => Err(fault),
        };
        reports.into_iter().map(number).collect()
    }

    fn fetch_all(&mut self, fetches: &[(u64, bool)]) -> Vec<Verdict> {
        self.fetch_reports(fetches).into_iter().map(|(verdict, _)| verdict).collect()
    }

    fn fetch_reports(&mut self, fetches: &[(u64, bool)]) -> Vec<(Verdict, Report)> {
        let word = |address| check(address) & !3;
        let calls: Vec<_> = fetches
            .iter()
            .map(|&(address, user)| {
                let address = word(address);
                // QEMU fetches the vector of an exception to EL1 before it takes the step: let that be on the page it
                // came from, and in the other half of it, so that the abort of one is not taken for that of the other.
                step(address, user, 0, address & !0x7ff ^ 0x800)
            })
            .collect();
        let verdict = |(&(address, _), report): (&(u64, bool), Report)| {
            let fault = match (report.class("esr_el1"), report.class("esr_el2")) {
                // The abort of the instruction itself, not of the vector's.
                (_, FETCH_ABORT) if report.get("elr_el2") == word(address) => Some(report.fault("esr_el2")),
                (FETCH_ABORT | FETCH_ABORT_SAME_LEVEL, _) => Some(report.fault("esr_el1")),
                _ => None,
            };
            let fault = fault.filter(|fault| !reached_memory(fault));
            (fault.map_or(Verdict::Translated(None), Verdict::Fault), report)
        };
        fetches.iter().zip(self.call_all(&calls)).map(verdict).collect()
    }

    /// Loads and stores through the window, and asks AT for the addresses of those that are let through. Of fetches that
    /// were let through, it finds out the address if the page can be read too.
    fn access_all(&mut self, probes: &[Probe], verdicts: &mut [Verdict]) {
        let through = |&&index: &&usize| verdicts[index] == Verdict::Translated(None);
        let asked: Vec<usize> = (0..probes.len()).collect();
        let asked: Vec<usize> = asked.iter().filter(through).copied().collect();
        let code = |index: &usize| match probes[*index].access {
            Access::Write => stub::ADD_ZERO.as_slice(),
            Access::Read | Access::Execute => stub::LOAD_BYTE.as_slice(),
        };
        let mut faults = self.data_steps(probes, &asked, code);
        // It may be that only the reading failed, and a failed read says nothing of the write.
        let failed = |(index, fault): (&usize, &Option<Fault>)| {
            (fault.is_some() && probes[*index].access == Access::Write).then_some(*index)
        };
        let again: Vec<usize> = asked.iter().zip(&faults).filter_map(failed).collect();
        let mut stores = self.data_steps(probes, &again, |_| stub::STORE_ZERO.as_slice()).into_iter();
        for (index, fault) in asked.iter().zip(&mut faults) {
            if fault.is_some() && probes[*index].access == Access::Write {
                *fault = stores.next().flatten();
            }
        }
        let mut passed = Vec::new();
        for (index, fault) in asked.into_iter().zip(faults) {
            match (fault.filter(|fault| !reached_memory(fault)), probes[index].access) {
                (None, _) => passed.push(index),
                // It was fetched, and its address remains unseen.
                (Some(_), Access::Execute) => {}
                (Some(fault), _) => verdicts[index] = Verdict::Fault(fault),
            }
        }
        let translate = |index: &usize| match probes[*index].access {
            Access::Write => stub::TRANSLATE_STORE.as_slice(),
            Access::Read | Access::Execute => stub::TRANSLATE_LOAD.as_slice(),
        };
        let reports = self.at_window(probes, &passed, |index, window| (translate(index), [window, 0, 0, 0]));
        for (index, report) in passed.into_iter().zip(reports) {
            let par = report.get("par_el1");
            assert!(par & 1 == 0, "AT refuses what an access has just done: {report:#x?}");
            verdicts[index] = Verdict::Translated(Some(par & 0xf_ffff_ffff_f000 | probes[index].address & 0xfff));
        }
    }

    /// Runs one load or store at the address of each of these probes.
    fn data_steps(
        &mut self,
        probes: &[Probe],
        asked: &[usize],
        code: impl Fn(&usize) -> &'static [u32],
    ) -> Vec<Option<Fault>> {
        let places: Vec<u64> = asked.iter().map(|index| self.session.place(code(index)).unwrap_or_else(lost)).collect();
        let mut places = places.into_iter();
        let vectors = BASE + stub::VECTORS as u64;
        let reports = self.at_window(probes, asked, |index, window| {
            step(places.next().expect("one for each"), probes[*index].user, window, vectors)
        });
        let fault = |report: Report| match (report.class("esr_el1"), report.class("esr_el2")) {
            (_, DATA_ABORT) => Some(report.fault("esr_el2")),
            (DATA_ABORT | DATA_ABORT_SAME_LEVEL, _) => Some(report.fault("esr_el1")),
            (0, STEPPED) => None,
            _ => panic!("the probe went astray: {report:#x?}"),
        };
        reports.into_iter().map(fault).collect()
    }

    /// Makes a call for each of these probes, with the window where it has to be; `call` gets the place in the window.
    fn at_window(
        &mut self,
        probes: &[Probe],
        asked: &[usize],
        mut call: impl FnMut(&usize, u64) -> Call<'static>,
    ) -> Vec<Report> {
        let mut calls = Vec::with_capacity(asked.len());
        let mut ours = Vec::with_capacity(asked.len());
        for index in asked {
            let address = check(probes[*index].address);
            let shown = address & !(WINDOW - 1);
            if self.shown != Some(shown) {
                // A level 2 block of the 64 KiB granule has bits 51:48 of its address in bits 15:12.
                let descriptor = WINDOW_BLOCK | shown & 0xffff_ffff_ffff | shown >> 48 << 12;
                calls.push((stub::STORE_DESCRIPTOR.as_slice(), [STAGE1, descriptor, 0, 0]));
                self.shown = Some(shown);
            }
            ours.push(calls.len());
            calls.push(call(index, address - shown));
        }
        let mut reports: Vec<Option<Report>> = self.call_all(&calls).into_iter().map(Some).collect();
        ours.into_iter().filter_map(|place| reports[place].take()).collect()
    }

    fn call_all(&mut self, calls: &[Call<'_>]) -> Vec<Report> {
        self.session.call_all(calls).into_iter().map(Report).collect()
    }

    fn set(&mut self, register: u32, value: u64) {
        let report = Report(self.session.call(&stub::set(register), [value, 0, 0, 0]));
        assert!(report.get("esr_el3") == 0, "no system register {register:#x}: {report:#x?}");
    }

    fn set_up(&mut self) {
        let bytes = |entries: &[u64]| entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        self.session.load(&[(STAGE1, bytes(&[0, 0, CODE_BLOCK, 0])), (SECURE_STAGE2, bytes(&[0, SECURE_BLOCK]))]);
        // These stay when memory is cleared.
        self.session.take_loaded();
        for (register, value) in [
            (SCR_EL3, SCR_SECURE),
            (VSTTBR_EL2, SECURE_STAGE2),
            (VSTCR_EL2, VSTCR),
            (SCR_EL3, SCR_NON_SECURE),
            (VBAR_EL2, BASE + stub::VECTORS as u64),
            (HCR_EL2, HCR),
            // TDE: debug exceptions, which steps end in, go to EL2.
            (MDCR_EL2, 1 << 8),
            (OSLAR_EL1, 0),
            (MDSCR_EL1, 1),
            (SCTLR_EL1, SCTLR_STAGE1_OFF),
            (TCR_EL1, TCR),
            (TTBR0_EL1, STAGE1),
            (MAIR_EL1, 0xff),
        ] {
            self.set(register, value);
        }
    }
}

/// Runs one instruction at EL1 or EL0, with x0 set.
fn step(address: u64, user: bool, x0: u64, vectors: u64) -> Call<'static> {
    // SPSR_EL3: SS, asynchronous exceptions masked, EL0t or EL1h.
    let pstate = 1 << 21 | 0b111 << 6 | if user { 0 } else { 0b0101 };
    (&stub::ENTER, [address, pstate, x0, vectors])
}

/// What the stub says after a call: x0, x1, and [`REPORTED`].
#[derive(Debug)]
struct Report([u64; REPORT_WORDS]);

impl Report {
    fn get(&self, register: &str) -> u64 {
        self.registers().find(|(name, _)| *name == register).map_or(0, |(_, value)| value)
    }

    fn registers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REPORTED.iter().map(|(name, _)| *name).zip(self.0.iter().skip(2).copied())
    }

    /// ESR_ELx.EC.
    fn class(&self, syndrome: &str) -> u64 {
        self.get(syndrome) >> 26 & 0x3f
    }

    /// The fault that ESR_ELx.ISS tells of an abort.
    fn fault(&self, syndrome: &str) -> Fault {
        let status = self.get(syndrome) & 0x3f;
        // The manual's levels count from the root down, from -1, to 3.
        let level = |bits: u64| Some(3 - (bits & 3) as u8);
        let (kind, level) = match status {
            0b00_0000..=0b00_0011 => (FaultKind::AddressSize, level(status)),
            0b00_0100..=0b00_0111 => (FaultKind::NotMapped, level(status)),
            0b00_1000..=0b00_1011 => (FaultKind::AccessFlag, level(status)),
            0b00_1100..=0b00_1111 => (FaultKind::Permission, level(status)),
            0b01_0000 => (FaultKind::Bus, None),
            0b01_0100..=0b01_0111 => (FaultKind::Bus, level(status)),
            0b01_0011 => (FaultKind::Bus, Some(4)),
            0b10_1001 => (FaultKind::AddressSize, Some(4)),
            0b10_1011 => (FaultKind::NotMapped, Some(4)),
            _ => panic!("a fault status that no table can cause: {self:#x?}"),
        };
        Fault { kind, level, report: self.registers().collect() }
    }
}

/// Whether the access was translated, and then failed in memory.
fn reached_memory(fault: &Fault) -> bool {
    fault.kind == FaultKind::Bus && fault.level.is_none()
}

fn check(address: u64) -> u64 {
    assert!(address < 1 << 52, "no stage 1 gives {address:#x}");
    address
}
