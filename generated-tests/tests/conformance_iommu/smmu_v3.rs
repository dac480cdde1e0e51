//! SMMUv3: stage 2.

use tablewright_tests::conformance::{Setup, Shared, control_trials, live_trials, trials};
use tablewright_tests::formats::{configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::FaultKind;
use tablewright_tests::mmu::deviations::{SMMU_CHECKS_ADDRESS_LAST, SMMU_READS_WIDE_TABLES, SMMU_TAKES_ANY_BLOCK};
use tablewright_tests::mmu::iommu::smmu_v3::PATH;

use super::Judged;
use super::behind::{Behind, Made, Rules};

/// Bits of a leaf: S2AP; AF.
const RIGHTS: u64 = 0b11 << 6;
const ACCESSED: u64 = 1 << 10;

const RULES: Rules = Rules {
    // Above, stage 1 faults, which is not there (and the model reports nothing).
    reach: |_| 44,
    // A block of pages' level, or an address that is too wide: what else can be wrong is misread.
    reserved: |_, _, level, raw| {
        if level == 0 && raw & 0b11 == 0b01 { FaultKind::NotMapped } else { FaultKind::AddressSize }
    },
    deviates: |params, level, raw| {
        let blocks = if params.get("granule") == Some(12) { 1..=2 } else { 1..=1 };
        if raw & 0b11 == 0b01 && level > 0 && !blocks.contains(&level) {
            return Some(&SMMU_TAKES_ANY_BLOCK);
        }
        let leaf = level == 0 || raw & 0b10 == 0;
        let late = raw & ACCESSED == 0 || raw & RIGHTS != RIGHTS;
        match raw >> 44 & 0xf {
            0 => None,
            _ if leaf => late.then_some(&SMMU_CHECKS_ADDRESS_LAST),
            _ => Some(&SMMU_READS_WIDE_TABLES),
        }
    },
    ..Rules::COMMON
};

/// The model has addresses of 44 bits, and takes no roots of several tables.
const CONFIGS: [Made; 5] = [
    ("4k-39", "4k-39", &[]),
    ("4k-44", "4k-39", &[("levels", 4), ("input_bits", 44)]),
    ("16k-36", "16k-40", &[("levels", 2), ("input_bits", 36)]),
    ("16k-44", "16k-40", &[("levels", 3), ("input_bits", 44)]),
    ("64k-42", "64k-42", &[]),
];

/// All tests.
pub(crate) fn all() -> Judged {
    let judge = &Shared::new(|| Behind::start(&PATH, &RULES));
    let mut tests = Vec::new();
    let cases = configured("smmu_v3");
    for (name, from, made) in CONFIGS {
        let from = cases.iter().find(|case| case.config.id.value == from).expect("such a configuration");
        let plain = [("pa_bits", 44), ("fwb", 0), ("xnx", 0), ("hardware_access", 0), ("hardware_dirty", 0)];
        let case = varied(from, &format!("smmu_v3/{name}"), &[&plain, made].concat());
        macro_rules! of_module {
            ($($module:ident)::+) => {
                if let Some(generated) = generated!($($module)::+, case.params) {
                    let setup = Setup::new(&case, generated.expect("a legal configuration"));
                    tests.extend(trials(&setup, judge));
                    tests.extend(live_trials(&setup, judge));
                    if setup.name == "smmu_v3/4k-39" {
                        tests.extend(control_trials(&setup, judge));
                    }
                }
            };
        }
        of_module!(tablewright::aarch64::smmu_v3_4k);
        of_module!(tablewright::aarch64::smmu_v3_16k);
        of_module!(tablewright::aarch64::smmu_v3_64k);
    }
    (judge.clone(), tests)
}
