//! AArch64 stage 2 tables that the library built, walked by QEMU.

use std::ops::Range;

use libtest_mimic::{Arguments, Trial};
use tablewright::{FaultInfo, Rights};
use tablewright_tests::conformance::{Judge, Setup, Shared, access, cause, trials};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::aarch64::Machine;
use tablewright_tests::mmu::{Chunk, Fault, FaultKind, Probe, Verdict};

struct Qemu(Machine);

impl Judge for Qemu {
    fn ram(&self) -> Range<u64> {
        self.0.ram()
    }

    fn reach(&self) -> u8 {
        // A stage 1 gives no more.
        52
    }

    fn fault(&self, _probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        if mapped.is_some() { FaultKind::Permission } else { FaultKind::NotMapped }
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        // HPFAR_EL2 is not valid for Permission faults, unless a stage 1 walk met them, nor for External aborts.
        let told = !matches!(fault.kind, FaultKind::Permission | FaultKind::Bus);
        Some(FaultInfo {
            address: told.then_some(probe.address),
            access: access(probe),
            cause: cause(fault.kind),
            level: fault.level,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.0.clear();
        self.0.load(tables);
        self.0.set_stage2(registers);
        self.0.probe(probes)
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let mut tests: Vec<Trial> = Vec::new();
    if require(Emulator::QemuAarch64).is_some() {
        let judge = Shared::new(|| Qemu(Machine::start().unwrap_or_else(|error| panic!("{error}"))));
        for case in configured("stage2") {
            macro_rules! of_module {
                ($($module:ident)::+) => {
                    if let Some(generated) = generated!($($module)::+, case.params) {
                        let generated = generated.expect("a legal configuration");
                        tests.extend(trials(&Setup::new(&case, generated), &judge));
                    }
                };
            }
            of_module!(tablewright::aarch64::stage2_4k);
            of_module!(tablewright::aarch64::stage2_16k);
            of_module!(tablewright::aarch64::stage2_64k);
        }
    }
    libtest_mimic::run(&arguments, tests).exit();
}
