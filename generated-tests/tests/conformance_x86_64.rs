//! EPT tables that the library built, walked by Bochs.

use std::ops::Range;

use libtest_mimic::{Arguments, Trial};
use tablewright::{FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{Judge, Setup, Shared, access, cause, trials};
use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::formats::configured;
use tablewright_tests::generated;
use tablewright_tests::mmu::deviations::{BLOCK_BIT_12, USER_EXECUTE_IN_BIT_13};
use tablewright_tests::mmu::x86_64::{Batch, Machine, Nested};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// A processor model, and the configurations that it can have.
const MODELS: &[(&str, &[&str])] =
    &[("corei7_haswell_4770", &["baseline", "pages-only", "server"]), ("corei7_skylake_x", &["by-mode"])];

/// The judge, and whether the tables under test have execute rights by mode.
struct Bochs {
    machine: Machine,
    mode_based_execute: bool,
}

impl Judge for Bochs {
    fn ram(&self) -> Range<u64> {
        self.machine.ram()
    }

    fn reach(&self) -> u8 {
        40
    }

    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        // What a violation tells of the entry's rights tells whether there is an entry.
        let hidden = self.machine.deviates(&USER_EXECUTE_IN_BIT_13) && probe.access != Access::Execute;
        match mapped {
            None => FaultKind::NotMapped,
            Some(rights) if rights.is_empty() => FaultKind::NotMapped,
            Some(Rights::UX) if hidden => FaultKind::NotMapped,
            Some(_) => FaultKind::Permission,
        }
    }

    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        let has = |param| params.get(param) == Some(1);
        // Physical addresses of these models have 40 bits, and nothing turns off execute-only entries and blocks.
        let pa_bits = params.get("pa_bits").unwrap_or(40);
        let addresses = (pa_bits.min(40)..pa_bits.max(40)).all(|bit| raw >> bit & 1 == 0);
        let execute_only = has("execute_only") || raw & 0b111 != 0b100;
        let block = matches!(level, 1 | 2) && raw >> 7 & 1 == 1;
        let blocks = !block || has(if level == 1 { "huge_2m" } else { "huge_1g" });
        let bit_12 = block && raw >> 12 & 1 == 1 && self.machine.deviates(&BLOCK_BIT_12);
        addresses && execute_only && blocks && !bit_12
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        // An address of too many bits never reaches EPT: the guest's own walk faults.
        (fault.kind != FaultKind::AddressSize).then(|| FaultInfo {
            address: Some(probe.address),
            access: if fault.kind == FaultKind::Misconfigured { Rights::empty() } else { access(probe) },
            cause: cause(fault.kind),
            level: None,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        let Self { machine, mode_based_execute } = self;
        let &[("eptp", eptp)] = registers else { panic!("EPT has one register, not {registers:x?}") };
        // As many as fit into one start of Bochs.
        let nested = Nested::Ept { eptp, mode_based_execute: *mode_based_execute };
        let batch = |probes| Batch { image: tables, guest: None, nested, probes, peek: &[] };
        let batches: Vec<_> = probes.chunks(4000).map(batch).collect();
        let outcomes = machine.run(&batches).unwrap_or_else(|error| panic!("{error}"));
        outcomes.into_iter().flat_map(|outcome| outcome.verdicts).collect()
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let mut tests: Vec<Trial> = Vec::new();
    if require(Emulator::Bochs).is_some() {
        for &(model, configs) in MODELS {
            let machine = Machine::vmx(model).unwrap_or_else(|error| panic!("{error}"));
            for case in configured("ept").into_iter().filter(|case| configs.contains(&case.config.id.value.as_str())) {
                let mode_based_execute = case.params.get("mode_based_execute") == Some(1);
                if mode_based_execute && !machine.has_mode_based_execute() {
                    eprintln!("SKIPPED {}: this Bochs has no execute rights by mode", case.config.id.value);
                    continue;
                }
                let generated = generated!(tablewright::x86_64::ept, case.params).expect("one module for all");
                let generated = generated.expect("a legal configuration");
                let judge = Shared::new({
                    let machine = machine.clone();
                    move || Bochs { machine: machine.clone(), mode_based_execute }
                });
                tests.extend(trials(&Setup::new(&case, generated), &judge));
            }
        }
    }
    libtest_mimic::run(&arguments, tests).exit();
}
