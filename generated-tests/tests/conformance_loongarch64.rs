//! LoongArch64 tables built by the library and walked by QEMU, with a refill handler or with the page table walker.

use std::ops::Range;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tablewright::{Cause, FaultInfo, Level, Rights};
use tablewright_archdefs::bound::Params;
use tablewright_tests::conformance::report::{self, Section};
use tablewright_tests::conformance::{
    Instructions, Judge, Live, Setup, Shared, access, control_trials, live_trials, trials,
};
use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::formats::{Configured, configured};
use tablewright_tests::generated;
use tablewright_tests::mmu::deviations::{Deviation, HALF_IS_ADDED};
use tablewright_tests::mmu::loongarch64::{Half, Machine};
use tablewright_tests::mmu::{Access, Chunk, Fault, FaultKind, Probe, Verdict};

/// What can be wider or narrower than the processor has it, which nothing configures.
const PA_BITS: i64 = 48;
const VA_BITS: u32 = 48;

/// Entries: H in those of directories, the level that LDDIR notes in blocks, NR and NX and RPLV.
const HUGE: u64 = 1 << 6;
const NOTED_LEVEL: u64 = 0b11 << 13;
const NR: u64 = 1 << 61;
const NX: u64 = 1 << 62;
const RPLV: u64 = 1 << 63;

/// A machine, and what is known of the tables that it judges.
struct Qemu {
    machine: Machine,
    found: Found,
    half: Half,
    input_bits: u32,
    /// The page that empty directory entries lead to, full of what they hold.
    nothing: Chunk,
}

impl Qemu {
    fn begin_with(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)]) {
        self.machine.clear();
        self.machine.load(std::slice::from_ref(&self.nothing));
        self.machine.load(tables);
        self.machine.set(self.half, registers);
    }
}

fn is(params: &Params, name: &str) -> bool {
    params.get(name) == Some(1)
}

impl Judge for Qemu {
    fn prepare(&mut self, case: &Configured) {
        let params = &case.params;
        let number = |name| params.get(name).unwrap_or_else(|| panic!("no `{name}`"));
        self.half = if is(params, "upper") { Half::Upper } else { Half::Lower };
        self.input_bits = case.bound.geometry.input_bits.into();
        let held = number("invalid_table") as u64;
        let words = (1 << number("granule")) / 8;
        self.nothing = (held & ((1 << PA_BITS) - 1), held.to_le_bytes().repeat(words));
    }

    fn ram(&self) -> Range<u64> {
        self.machine.ram()
    }

    fn reach(&self) -> u8 {
        64
    }

    /// Walks ignore bits above the input addresses, up to the width of all addresses: what leads to the same entry as an
    /// input address cannot be asked.
    fn may_ask(&self, probe: &Probe) -> bool {
        let above = (probe.address as i64) >> self.input_bits;
        let is_none = !matches!((probe.address as i64) >> (VA_BITS - 1), 0 | -1);
        let other_half = (above < 0) == (self.half == Half::Lower);
        is_none || other_half || above == if self.half == Half::Lower { 0 } else { -1 }
    }

    fn fault(&self, probe: &Probe, mapped: Option<Rights>) -> FaultKind {
        match (mapped, probe.access) {
            (None, _) => FaultKind::NotMapped,
            (Some(_), Access::Write) => FaultKind::Unspecified,
            (Some(_), Access::Read | Access::Execute) => FaultKind::Permission,
        }
    }

    fn unmarked(&self) -> FaultKind {
        FaultKind::Unspecified
    }

    /// The processor has every feature, and physical addresses of 48 bits. What is reserved it does not refuse.
    fn can_judge(&self, params: &Params, level: Level, raw: u64) -> bool {
        let pa_bits = params.get("pa_bits").unwrap_or(PA_BITS);
        let wider = raw >> pa_bits & ((1 << (PA_BITS - pa_bits)) - 1);
        let lacks = |feature, bit| !is(params, feature) && raw & bit != 0;
        let lacks_any = lacks("read_inhibit", NR) || lacks("execute_protection", NX) || lacks("restricted_level", RPLV);
        let has_blocks = match level {
            1 => is(params, "huge"),
            2 => is(params, "huge_1g"),
            _ => false,
        };
        let below_table = (1 << params.get("granule").unwrap_or(0)) - 1;
        wider == 0
            && match (level, raw & HUGE != 0) {
                (0, _) => !lacks_any,
                // LDDIR and LDPTE take that for what LDDIR notes in blocks.
                (_, true) => has_blocks && !lacks_any && raw & NOTED_LEVEL == 0,
                // What is below the address of a table is added to it.
                (_, false) => raw & below_table == 0,
            }
    }

    fn deviates(&self, params: &Params, level: Level, raw: u64) -> Option<&'static Deviation> {
        let granule = params.get("granule").unwrap_or(0);
        let half = 1 << (granule + (granule - 3) * i64::from(level) - 1);
        let block = level > 0 && raw & HUGE != 0;
        (block && raw & half != 0 && HALF_IS_ADDED.applies_to(&self.found)).then_some(&HALF_IS_ADDED)
    }

    fn told(&self, probe: &Probe, fault: &Fault) -> Option<FaultInfo> {
        let code =
            fault.report.iter().find(|(register, _)| *register == "estat").map_or(0, |(_, value)| value >> 16 & 0x3f);
        let cause = match code {
            1..=3 => Cause::NotMapped,
            4 => Cause::Unspecified,
            5..=7 => Cause::Permission,
            // No address, or no exception at all.
            _ => return None,
        };
        // The privilege level is wrong for whatever it was.
        let access = if code == 7 { Rights::empty() } else { access(probe) };
        Some(FaultInfo { address: Some(probe.address), access, cause, level: None, width: None, guest_walk: false })
    }

    fn judge(&mut self, tables: &[Chunk], registers: &[(&'static str, u64)], probes: &[Probe]) -> Vec<Verdict> {
        self.begin_with(tables, registers);
        self.machine.probe(probes)
    }
}

impl Live for Qemu {
    const REMEMBERED: Access = Access::Read;

    fn begin(&mut self, registers: &[(&'static str, u64)], _targets: &Range<u64>) {
        self.begin_with(&[], registers);
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
            let number: usize = register.trim_start_matches("$a").parse().expect("a register of arguments");
            arguments[number] = *value;
        }
        self.machine.run_with(&instructions.words, arguments).unwrap_or_else(|error| panic!("{error}"));
    }

    fn ask(&mut self, probes: &[Probe]) -> Vec<Verdict> {
        self.machine.probe(probes)
    }
}

/// All tests of a module's configurations.
macro_rules! all {
    ($module:ident, $granule:literal, $judge:expr) => {{
        let cases = configured("loongarch64").into_iter().filter(|case| case.params.get("granule") == Some($granule));
        cases
            .flat_map(|case| {
                let generated =
                    generated!(tablewright::loongarch64::$module, case.params).expect("one module for each granule");
                let setup = Setup::new(&case, generated.expect("a legal configuration"));
                let mut tests = trials(&setup, $judge);
                tests.extend(live_trials(&setup, $judge));
                tests.extend(control_trials(&setup, $judge));
                tests
            })
            .collect::<Vec<Trial>>()
    }};
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let Some(found) = require(Emulator::QemuLoongArch64) else {
        return report::run(&arguments, Vec::new(), &[]);
    };
    let known = found.clone();
    let judge = Shared::new(move || {
        let machine = Machine::start().unwrap_or_else(|error| panic!("{error}"));
        Qemu { machine, found: known.clone(), half: Half::Lower, input_bits: 0, nothing: Chunk::default() }
    });
    let tests =
        [all!(loongarch64_4k, 12, &judge), all!(loongarch64_16k, 14, &judge), all!(loongarch64_64k, 16, &judge)];
    let counts = || judge.counts();
    let sections = [Section { title: "LoongArch64", found: &found, iommu: false, counts: &counts }];
    report::run(&arguments, tests.into_iter().flatten().collect(), &sections)
}
