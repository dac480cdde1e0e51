//! RISC-V tables that the library built, walked by QEMU.

mod gstage;
mod stage1;
mod two_stage;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use tablewright::{Cause, FaultInfo};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{Instructions, access};
use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::Probe;
use tablewright_tests::mmu::deviations::{Deviation, RESERVED_PBMT};
use tablewright_tests::mmu::riscv64::Machine;

/// Whether the CPU reads an entry as the parameters say: it has Svnapot, which nothing turns off, and no Svrsw60t59b.
fn can_judge(params: &Params, raw: u64) -> bool {
    let has = |param| params.get(param) == Some(1);
    (has("svnapot") || raw >> 63 == 0) && (!has("svrsw60t59b") || raw >> 59 & 0b11 == 0)
}

/// The departure that shows in an entry of either stage.
fn deviates(found: &Found, raw: u64) -> Option<&'static Deviation> {
    let leaf = raw & 0b1110 != 0;
    (leaf && raw >> 61 & 0b11 == 3 && RESERVED_PBMT.applies_to(found)).then_some(&RESERVED_PBMT)
}

/// What a fault of either stage tells, if it has this address. The architecture has one cause for everything.
fn told(probe: &Probe, address: Option<u64>) -> FaultInfo {
    FaultInfo { address, access: access(probe), cause: Cause::Unspecified, level: None, width: None, guest_walk: false }
}

/// Executes instructions in M-mode.
fn execute(machine: &mut Machine, instructions: &Instructions) {
    let mut arguments = [0; 4];
    for (register, value) in &instructions.operands {
        let number: usize = register.trim_start_matches('a').parse().expect("a register of arguments");
        arguments[number] = *value;
    }
    machine.run_with(&instructions.words, arguments).unwrap_or_else(|error| panic!("{error}"));
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(found) = require(Emulator::QemuRiscv64) else {
        return report::run(&arguments, Vec::new(), &[]);
    };
    let (stage1, gstage, both) = (stage1::judge(&found), gstage::judge(&found), two_stage::judge(&found));
    let tests = gstage::all(&gstage).into_iter().chain(stage1::all(&stage1)).chain(two_stage::all(&both)).collect();
    let (of_stage1, of_gstage, of_both) = (|| stage1.counts(), || gstage.counts(), || both.counts());
    let sections = [
        Section { title: "RISC-V G-stage", found: &found, iommu: false, counts: &of_gstage },
        Section { title: "RISC-V satp", found: &found, iommu: false, counts: &of_stage1 },
        Section { title: "RISC-V two-stage", found: &found, iommu: false, counts: &of_both },
    ];
    report::run(&arguments, tests, &sections)
}
