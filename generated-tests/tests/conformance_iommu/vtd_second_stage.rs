//! Intel VT-d: the second stage, below context entries and below entries of a PASID table.

use tablewright_tests::conformance::{Setup, Shared, control_trials, live_trials, trials};
use tablewright_tests::formats::{configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::iommu::Path;
use tablewright_tests::mmu::iommu::vtd::{LEGACY, scalable};
use tablewright_tests::mmu::{Access, FaultKind};

use super::Judged;
use super::behind::{Behind, Made, Rules};

/// Bits of an entry.
const READ: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;

const RULES: Rules = Rules {
    fault: |fits, _| if fits { FaultKind::Unspecified } else { FaultKind::AddressSize },
    // Of an entry that is illegal and grants too little, both are true, and the manual does not say what comes first.
    reserved: |probe, _, _, raw| {
        let needs = if probe.access == Access::Read { READ } else { WRITE };
        if raw & needs == 0 { FaultKind::Unspecified } else { FaultKind::Misconfigured }
    },
    unmarked: FaultKind::Unspecified,
    address: |address| address & !0xfff,
    ..Rules::COMMON
};

/// VTD_RECORDS_LEGACY_REASONS.
const SCALABLE_RULES: Rules = Rules { cause: |_| None, ..RULES };

/// The model has addresses of 48 bits, and all sizes of pages.
const LEGACY_CONFIGS: [Made; 2] = [
    ("legacy-three-level", "legacy", &[("huge_1g", 1), ("snoop_control", 1), ("page_selective", 1)]),
    ("legacy-four-level", "legacy-snooping", &[("caching_mode", 0)]),
];

/// It sets no states.
const SCALABLE_CONFIGS: [Made; 2] = [
    (
        "scalable-three-level",
        "scalable",
        &[
            ("levels", 3),
            ("input_bits", 39),
            ("three_level", 1),
            ("access_dirty", 0),
            ("huge_2m", 1),
            ("huge_1g", 1),
            ("page_selective", 1),
        ],
    ),
    ("scalable-four-level", "scalable", &[("access_dirty", 0), ("huge_2m", 1), ("snoop_control", 1)]),
];

/// All tests of legacy mode.
pub(crate) fn legacy() -> Judged {
    all(&LEGACY, &RULES, &LEGACY_CONFIGS)
}

/// All tests of scalable mode.
pub(crate) fn scalable() -> Judged {
    all(&scalable::SECOND_STAGE, &SCALABLE_RULES, &SCALABLE_CONFIGS)
}

fn all(path: &'static Path, rules: &'static Rules, configs: &[Made]) -> Judged {
    let judge = &Shared::new(move || Behind::start(path, rules));
    let mut tests = Vec::new();
    let cases = configured("vtd_second_stage");
    for (name, from, made) in configs {
        let from = cases.iter().find(|case| case.config.id.value == *from).expect("such a configuration");
        let case = varied(from, &format!("vtd_second_stage/{name}"), &[&[("pa_bits", 48)], *made].concat());
        let generated = generated!(tablewright::x86_64::vtd_second_stage, case.params).expect("one module for all");
        let setup = Setup::new(&case, generated.expect("a legal configuration"));
        tests.extend(trials(&setup, judge));
        tests.extend(live_trials(&setup, judge));
        tests.extend(control_trials(&setup, judge));
    }
    (judge.clone(), tests)
}
