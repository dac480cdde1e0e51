//! Tables of 32-bit paging and of PAE paging, built by the library and walked by QEMU and Bochs.

use std::ops::Range;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright::{
    ByName, FaultInfo, Level, Rights,
    x86_64::{legacy, pae},
};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{Judge, Memory, Restarted, Setup, Shared, access, cause, hardware_trial, trials};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::{Configured, configured};
use tablewright_tests::generated;
use tablewright_tests::mmu::x86_64::protected::{Batch, Machine, Outcome, Paging};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// CR0.WP, without which supervisors may write everywhere.
const WRITE_PROTECT: u32 = 1 << 16;
/// Width of the processors' physical addresses, where nothing is said, and as far as blocks of 4 MiB go.
const WIDTH: i64 = 40;
/// What is reserved in an entry of a PAE root, below the width of addresses.
const POINTER_RESERVED: u64 = 0b1_1110_0110;

/// An emulator that judges one configuration.
pub(crate) struct Protected {
    emulator: Emulator,
    machine: Machine,
    width: i64,
    /// Whether something can be forbidden to be executed.
    no_execute: bool,
    memory: Memory,
}

impl Protected {
    fn new(emulator: Emulator) -> Self {
        let model = if emulator == Emulator::Bochs { "ryzen" } else { "max,phys-bits=40" };
        let machine = Machine::new(emulator, model).unwrap_or_else(|error| panic!("{error}"));
        Self { emulator, machine, width: WIDTH, no_execute: false, memory: Memory::default() }
    }
}

impl Judge for Protected {
    fn prepare(&mut self, case: &Configured) {
        let get = |name| case.params.get(name);
        self.no_execute = get("no_execute") == Some(1);
        // Where blocks have 4 MiB, there is no more to addresses.
        let wanted = if get("pse").is_some() { None } else { get("pa_bits") };
        if self.emulator != Emulator::Bochs {
            self.width = wanted.unwrap_or(WIDTH);
            self.machine = self.machine.clone().with_model(format!("max,phys-bits={}", self.width));
        }
    }

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

    /// Without PAE, bits 20:13 of a block hold its address's upper bits, of which the processors have all. With PAE, the
    /// processors' addresses are of their own width; and no root is loaded that has reserved bits.
    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        let width = params.get("pa_bits").unwrap_or(WIDTH);
        if params.get("pse").is_none() {
            let above = |width: i64| u64::MAX << width;
            let reserved = if level == 2 { POINTER_RESERVED | above(width) } else { 0 };
            return raw & 1 == 0 || raw & (above(width) ^ above(self.width) | reserved) == 0;
        }
        let upper = raw >> 13 & 0xff;
        let is_block = level == 1 && raw >> 7 & 1 == 1 && params.get("pse") == Some(1);
        !is_block || upper == 0 || width == WIDTH
    }

    /// By the manual, an error code tells fetches only where something may forbid them.
    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        Some(FaultInfo {
            address: Some(probe.address),
            access: if probe.access == Access::Execute && !self.no_execute { Rights::R } else { access(probe) },
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

impl Restarted for Protected {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn run(&mut self, image: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe], peek: &[u64]) -> Outcome {
        let find = |name| registers.iter().find(|(register, _)| *register == name).map(|(_, value)| *value as u32);
        let register = |name| find(name).unwrap_or_else(|| panic!("no {name} in {registers:x?}"));
        let paging = Paging {
            cr0: register("cr0") | WRITE_PROTECT,
            cr3: register("cr3"),
            cr4: register("cr4"),
            efer: find("efer").unwrap_or(0),
        };
        self.machine.run(&Batch { image, paging, probes, peek }).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The tests of a configuration.
fn tests_of<F: ByName>(setup: &Setup<F>, judge: &Shared<Protected>) -> Vec<Trial> {
    trials(setup, judge).into_iter().chain(hardware_trial(setup, judge)).collect()
}

/// The tests of all configurations of a format on one emulator, and their judge.
macro_rules! tests_on {
    ($emulator:expr, $module:ident, $file:literal) => {{
        let judge = Shared::new(move || Protected::new($emulator));
        let tests = configured($file).into_iter().flat_map(|case| {
            let generated = generated!($module, case.params).expect("one module for all");
            tests_of(&Setup::new(&case, generated.expect("a legal configuration")), &judge)
        });
        let tests: Vec<Trial> = tests.map(|test| test.with_kind($emulator.program())).collect();
        (tests, judge)
    }};
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (mut tests, mut judged) = (Vec::new(), Vec::new());
    for (emulator, titles) in [
        (Emulator::QemuX86, ["32-bit paging on QEMU", "PAE paging on QEMU"]),
        (Emulator::Bochs, ["32-bit paging on Bochs", "PAE paging on Bochs"]),
    ] {
        if let Some(found) = require(emulator) {
            let both = [tests_on!(emulator, legacy, "legacy"), tests_on!(emulator, pae, "pae")];
            for (title, (these, judge)) in titles.into_iter().zip(both) {
                tests.extend(these);
                judged.push((title, found.clone(), move || judge.counts()));
            }
        }
    }
    let section = |(title, found, counts)| Section { title, found, iommu: false, counts };
    let sections: Vec<_> = judged.iter().map(|(title, found, counts)| section((*title, found, counts as _))).collect();
    report::run(&arguments, tests, &sections)
}
