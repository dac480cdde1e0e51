//! s390 tables built by the library and walked by QEMU, which has no enhanced DAT.

use std::ops::Range;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright::{FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{
    Instructions, Judge, Live, Setup, Shared, cause, control_trials, live_trials, trials,
};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::{Configured, configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::s390x::Machine;
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

tablewright::page_table_format! { pub mod s390 = "arch/s390.toml" }

/// Control register 0: instruction-execution protection.
const IEP: u64 = 1 << 20;

/// Entries of regions: invalid; where their tables begin, beyond 16 KiB, and offset and length of these.
const INVALID: u64 = 1 << 5;
const ORIGIN: u64 = 0b11 << 12;
const OFFSET: u64 = 0b11 << 6;
const LENGTH: u64 = 0b11;

/// A machine, and what controls it needs for the tables that it judges.
struct Qemu {
    machine: Machine,
    control: u64,
}

impl Qemu {
    fn begin_with(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)]) {
        self.machine.clear();
        self.machine.load(tables);
        let asce = registers.iter().find(|(name, _)| *name == "asce").expect("a root").1;
        self.machine.set(self.control, asce);
    }
}

impl Judge for Qemu {
    fn prepare(&mut self, case: &Configured) {
        self.control = if case.params.get("iep") == Some(1) { IEP } else { 0 };
    }

    fn ram(&self) -> Range<u64> {
        self.machine.ram()
    }

    fn reach(&self) -> u8 {
        64
    }

    fn fault(&self, _probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        if mapped.is_some() { FaultKind::Permission } else { FaultKind::NotMapped }
    }

    /// Tables of other lengths and places than ours are legal.
    fn can_judge(&self, _params: &Params, level: Level, raw: u64) -> bool {
        let leads_on = raw & INVALID == 0 && raw >> 2 & 0b11 == u64::from(level).wrapping_sub(1);
        level < 2 || !leads_on || raw & (ORIGIN | OFFSET | LENGTH) == LENGTH
    }

    /// The page's address and whether it was a store, but for illegal entries. No other access is told from a fetch.
    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        let is_known = fault.kind != FaultKind::Misconfigured;
        let is_store = is_known && probe.access == Access::Write;
        Some(FaultInfo {
            address: is_known.then_some(probe.address & !0xfff),
            access: if is_store { Rights::W } else { Rights::empty() },
            cause: cause(fault.kind),
            level: fault.level,
            width: None,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.begin_with(tables, registers);
        self.machine.probe(probes)
    }
}

impl Live for Qemu {
    const REMEMBERED: Access = Access::Read;

    fn begin(&mut self, registers: &[(&'static str, u64)], _targets: &Range<u64>) {
        self.begin_with(&[], registers);
    }

    fn write(&mut self, chunks: &[Chunk]) {
        self.machine.load(chunks);
    }

    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.machine.dump(address, length)
    }

    fn execute(&mut self, instructions: &Instructions) {
        let operand = |name| instructions.operands.iter().find(|(register, _)| register == name);
        let value = |name| operand(name).map_or(0, |(_, value)| *value);
        let code: Vec<u8> = instructions.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.machine.run(&code, [value("r2"), value("r3")]);
    }

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        self.machine.probe(probes)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(found) = require(Emulator::QemuS390x) else {
        return report::run(&arguments, Vec::new(), &[]);
    };
    let judge = Shared::new(|| {
        let machine = Machine::start().unwrap_or_else(|error| panic!("{error}"));
        Qemu { machine, control: 0 }
    });
    let tests = configured("s390").into_iter().flat_map(|case| {
        let name = format!("{}-without-edat", case.config.id.value);
        let case = varied(&case, &name, &[("edat1", 0), ("edat2", 0)]);
        let generated = generated!(s390, case.params).expect("one module").expect("a legal configuration");
        let setup = Setup::new(&case, generated);
        [trials(&setup, &judge), live_trials(&setup, &judge), control_trials(&setup, &judge)].into_iter().flatten()
    });
    let tests: Vec<Trial> = tests.collect();
    let counts = || judge.counts();
    report::run(&arguments, tests, &[Section { title: "s390", found: &found, iommu: false, counts: &counts }])
}
