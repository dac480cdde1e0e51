//! AArch64 tables built by the library and walked by QEMU.

mod memory_types;
mod stage1;
mod stage2;
mod two_stage;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use tablewright::{FaultInfo, Level};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{Instructions, access, cause};
use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::aarch64::Machine;
use tablewright_tests::mmu::deviations::{Deviation, UPPER_ADDRESS_BITS};
use tablewright_tests::mmu::{Fault, FaultKind, Probe};

/// What an illegal descriptor is: of a type that its level does not have, or with an address that is too wide.
fn reserved(params: &Params, level: Level, raw: u64) -> FaultKind {
    let has = |param| params.get(param) == Some(1);
    let blocks = match params.get("granule") {
        Some(12) => level <= 2 || level == 3 && has("lpa2"),
        Some(14) => level <= 1 || level == 2 && has("lpa2"),
        _ => level <= 1 || level == 2 && has("lpa"),
    };
    let block = raw & 0b11 == 0b01;
    if block && (level == 0 || !blocks) { FaultKind::NotMapped } else { FaultKind::AddressSize }
}

/// This CPU has FEAT_LPA in the 64K granule, which nothing turns off.
fn has_lpa(params: &Params, level: Level, raw: u64) -> bool {
    let leaf = level == 0 || raw & 0b10 == 0;
    let granule_64k = params.get("granule") == Some(16);
    params.get("lpa") == Some(1) || !granule_64k || raw >> 12 & 0b1111 == 0 && (level < 2 || !leaf)
}

/// The model's deviation that an entry of either stage shows.
fn deviates(found: &Found, params: &Params, raw: u64) -> Option<&'static Deviation> {
    let has = |param| params.get(param) == Some(1);
    let upper = if has("lpa2") { raw >> 8 & 0b11 } else { raw >> 12 & 0b1111 };
    let narrow = (has("lpa2") || has("lpa")) && params.get("pa_bits") != Some(52);
    (narrow && upper != 0 && UPPER_ADDRESS_BITS.applies_to(found)).then_some(&UPPER_ADDRESS_BITS)
}

/// What the report of a fault says, with its address if that is valid.
fn told(probe: &Probe, fault: &Fault, address: Option<u64>) -> Option<FaultInfo> {
    let (access, cause, level) = (access(probe), cause(fault.kind), fault.level);
    Some(FaultInfo { address, access, width: None, cause, level, guest_walk: false })
}

/// Executes instructions at EL3.
fn execute(machine: &mut Machine, instructions: &Instructions) {
    let mut arguments = [0; 4];
    for (register, value) in &instructions.operands {
        let number: usize = register.trim_start_matches('x').parse().expect("a register of arguments");
        arguments[number] = *value;
    }
    machine.run_with(&instructions.words, arguments).unwrap_or_else(|error| panic!("{error}"));
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(found) = require(Emulator::QemuAarch64) else {
        return report::run(&arguments, Vec::new(), &[]);
    };
    let (stage1, stage2, both) = (stage1::judge(&found), stage2::judge(&found), two_stage::judge(&found));
    let tests = stage2::all(&stage2).into_iter().chain(stage1::all(&stage1)).chain(two_stage::all(&both)).collect();
    let (of_stage1, of_stage2, of_both) = (|| stage1.counts(), || stage2.counts(), || both.counts());
    let sections = [
        Section { title: "AArch64 stage 2", found: &found, iommu: false, counts: &of_stage2 },
        Section { title: "AArch64 stage 1", found: &found, iommu: false, counts: &of_stage1 },
        Section { title: "AArch64 two-stage", found: &found, iommu: false, counts: &of_both },
    ];
    report::run(&arguments, tests, &sections)
}
