//! RISC-V IOMMU: the first stage, by a device context, and by a process context below it.

use tablewright_tests::conformance::{Setup, Shared, control_trials, live_trials, trials};
use tablewright_tests::formats::{configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::iommu::riscv::PATH;

use super::behind::{Behind, Rules};
use super::{Judged, riscv};

/// The device has no privilege, and a report tells all of its address.
const RULES: Rules = Rules { user: true, address: |address| address, ..riscv::RULES };

/// All tests.
pub(crate) fn all() -> Judged {
    let judge = &Shared::new(|| Behind::start(&PATH, &RULES));
    let mut tests = Vec::new();
    for case in configured("riscv_iommu_first_stage") {
        let name = format!("riscv_iommu_first_stage/{}", case.config.id.value);
        let case = varied(&case, &name, &riscv::PLAIN);
        let generated = generated!(tablewright::riscv64::riscv_iommu_first_stage, case.params);
        let setup = Setup::new(&case, generated.expect("one module for all").expect("a legal configuration"));
        tests.extend(trials(&setup, judge));
        tests.extend(live_trials(&setup, judge));
        // An address space of its own, and global pages.
        if ["sv39", "sv39-process"].map(|name| format!("riscv_iommu_first_stage/{name}")).contains(&setup.name) {
            tests.extend(control_trials(&setup, judge));
        }
    }
    (judge.clone(), tests)
}
