//! RISC-V G-stage tables that the library built, walked by QEMU.

use std::ops::Range;

use libtest_mimic::{Arguments, Trial};
use tablewright::Rights;
use tablewright::riscv64::sv_x4;
use tablewright_tests::conformance::{Judge, Setup, Shared, trials};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::riscv64::Machine;
use tablewright_tests::mmu::{Chunk, FaultKind, Probe, Verdict};

struct Qemu(Machine);

impl Judge<sv_x4::Format> for Qemu {
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

    fn judge(&mut self, tables: &[Chunk], registers: &sv_x4::Registers, probes: &[Probe]) -> Vec<Verdict> {
        self.0.clear();
        self.0.load(tables);
        self.0.set_gstage(&registers.by_name());
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
            let format = generated.expect("a legal configuration").format;
            tests.extend(trials(&Setup { name: case.config.id.value, format, bound: case.bound }, &judge));
        }
    }
    libtest_mimic::run(&arguments, tests).exit();
}
