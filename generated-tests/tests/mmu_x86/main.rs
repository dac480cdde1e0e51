//! Checks the judges of AMD's nested tables, of long mode, and of both together: tables written by hand from the manuals
//! (APM volume 2, *Long-Mode Page Translation* and *Nested Paging*; SDM volume 3, *4-Level Paging and 5-Level Paging*),
//! and what QEMU and Bochs must say to them.

mod legacy;
mod long_mode;
mod npt;
mod pae;
mod two_stage;

use std::sync::OnceLock;

use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::mmu::Access::{self, Execute, Read, Write};
use tablewright_tests::mmu::x86_64::{Batch, Host, Machine, Nested, Outcome, Paging};
use tablewright_tests::mmu::{Chunk, FaultKind, Probe, Verdict};

/// EFER.NXE.
const NO_EXECUTE_ENABLE: u64 = 1 << 11;
/// CR4.LA57.
const LA57: u64 = 1 << 12;

/// A processor, and how deep its host's tables are, and so its nested ones.
struct Judge {
    machine: Machine,
    levels: u64,
    /// Width of physical addresses.
    width: u64,
}

/// QEMU with four levels and with five, and Bochs.
fn judges() -> &'static [Judge] {
    static JUDGES: OnceLock<Vec<Judge>> = OnceLock::new();
    JUDGES.get_or_init(|| {
        [
            (Emulator::QemuX86, "max,phys-bits=48", 4, 48),
            (Emulator::QemuX86, "max,phys-bits=52", 5, 52),
            (Emulator::Bochs, "ryzen", 4, 40),
        ]
        .into_iter()
        .filter(|&(emulator, ..)| require(emulator).is_some())
        .map(|(emulator, model, levels, width)| Judge { machine: start(emulator, model, levels, true), levels, width })
        .collect()
    })
}

fn start(emulator: Emulator, model: &str, levels: u64, no_execute: bool) -> Machine {
    let host = Host { cr4: if levels == 5 { LA57 } else { 0 }, efer: if no_execute { NO_EXECUTE_ENABLE } else { 0 } };
    Machine::svm(emulator, model, host).unwrap()
}

/// The table of a walk, by the level of its entries (0: pages).
const fn table(level: u64) -> u64 {
    0x100_0000 + level * 0x1000
}

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ALL: u64 = PRESENT | WRITABLE | USER;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;

/// Where most leaves map.
const TARGET: u64 = 0x200_0000;

/// Level, index and value of an entry.
type Entry = (u64, u64, u64);

/// One table per level at `base`: entry 0 of each points to the next, except as given.
fn tables(base: u64, levels: u64, entries: &[Entry]) -> Vec<Chunk> {
    (0..levels)
        .map(|level| {
            let mut bytes = vec![0; 4096];
            let mut set =
                |index: u64, entry: u64| bytes[index as usize * 8..][..8].copy_from_slice(&entry.to_le_bytes());
            if level > 0 {
                set(0, (base + (level - 1) * 0x1000) | ALL);
            }
            entries.iter().filter(|entry| entry.0 == level).for_each(|&(_, index, entry)| set(index, entry));
            (base + level * 0x1000, bytes)
        })
        .collect()
}

fn probe(address: u64, access: Access) -> Probe {
    Probe { address, access, user: false }
}

fn all(address: u64) -> [Probe; 3] {
    [Read, Write, Execute].map(|access| probe(address, access))
}

/// The output address of a translation (`Ok`), or the kind of a fault.
type Answer = Result<Option<u64>, FaultKind>;

fn short(verdict: &Verdict) -> Answer {
    match verdict {
        Verdict::Translated(address) => Ok(*address),
        Verdict::Fault(fault) => Err(fault.kind),
    }
}

/// What is under test, what is asked, and what must be answered.
struct Case {
    image: Vec<Chunk>,
    guest: Option<Paging>,
    nested: Nested,
    questions: Vec<(Probe, Answer)>,
}

impl Case {
    /// Runs cases in one start of the emulator.
    fn check_all(machine: &Machine, cases: &[Self]) {
        let probes: Vec<Vec<Probe>> =
            cases.iter().map(|case| case.questions.iter().map(|(probe, _)| *probe).collect()).collect();
        let batches: Vec<_> = cases
            .iter()
            .zip(&probes)
            .map(|(case, probes)| Batch {
                image: &case.image,
                guest: case.guest,
                nested: case.nested,
                probes,
                peek: &[],
            })
            .collect();
        let outcomes = machine.run(&batches).unwrap();
        assert_eq!(outcomes.len(), cases.len());
        for (number, (case, outcome)) in cases.iter().zip(&outcomes).enumerate() {
            assert_eq!(outcome.verdicts.len(), case.questions.len());
            for ((probe, expected), verdict) in case.questions.iter().zip(&outcome.verdicts) {
                assert_eq!(short(verdict), *expected, "case {number}, {:x?}: {probe:x?}: {verdict:x?}", case.guest);
            }
        }
    }
}

/// Runs one batch.
fn run(machine: &Machine, case: &Case, peek: &[u64]) -> Outcome {
    let probes: Vec<Probe> = case.questions.iter().map(|(probe, _)| *probe).collect();
    let batch = Batch { image: &case.image, guest: case.guest, nested: case.nested, probes: &probes, peek };
    machine.run(&[batch]).unwrap().remove(0)
}

/// What a faulting probe reported.
fn report(verdict: &Verdict) -> &[(&'static str, u64)] {
    match verdict {
        Verdict::Fault(fault) => &fault.report,
        Verdict::Translated(_) => &[],
    }
}
