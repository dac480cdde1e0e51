//! The G-stage: Sv32x4, Sv39x4, Sv48x4, Sv57x4.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{ByName, FaultInfo, Level, Rights, riscv64::sv_x4};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{Instructions, Judge, Live, Setup, Shared, control_trials, live_trials, trials};
use tablewright_tests::emulators::Found;
use tablewright_tests::mmu::deviations::Deviation;
use tablewright_tests::mmu::riscv::{Machine, Xlen};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

use crate::sv32_x4;

/// A machine whose G-stage is judged.
pub(crate) struct Qemu {
    machine: Machine,
    found: Found,
    xlen: Xlen,
}

impl Judge for Qemu {
    fn ram(&self) -> Range<u64> {
        self.machine.ram()
    }

    fn reach(&self) -> u8 {
        match self.xlen {
            // No register holds the 34 bits of an address.
            Xlen::Rv32 => 32,
            Xlen::Rv64 => 63,
        }
    }

    fn fault(&self, _probe: &Probe, _mapped: Option<Rights>) -> FaultKind {
        // The architecture has one fault for everything.
        FaultKind::Unspecified
    }

    fn reserved(&self, _probe: &Probe, _params: &Params, _level: Level, _raw: u64) -> FaultKind {
        FaultKind::Unspecified
    }

    fn unmarked(&self) -> FaultKind {
        FaultKind::Unspecified
    }

    fn can_judge(&self, params: &Params, _level: Level, raw: u64) -> bool {
        crate::can_judge(params, raw)
    }

    fn deviates(&self, _params: &Params, _level: Level, raw: u64) -> Option<&'static Deviation> {
        crate::deviates(&self.found, raw)
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        assert_eq!(fault.level, None, "no report has a level");
        // htval is the address without its two lowest bits, and 0 if it is not reported.
        Some(crate::told(probe, (probe.address >> 2 != 0).then_some(probe.address)))
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.machine.clear();
        self.machine.load(tables);
        self.machine.set_gstage(registers);
        self.machine.probe(probes)
    }
}

/// Loads go by way of the TLB, which entering the guest would empty.
impl Live for Qemu {
    const REMEMBERED: Access = Access::Read;

    fn begin(&mut self, registers: &[(&'static str, u64)], _targets: &Range<u64>) {
        self.machine.clear();
        self.machine.set_gstage(registers);
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

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        self.machine.probe(probes)
    }
}

/// The judge.
pub(crate) fn judge(found: &Found, xlen: Xlen) -> Shared<Qemu> {
    let found = found.clone();
    Shared::new(move || {
        let machine = Machine::start(xlen).unwrap_or_else(|error| panic!("{error}"));
        Qemu { machine, found: found.clone(), xlen }
    })
}

/// All tests.
pub(crate) fn all(judge: &Shared<Qemu>, xlen: Xlen) -> Vec<Trial> {
    match xlen {
        Xlen::Rv32 => setups!(sv32_x4, "sv32_x4").flat_map(|setup| of_setup(&setup, judge)).collect(),
        Xlen::Rv64 => setups!(sv_x4, "sv_x4").flat_map(|setup| of_setup(&setup, judge)).collect(),
    }
}

fn of_setup<F: ByName>(setup: &Setup<F>, judge: &Shared<Qemu>) -> Vec<Trial> {
    let mut tests = trials(setup, judge);
    tests.extend(live_trials(setup, judge));
    if ["sv32x4", "sv39x4"].contains(&setup.name.as_str()) {
        tests.extend(control_trials(setup, judge));
    }
    tests
}
