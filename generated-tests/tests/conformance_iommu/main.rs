//! IOMMU tables built by the library and walked by QEMU, for a device's loads and stores.

mod amd_v1;
mod behind;
mod riscv;
mod riscv_first_stage;
mod smmu_v3;
mod vtd_first_stage;
mod vtd_second_stage;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{Counts, Shared};
use tablewright_tests::emulators::{Emulator, require};

use behind::Behind;

/// A judge, and its tests.
type Judged = (Shared<Behind>, Vec<Trial>);

/// An emulator, the heading of what its IOMMUs judge, and its judges, one for each way to translate.
type Bench = (Emulator, &'static str, &'static [fn() -> Judged]);

const BENCHES: [Bench; 3] = [
    (Emulator::QemuRiscv64, "RISC-V IOMMU", &[riscv::all, riscv_first_stage::all]),
    (Emulator::QemuAarch64, "SMMUv3", &[smmu_v3::all]),
    (
        Emulator::QemuX86,
        "VT-d and AMD's IOMMU",
        &[vtd_second_stage::legacy, vtd_second_stage::scalable, vtd_first_stage::all, amd_v1::all],
    ),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (mut tests, mut asked) = (Vec::new(), Vec::new());
    for (emulator, title, judged) in BENCHES {
        if let Some(found) = require(emulator) {
            let (judges, its_tests): (Vec<_>, Vec<_>) = judged.iter().map(|all| all()).unzip();
            tests.extend(its_tests.into_iter().flatten().map(|test| test.with_kind(title)));
            asked.push((title, found, judges));
        }
    }
    let counts: Vec<_> =
        asked.iter().map(|(_, _, judges)| || judges.iter().flat_map(Shared::counts).collect::<Counts>()).collect();
    let told = asked.iter().zip(&counts);
    let sections: Vec<Section<'_>> =
        told.map(|((title, found, _), counts)| Section { title, found, iommu: true, counts }).collect();
    report::run(&arguments, tests, &sections)
}
