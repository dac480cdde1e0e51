//! The judges of PAE paging: tables written by hand from the manual (SDM volume 3, *PAE Paging*), and what QEMU and Bochs
//! must say to them.

use tablewright_tests::mmu::Access::{self, Execute, Read, Write};
use tablewright_tests::mmu::FaultKind::{Misconfigured, NotMapped, Permission};
use tablewright_tests::mmu::deviations::{POINTER_BITS, POINTER_IS_MARKED, POINTERS_ARE_NOT_LOADED};
use tablewright_tests::mmu::x86_64::protected::{Batch, Machine, Paging};
use tablewright_tests::mmu::{Chunk, Probe};

use crate::legacy::judges;
use crate::{ACCESSED, ALL, Answer, DIRTY, LARGE, NO_EXECUTE, PRESENT, TARGET, USER, WRITABLE, short};

/// The root is where no other table could be.
const ROOT: u64 = 0x100_0fe0;
const DIRECTORY: u64 = 0x100_1000;
const TABLE: u64 = 0x100_2000;

/// Addresses of the second root entry: the first is the judges' for the time of a probe.
const GIB: u64 = 1 << 30;

const PAGED: Paging = Paging { cr0: 1 << 16, cr3: ROOT as u32, cr4: 1 << 5, efer: 1 << 11 };

/// A root, a directory and a table, with these entries: index and value.
fn tables(root: [u64; 4], directory: &[(u64, u64)], table: &[(u64, u64)]) -> Vec<Chunk> {
    let chunk = |address, entries: &[(u64, u64)]| {
        let mut bytes = vec![0; 4096];
        for &(index, entry) in entries {
            bytes[index as usize * 8..][..8].copy_from_slice(&entry.to_le_bytes());
        }
        (address, bytes)
    };
    let root = root.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    vec![(ROOT, root), chunk(DIRECTORY, directory), chunk(TABLE, table)]
}

fn probe(address: u64, access: Access, user: bool) -> Probe {
    Probe { address, access, user }
}

fn ask(machine: &Machine, image: &[Chunk], paging: Paging, probes: &[Probe]) -> Vec<Answer> {
    machine.run(&Batch { image, paging, probes, peek: &[] }).unwrap().verdicts.iter().map(short).collect()
}

/// Each judge must answer these questions so.
fn check(image: &[Chunk], paging: Paging, questions: &[(Probe, Answer)]) {
    let (probes, answers): (Vec<Probe>, Vec<Answer>) = questions.iter().copied().unzip();
    for machine in judges() {
        assert_eq!(ask(machine, image, paging, &probes), answers, "{probes:x?}");
    }
}

#[test]
fn rights_are_those_of_leaf_and_directory_entry_together() {
    let every = |address: u64, answers: [Answer; 6]| {
        let probes = [false, true]
            .into_iter()
            .flat_map(move |user| [Read, Write, Execute].map(|access| probe(address + 0x123, access, user)));
        probes.zip(answers).collect::<Vec<_>>()
    };
    let pointer = DIRECTORY | PRESENT;
    let image = tables(
        [pointer, pointer, 0, pointer | 0b111 << 9 | 0b11 << 3],
        &[
            (0, TABLE | ALL),
            (1, TABLE | PRESENT | WRITABLE),
            (2, TABLE | PRESENT | USER | NO_EXECUTE),
            (3, TARGET | ALL | LARGE | NO_EXECUTE),
        ],
        &[
            (1, TARGET | ALL),
            (2, TARGET | PRESENT | USER),
            (3, TARGET | PRESENT | WRITABLE),
            (4, TARGET),
            (5, TARGET | ALL | NO_EXECUTE),
        ],
    );
    let (yes, no, nothing) = (Ok(Some(TARGET + 0x123)), Err(Permission), Err(NotMapped));
    for area in [0, GIB, 3 * GIB] {
        let questions = [
            every(area | 0x1000, [yes; 6]),
            every(area | 0x2000, [yes, no, yes, yes, no, yes]),
            every(area | 0x3000, [yes, yes, yes, no, no, no]),
            every(area | 0x4000, [nothing; 6]),
            every(area | 0x5000, [yes, yes, no, yes, yes, no]),
            every(area | 0x20_1000, [yes, yes, yes, no, no, no]),
            every(area | 0x40_1000, [yes, no, no, yes, no, no]),
            every(area | 0x60_0000, [yes, yes, no, yes, yes, no]),
        ];
        check(&image, PAGED, &questions.concat());
    }
    check(&image, PAGED, &every(2 * GIB, [nothing; 6]));
    let supervisor_writes = [(probe(0x2000, Write, false), Ok(Some(TARGET))), (probe(0x2000, Write, true), no)];
    check(&image, Paging { cr0: 0, ..PAGED }, &supervisor_writes);
    let fetches = [(probe(0x1000, Execute, false), no), (probe(0x1000, Execute, true), Ok(Some(TARGET)))];
    check(&image, Paging { cr4: PAGED.cr4 | 1 << 20, ..PAGED }, &fetches);
}

#[test]
fn reserved_bits_are_those_above_the_width_and_bit_63_without_nxe() {
    // Of 40 bits; bits 62:52, which long mode ignores.
    let reserved = [40, 51, 52, 58, 62].map(|bit| 1 << bit);
    let wrong = |entry: u64| (8..).zip(reserved).map(move |(index, bit)| (index, entry | bit));
    let last = (1_u64 << 39) | ALL;
    let directory: Vec<_> = [(0, TABLE | ALL), (1, TARGET | ALL | LARGE | 1 << 13), (2, last | LARGE)]
        .into_iter()
        .chain(wrong(TABLE | ALL))
        .chain([(3, TABLE | ALL | NO_EXECUTE)])
        .collect();
    let table: Vec<_> = [(0, TARGET | ALL | NO_EXECUTE), (1, last)].into_iter().chain(wrong(TARGET | ALL)).collect();
    let image = tables([0, DIRECTORY | PRESENT, 0, 0], &directory, &table);
    let at = |address: u64| probe(GIB | address, Read, false);
    let mut questions = vec![
        (at(0), Ok(Some(TARGET))),
        (at(0x1000), Ok(None)),
        (at(0x20_0000), Err(Misconfigured)),
        (at(0x40_0000), Ok(None)),
        (at(0x60_0000), Ok(Some(TARGET))),
    ];
    questions.extend(
        (8..13).flat_map(|index| [(at(index << 12), Err(Misconfigured)), (at(index << 21), Err(Misconfigured))]),
    );
    check(&image, PAGED, &questions);
    let without = Paging { efer: 0, ..PAGED };
    check(&image, without, &[(at(0), Err(Misconfigured)), (at(0x60_0000), Err(Misconfigured)), (at(0x1000), Ok(None))]);
}

#[test]
fn reserved_bits_of_the_root_keep_it_from_being_loaded() {
    // What has another root entry is refused as well, for CR3 cannot be loaded at all.
    for bit in [1, 2, 5, 6, 7, 8, 40, 51, 52, 62, 63] {
        let image =
            tables([0, DIRECTORY | PRESENT, DIRECTORY | PRESENT | 1 << bit, 0], &[(0, TARGET | ALL | LARGE)], &[]);
        let probes = [probe(GIB, Read, false), probe(2 * GIB, Read, false)];
        for machine in judges() {
            let there = Ok(Some(TARGET));
            let answers = match bit {
                _ if !machine.deviates(&POINTERS_ARE_NOT_LOADED) => [Err(Misconfigured); 2],
                1..=8 if machine.deviates(&POINTER_BITS) => [there; 2],
                _ => [there, Err(Misconfigured)],
            };
            assert_eq!(ask(machine, &image, PAGED, &probes), answers, "bit {bit}");
        }
    }
}

#[test]
fn accesses_leave_flags_below_the_root_also_where_the_root_entry_is_lent() {
    let pointer = DIRECTORY | PRESENT;
    let table = [(0, TARGET | ALL), (1, TARGET | ALL), (2, TARGET | PRESENT | USER)];
    let image = tables([pointer, pointer, 0, 0], &[(0, TABLE | ALL), (1, TARGET | ALL | LARGE)], &table);
    for area in [0, GIB] {
        let probes =
            [probe(area, Read, true), probe(area | 0x1000, Write, false), probe(area | 0x20_0000, Write, false)];
        for machine in judges() {
            let peek = [ROOT, ROOT + 8, DIRECTORY, DIRECTORY + 8, TABLE, TABLE + 8, TABLE + 16];
            let batch = Batch { image: &image, paging: PAGED, probes: &probes, peek: &peek };
            let page = TARGET | ALL | ACCESSED;
            let marked = if area == GIB && machine.deviates(&POINTER_IS_MARKED) { ACCESSED } else { 0 };
            let expected = [
                pointer,
                pointer | marked,
                TABLE | ALL | ACCESSED,
                page | LARGE | DIRTY,
                page,
                page | DIRTY,
                TARGET | PRESENT | USER,
            ];
            assert_eq!(machine.run(&batch).unwrap().words, expected);
        }
    }
}
