//! IOMMUs' tables that the library built, walked by QEMU for what a device loads and stores.

mod behind;
mod riscv;
mod riscv_first_stage;
mod smmu_v3;
mod vtd_second_stage;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright_tests::conformance::Shared;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::emulators::{Emulator, require};

use behind::Behind;

/// An emulator, the heading of what its IOMMUs judge, the judge, and what it is asked.
type Bench = (Emulator, &'static str, Shared<Behind>, fn(&Shared<Behind>) -> Vec<Trial>);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let benches: [Bench; 4] = [
        (Emulator::QemuRiscv64, "RISC-V IOMMU, second stage", riscv::judge(), riscv::all),
        (Emulator::QemuRiscv64, "RISC-V IOMMU, first stage", riscv_first_stage::judge(), riscv_first_stage::all),
        (Emulator::QemuAarch64, "SMMUv3", smmu_v3::judge(), smmu_v3::all),
        (Emulator::QemuX86, "VT-d", vtd_second_stage::judge(), vtd_second_stage::all),
    ];
    let (mut tests, mut asked) = (Vec::new(), Vec::new());
    for (emulator, title, judge, all) in benches {
        if let Some(found) = require(emulator) {
            tests.extend(all(&judge).into_iter().map(|test| test.with_kind(title)));
            asked.push((title, found, judge));
        }
    }
    let counts: Vec<_> = asked.iter().map(|(_, _, judge)| || judge.counts()).collect();
    let told = asked.iter().zip(&counts);
    let sections: Vec<Section<'_>> =
        told.map(|((title, found, _), counts)| Section { title, found, iommu: true, counts }).collect();
    report::run(&arguments, tests, &sections)
}
