//! A guest's stage 1 of EL1&0 under our stage 2.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{Cause, FaultInfo, Rights};
use tablewright_tests::conformance::{
    Asked, NestedJudge, Setup, Shared, read_words, two_stage_trial, two_stage_trials,
};
use tablewright_tests::emulators::Found;
use tablewright_tests::formats::{Configured, configured};
use tablewright_tests::generated;
use tablewright_tests::mmu::aarch64::stage1::{Controls, Regime, Stage1};
use tablewright_tests::mmu::deviations::{CLEAN_IS_EXECUTED, Deviation};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

use crate::memory_types::of_both;

/// The page of an address, of which alone HPFAR_EL2 tells.
const PAGE: u64 = !0xfff;

/// A machine whose guest has tables of its own.
pub(crate) struct Qemu {
    pub(crate) stage1: Stage1,
    found: Found,
    regime: Regime,
    /// Whether hardware keeps the dirty state of the guest's own tables.
    keeps_dirty: bool,
}

impl NestedJudge for Qemu {
    fn prepare(&mut self, guest: &Configured) {
        let has = |param| guest.params.get(param) == Some(1);
        self.regime = Regime::El1 { upper: has("upper") };
        self.keeps_dirty = has("hardware_dirty");
    }

    fn ram(&self) -> Range<u64> {
        self.stage1.machine.ram()
    }

    fn reach(&self) -> u8 {
        64
    }

    fn own_code(&self) -> Range<u64> {
        Stage1::OWN
    }

    fn may_ask(&self, probe: &Probe, own: Rights) -> bool {
        let executed_if_clean = probe.access == Access::Execute && !probe.user && own.contains(Rights::UW);
        !(self.keeps_dirty && executed_if_clean && self.deviates(&CLEAN_IS_EXECUTED))
    }

    fn grants(&self, probe: &Probe, own: Rights) -> bool {
        match (probe.access, probe.user) {
            (Access::Read, false) => own.contains(Rights::PR),
            (Access::Read, true) => own.contains(Rights::UR),
            (Access::Write, false) => own.contains(Rights::PW),
            (Access::Write, true) => own.contains(Rights::UW),
            // What EL0 may write, EL1 never executes.
            (Access::Execute, false) => own.contains(Rights::PX) && !own.contains(Rights::UW),
            (Access::Execute, true) => own.contains(Rights::UX),
        }
    }

    fn is_nested(&self, fault: &Fault) -> bool {
        fault.report.iter().any(|(register, _)| *register == "esr_el2")
    }

    fn nested_fault(&self, mapped: Option<Rights>) -> FaultKind {
        self.own_fault(mapped)
    }

    // A CPU chooses whether an access with a Permission fault sets the Access flag.
    fn may_mark_refused(&self) -> bool {
        true
    }

    // HPFAR_EL2 is not valid for Permission faults, unless a walk of stage 1 met them. What such a walk read is told to the
    // page; of other accesses FAR_EL2 has the rest, and the syndrome has the width of data.
    fn told(&self, known: FaultInfo) -> FaultInfo {
        let address = match known.cause {
            _ if known.guest_walk => known.address.map(|address| address & PAGE),
            Cause::Permission => None,
            _ => known.address,
        };
        let data = !known.guest_walk && !known.access.intersects(Rights::X);
        FaultInfo { address, width: data.then_some(4), ..known }
    }

    fn judge(&mut self, asked: &Asked<'_>) -> (Vec<Verdict>, Vec<u64>) {
        self.begin(asked.image, asked.guest, asked.nested);
        let verdicts = self.stage1.probe(asked.probes);
        (verdicts, read_words(asked.peek, |address, bytes| self.stage1.machine.dump(address, bytes)))
    }
}

impl Qemu {
    /// Loads tables, and sets the registers of both stages.
    pub(crate) fn begin(&mut self, image: &[Chunk], guest: &[(&'static str, u64)], nested: &[(&'static str, u64)]) {
        self.stage1.machine.clear();
        self.stage1.machine.load(image);
        self.stage1.set(self.regime, Controls::default(), &[guest, nested].concat());
    }

    /// Whether the model departs so from its manual.
    pub(crate) fn deviates(&self, deviation: &Deviation) -> bool {
        deviation.applies_to(&self.found)
    }
}

/// The judge.
pub(crate) fn judge(found: &Found) -> Shared<Qemu> {
    let found = found.clone();
    Shared::new(move || {
        let stage1 = Stage1::start().unwrap_or_else(|error| panic!("{error}"));
        Qemu { stage1, found: found.clone(), regime: Regime::El1 { upper: false }, keeps_dirty: false }
    })
}

/// The guest's own tables, and what they are under: with marks by hardware in both, in one of them, in none; in either
/// half; of every granule, also where a page of the guest's is many of ours.
const STAGES: [(&str, &str); 7] = [
    ("4k-39-dirty", "4k-48"),
    ("4k-48", "4k-40"),
    ("4k-lpa2", "4k-39"),
    ("16k-48", "16k-48"),
    ("64k-42", "64k-48"),
    ("64k-52", "4k-lpa2"),
    ("4k-upper", "4k-lpa2-48"),
];

/// All tests.
pub(crate) fn all(judge: &Shared<Qemu>) -> Vec<Trial> {
    let (own, nested) = (configured("stage1"), configured("stage2"));
    let find = |cases: &[Configured], id: &str| {
        cases.iter().find(|case| case.config.id.value == id).cloned().expect("such a configuration")
    };
    let mut tests = Vec::new();
    for (guest, below) in STAGES {
        let (guest, below) = (find(&own, guest), find(&nested, below));
        macro_rules! of_modules {
            ($of_guest:ident, $of_below:ident) => {
                if let Some(of_guest) = generated!(tablewright::aarch64::$of_guest, guest.params)
                    && let Some(of_below) = generated!(tablewright::aarch64::$of_below, below.params)
                {
                    let guest = Setup::new(&guest, of_guest.expect("a legal configuration"));
                    let below = Setup::new(&below, of_below.expect("a legal configuration"));
                    tests.extend(two_stage_trials(&guest, &below, judge));
                    tests.push(two_stage_trial((&guest, &below), judge, ("memory_types", "memory types"), of_both));
                }
            };
        }
        of_modules!(stage1_4k, stage2_4k);
        of_modules!(stage1_16k, stage2_16k);
        of_modules!(stage1_64k, stage2_64k);
        of_modules!(stage1_64k, stage2_4k);
    }
    tests
}
