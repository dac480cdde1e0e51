//! AArch64 stage 2 tables that the library built, walked by QEMU.

use std::ops::Range;

use libtest_mimic::{Arguments, Trial};
use tablewright::Rights;
use tablewright::aarch64::{stage2_4k, stage2_16k, stage2_64k};
use tablewright_tests::conformance::{Judge, Setup, Shared, trials};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::aarch64::Machine;
use tablewright_tests::mmu::{Chunk, FaultKind, Probe, Verdict};

struct Qemu(Machine);

impl Qemu {
    fn judge(&mut self, tables: &[Chunk], registers: &[(&str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.0.clear();
        self.0.load(tables);
        self.0.set_stage2(registers);
        self.0.probe(probes)
    }
}

macro_rules! judges {
    ($($module:ident),*) => {
        $(impl Judge<$module::Format> for Qemu {
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

            fn judge(&mut self, tables: &[Chunk], registers: &$module::Registers, probes: &[Probe]) -> Vec<Verdict> {
                Qemu::judge(self, tables, &registers.by_name(), probes)
            }
        })*
    };
}
judges!(stage2_4k, stage2_16k, stage2_64k);

fn main() {
    let arguments = Arguments::from_args();
    let mut tests: Vec<Trial> = Vec::new();
    if require(Emulator::QemuAarch64).is_some() {
        let judge = Shared::new(|| Qemu(Machine::start().unwrap_or_else(|error| panic!("{error}"))));
        for case in configured("stage2") {
            macro_rules! of_module {
                ($($module:ident)::+) => {
                    if let Some(generated) = generated!($($module)::+, case.params) {
                        let format = generated.expect("a legal configuration").format;
                        let name = case.config.id.value.clone();
                        tests.extend(trials(&Setup { name, format, bound: case.bound.clone() }, &judge));
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
