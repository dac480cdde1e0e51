//! Intel VT-d: the second stage.

use libtest_mimic::Trial;
use tablewright_tests::conformance::{Setup, Shared, cause, control_trials, live_trials, trials};
use tablewright_tests::formats::{configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::iommu::vtd::LEGACY;
use tablewright_tests::mmu::{Access, FaultKind};

use super::behind::{Behind, Made, Rules};

/// Bits of an entry.
const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;

const RULES: Rules = Rules {
    user: false,
    reach: 64,
    fault: |fits, _| if fits { FaultKind::Unspecified } else { FaultKind::AddressSize },
    // Of an entry that is illegal and grants too little, both are true, and the manual does not say what comes first.
    reserved: |probe, _, _, raw| {
        let needs = if probe.access == Access::Read { READ } else { WRITE };
        if raw & needs == 0 { FaultKind::Unspecified } else { FaultKind::Misconfigured }
    },
    unmarked: FaultKind::Unspecified,
    deviates: |_, _, _| None,
    address: |address| address & !0xfff,
    cause,
};

/// The model has addresses of 48 bits, and all sizes of pages.
const CONFIGS: [Made; 2] = [
    ("legacy-three-level", "legacy", &[("huge_1g", 1), ("snoop_control", 1), ("page_selective", 1)]),
    ("legacy-four-level", "legacy-snooping", &[("caching_mode", 0)]),
];

/// The judge of all configurations of legacy mode.
pub(crate) fn judge() -> Shared<Behind> {
    Shared::new(|| Behind::start(&LEGACY, &RULES))
}

/// All tests.
pub(crate) fn all(judge: &Shared<Behind>) -> Vec<Trial> {
    let mut tests = Vec::new();
    let cases = configured("vtd_second_stage");
    for (name, from, made) in CONFIGS {
        let from = cases.iter().find(|case| case.config.id.value == from).expect("such a configuration");
        let case = varied(from, &format!("vtd_second_stage/{name}"), &[&[("pa_bits", 48)], made].concat());
        let generated = generated!(tablewright::x86_64::vtd_second_stage, case.params).expect("one module for all");
        let setup = Setup::new(&case, generated.expect("a legal configuration"));
        tests.extend(trials(&setup, judge));
        tests.extend(live_trials(&setup, judge));
        tests.extend(control_trials(&setup, judge));
    }
    tests
}
