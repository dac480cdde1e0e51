//! A guest's tables for vsatp under a G-stage.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{FaultInfo, Rights};
use tablewright_tests::conformance::{Asked, NestedJudge, Setup, Shared, read_words, two_stage_trials};
use tablewright_tests::emulators::Found;
use tablewright_tests::formats::{Configured, configured};
use tablewright_tests::generated;
use tablewright_tests::mmu::deviations::MARKS_ARE_NO_WRITES;
use tablewright_tests::mmu::riscv64::Machine;
use tablewright_tests::mmu::{Fault, FaultKind, Verdict};

/// vsstatus.SUM: the supervisor may access user memory.
const SUM: u64 = 1 << 18;

/// A machine whose guest has tables of its own.
pub(crate) struct Qemu {
    machine: Machine,
    found: Found,
}

impl NestedJudge for Qemu {
    fn ram(&self) -> Range<u64> {
        self.machine.ram()
    }

    fn reach(&self) -> u8 {
        64
    }

    fn is_nested(&self, fault: &Fault) -> bool {
        fault.report.iter().any(|&(register, value)| register == "scause" && value >= 20)
    }

    // The architecture has one fault of each stage for everything.
    fn nested_fault(&self, _mapped: Option<Rights>) -> FaultKind {
        FaultKind::Unspecified
    }

    fn own_fault(&self, _mapped: Option<Rights>) -> FaultKind {
        FaultKind::Unspecified
    }

    fn unmarked(&self) -> FaultKind {
        FaultKind::Unspecified
    }

    fn mark_needs(&self) -> Rights {
        if MARKS_ARE_NO_WRITES.applies_to(&self.found) { Rights::R } else { Rights::W }
    }

    fn told(&self, known: FaultInfo) -> FaultInfo {
        // htval is the address without its two lowest bits, and 0 if it is not reported.
        FaultInfo { address: known.address.filter(|address| address >> 2 != 0), ..known }
    }

    fn judge(&mut self, asked: &Asked<'_>) -> (Vec<Verdict>, Vec<u64>) {
        // What menvcfg is to the G-stage, henvcfg is to the guest's own tables.
        let own = asked.guest.iter().filter_map(|&(name, value)| match name {
            "satp" => Some(("vsatp", value)),
            "henvcfg" => Some((name, value)),
            _ => None,
        });
        let registers: Vec<_> = asked.nested.iter().copied().chain(own).chain([("vsstatus", SUM)]).collect();
        self.machine.clear();
        self.machine.load(asked.image);
        self.machine.set_gstage(&registers);
        let verdicts = self.machine.probe_without_reading(asked.probes);
        (verdicts, read_words(asked.peek, |address, bytes| self.machine.dump(address, bytes)))
    }
}

/// The judge.
pub(crate) fn judge(found: &Found) -> Shared<Qemu> {
    let found = found.clone();
    Shared::new(move || {
        let machine = Machine::start().unwrap_or_else(|error| panic!("{error}"));
        Qemu { machine, found: found.clone() }
    })
}

/// The guest's own tables, and what they are under: every width, with A and D set by hardware in both, or in none. (In the
/// lower stage alone, the model departs from the manual, and without ADUE in menvcfg there is none in henvcfg.)
const STAGES: [(&str, &str); 7] = [
    ("sv39-rich", "sv39x4-rich"),
    ("sv48-napot", "sv48x4-napot"),
    ("sv57-rich", "sv57x4-rich"),
    ("sv39", "sv39x4"),
    ("sv57", "sv57x4"),
    ("sv48", "sv48x4"),
    ("sv57-rich", "sv39x4-rich"),
];

/// All tests.
pub(crate) fn all(judge: &Shared<Qemu>) -> Vec<Trial> {
    let (own, nested) = (configured("sv"), configured("sv_x4"));
    let find = |cases: &[Configured], id: &str| {
        cases.iter().find(|case| case.config.id.value == id).cloned().expect("such a configuration")
    };
    let trials = |(guest, below): (&str, &str)| {
        let (guest, below) = (find(&own, guest), find(&nested, below));
        let of_guest = generated!(tablewright::riscv64::sv, guest.params).expect("one module for all");
        let of_below = generated!(tablewright::riscv64::sv_x4, below.params).expect("one module for all");
        let guest = Setup::new(&guest, of_guest.expect("a legal configuration"));
        let below = Setup::new(&below, of_below.expect("a legal configuration"));
        two_stage_trials(&guest, &below, judge)
    };
    STAGES.into_iter().flat_map(trials).collect()
}
