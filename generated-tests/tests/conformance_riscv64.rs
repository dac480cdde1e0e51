//! RISC-V G-stage tables that the library built, walked by QEMU.

use std::ops::Range;

use libtest_mimic::{Arguments, Trial};
use tablewright::{Cause, FaultInfo, Rights};
use tablewright_tests::conformance::{Judge, Setup, Shared, access, trials};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::riscv64::Machine;
use tablewright_tests::mmu::{Chunk, Fault, FaultKind, Probe, Verdict};

struct Qemu(Machine);

impl Judge for Qemu {
    fn ram(&self) -> Range<u64> {
        self.0.ram()
    }

    fn reach(&self) -> u8 {
        63
    }

    fn fault(&self, _probe: &Probe, _mapped: Option<Rights>) -> FaultKind {
        // The architecture has one fault for everything.
        FaultKind::Unspecified
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        assert_eq!(fault.level, None, "no report has a level");
        Some(FaultInfo {
            // htval is the address without its two lowest bits, and 0 if it is not reported.
            address: (probe.address >> 2 != 0).then_some(probe.address),
            access: access(probe),
            cause: Cause::Unspecified,
            level: None,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.0.clear();
        self.0.load(tables);
        self.0.set_gstage(registers);
        self.0.probe(probes)
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let mut tests: Vec<Trial> = Vec::new();
    if require(Emulator::QemuRiscv64).is_some() {
        let judge = Shared::new(|| Qemu(Machine::start().unwrap_or_else(|error| panic!("{error}"))));
        for case in configured("sv_x4") {
            let generated = generated!(tablewright::riscv64::sv_x4, case.params).expect("one module for all");
            let generated = generated.expect("a legal configuration");
            tests.extend(trials(&Setup::new(&case, generated), &judge));
        }
    }
    libtest_mimic::run(&arguments, tests).exit();
}
