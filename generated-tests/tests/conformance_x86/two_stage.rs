//! Long-mode tables of a guest under AMD's nested tables and under EPT.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{Format, Rights};
use tablewright_tests::conformance::{Asked, NestedJudge, Setup, two_stage_trials};
use tablewright_tests::emulators::{Emulator, Found};
use tablewright_tests::formats::{Configured, configured, varied};
use tablewright_tests::generated;
use tablewright_tests::laws::Generated;
use tablewright_tests::mmu::x86_64::{Batch, Host, Machine, Nested, Paging};
use tablewright_tests::mmu::{Fault, FaultKind, Verdict};

use super::Judges;
use super::amd::{WRITE_PROTECT, register};

/// An emulator of a processor with nested tables.
pub(crate) struct Processor {
    start: Box<dyn Fn(Host) -> Machine + Send>,
    machine: Option<Machine>,
    ept: bool,
}

impl NestedJudge for Processor {
    fn ram(&self) -> Range<u64> {
        Machine::RAM
    }

    /// The lower half.
    fn reach(&self) -> u8 {
        47
    }

    fn is_nested(&self, fault: &Fault) -> bool {
        fault.report.iter().all(|(register, _)| *register != "cr2")
    }

    fn nested_fault(&self, mapped: Option<Rights>) -> FaultKind {
        match mapped {
            None => FaultKind::NotMapped,
            Some(rights) if self.ept && rights.is_empty() => FaultKind::NotMapped,
            Some(_) => FaultKind::Permission,
        }
    }

    /// All walks count as writes.
    fn walk_needs(&self) -> Rights {
        Rights::W
    }

    fn judge(&mut self, asked: &Asked<'_>) -> (Vec<Verdict>, Vec<u64>) {
        let (nested, host) = if self.ept {
            let eptp = register(asked.nested, "eptp");
            (Nested::Ept { eptp, mode_based_execute: false }, Host::PLAIN)
        } else {
            let nested = Nested::Npt {
                nested_control: register(asked.nested, "nested_control"),
                n_cr3: register(asked.nested, "n_cr3"),
                guest_asid: register(asked.nested, "guest_asid"),
            };
            (nested, Host { cr4: register(asked.nested, "cr4"), efer: register(asked.nested, "efer") })
        };
        let guest = Paging {
            cr0: register(asked.guest, "cr0") | WRITE_PROTECT,
            cr3: register(asked.guest, "cr3"),
            cr4: register(asked.guest, "cr4"),
            efer: register(asked.guest, "efer"),
            rflags: 0,
            root: asked.guest_root,
        };
        let machine = self.machine.get_or_insert_with(|| (self.start)(host));
        let Asked { image, probes, peek, .. } = *asked;
        let batch = Batch { image, guest: Some(guest), nested, probes, peek };
        let outcome = machine.run(&[batch]).unwrap_or_else(|error| panic!("{error}")).remove(0);
        (outcome.verdicts, outcome.words)
    }
}

/// The guest's own tables: without PCIDs and keys, which no model here has for them.
fn guest() -> Setup<tablewright::x86_64::long_mode::Format> {
    let cases = configured("long_mode");
    let server = cases.iter().find(|case| case.config.id.value == "server").expect("such a configuration");
    let plain = [("pcid", 0), ("invpcid", 0), ("user_keys", 0), ("supervisor_keys", 0), ("pa_bits", 40)];
    let case = varied(server, "long_mode/server", &plain);
    let generated = generated!(tablewright::x86_64::long_mode, case.params).expect("one module for all");
    Setup::new(&case, generated.expect("a legal configuration"))
}

fn tests_of<F: Format>(
    judges: &mut Judges<Processor>,
    (stage, case): (&str, &Configured),
    generated: Generated<F>,
    start: impl Fn(Host) -> Machine + Clone + Send + Sync + 'static,
) -> Vec<Trial> {
    let nested = Setup { name: format!("{stage}/{}", case.config.id.value), ..Setup::new(case, generated) };
    let ept = stage == "ept";
    let judge = judges.add(move || Processor { start: Box::new(start.clone()), machine: None, ept });
    two_stage_trials(&guest(), &nested, &judge)
}

/// All tests that an emulator can judge.
pub(crate) fn all(found: &Found, judges: &mut Judges<Processor>) -> Vec<Trial> {
    let emulator = found.emulator;
    let nested: &[&str] = if emulator == Emulator::Bochs { &["baseline"] } else { &["server", "five-level"] };
    let mut tests = Vec::new();
    for case in configured("npt").iter().filter(|case| nested.contains(&case.config.id.value.as_str())) {
        let generated = generated!(tablewright::x86_64::npt, case.params).expect("one module for all");
        let width = case.params.get("pa_bits").expect("a width");
        let model = if emulator == Emulator::Bochs { "ryzen".to_owned() } else { format!("max,phys-bits={width}") };
        let start = move |host| Machine::svm(emulator, &model, host).unwrap_or_else(|error| panic!("{error}"));
        tests.extend(tests_of(judges, ("npt", case), generated.expect("a legal configuration"), start));
    }
    if emulator == Emulator::Bochs {
        for case in configured("ept").iter().filter(|case| case.config.id.value == "server") {
            let generated = generated!(tablewright::x86_64::ept, case.params).expect("one module for all");
            let start = |_| Machine::vmx("corei7_haswell_4770").unwrap_or_else(|error| panic!("{error}"));
            tests.extend(tests_of(judges, ("ept", case), generated.expect("a legal configuration"), start));
        }
    }
    tests.into_iter().map(|test| test.with_kind(emulator.program())).collect()
}
