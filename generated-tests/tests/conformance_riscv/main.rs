//! RISC-V tables built by the library and walked by QEMU.

/// All configurations of a file, as a module has them.
macro_rules! setups {
    ($module:ident, $file:literal) => {
        tablewright_tests::formats::configured($file).into_iter().map(|case| {
            let generated = tablewright_tests::generated!($module, case.params).expect("one module for all");
            Setup::new(&case, generated.expect("a legal configuration"))
        })
    };
}

mod gstage;
mod stage1;
mod two_stage;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright::{Cause, FaultInfo};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{Counts, Instructions, access};
use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::Probe;
use tablewright_tests::mmu::deviations::{Deviation, RESERVED_PBMT};
use tablewright_tests::mmu::riscv::{Machine, Xlen};

tablewright::page_table_format! { pub(crate) mod sv32_x4 = "arch/sv32_x4.toml" }

/// Whether the CPU reads an entry as the parameters say: it has Svnapot, which nothing turns off, and no Svrsw60t59b.
fn can_judge(params: &Params, raw: u64) -> bool {
    let has = |param| params.get(param) == Some(1);
    (has("svnapot") || raw >> 63 == 0) && (!has("svrsw60t59b") || raw >> 59 & 0b11 == 0)
}

/// The model's deviation that an entry of either stage shows.
fn deviates(found: &Found, raw: u64) -> Option<&'static Deviation> {
    let leaf = raw & 0b1110 != 0;
    (leaf && raw >> 61 & 0b11 == 3 && RESERVED_PBMT.applies_to(found)).then_some(&RESERVED_PBMT)
}

/// What the report of a fault of either stage says, with its address if it has one. The architecture has one cause for
/// everything.
fn told(probe: &Probe, address: Option<u64>) -> FaultInfo {
    FaultInfo { address, access: access(probe), cause: Cause::Unspecified, level: None, width: None, guest_walk: false }
}

/// Executes instructions in M-mode.
fn execute(machine: &mut Machine, instructions: &Instructions) {
    let mut arguments = [0; 4];
    for (register, value) in &instructions.operands {
        let number: usize = register.trim_start_matches('a').parse().expect("a register of arguments");
        arguments[number] = *value;
    }
    machine.run_with(&instructions.words, arguments).unwrap_or_else(|error| panic!("{error}"));
}

/// What a judge has counted, at the end.
type Count = Box<dyn Fn() -> Counts>;

/// All tests on machines whose registers are so wide, and what their judges count.
fn tests_on(found: &Found, xlen: Xlen) -> (Vec<Trial>, [Count; 3]) {
    let (gstage, stage1, both) =
        (gstage::judge(found, xlen), stage1::judge(found, xlen), two_stage::judge(found, xlen));
    let tests = [gstage::all(&gstage, xlen), stage1::all(&stage1, xlen), two_stage::all(&both, xlen)];
    let tests = tests.into_iter().flatten().collect();
    (tests, [Box::new(move || gstage.counts()), Box::new(move || stage1.counts()), Box::new(move || both.counts())])
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (mut tests, mut judged) = (Vec::new(), Vec::new());
    for (emulator, xlen, titles) in [
        (Emulator::QemuRiscv64, Xlen::Rv64, ["RISC-V G-stage", "RISC-V satp", "RISC-V two-stage"]),
        (Emulator::QemuRiscv32, Xlen::Rv32, ["RV32 G-stage", "RV32 satp", "RV32 two-stage"]),
    ] {
        if let Some(found) = require(emulator) {
            let (these, counts) = tests_on(&found, xlen);
            tests.extend(these.into_iter().map(|test| test.with_kind(emulator.program())));
            judged.extend(titles.into_iter().zip(counts).map(|(title, counts)| (title, found.clone(), counts)));
        }
    }
    let section = |(title, found, counts)| Section { title, found, iommu: false, counts };
    let sections: Vec<_> = judged.iter().map(|(title, found, counts)| section((*title, found, counts))).collect();
    report::run(&arguments, tests, &sections)
}
