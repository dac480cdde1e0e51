//! Sv32, Sv39, Sv48 and Sv57, as satp has them: supervisor and user mode.

use std::ops::Range;

use libtest_mimic::Trial;
use tablewright::{
    ByName, FaultInfo, Level, Rights,
    riscv64::{sv, sv32},
};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::{
    Instructions, Judge, Live, Setup, Shared, control_trials, live_trials, raw_trial, trials,
};
use tablewright_tests::emulators::Found;
use tablewright_tests::formats::Configured;
use tablewright_tests::mmu::deviations::Deviation;
use tablewright_tests::mmu::riscv::Xlen;
use tablewright_tests::mmu::riscv::stage1::{Controls, Stage1};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// Those of a supervisor that accesses all memory.
const OPEN: Controls = Controls { supervisor_user_memory: true, executable_readable: false };

/// A machine whose translation by satp is judged.
pub(crate) struct Qemu {
    stage1: Stage1,
    found: Found,
    xlen: Xlen,
    controls: Controls,
}

impl Judge for Qemu {
    fn prepare(&mut self, _case: &Configured) {
        self.controls = OPEN;
    }

    fn ram(&self) -> Range<u64> {
        self.stage1.machine.ram()
    }

    fn reach(&self) -> u8 {
        self.xlen.bits()
    }

    fn grants(&self, probe: &Probe, rights: Rights) -> bool {
        grants(self.controls, probe, rights)
    }

    fn controls(&self) -> Option<Vec<u64>> {
        Some(vec![self.controls.sstatus()])
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
        Some(crate::told(probe, Some(probe.address)))
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.stage1.machine.clear();
        self.stage1.machine.load(tables);
        self.stage1.set(self.controls, registers);
        self.stage1.probe(probes)
    }
}

/// Whether a page with these rights lets an access through. A user page is one that user mode can use at all.
fn grants(controls: Controls, probe: &Probe, rights: Rights) -> bool {
    let user_page = rights.intersects(Rights::UR | Rights::UW | Rights::UX);
    let execute = probe.access == Access::Execute;
    if probe.user != user_page && (probe.user || execute || !controls.supervisor_user_memory) {
        return false;
    }
    let supervisor = [Rights::PR, Rights::PW, Rights::PX];
    let [read, write, execute] = if user_page { [Rights::UR, Rights::UW, Rights::UX] } else { supervisor };
    match probe.access {
        Access::Read => rights.contains(read) || controls.executable_readable && rights.contains(execute),
        Access::Write => rights.contains(write),
        Access::Execute => rights.contains(execute),
    }
}

impl Live for Qemu {
    const REMEMBERED: Access = Access::Read;

    fn begin(&mut self, registers: &[(&'static str, u64)], _targets: &Range<u64>) {
        self.stage1.machine.clear();
        self.stage1.set(self.controls, registers);
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

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        self.stage1.probe(probes)
    }
}

/// A supervisor that leaves user memory alone.
fn closed(judge: &mut Qemu) {
    judge.controls = Controls::default();
}

/// What can be executed can be read.
fn readable(judge: &mut Qemu) {
    judge.controls.executable_readable = true;
}

/// The judge.
pub(crate) fn judge(found: &Found, xlen: Xlen) -> Shared<Qemu> {
    let found = found.clone();
    Shared::new(move || {
        let stage1 = Stage1::start(xlen).unwrap_or_else(|error| panic!("{error}"));
        Qemu { stage1, found: found.clone(), xlen, controls: OPEN }
    })
}

/// All tests.
pub(crate) fn all(judge: &Shared<Qemu>, xlen: Xlen) -> Vec<Trial> {
    match xlen {
        Xlen::Rv32 => setups!(sv32, "sv32").flat_map(|setup| of_setup(&setup, judge)).collect(),
        Xlen::Rv64 => setups!(sv, "sv").flat_map(|setup| of_setup(&setup, judge)).collect(),
    }
}

fn of_setup<F: ByName>(setup: &Setup<F>, judge: &Shared<Qemu>) -> Vec<Trial> {
    let mut tests = trials(setup, judge);
    tests.push(raw_trial(setup, judge, "raw_entries_closed", closed));
    tests.push(raw_trial(setup, judge, "raw_entries_readable", readable));
    tests.extend(live_trials(setup, judge));
    if ["sv32", "sv32-rich", "sv39", "sv39-rich"].contains(&setup.name.as_str()) {
        tests.extend(control_trials(setup, judge));
    }
    tests
}
