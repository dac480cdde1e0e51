//! Stage 1, in every regime below EL3.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{
    Instructions, Judge, Live, Setup, Shared, control_trials, live_trials, raw_trial, trials,
};
use tablewright_tests::emulators::Found;
use tablewright_tests::formats::{Configured, configured};
use tablewright_tests::generated;
use tablewright_tests::mmu::aarch64::stage1::{Controls, Regime, Shape, Stage1};
use tablewright_tests::mmu::deviations::{CLEAN_IS_EXECUTED, Deviation};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

use crate::memory_types::of_stage1;

/// A machine whose stage 1 is judged.
pub(crate) struct Qemu {
    pub(crate) stage1: Stage1,
    found: Found,
    /// What is judged.
    regime: Regime,
    controls: Controls,
    /// The address of the page of number 0.
    numbered: u64,
}

impl Judge for Qemu {
    fn prepare(&mut self, case: &Configured) {
        let get = |name| case.params.get(name).unwrap_or(0);
        let upper = get("upper") == 1;
        self.regime = if case.format.name.value == "stage1_el2" {
            let [granule, levels, input_bits] = ["granule", "levels", "input_bits"].map(|name| get(name) as u32);
            Regime::El2(Shape { granule, levels, input_bits })
        } else if get("vhe") == 1 {
            Regime::El2Host { upper }
        } else {
            Regime::El1 { upper }
        };
        self.controls = Controls::default();
    }

    fn ram(&self) -> Range<u64> {
        self.stage1.machine.ram()
    }

    fn reach(&self) -> u8 {
        64
    }

    fn may_ask(&self, probe: &Probe) -> bool {
        !(probe.user && matches!(self.regime, Regime::El2(_)))
    }

    fn grants(&self, probe: &Probe, rights: Rights) -> bool {
        let privileged = [Rights::PR, Rights::PW, Rights::PX];
        let [read, write, execute] = if probe.user { [Rights::UR, Rights::UW, Rights::UX] } else { privileged };
        let two_privileges = !matches!(self.regime, Regime::El2(_));
        match probe.access {
            Access::Execute => {
                let written_by_el0 = two_privileges && !probe.user && rights.contains(Rights::UW);
                let never = self.controls.write_execute_never && rights.contains(write);
                rights.contains(execute) && !written_by_el0 && !never
            }
            Access::Read | Access::Write => {
                let users = two_privileges && rights.intersects(Rights::UR | Rights::UW);
                let never = self.controls.privileged_access_never && !probe.user && users;
                rights.contains(if probe.access == Access::Read { read } else { write }) && !never
            }
        }
    }

    fn controls(&self) -> Option<Vec<u64>> {
        let sctlr = u64::from(self.controls.write_execute_never) << 19;
        let pstate = u64::from(self.controls.privileged_access_never) << 22;
        Some(if matches!(self.regime, Regime::El2(_)) { vec![sctlr] } else { vec![sctlr, pstate] })
    }

    fn fault(&self, _probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        if mapped.is_some() { FaultKind::Permission } else { FaultKind::NotMapped }
    }

    fn reserved(&self, _probe: &Probe, params: &Params, level: Level, raw: u64) -> FaultKind {
        crate::reserved(params, level, raw)
    }

    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        crate::has_lpa(params, level, raw)
    }

    fn deviates(&self, params: &Params, level: Level, raw: u64) -> Option<&'static Deviation> {
        // DBM and AP[2].
        let leaf = level == 0 || raw & 0b10 == 0;
        let clean = leaf && params.get("hardware_dirty") == Some(1) && raw >> 51 & 1 == 1 && raw >> 7 & 1 == 1;
        let executed = (clean && CLEAN_IS_EXECUTED.applies_to(&self.found)).then_some(&CLEAN_IS_EXECUTED);
        executed.or_else(|| crate::deviates(&self.found, params, raw))
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        crate::told(probe, fault, Some(probe.address))
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.stage1.machine.clear();
        self.stage1.machine.load(tables);
        self.stage1.set(self.regime, self.controls, registers);
        self.stage1.probe(probes)
    }
}

/// A page's number, told by what is loaded from it, shows where it is.
impl Live for Qemu {
    const REMEMBERED: Access = Access::Read;

    fn begin(&mut self, registers: &[(&'static str, u64)], targets: &Range<u64>) {
        self.stage1.machine.clear();
        self.stage1.machine.number(targets);
        self.stage1.set(self.regime, self.controls, registers);
        self.numbered = targets.start;
    }

    fn write(&mut self, chunks: &[Chunk]) {
        self.stage1.machine.load(chunks);
    }

    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.stage1.machine.dump(address, length)
    }

    fn execute(&mut self, instructions: &Instructions) {
        crate::execute(&mut self.stage1.machine, instructions);
    }

    fn remembered(&mut self, addresses: &[u64]) -> Vec<Verdict> {
        let shown = |seen: Result<u32, Fault>| match seen {
            Ok(word) => Verdict::Translated(Some(self.numbered + (u64::from(word >> 5 & 0xffff) << 12))),
            Err(fault) => Verdict::Fault(fault),
        };
        self.stage1.load_words(addresses).into_iter().map(shown).collect()
    }

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        self.stage1.probe(probes)
    }
}

/// Accesses that the privileged level has forbidden itself.
fn forbid(judge: &mut Qemu) {
    judge.controls = Controls { privileged_access_never: true, write_execute_never: true };
}

/// The judge.
pub(crate) fn judge(found: &Found) -> Shared<Qemu> {
    let found = found.clone();
    Shared::new(move || {
        let stage1 = Stage1::start().unwrap_or_else(|error| panic!("{error}"));
        let (regime, controls) = (Regime::El1 { upper: false }, Controls::default());
        Qemu { stage1, found: found.clone(), regime, controls, numbered: 0 }
    })
}

/// All tests.
pub(crate) fn all(judge: &Shared<Qemu>) -> Vec<Trial> {
    let mut tests = Vec::new();
    macro_rules! of_module {
        ($case:expr, $prefix:literal, $($module:ident)::+) => {
            if let Some(generated) = generated!($($module)::+, $case.params) {
                let mut setup = Setup::new(&$case, generated.expect("a legal configuration"));
                let controlled = setup.name == "4k-48";
                setup.name = format!("{}-{}", $prefix, setup.name);
                tests.extend(trials(&setup, judge));
                tests.push(raw_trial(&setup, judge, "raw_entries_forbidden", forbid));
                tests.push(judge.trial(&setup, ("memory_types", "memory types"), of_stage1));
                tests.extend(live_trials(&setup, judge));
                if controlled {
                    tests.extend(control_trials(&setup, judge));
                }
            }
        };
    }
    for case in configured("stage1") {
        of_module!(case, "el1", tablewright::aarch64::stage1_4k);
        of_module!(case, "el1", tablewright::aarch64::stage1_16k);
        of_module!(case, "el1", tablewright::aarch64::stage1_64k);
    }
    for case in configured("stage1_el2") {
        of_module!(case, "el2", tablewright::aarch64::stage1_el2_4k);
        of_module!(case, "el2", tablewright::aarch64::stage1_el2_16k);
        of_module!(case, "el2", tablewright::aarch64::stage1_el2_64k);
    }
    tests
}
