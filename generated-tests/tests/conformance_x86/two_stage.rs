//! Long-mode tables of a guest under AMD's nested tables and under EPT.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{ByName, Rights};
use tablewright_tests::conformance::{Asked, NestedJudge, Setup, two_stage_trials};
use tablewright_tests::emulators::{Emulator, Found};
use tablewright_tests::formats::{Configured, configured, varied};
use tablewright_tests::generated;
use tablewright_tests::laws::Generated;
use tablewright_tests::mmu::deviations::MARKS_ARE_NO_WRITES_IN_EPT;
use tablewright_tests::mmu::x86_64::{Batch, Host, Machine, Nested, Paging};
use tablewright_tests::mmu::{Access, Fault, FaultKind, Probe, Verdict};

use super::Judges;
use super::amd::{WRITE_PROTECT, register};

/// An emulator of a processor with nested tables.
pub(crate) struct Processor {
    start: Box<dyn Fn(Host) -> Machine + Send>,
    machine: Option<Machine>,
    ept: bool,
    /// Whether the nested tables have accessed and dirty flags.
    has_flags: bool,
    mode_based_execute: bool,
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

    /// Without flags in EPT, a walk only reads what it does not mark. Otherwise all walks count as writes.
    fn walk_needs(&self) -> Rights {
        if self.has_flags { Rights::W } else { Rights::R }
    }

    fn mark_needs(&self) -> Rights {
        let deviates = self.machine.as_ref().is_some_and(|machine| machine.deviates(&MARKS_ARE_NO_WRITES_IN_EPT));
        if deviates && !self.has_flags { Rights::R } else { Rights::W }
    }

    /// The mode that counts is that of the guest's page, not of the processor.
    fn needs(&self, probe: &Probe, own: Rights) -> Rights {
        match probe.access {
            Access::Read => Rights::R,
            Access::Write => Rights::W,
            Access::Execute if !self.mode_based_execute => Rights::X,
            Access::Execute if own.intersects(Rights::UR) => Rights::UX,
            Access::Execute => Rights::PX,
        }
    }

    fn judge(&mut self, asked: &Asked<'_>) -> (Vec<Verdict>, Vec<u64>) {
        let (nested, host) = if self.ept {
            let eptp = register(asked.nested, "eptp");
            (Nested::Ept { eptp, mode_based_execute: self.mode_based_execute }, Host::PLAIN)
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

/// Processor models of Bochs, and the EPT that each walks: with accessed and dirty flags, without, and with execute rights by
/// mode.
const EPT: [(&str, &str); 3] =
    [("corei7_haswell_4770", "server"), ("corei7_haswell_4770", "pages-only"), ("tigerlake", "by-mode")];

/// The guest's own tables: without PCIDs and keys, which no model here has for them.
fn guest() -> Setup<tablewright::x86_64::long_mode::Format> {
    let cases = configured("long_mode");
    let server = cases.iter().find(|case| case.config.id.value == "server").expect("such a configuration");
    let plain = [("pcid", 0), ("invpcid", 0), ("user_keys", 0), ("supervisor_keys", 0), ("pa_bits", 40)];
    let case = varied(server, "long_mode/server", &plain);
    let generated = generated!(tablewright::x86_64::long_mode, case.params).expect("one module for all");
    Setup::new(&case, generated.expect("a legal configuration"))
}

fn tests_of<F: ByName>(
    judges: &mut Judges<Processor>,
    (stage, case): (&str, &Configured),
    generated: Generated<F>,
    start: impl Fn(Host) -> Machine + Clone + Send + Sync + 'static,
) -> Vec<Trial> {
    let nested = Setup { name: format!("{stage}/{}", case.config.id.value), ..Setup::new(case, generated) };
    let ept = stage == "ept";
    let has_flags = nested.generated.format.accessed_dirty(0).hardware;
    let mode_based_execute = case.params.get("mode_based_execute") == Some(1);
    let judge = judges.add(move || {
        let start = Box::new(start.clone());
        Processor { start, machine: None, ept, has_flags, mode_based_execute }
    });
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
        let cases = configured("ept");
        for (model, id) in EPT {
            let start = |_| Machine::vmx(model).unwrap_or_else(|error| panic!("{error}"));
            let case = cases.iter().find(|case| case.config.id.value == id).expect("such a configuration");
            if case.params.get("mode_based_execute") == Some(1) && !start(Host::PLAIN).has_mode_based_execute() {
                eprintln!("SKIPPED a guest's tables under {id}: this Bochs has no execute rights by mode");
                continue;
            }
            let generated = generated!(tablewright::x86_64::ept, case.params).expect("one module for all");
            tests.extend(tests_of(judges, ("ept", case), generated.expect("a legal configuration"), start));
        }
    }
    tests.into_iter().map(|test| test.with_kind(emulator.program())).collect()
}
