//! AMD's IOMMU: host page tables.

use tablewright::Level;
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{Setup, Shared, control_trials, live_trials, trials};
use tablewright_tests::formats::{configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::FaultKind;
use tablewright_tests::mmu::deviations::{
    AMD_IGNORES_SKIPPED_BITS, AMD_TAKES_ILLEGAL_ENTRIES, AMD_TRANSLATES_BY_ABSENT_LEAVES, Deviation,
};
use tablewright_tests::mmu::iommu::amd::PATH;

use super::Judged;
use super::behind::{Behind, Made, Rules};

const RULES: Rules = Rules {
    // AMD_IGNORES_UPPER_BITS.
    reach: |input_bits| input_bits,
    fault: |_, _| FaultKind::Unspecified,
    deviates,
    // AMD_RECORDS_NO_FAULTS.
    cause: |_| None,
    ..Rules::COMMON
};

/// What the model checks is that a table is present and grants the access.
fn deviates(_: &Params, level: Level, raw: u64) -> Option<&'static Deviation> {
    let next_level = (raw >> 9 & 0b111) as u8;
    let is_leaf = matches!(next_level, 0 | 7);
    match raw & 1 {
        0 => (is_leaf && raw != 0).then_some(&AMD_TRANSLATES_BY_ABSENT_LEAVES),
        _ if is_leaf => (!is_legal_leaf(level, raw)).then_some(&AMD_TAKES_ILLEGAL_ENTRIES),
        _ if raw >> 52 & 0x1ff != 0 || next_level > level => Some(&AMD_TAKES_ILLEGAL_ENTRIES),
        _ => (next_level < level).then_some(&AMD_IGNORES_SKIPPED_BITS),
    }
}

/// Whether there is such a size at the level, without those of 512 GiB and more, and reserved bits are 0.
fn is_legal_leaf(level: Level, raw: u64) -> bool {
    let size_of_level = 12 + 9 * u32::from(level);
    let is_legal_size = match raw >> 9 & 0b111 {
        0 => true,
        // The lowest bit of the address that is 0 is the highest below the page.
        _ => (size_of_level + 1..=size_of_level + 8).contains(&(13 + (raw >> 12).trailing_ones())),
    };
    level <= 2 && is_legal_size && raw >> 52 & 0x7f == 0
}

/// A root alone has nothing that moves.
const CONFIGS: [Made; 3] = [
    ("two-level", "one-level", &[("levels", 2), ("input_bits", 30)]),
    ("four-level", "four-level", &[]),
    ("six-level", "six-level", &[]),
];

/// All tests.
pub(crate) fn all() -> Judged {
    let judge = &Shared::new(|| Behind::start(&PATH, &RULES));
    let mut tests = Vec::new();
    let cases = configured("amd_iommu_v1");
    for (name, from, made) in CONFIGS {
        let from = cases.iter().find(|case| case.config.id.value == from).expect("such a configuration");
        // The model sets no states, and the device has no TLB.
        let plain = [("access_dirty", 0), ("device_tlb", 0)];
        let case = varied(from, &format!("amd_iommu_v1/{name}"), &[&plain, made].concat());
        let generated = generated!(tablewright::x86_64::amd_iommu_v1, case.params).expect("one module for all");
        let setup = Setup::new(&case, generated.expect("a legal configuration"));
        tests.extend(trials(&setup, judge));
        tests.extend(live_trials(&setup, judge));
        if setup.name == "amd_iommu_v1/four-level" {
            tests.extend(control_trials(&setup, judge));
        }
    }
    (judge.clone(), tests)
}
