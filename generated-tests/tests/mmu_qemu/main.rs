//! Checks the QEMU judges with tables written by hand, words and expectations from the manuals.

mod aarch64;
mod expect;
mod loongarch64;
mod riscv32;
mod riscv64;
mod s390x;
mod stage1;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Trial};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::mmu;
use tablewright_tests::mmu::deviations::Deviation;
use tablewright_tests::mmu::riscv::{Machine, Xlen};

/// A test by name.
type Case<Machine> = (&'static str, fn(&mut Machine));

/// Whether the emulator that is there departs from its manual so.
pub(crate) fn deviates(deviation: &Deviation) -> bool {
    require(deviation.emulator).is_some_and(|found| deviation.applies_to(&found))
}

fn main() {
    let arguments = Arguments::from_args();
    let trials = [
        trials(Emulator::QemuAarch64, aarch64::CASES, mmu::aarch64::Machine::start),
        trials(Emulator::QemuAarch64, stage1::CASES, mmu::aarch64::stage1::Stage1::start),
        trials(Emulator::QemuRiscv32, riscv32::CASES, || Machine::start(Xlen::Rv32)),
        trials(Emulator::QemuRiscv64, riscv64::CASES, || Machine::start(Xlen::Rv64)),
        trials(Emulator::QemuLoongArch64, loongarch64::CASES, mmu::loongarch64::Machine::start),
        trials(Emulator::QemuS390x, s390x::CASES, mmu::s390x::Machine::start),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}

/// The tests of one machine. They share one running emulator, which the first of them starts.
fn trials<Machine, Error>(
    emulator: Emulator,
    cases: &'static [Case<Machine>],
    start: fn() -> Result<Machine, Error>,
) -> Vec<Trial>
where
    Machine: Send + 'static,
    Error: Debug + Send + 'static,
{
    let missing = require(emulator).is_none();
    let machine = Arc::new(OnceLock::new());
    let trial = |&(name, case): &Case<Machine>| {
        let machine = Arc::clone(&machine);
        let run = move || {
            let machine = machine.get_or_init(|| Mutex::new(start().expect("QEMU starts")));
            // A failed test leaves the machine usable.
            case(&mut machine.lock().unwrap_or_else(PoisonError::into_inner));
            Ok(())
        };
        Trial::test(name, run).with_kind(emulator.program()).with_ignored_flag(missing)
    };
    cases.iter().map(trial).collect()
}
