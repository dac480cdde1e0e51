//! AArch64 stage 2 tables that the library built, walked by QEMU.

use std::ops::Range;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright::{FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{
    Hearing, Instructions, Judge, Live, Setup, Shared, access, cause, control_trial, live_trials, trials,
};
use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::aarch64::Machine;
use tablewright_tests::mmu::deviations::{Deviation, UPPER_ADDRESS_BITS};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

struct Qemu {
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

    fn reserved(&self, params: &Params, level: Level, raw: u64) -> FaultKind {
        let has = |param| params.get(param) == Some(1);
        let blocks = match params.get("granule") {
            Some(12) => level <= 2 || level == 3 && has("lpa2"),
            Some(14) => level <= 1 || level == 2 && has("lpa2"),
            _ => level <= 1 || level == 2 && has("lpa"),
        };
        // A descriptor is of a type that its level does not have, or its address is too wide.
        let block = raw & 0b11 == 0b01;
        if block && (level == 0 || !blocks) { FaultKind::NotMapped } else { FaultKind::AddressSize }
    }

    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        let has = |param| params.get(param) == Some(1);
        // This CPU has FEAT_XNX, and in the 64K granule FEAT_LPA, which nothing turns off.
        let leaf = level == 0 || raw & 0b10 == 0;
        let xnx = has("xnx") || !leaf || raw >> 53 & 1 == 0;
        let granule_64k = params.get("granule") == Some(16);
        let lpa = has("lpa") || !granule_64k || raw >> 12 & 0b1111 == 0 && (level < 2 || !leaf);
        xnx && lpa
    }

    fn deviates(&self, params: &Params, _level: Level, raw: u64) -> Option<&'static Deviation> {
        let has = |param| params.get(param) == Some(1);
        let upper = if has("lpa2") { raw >> 8 & 0b11 } else { raw >> 12 & 0b1111 };
        let narrow = (has("lpa2") || has("lpa")) && params.get("pa_bits") != Some(52);
        (narrow && upper != 0 && UPPER_ADDRESS_BITS.applies_to(&self.found)).then_some(&UPPER_ADDRESS_BITS)
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        // HPFAR_EL2 is not valid for Permission faults, unless a stage 1 walk met them, nor for External aborts.
        let told = !matches!(fault.kind, FaultKind::Permission | FaultKind::Bus);
        Some(FaultInfo {
            address: told.then_some(probe.address),
            access: access(probe),
            cause: cause(fault.kind),
            level: fault.level,
            guest_walk: false,
        })
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
        let mut arguments = [0; 4];
        for (register, value) in &instructions.operands {
            let number: usize = register.trim_start_matches('x').parse().expect("a register of arguments");
            arguments[number] = *value;
        }
        self.machine.run_with(&instructions.words, arguments).unwrap_or_else(|error| panic!("{error}"));
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
const CONTROLS: [(&str, Hearing); 2] =
    [("not_invalidated", Hearing::Deaf), ("without_vmalle1is", Hearing::Without(0xd508_831f))];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut tests: Vec<Trial> = Vec::new();
    let Some(found) = require(Emulator::QemuAarch64) else {
        return report::run(&arguments, tests, &[]);
    };
    let judge = Shared::new({
        let found = found.clone();
        move || {
            let machine = Machine::start().unwrap_or_else(|error| panic!("{error}"));
            Qemu { machine, found: found.clone(), numbered: 0 }
        }
    });
    for case in configured("stage2") {
        macro_rules! of_module {
                ($($module:ident)::+) => {
                    if let Some(generated) = generated!($($module)::+, case.params) {
                        let generated = generated.expect("a legal configuration");
                        let setup = Setup::new(&case, generated);
                        tests.extend(trials(&setup, &judge));
                        tests.extend(live_trials(&setup, &judge));
                        if setup.name == "4k-40" {
                            tests.extend(CONTROLS.map(|control| control_trial(&setup, &judge, control)));
                        }
                    }
                };
            }
        of_module!(tablewright::aarch64::stage2_4k);
        of_module!(tablewright::aarch64::stage2_16k);
        of_module!(tablewright::aarch64::stage2_64k);
    }
    let counts = || judge.counts();
    report::run(&arguments, tests, &[Section { title: "AArch64 stage 2", found: &found, counts: &counts }])
}
