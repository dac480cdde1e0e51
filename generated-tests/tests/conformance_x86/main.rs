//! x86 tables built by the library and walked by QEMU and Bochs.

mod amd;
mod ept;
mod two_stage;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{Counts, Shared};
use tablewright_tests::emulators::{Emulator, require};

/// The judges of one emulator, one for each configuration.
pub(crate) struct Judges<J>(Vec<Shared<J>>);

impl<J> Judges<J> {
    /// Another judge.
    fn add(&mut self, start: impl Fn() -> J + Send + Sync + 'static) -> Shared<J> {
        let judge = Shared::new(start);
        self.0.push(judge.clone());
        judge
    }

    /// What all of them judged.
    fn counts(&self) -> Counts {
        self.0.iter().flat_map(Shared::counts).collect()
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (mut on_qemu, mut on_bochs, mut of_ept) = (Judges(Vec::new()), Judges(Vec::new()), Judges(Vec::new()));
    let (mut both_on_qemu, mut both_on_bochs) = (Judges(Vec::new()), Judges(Vec::new()));
    let (qemu, bochs) = (require(Emulator::QemuX86), require(Emulator::Bochs));
    let mut tests = Vec::new();
    if let Some(found) = &qemu {
        tests.extend(amd::all(found, &mut on_qemu));
        tests.extend(two_stage::all(found, &mut both_on_qemu));
    }
    if let Some(found) = &bochs {
        tests.extend(amd::all(found, &mut on_bochs));
        tests.extend(ept::all(&mut of_ept));
        tests.extend(two_stage::all(found, &mut both_on_bochs));
    }
    let of_qemu = || on_qemu.counts().into_iter().chain(both_on_qemu.counts()).collect();
    let of_bochs = || on_bochs.counts().into_iter().chain(of_ept.counts()).chain(both_on_bochs.counts()).collect();
    let qemu = qemu.iter().map(|found| Section { title: "x86-64 on QEMU", found, iommu: false, counts: &of_qemu });
    let bochs = bochs.iter().map(|found| Section { title: "x86-64 on Bochs", found, iommu: false, counts: &of_bochs });
    report::run(&arguments, tests, &qemu.chain(bochs).collect::<Vec<_>>())
}
