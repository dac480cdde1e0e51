//! QEMU's LoongArch64 as a judge of tables for PGDL and PGDH, walked by a TLB refill handler or by the page table walker.
//!
//! Loads, stores and fetches are made at level 0 or 3, from a window that no table has a part in. The output address is
//! seen in the memory reached: the upper half of each 64-bit word of RAM tells its own address. The lower half is zero,
//! which is no instruction, so that a fetch that is let through ends in an exception of its own.
//!
//! Manual: LoongArch Reference Manual, Volume 1, *Memory management*; *Exceptions and interrupts*.

mod asm;
mod stub;

use std::ops::Range;
use std::time::Duration;

use super::qemu::{Call, Image, Link, RunError, Session, StartError};
use super::shared::SharedRam;
use super::{Access, Chunk, Fault, FaultKind, Probe, Verdict};
use crate::emulators::Emulator;
use stub::{NO_TRAP, REPORT_WORDS, REPORTED};

/// What a direct mapping window puts above the physical address.
const WINDOW: u64 = 0x9000_0000_0000_0000;

/// Where the stub is: in the lower part of RAM, of 256 MiB, which begins at 0.
const BASE: u64 = 0x0800_0000;
const POOL: Range<u64> = BASE + 0x1_0000..BASE + 0x10_0000;
const TO_STUB: u64 = BASE + 0x20_0000;
const FROM_STUB: u64 = BASE + 0x30_0000;
const LOW: Range<u64> = 0..0x1000_0000;
/// The upper part.
const RAM: Range<u64> = 0x8000_0000..0x9000_0000;

const CRMD: u32 = 0x0;
const ASID: u32 = 0x18;
const PGDL: u32 = 0x19;
const PGDH: u32 = 0x1a;
const PWCL: u32 = 0x1c;
const PWCH: u32 = 0x1d;
const STLBPS: u32 = 0x1e;

/// PWCH.HPTW_En.
const WALKER: u64 = 1 << 24;

/// Bits of an entry of the TLB.
const V: u64 = 1;
const P: u64 = 1 << 7;
const NX: u64 = 1 << 62;
const RPLV: u64 = 1 << 63;

/// Exceptions (ESTAT.Ecode).
const PIL: u64 = 1;
const PIS: u64 = 2;
const PIF: u64 = 3;
const PME: u64 = 4;
const PNR: u64 = 5;
const PNX: u64 = 6;
const PPI: u64 = 7;
const ADE: u64 = 8;
const SYS: u64 = 0xb;
const INE: u64 = 0xd;

/// The half of the address space that tables are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Whose tables begin at PGDL.
    Lower,
    /// Whose tables begin at PGDH.
    Upper,
}

/// A running machine with 512 MiB of RAM, and tables under test.
pub struct Machine {
    session: Session<REPORT_WORDS>,
    fill: Vec<u32>,
    /// PWCH.
    walk_control: u64,
}

impl Machine {
    /// Starts QEMU.
    ///
    /// # Errors
    ///
    /// [`StartError::Find`] if there is no QEMU that can be used, [`StartError::Io`] if it cannot be run,
    /// [`StartError::Lost`] if the program in it does not answer.
    pub fn start() -> Result<Self, StartError> {
        // Nothing is allocated there, and most of it is never touched.
        let shared = SharedRam::new(LOW.start, LOW.end - LOW.start, 0..0)?;
        let own = ["-M", "virt", "-cpu", "max", "-m", "512M", "-object", "memory-backend-ram,id=upper,size=256M"];
        let nodes = ["-numa", "node,memdev=ram", "-numa", "node,memdev=upper", "-device"];
        let start = format!("loader,addr={BASE:#x},cpu-num=0");
        let strings = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let machine = [strings(&own), shared.arguments().into(), strings(&nodes), vec![start]].concat();
        let link = Link::Rings { ram: &shared, to: TO_STUB, from: FROM_STUB };
        let image = Image { machine: &machine, stub: &stub::image(), base: BASE, pool: POOL, link };
        let session = Session::start(Emulator::QemuLoongArch64, &image, &[asm::RETURN])?;
        let mut machine = Self { session, fill: stub::fill(), walk_control: 0 };
        machine.tag(RAM);
        Ok(machine)
    }

    /// Sets how long the emulator may take to answer before it counts as hung, and is killed: half a minute, at first.
    pub fn set_patience(&mut self, patience: Duration) {
        self.session.set_patience(patience);
    }

    /// The physical memory that is free for tables and targets.
    pub fn ram(&self) -> Range<u64> {
        RAM
    }

    /// Puts bytes into physical memory, in [`Machine::ram`] or from 0 on, where it is zero at first: there may be what
    /// empty directory entries lead to.
    pub fn load(&mut self, chunks: &[Chunk]) {
        self.session.load(chunks);
    }

    /// Reads physical memory. Where nothing was loaded, it has what tells its address.
    pub fn dump(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.session.dump(address, length)
    }

    /// Makes memory as it was before it was loaded.
    pub fn clear(&mut self) {
        for range in self.session.take_loaded() {
            if RAM.contains(&range.start) {
                self.tag(range);
            } else {
                self.fill(range, [0, 0]);
            }
        }
    }

    /// Sets registers, of which `pgd` is the one for this half, and empties the TLB. The tables of the other half map
    /// nothing.
    ///
    /// # Panics
    ///
    /// For registers that play no part in the translation, and if one is not taken.
    pub fn set(&mut self, half: Half, registers: &[(&str, u64)]) {
        let (own, other) = if half == Half::Lower { (PGDL, PGDH) } else { (PGDH, PGDL) };
        self.set_register(other, 0);
        for &(name, value) in registers {
            let register = match name {
                "pgd" => own,
                "asid" => ASID,
                "pwcl" => PWCL,
                "pwch" => PWCH,
                "crmd" => CRMD,
                "stlbps" => STLBPS,
                _ => panic!("{name} does not take part in the translation"),
            };
            let taken = self.set_register(register, value);
            if register == PWCH {
                self.walk_control = value;
            }
            // ASID has the count of its bits, too.
            let taken = if register == ASID { taken & 0x3ff } else { taken };
            assert!(taken == value, "{name} reads {taken:#x} after {value:#x} was written");
        }
        self.session.call(&stub::INVALIDATE, [0; 4]);
    }

    /// Runs instructions at level 0. They are for straight-line code, and a0 to a3 are theirs.
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
        let report = Report(self.session.try_call(&[words, &[asm::RETURN]].concat(), arguments)?);
        if report.get("estat") == NO_TRAP { Ok(()) } else { Err(RunError::Trap(report.registers().collect())) }
    }

    /// Asks each probe, by way of the TLB: what it answers is stale where a stale entry is used.
    ///
    /// A probed page is really accessed: hardware may set flags in entries. A write stores a zero byte, which memory that
    /// tells its address has anyway in the lower half of each word. Addresses of code are cut to whole words.
    pub fn probe(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let codes = [stub::LOAD_BYTE_AND_TAG, stub::STORE_BYTE_AND_LOAD_TAG];
        let [load, store] = codes.map(|code| WINDOW | self.session.place(&code).unwrap_or_else(super::qemu::lost));
        let all: Vec<usize> = (0..probes.len()).collect();
        let (fetches, data): (Vec<usize>, Vec<usize>) = all.iter().partition(|&&i| probes[i].access == Access::Execute);
        let mut verdicts = vec![Verdict::Translated(None); probes.len()];
        let mut ask = |machine: &mut Self, asked: &[usize], code: &dyn Fn(&Probe) -> u64| {
            let calls: Vec<Call<'_>> = asked.iter().map(|&i| enter(code(&probes[i]), &probes[i])).collect();
            for (&i, report) in asked.iter().zip(machine.session.call_all(&calls)) {
                verdicts[i] = Report(report).verdict(&probes[i], store + 4);
            }
        };
        ask(self, &data, &|probe| if probe.access == Access::Read { load } else { store });
        let refused = self.refused(probes, &fetches, load);
        let (refused, fetched): (Vec<_>, Vec<_>) = fetches.into_iter().zip(refused).partition(|(_, refused)| *refused);
        let fetched: Vec<usize> = fetched.into_iter().map(|(i, _)| i).collect();
        ask(self, &fetched, &|probe| probe.address & !7);
        for (i, _) in refused {
            verdicts[i] = Verdict::Fault(Fault { kind: FaultKind::Permission, level: None, report: Vec::new() });
        }
        // What was fetched tells its address if it can be read too.
        let reached: Vec<usize> = fetched.into_iter().filter(|&i| verdicts[i] == Verdict::Translated(None)).collect();
        let calls: Vec<Call<'_>> = reached.iter().map(|&i| enter(load, &probes[i])).collect();
        for (i, report) in reached.into_iter().zip(self.session.call_all(&calls)) {
            let read = Report(report).verdict(&Probe { access: Access::Read, ..probes[i] }, store + 4);
            if let Verdict::Translated(_) = read {
                verdicts[i] = read;
            }
        }
        verdicts
    }

    /// Whether fetches would be refused because of the privilege level alone, by what the refill handler puts into the TLB:
    /// QEMU does not survive them ([`REFUSED_FETCHES_HANG`](super::deviations::REFUSED_FETCHES_HANG)).
    fn refused(&mut self, probes: &[Probe], fetches: &[usize], load: u64) -> Vec<bool> {
        if fetches.is_empty() {
            return Vec::new();
        }
        let walker = self.walk_control & WALKER != 0;
        if walker {
            self.set_register(PWCH, self.walk_control & !WALKER);
            self.session.call(&stub::INVALIDATE, [0; 4]);
        }
        let look = stub::look();
        let privileged = |i: usize| Probe { user: false, ..probes[i] };
        let calls: Vec<Call<'_>> = fetches
            .iter()
            .flat_map(|&i| [enter(load, &privileged(i)), (&look, [probes[i].address, 0, 0, 0])])
            .collect();
        let reports = self.session.call_all(&calls);
        if walker {
            self.set_register(PWCH, self.walk_control);
            self.session.call(&stub::INVALIDATE, [0; 4]);
        }
        let present = if walker { P } else { V };
        let refused = |(&i, said): (&usize, &[[u64; REPORT_WORDS]])| {
            let [entry, nothing, ..] = said[1];
            let level = if probes[i].user { 3 } else { 0 };
            let (plv, restricted) = (entry >> 2 & 3, entry & RPLV != 0);
            let of_others = if restricted { level != plv } else { level > plv };
            // What is no address is refused as that.
            let is_address = matches!((probes[i].address as i64) >> 47, 0 | -1);
            is_address && nothing == 0 && entry & present != 0 && entry & NX == 0 && of_others
        };
        fetches.iter().zip(reports.chunks(2)).map(refused).collect()
    }

    /// Sets a register, and returns what it then reads.
    fn set_register(&mut self, register: u32, value: u64) -> u64 {
        let report = Report(self.session.call(&stub::set(register), [value, 0, 0, 0]));
        assert!(report.get("estat") == NO_TRAP, "no register {register:#x}: {report:#x?}");
        report.0[0]
    }

    /// Writes into each 64-bit word its address, divided by 8, in the upper half.
    fn tag(&mut self, range: Range<u64>) {
        let first = range.start << 29;
        self.fill(range, [first, 8 << 29]);
    }

    fn fill(&mut self, range: Range<u64>, [first, more]: [u64; 2]) {
        self.session.call(&self.fill, [WINDOW | range.start, WINDOW | range.end, first, more]);
    }
}

/// Does something at an address at the privilege of a probe.
fn enter(code: u64, probe: &Probe) -> Call<'static> {
    let address = if probe.access == Access::Execute { probe.address & !7 } else { probe.address };
    // Where the word at the address has its tag.
    let tag = address & !7 | 4;
    (&stub::ENTER, [code, if probe.user { 3 } else { 0 }, address, tag])
}

/// What the stub says after a call: a0, a1, and [`REPORTED`].
#[derive(Debug)]
struct Report([u64; REPORT_WORDS]);

impl Report {
    fn get(&self, register: &str) -> u64 {
        self.registers().find(|(name, _)| *name == register).map_or(0, |(_, value)| value)
    }

    fn registers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REPORTED.iter().map(|(name, _)| *name).zip(self.0.iter().skip(2).copied())
    }

    /// What the report of an access says; `stored` is where code goes on when it has stored something.
    fn verdict(&self, probe: &Probe, stored: u64) -> Verdict {
        let fault = |kind| Verdict::Fault(Fault { kind, level: None, report: self.registers().collect() });
        match self.get("estat") >> 16 & 0x3f {
            SYS => {
                let output = self.0[0] << 3 | probe.address & 7;
                // Memory that was loaded has no tags.
                let told = RAM.contains(&output) && output & 0xfff == probe.address & 0xfff;
                Verdict::Translated(told.then_some(output))
            }
            // Zeros were fetched.
            INE if probe.access == Access::Execute => Verdict::Translated(None),
            // It could be written, but not read.
            PNR if probe.access == Access::Write && self.get("era") == stored => Verdict::Translated(None),
            // No table maps an address that is none.
            PIL | PIS | PIF | ADE => fault(FaultKind::NotMapped),
            // A page that is clean, or must not be written, or not by this level: which, rights do not tell.
            PME | PPI if probe.access == Access::Write => fault(FaultKind::Unspecified),
            PNR | PNX | PPI => fault(FaultKind::Permission),
            _ => panic!("the probe went astray: {probe:x?}: {self:#x?}"),
        }
    }
}
