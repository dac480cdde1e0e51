//! Stage 2.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{
    Hearing, Instructions, Judge, Live, Setup, Shared, control_trial, control_trials, live_trials, trials,
};
use tablewright_tests::emulators::Found;
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::aarch64::Machine;
use tablewright_tests::mmu::deviations::Deviation;
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// A machine whose stage 2 is judged.
pub(crate) struct Qemu {
    machine: Machine,
    found: Found,
    /// The address of the page of number 0.
    numbered: u64,
}

impl Judge for Qemu {
    fn ram(&self) -> Range<u64> {
        self.machine.ram()
    }

    fn reach(&self) -> u8 {
        // A stage 1 gives no more.
        52
    }

    fn fault(&self, _probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        if mapped.is_some() { FaultKind::Permission } else { FaultKind::NotMapped }
    }

    fn reserved(&self, _probe: &Probe, params: &Params, level: Level, raw: u64) -> FaultKind {
        crate::reserved(params, level, raw)
    }

    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        // This CPU has FEAT_XNX, which nothing turns off.
        let leaf = level == 0 || raw & 0b10 == 0;
        let xnx = params.get("xnx") == Some(1) || !leaf || raw >> 53 & 1 == 0;
        xnx && crate::has_lpa(params, level, raw)
    }

    fn deviates(&self, params: &Params, _level: Level, raw: u64) -> Option<&'static Deviation> {
        crate::deviates(&self.found, params, raw)
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        // HPFAR_EL2 is not valid for Permission faults, unless a stage 1 walk met them, nor for External aborts.
        let known = !matches!(fault.kind, FaultKind::Permission | FaultKind::Bus);
        let told = crate::told(probe, fault, known.then_some(probe.address))?;
        // Data is moved by the byte here, and the syndrome of stage 2 says so.
        Some(FaultInfo { width: (probe.access != Access::Execute).then_some(1), ..told })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.machine.clear();
        self.machine.load(tables);
        self.machine.set_stage2(registers);
        self.machine.probe(probes)
    }
}

/// A page's number, told by what is fetched there, shows where it is.
impl Live for Qemu {
    const REMEMBERED: Access = Access::Execute;

    fn begin(&mut self, registers: &[(&'static str, u64)], targets: &Range<u64>) {
        self.machine.clear();
        self.machine.number(targets);
        self.machine.set_stage2(registers);
        self.numbered = targets.start;
    }

    fn write(&mut self, chunks: &[Chunk]) {
        self.machine.load(chunks);
    }

    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        self.machine.dump(address, length)
    }

    fn execute(&mut self, instructions: &Instructions) {
        crate::execute(&mut self.machine, instructions);
    }

    fn remembered(&mut self, addresses: &[u64]) -> Vec<Verdict> {
        let shown = |seen: Result<u64, Fault>| match seen {
            Ok(number) => Verdict::Translated(Some(self.numbered + (number << 12))),
            Err(fault) => Verdict::Fault(fault),
        };
        self.machine.fetch_numbers(addresses).into_iter().map(shown).collect()
    }

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        self.machine.probe(probes)
    }
}

/// Combined entries of both stages are not found by IPA, so that TLBI IPAS2E1IS alone, without the VMALLE1IS after it, is
/// not enough.
const WITHOUT_VMALLE1IS: (&str, Hearing) = ("without_vmalle1is", Hearing::Without(0xd508_831f));

/// The judge.
pub(crate) fn judge(found: &Found) -> Shared<Qemu> {
    let found = found.clone();
    Shared::new(move || {
        let machine = Machine::start().unwrap_or_else(|error| panic!("{error}"));
        Qemu { machine, found: found.clone(), numbered: 0 }
    })
}

/// All tests.
pub(crate) fn all(judge: &Shared<Qemu>) -> Vec<Trial> {
    let mut tests = Vec::new();
    for case in configured("stage2") {
        macro_rules! of_module {
            ($($module:ident)::+) => {
                if let Some(generated) = generated!($($module)::+, case.params) {
                    let generated = generated.expect("a legal configuration");
                    let setup = Setup::new(&case, generated);
                    tests.extend(trials(&setup, judge));
                    tests.extend(live_trials(&setup, judge));
                    if setup.name == "4k-40" {
                        tests.extend(control_trials(&setup, judge));
                        tests.push(control_trial(&setup, judge, WITHOUT_VMALLE1IS));
                    }
                }
            };
        }
        of_module!(tablewright::aarch64::stage2_4k);
        of_module!(tablewright::aarch64::stage2_16k);
        of_module!(tablewright::aarch64::stage2_64k);
    }
    tests
}
