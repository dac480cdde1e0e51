//! RISC-V IOMMU: the second stage.

use tablewright::Cause;
use tablewright_tests::conformance::{Setup, Shared, control_trials, live_trials, trials};
use tablewright_tests::formats::{configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::FaultKind;
use tablewright_tests::mmu::deviations::{
    IOMMU_ADDRESS_IS_WIDE, IOMMU_IGNORES_POINTER_BITS, IOMMU_IGNORES_USER, IOMMU_STORES_UNACCESSED,
};
use tablewright_tests::mmu::iommu::riscv::PATH;

use super::Judged;
use super::behind::{Behind, Rules};

/// Bits of an entry: R, W and X; U; A and D; D.
const RIGHTS: u64 = 0b111 << 1;
const USER: u64 = 1 << 4;
const STATES: u64 = 0b11 << 6;
const DIRTY: u64 = 1 << 7;

/// The model has neither runs nor memory types, and sets no states.
pub(super) const PLAIN: [(&str, i64); 4] = [("svnapot", 0), ("svpbmt", 0), ("svadu", 0), ("svrsw60t59b", 0)];

/// There is one fault for everything.
pub(super) const RULES: Rules = Rules {
    fault: |_, _| FaultKind::Unspecified,
    reserved: |_, _, _, _| FaultKind::Unspecified,
    unmarked: FaultKind::Unspecified,
    deviates: |_, _, raw| match raw {
        _ if raw >> 54 != 0 => Some(&IOMMU_ADDRESS_IS_WIDE),
        _ if raw & RIGHTS == 0 => (raw & (USER | STATES) != 0).then_some(&IOMMU_IGNORES_POINTER_BITS),
        _ if raw & USER == 0 => Some(&IOMMU_IGNORES_USER),
        _ => (raw & STATES == DIRTY).then_some(&IOMMU_STORES_UNACCESSED),
    },
    // IOMMU_REPORTS_NO_GPA: iotval tells the two lowest bits.
    address: |address| address & 0b11,
    cause: |_| Some(Cause::Unspecified),
    ..Rules::COMMON
};

/// All tests.
pub(crate) fn all() -> Judged {
    let judge = &Shared::new(|| Behind::start(&PATH, &RULES));
    let mut tests = Vec::new();
    for case in configured("riscv_iommu") {
        let name = format!("riscv_iommu/{}", case.config.id.value);
        let case = varied(&case, &name, &PLAIN);
        let generated = generated!(tablewright::riscv64::riscv_iommu, case.params).expect("one module for all");
        let setup = Setup::new(&case, generated.expect("a legal configuration"));
        tests.extend(trials(&setup, judge));
        tests.extend(live_trials(&setup, judge));
        if setup.name == "riscv_iommu/sv39x4" {
            tests.extend(control_trials(&setup, judge));
        }
    }
    (judge.clone(), tests)
}
