//! Intel VT-d: the first stage.

use tablewright_tests::conformance::{Setup, Shared, control_trials, live_trials, trials};
use tablewright_tests::formats::{configured, varied};
use tablewright_tests::generated;
use tablewright_tests::mmu::iommu::vtd::scalable::{FIRST_STAGE, PASID};
use tablewright_tests::mmu::{Access, FaultKind};

use super::Judged;
use super::behind::{Behind, Rules};

/// Bits of an entry.
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;

/// A request without a PASID is a user's.
const RULES: Rules = Rules {
    user: true,
    // SRE is 0, WPE 1.
    controls: Some(&[1 << 4]),
    fault: |fits, mapped| match (fits, mapped) {
        (false, _) => FaultKind::AddressSize,
        (true, false) => FaultKind::NotMapped,
        (true, true) => FaultKind::Permission,
    },
    // Where an entry grants too little, and it or one below is illegal or not present, both are true, and the manual does
    // not say what comes first.
    denied_above: Some(FaultKind::Permission),
    reserved: |probe, _, _, raw| {
        let needs = if probe.access == Access::Read { USER } else { USER | WRITE };
        if raw & needs == needs { FaultKind::Misconfigured } else { FaultKind::Permission }
    },
    // VTD_KEEPS_STATES.
    marks_loaded: false,
    address: |address| address & !0xfff,
    ..Rules::COMMON
};

/// All tests. The model has 4 levels, and addresses of 48 bits.
pub(crate) fn all() -> Judged {
    let judge = &Shared::new(|| Behind::start(&FIRST_STAGE, &RULES));
    let mut tests = Vec::new();
    let cases = configured("vtd_first_stage");
    let from = cases.iter().find(|case| case.config.id.value == "four-level").expect("such a configuration");
    let has = [("pa_bits", 48), ("supervisor_requests", 0), ("huge_1g", 1), ("pasid", PASID as i64)];
    let case = varied(from, "vtd_first_stage/four-level", &has);
    let generated = generated!(tablewright::x86_64::vtd_first_stage, case.params).expect("one module for all");
    let setup = Setup::new(&case, generated.expect("a legal configuration"));
    tests.extend(trials(&setup, judge));
    tests.extend(live_trials(&setup, judge));
    tests.extend(control_trials(&setup, judge));
    (judge.clone(), tests)
}
