//! The judges of 32-bit paging: tables written by hand from the manual (SDM volume 3, *32-Bit Paging*), and what QEMU and
//! Bochs must say to them.

use std::sync::OnceLock;

use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::mmu::Access::{self, Execute, Read, Write};
use tablewright_tests::mmu::FaultKind::{Misconfigured, NotMapped, Permission};
use tablewright_tests::mmu::x86_64::protected::{Batch, Machine, Paging};
use tablewright_tests::mmu::{Chunk, Fault, Probe, Verdict};

use crate::{ACCESSED, ALL, Answer, DIRTY, LARGE, PRESENT, TARGET, USER, WRITABLE, short};

const ROOT: u64 = 0x100_0000;
const TABLE: u64 = 0x100_1000;

/// CR0.WP.
const WRITE_PROTECT: u32 = 1 << 16;
/// CR4.PSE, CR4.SMEP.
const PSE: u32 = 1 << 4;
const SMEP: u32 = 1 << 20;

pub(crate) fn judges() -> &'static [Machine] {
    static JUDGES: OnceLock<Vec<Machine>> = OnceLock::new();
    JUDGES.get_or_init(|| {
        [(Emulator::QemuX86, "max,phys-bits=40"), (Emulator::Bochs, "ryzen")]
            .into_iter()
            .filter(|&(emulator, _)| require(emulator).is_some())
            .map(|(emulator, model)| Machine::new(emulator, model).unwrap())
            .collect()
    })
}

/// A root and a table, with these entries: index and value.
fn tables(root: &[(u64, u64)], table: &[(u64, u64)]) -> Vec<Chunk> {
    let chunk = |address, entries: &[(u64, u64)]| {
        let mut bytes = vec![0; 4096];
        for &(index, entry) in entries {
            bytes[index as usize * 4..][..4].copy_from_slice(&(entry as u32).to_le_bytes());
        }
        (address, bytes)
    };
    vec![chunk(ROOT, root), chunk(TABLE, table)]
}

fn probe(address: u64, access: Access, user: bool) -> Probe {
    Probe { address, access, user }
}

/// Each judge must answer these questions so, under these bits of CR0 and CR4.
fn check(image: &[Chunk], (cr0, cr4): (u32, u32), questions: &[(Probe, Answer)]) {
    let probes: Vec<Probe> = questions.iter().map(|(probe, _)| *probe).collect();
    let paging = Paging { cr0, cr3: ROOT as u32, cr4, efer: 0 };
    for machine in judges() {
        let outcome = machine.run(&Batch { image, paging, probes: &probes, peek: &[] }).unwrap();
        for (verdict, (probe, answer)) in outcome.verdicts.iter().zip(questions) {
            assert_eq!(short(verdict), *answer, "{probe:x?}: {verdict:x?}");
        }
    }
}

#[test]
fn rights_are_those_of_leaf_and_table_together() {
    let every = |address: u64, answers: [Answer; 6]| {
        let probes = [false, true]
            .into_iter()
            .flat_map(move |user| [Read, Write, Execute].map(|access| probe(address + 0x123, access, user)));
        probes.zip(answers).collect::<Vec<_>>()
    };
    let image = tables(
        &[(0, TABLE | ALL), (1, TABLE | PRESENT | WRITABLE), (2, TABLE | PRESENT | USER)],
        &[(1, TARGET | ALL), (2, TARGET | PRESENT | USER), (3, TARGET | PRESENT | WRITABLE), (4, TARGET)],
    );
    let (yes, no, nothing) = (Ok(Some(TARGET + 0x123)), Err(Permission), Err(NotMapped));
    let questions = [
        every(0x1000, [yes; 6]),
        every(0x2000, [yes, no, yes, yes, no, yes]),
        every(0x3000, [yes, yes, yes, no, no, no]),
        every(0x4000, [nothing; 6]),
        every(0x40_1000, [yes, yes, yes, no, no, no]),
        every(0x80_1000, [yes, no, yes, yes, no, yes]),
        every(0xffc0_0000, [nothing; 6]),
    ];
    check(&image, (WRITE_PROTECT, 0), &questions.concat());
    let supervisor_writes = [(probe(0x2000, Write, false), Ok(Some(TARGET))), (probe(0x2000, Write, true), no)];
    check(&image, (0, 0), &supervisor_writes);
    let fetches = [(probe(0x1000, Execute, false), no), (probe(0x1000, Execute, true), Ok(Some(TARGET)))];
    check(&image, (WRITE_PROTECT, SMEP), &fetches);
}

#[test]
fn blocks_are_there_with_pse_and_reach_beyond_4_gib() {
    let block = TARGET | ALL | LARGE;
    let image = tables(
        // In memory; with bit 21; with address bit 32, and 39, where nothing is; to a table whose bit 7 may count.
        &[(1, block), (2, block | 1 << 21), (3, block | 1 << 13), (4, block | 1 << 20), (5, TABLE | ALL | LARGE)],
        &[(0, TARGET | ALL)],
    );
    let at = |address| probe(address, Read, false);
    let there = |address: u64| (at(address), Ok(Some(TARGET + (address & 0x3f_ffff))));
    check(
        &image,
        (WRITE_PROTECT, PSE),
        &[
            there(0x40_0000),
            there(0x40_1234),
            there(0x7f_f000),
            (at(0x80_0000), Err(Misconfigured)),
            (at(0xc0_0000), Ok(None)),
            (at(0x100_0000), Ok(None)),
            // Bit 12 is the highest of the index of the PAT; the address is of 4 MiB of the tables themselves.
            (at(0x140_1ff0), Ok(None)),
        ],
    );
    check(&image, (WRITE_PROTECT, 0), &[(at(0x140_0000), Ok(Some(TARGET))), (at(0x140_1000), Err(NotMapped))]);
}

#[test]
fn accesses_leave_flags_and_error_codes() {
    let image = tables(&[(0, TABLE | ALL)], &[(0, TARGET | ALL), (1, TARGET | ALL), (2, TARGET | PRESENT | USER)]);
    let probes =
        [probe(0, Read, true), probe(0x1000, Write, false), probe(0x2000, Write, true), probe(0x3000, Read, false)];
    let paging = Paging { cr0: WRITE_PROTECT, cr3: ROOT as u32, cr4: 0, efer: 0 };
    let entry = |low: u64, high: u64| low | high << 32;
    for machine in judges() {
        let peek = [ROOT, TABLE, TABLE + 8];
        let outcome = machine.run(&Batch { image: &image, paging, probes: &probes, peek: &peek }).unwrap();
        let fault = |verdict: &Verdict| match verdict {
            Verdict::Fault(Fault { report, .. }) => report.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            Verdict::Translated(_) => Vec::new(),
        };
        // Present, a write, by a user; and nothing of it.
        assert_eq!(
            outcome.verdicts.iter().map(fault).collect::<Vec<_>>(),
            [vec![], vec![], vec![0b111, 0x2000], vec![0, 0x3000]]
        );
        let page = TARGET | ALL | ACCESSED;
        let words = [entry(TABLE | ALL | ACCESSED, 0), entry(page, page | DIRTY), entry(TARGET | PRESENT | USER, 0)];
        assert_eq!(outcome.words[..2], words[..2]);
        // Whether a denied access leaves a flag, the manual leaves open.
        assert_eq!(outcome.words[2] & !ACCESSED, words[2]);
    }
}
