//! AMD's nested tables and tables of long mode, built by the library and walked by QEMU and Bochs.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{ByName, FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{Judge, Memory, Restarted, Setup, access, cause, hardware_trial, trials};
use tablewright_tests::emulators::{Emulator, Found};
use tablewright_tests::formats::{Configured, configured};
use tablewright_tests::generated;
use tablewright_tests::laws::Generated;
use tablewright_tests::mmu::deviations::{Deviation, NESTED_FETCH, TABLE_BIT_8, TABLE_BIT_8_BOCHS};
use tablewright_tests::mmu::x86_64::{Batch, Host, Machine, Nested, Outcome, Paging};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

use super::Judges;

/// An emulator, the configurations of nested tables that it judges, and those of long mode.
const EMULATORS: [(Emulator, &[&str], &[&str]); 2] = [
    (Emulator::QemuX86, &["baseline", "server", "five-level"], &["baseline", "server", "five-level"]),
    // Its physical addresses have 40 bits.
    (Emulator::Bochs, &["baseline"], &["server"]),
];

/// CR0.WP, without which supervisors may write everywhere.
pub(crate) const WRITE_PROTECT: u64 = 1 << 16;
/// CR4.PCIDE, which neither emulator's processor has, and which changes no translation.
const PROCESS_CONTEXTS: u64 = 1 << 17;
/// EFER.NXE.
const NO_EXECUTE_ENABLE: u64 = 1 << 11;
/// The address in CR3.
const ROOT: u64 = 0x000f_ffff_ffff_f000;

/// An emulator that judges one configuration.
pub(crate) struct Amd {
    emulator: Emulator,
    model: String,
    nested: bool,
    /// Bits of the addresses that can be probed.
    reach: u8,
    /// Bits of linear addresses, if these are what is probed: the bits above are copies of the highest.
    linear_bits: Option<u32>,
    /// Width of the processor's physical addresses.
    width: i64,
    /// EFER, as the tables were last walked under it.
    efer: u64,
    /// Started once the host's registers are known.
    machine: Option<Machine>,
    memory: Memory,
}

impl Amd {
    fn new(found: &Found, nested: bool, case: &Configured) -> Self {
        let get = |name| case.params.get(name).unwrap_or_default();
        let emulator = found.emulator;
        let (model, width) = match emulator {
            Emulator::Bochs => ("ryzen".to_owned(), 40),
            _ => (format!("max,phys-bits={}", get("pa_bits")), get("pa_bits")),
        };
        let input_bits = get("input_bits");
        let reach = if nested { input_bits.min(width) as u8 } else { 64 };
        let linear_bits = (!nested).then_some(input_bits as u32);
        let (machine, memory) = (None, Memory::default());
        Self { emulator, model, nested, reach, linear_bits, width, efer: 0, machine, memory }
    }

    /// Whether it is an address that tables can be asked about (SDM volume 1, *Canonical Addressing*).
    fn is_canonical(&self, address: u64) -> bool {
        self.linear_bits.is_none_or(|bits| {
            let unused = 64 - bits;
            (address << unused) as i64 >> unused == address as i64
        })
    }
}

/// One of the generated values.
pub(crate) fn register(registers: &[(&'static str, u64)], name: &str) -> u64 {
    let found = registers.iter().find(|(register, _)| *register == name);
    found.unwrap_or_else(|| panic!("no {name} in {registers:x?}")).1
}

impl Judge for Amd {
    fn name(&self) -> Option<String> {
        Some(self.emulator.to_string())
    }

    fn ram(&self) -> Range<u64> {
        Machine::RAM
    }

    fn reach(&self) -> u8 {
        self.reach
    }

    /// The processor is not entered at an address that is not canonical.
    fn may_ask(&self, probe: &Probe) -> bool {
        probe.access != Access::Execute || self.is_canonical(probe.address)
    }

    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        match mapped {
            Some(_) => FaultKind::Permission,
            None if self.is_canonical(probe.address) => FaultKind::NotMapped,
            None => FaultKind::AddressSize,
        }
    }

    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        let pa_bits = params.get("pa_bits").unwrap_or(self.width);
        let addresses = (pa_bits.min(self.width)..pa_bits.max(self.width)).all(|bit| raw >> bit & 1 == 0);
        // Nothing turns off blocks of 1 GiB.
        let block = level == 2 && raw >> 7 & 1 == 1;
        addresses && (!block || params.get("huge_1g") == Some(1))
    }

    fn deviates(&self, params: &Params, level: Level, raw: u64) -> Option<&'static Deviation> {
        let reserved = params.get("table_global_reserved") == Some(1);
        let known = [&TABLE_BIT_8, &TABLE_BIT_8_BOCHS].into_iter().find(|known| known.emulator == self.emulator);
        known.filter(|_| reserved && level > 1 && raw & 1 << 8 != 0)
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        // By the manual, an error code tells fetches where NXE is set, and a nested fault always does.
        let fetches_are_told = self.efer & NO_EXECUTE_ENABLE != 0
            || self.nested && self.machine.as_ref().is_some_and(|machine| !machine.deviates(&NESTED_FETCH));
        // An address of too many bits never reaches the tables: the guest's own walk faults, or the guest without any.
        (fault.kind != FaultKind::AddressSize).then(|| FaultInfo {
            address: Some(probe.address),
            access: if probe.access == Access::Execute && !fetches_are_told { Rights::R } else { access(probe) },
            cause: cause(fault.kind),
            level: None,
            width: None,
            guest_walk: false,
        })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        let outcomes = self.walk(tables, registers, probes, &[]);
        outcomes.into_iter().flat_map(|outcome| outcome.verdicts).collect()
    }
}

impl Restarted for Amd {
    fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn run(&mut self, image: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe], peek: &[u64]) -> Outcome {
        self.walk(image, registers, probes, peek).remove(0)
    }
}

impl Amd {
    /// Has the tables walked, as often as it takes for all probes.
    fn walk(
        &mut self,
        tables: &[Chunk],
        registers: &[(&'static str, u64)],
        probes: &[Probe],
        peek: &[u64],
    ) -> Vec<Outcome> {
        let register = |name| register(registers, name);
        self.efer = register("efer");
        let (guest, nested, host) = if self.nested {
            let nested = Nested::Npt {
                nested_control: register("nested_control"),
                n_cr3: register("n_cr3"),
                guest_asid: register("guest_asid"),
            };
            (None, nested, Host { cr4: register("cr4"), efer: self.efer })
        } else {
            let cr3 = register("cr3");
            let guest = Paging {
                cr0: register("cr0") | WRITE_PROTECT,
                cr3,
                cr4: register("cr4") & !PROCESS_CONTEXTS,
                efer: self.efer,
                rflags: 0,
                root: cr3 & ROOT,
            };
            (Some(guest), Nested::Off, Host::PLAIN)
        };
        let start = || Machine::svm(self.emulator, &self.model, host).unwrap_or_else(|error| panic!("{error}"));
        let machine = self.machine.get_or_insert_with(start);
        // As many as fit into one start of the emulator.
        let batch = |probes| Batch { image: tables, guest, nested, probes, peek };
        let batches: Vec<_> = probes.chunks(4000).map(batch).collect();
        machine.run(&batches).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The tests of a configuration.
fn tests_of<F: ByName>(
    found: &Found,
    judges: &mut Judges<Amd>,
    (stage, case): (&str, &Configured),
    generated: Generated<F>,
) -> Vec<Trial> {
    let judge = judges.add({
        let (found, case, nested) = (found.clone(), case.clone(), stage == "npt");
        move || Amd::new(&found, nested, &case)
    });
    let name = format!("{stage}/{}", case.config.id.value);
    let setup = Setup { name, ..Setup::new(case, generated) };
    let tests = trials(&setup, &judge).into_iter().chain(hardware_trial(&setup, &judge));
    tests.into_iter().map(|test| test.with_kind(found.emulator.program())).collect()
}

/// All tests that an emulator can judge.
pub(crate) fn all(found: &Found, judges: &mut Judges<Amd>) -> Vec<Trial> {
    let emulators = EMULATORS.iter().filter(|(emulator, ..)| *emulator == found.emulator);
    let mut tests = Vec::new();
    for (_, nested, own) in emulators {
        for case in configured("npt").iter().filter(|case| nested.contains(&case.config.id.value.as_str())) {
            let generated = generated!(tablewright::x86_64::npt, case.params).expect("one module for all");
            tests.extend(tests_of(found, judges, ("npt", case), generated.expect("a legal configuration")));
        }
        for case in configured("long_mode").iter().filter(|case| own.contains(&case.config.id.value.as_str())) {
            let generated = generated!(tablewright::x86_64::long_mode, case.params).expect("one module for all");
            tests.extend(tests_of(found, judges, ("long_mode", case), generated.expect("a legal configuration")));
        }
    }
    tests
}
