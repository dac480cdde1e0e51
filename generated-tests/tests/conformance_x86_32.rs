//! Tables of 32-bit paging that the library built, walked by QEMU and Bochs.

use std::ops::Range;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright::{FaultInfo, Level, Rights, x86_64::legacy};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{Judge, Live, Memory, Setup, Shared, access, cause, hardware_trial, trials};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::x86_64::protected::{Batch, Machine, Outcome, Paging};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// CR0.WP, without which supervisors may write everywhere.
const WRITE_PROTECT: u32 = 1 << 16;
/// Width of the processors' physical addresses, as far as blocks of 4 MiB go.
const WIDTH: i64 = 40;

/// An emulator that judges one configuration.
pub(crate) struct Protected {
    emulator: Emulator,
    machine: Machine,
    memory: Memory,
}

impl Protected {
    fn new(emulator: Emulator) -> Self {
        let model = if emulator == Emulator::Bochs { "ryzen" } else { "max,phys-bits=40" };
        let machine = Machine::new(emulator, model).unwrap_or_else(|error| panic!("{error}"));
        Self { emulator, machine, memory: Memory::default() }
    }

    fn run(&self, image: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe], peek: &[u64]) -> Outcome {
        let register = |name| {
            let found = registers.iter().find(|(register, _)| *register == name);
            found.unwrap_or_else(|| panic!("no {name} in {registers:x?}")).1 as u32
        };
        let paging = Paging { cr0: register("cr0") | WRITE_PROTECT, cr3: register("cr3"), cr4: register("cr4") };
        self.machine.run(&Batch { image, paging, probes, peek }).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Judge for Protected {
    fn name(&self) -> Option<String> {
        Some(self.emulator.to_string())
    }

    fn ram(&self) -> Range<u64> {
        Machine::RAM
    }

    fn reach(&self) -> u8 {
        32
    }

    fn may_ask(&self, probe: &Probe) -> bool {
        Machine::may_ask(probe)
    }

    fn fault(&self, _probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        if mapped.is_some() { FaultKind::Permission } else { FaultKind::NotMapped }
    }

    /// Bits 20:13 of a block hold its address's upper bits, of which the processors have all.
    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        let upper = raw >> 13 & 0xff;
        let is_block = level == 1 && raw >> 7 & 1 == 1 && params.get("pse") == Some(1);
        !is_block || upper == 0 || params.get("pa_bits") == Some(WIDTH)
    }

    /// By the manual, an error code tells fetches only where something may forbid them.
    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        Some(FaultInfo {
            address: Some(probe.address),
            access: if probe.access == Access::Execute { Rights::R } else { access(probe) },
            cause: cause(fault.kind),
            level: None,
            width: None,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.run(tables, registers, probes, &[]).verdicts
    }
}

/// Each question starts the emulator anew.
impl Live for Protected {
    const REMEMBERED: Access = Access::Read;
    const REMEMBERS: bool = false;

    fn begin(&mut self, registers: &[(&'static str, u64)], _targets: &Range<u64>) {
        self.memory = Memory::new(registers);
    }

    fn write(&mut self, chunks: &[Chunk]) {
        self.memory.write(chunks);
    }

    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.memory.read(address, length)
    }

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        let mut memory = std::mem::take(&mut self.memory);
        let verdicts = memory.ask(probes, |image, registers, peek| self.run(image, registers, probes, peek));
        self.memory = memory;
        verdicts
    }
}

/// The tests of all configurations on one emulator, and their judge.
fn tests_on(emulator: Emulator) -> (Vec<Trial>, Shared<Protected>) {
    let judge = Shared::new(move || Protected::new(emulator));
    let tests = configured("legacy").into_iter().flat_map(|case| {
        let generated = generated!(legacy, case.params).expect("one module for all").expect("a legal configuration");
        let setup = Setup::new(&case, generated);
        trials(&setup, &judge).into_iter().chain(hardware_trial(&setup, &judge)).collect::<Vec<_>>()
    });
    (tests.map(|test| test.with_kind(emulator.program())).collect(), judge)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (mut tests, mut judged) = (Vec::new(), Vec::new());
    for (emulator, title) in [(Emulator::QemuX86, "32-bit paging on QEMU"), (Emulator::Bochs, "32-bit paging on Bochs")]
    {
        if let Some(found) = require(emulator) {
            let (these, judge) = tests_on(emulator);
            tests.extend(these);
            judged.push((title, found, move || judge.counts()));
        }
    }
    let section = |(title, found, counts)| Section { title, found, iommu: false, counts };
    let sections: Vec<_> = judged.iter().map(|(title, found, counts)| section((*title, found, counts as _))).collect();
    report::run(&arguments, tests, &sections)
}
