//! RISC-V G-stage of 32 bits: Sv32x4. Every refusal is a guest-page fault, which does not say why.

use tablewright_tests::mmu::deviations::{HENVCFG_IS_NOT_ASKED_32, TABLE_OUTSIDE_MEMORY_32, UNALIGNED_ROOT_32};
use tablewright_tests::mmu::riscv::Machine;
use tablewright_tests::mmu::{Access, Chunk, FaultKind, Probe, Verdict};

use crate::Case;
use crate::expect::{Page, page, probes, refused};

pub(crate) const CASES: &[Case<Machine>] = &[
    ("sv32x4", sv32x4),
    ("beyond_4_gib", beyond_4_gib),
    ("reserved_bits", reserved_bits),
    ("memory_that_is_missing", memory_that_is_missing),
    ("hardware_sets_flags", hardware_sets_flags),
    ("hardware_sets_flags_of_a_guest", hardware_sets_flags_of_a_guest),
    ("unaligned_root", unaligned_root),
];

/// The mode of hgatp and vsatp.
const SV32: u64 = 1 << 31;

/// menvcfg and henvcfg, each with its upper half.
const ADUE: u64 = 1 << 61;

/// PTE fields.
const V: u32 = 1;
const R: u32 = 1 << 1;
const W: u32 = 1 << 2;
const X: u32 = 1 << 3;
const U: u32 = 1 << 4;
const A: u32 = 1 << 6;
const D: u32 = 1 << 7;

/// What most leaves have.
const LEAF: u32 = V | R | W | X | U | A | D;

const REFUSED: (FaultKind, Option<u8>) = (FaultKind::Unspecified, None);

/// A PTE of a physical address.
const fn entry(address: u64, bits: u32) -> u32 {
    (address >> 12 << 10) as u32 | bits
}

/// A table: entries by index, the others zero.
fn table(address: u64, entries: &[(usize, u32)]) -> Chunk {
    sized_table(address, 0x1000, entries)
}

/// A root table, which is four times as large.
fn root_table(address: u64, entries: &[(usize, u32)]) -> Chunk {
    sized_table(address, 0x4000, entries)
}

fn sized_table(address: u64, size: usize, entries: &[(usize, u32)]) -> Chunk {
    let mut bytes = vec![0; size];
    for &(index, entry) in entries {
        bytes[index * 4..][..4].copy_from_slice(&entry.to_le_bytes());
    }
    (address, bytes)
}

fn begin(machine: &mut Machine, tables: &[Chunk]) {
    machine.clear();
    machine.load(tables);
    machine.set_gstage(&[("hgatp", SV32 | tables[0].0 >> 12)]);
}

fn full_page(output: u64) -> Page {
    Page { output, rights: "rwx", refusal: REFUSED }
}

fn sv32x4(machine: &mut Machine) {
    let root = machine.ram().start;
    let entries = [
        (0, entry(root + 0x4000, V)),
        (1023, entry(root + 0x4000, V)),
        (1, entry(root, LEAF & !W)),
        (2, entry(root + 0x1000, LEAF)),
    ];
    let pages = [(0, entry(root + 0x1_0000, LEAF)), (1023, entry(root + 0x1_1000, LEAF & !X))];
    begin(machine, &[root_table(root, &entries), table(root + 0x4000, &pages)]);
    let mut ask = |address: u64| machine.probe(&probes(address));
    for area in [0, 1023 << 22] {
        page("the first page", full_page(root + 0x1_0124), &ask(area | 0x124));
        let rights = "rw";
        page("the last page", Page { rights, ..full_page(root + 0x1_1ffc) }, &ask(area | 0x3f_fffc));
        refused("an empty page entry", REFUSED, &ask(area | 0x1000));
    }
    page("4 MiB", Page { rights: "rx", ..full_page(root + 0x32_3458) }, &ask(1 << 22 | 0x32_3458));
    refused("4 MiB, misaligned", REFUSED, &ask(2 << 22));
    refused("an empty root entry", REFUSED, &ask(3 << 22));
}

/// Only a guest's own tables have addresses of all 34 bits: a megapage of theirs leads to each quarter of the root.
fn beyond_4_gib(machine: &mut Machine) {
    let root = machine.ram().start;
    let own = root + 0x4000;
    let quarters = [0, 1, 2, 3].map(|quarter| (quarter * 1024 + 7, entry(root + ((quarter as u64 + 1) << 22), LEAF)));
    let megapages = [0, 1, 2, 3].map(|quarter| (quarter as usize, entry(quarter << 32 | 7 << 22, LEAF & !U)));
    // The guest sees its tables where they are.
    let tables = ((root >> 22) as usize, entry(root, LEAF));
    begin(machine, &[root_table(root, &[&quarters[..], &[tables]].concat()), table(own, &megapages)]);
    machine.set_gstage(&[("hgatp", SV32 | root >> 12), ("vsatp", SV32 | own >> 12)]);
    for quarter in 0..4 {
        let read = Probe { address: quarter << 22 | 0x1_2348, access: Access::Read, user: false };
        let expected = Verdict::Translated(Some(root + ((quarter + 1) << 22) + 0x1_2348));
        assert_eq!(machine.probe(&[read]), [expected], "quarter {quarter}");
    }
}

fn reserved_bits(machine: &mut Machine) {
    let root = machine.ram().start;
    let next = root + 0x4000;
    // In a pointer U, A and D are reserved.
    let pointers: Vec<_> = [4, 6, 7].map(|bit| entry(next, V | 1 << bit)).into();
    let pointers: Vec<_> = pointers.into_iter().chain([entry(next, V)]).enumerate().collect();
    let output = root + 0x40_0000;
    let leaves = [LEAF | 0b11 << 8, LEAF & !U, LEAF & !R, V | W, V, LEAF & !A].map(|bits| entry(output, bits));
    let leaves: Vec<_> = leaves.into_iter().enumerate().collect();
    begin(machine, &[root_table(root, &pointers), table(next, &leaves)]);
    for pointer in 0..3 {
        refused("a pointer", REFUSED, &machine.probe(&probes(pointer << 22)));
    }
    page("software's bits", full_page(output), &machine.probe(&probes(3 << 22)));
    for leaf in 1..6 {
        refused("a leaf", REFUSED, &machine.probe(&probes(3 << 22 | leaf << 12)));
    }
}

fn memory_that_is_missing(machine: &mut Machine) {
    let root = machine.ram().start;
    let nowhere = 0xc000_0000;
    begin(machine, &[root_table(root, &[(0, entry(nowhere, LEAF & !X)), (1, entry(nowhere, V))])]);
    let leaf = machine.probe(&probes(0));
    assert!(leaf[..4].iter().all(|verdict| *verdict == Verdict::Translated(None)), "{leaf:#x?}");
    assert!(leaf[4..].iter().all(|verdict| matches!(verdict, Verdict::Fault(_))), "{leaf:#x?}");
    let pointer = machine.probe(&probes(1 << 22));
    if crate::deviates(&TABLE_OUTSIDE_MEMORY_32) {
        refused("a table in missing memory", REFUSED, &pointer);
    } else {
        assert!(pointer.iter().all(|verdict| *verdict == Verdict::Translated(None)), "{pointer:#x?}");
    }
}

fn hardware_sets_flags(machine: &mut Machine) {
    let root = machine.ram().start;
    let output = root + 0x40_0000;
    begin(machine, &[root_table(root, &[(0, entry(output, LEAF & !A & !D))])]);
    machine.set_gstage(&[("menvcfg", ADUE)]);
    for (access, bits) in [(Access::Read, LEAF & !D), (Access::Write, LEAF)] {
        let seen = machine.probe(&[Probe { address: 0, access, user: false }]);
        assert_eq!(seen, [Verdict::Translated(Some(output))]);
        assert_eq!(machine.dump(root, 4), entry(output, bits).to_le_bytes(), "after {access:?}");
    }
}

fn hardware_sets_flags_of_a_guest(machine: &mut Machine) {
    let root = machine.ram().start;
    let own = root + 0x4000;
    let (index, unmarked) = ((root >> 22) as usize, entry(root, V | R | W));
    machine.clear();
    machine.load(&[root_table(root, &[(index, entry(root, LEAF))])]);
    for (henvcfg, marks) in [(0, crate::deviates(&HENVCFG_IS_NOT_ASKED_32)), (ADUE, true)] {
        machine.load(&[table(own, &[(index, unmarked)])]);
        machine.set_gstage(&[
            ("hgatp", SV32 | root >> 12),
            ("menvcfg", ADUE),
            ("henvcfg", henvcfg),
            ("vsatp", SV32 | own >> 12),
        ]);
        let read = Probe { address: root + 0x10_0000, access: Access::Read, user: false };
        let verdicts = machine.probe(&[read]);
        assert_eq!(matches!(verdicts[0], Verdict::Translated(_)), marks, "{henvcfg:#x}: {verdicts:x?}");
        let expected = if marks { unmarked | A } else { unmarked };
        assert_eq!(machine.dump(own + 4 * index as u64, 4), expected.to_le_bytes(), "{henvcfg:#x}");
    }
}

fn unaligned_root(machine: &mut Machine) {
    let root = machine.ram().start;
    let index = (root >> 22) as usize;
    machine.clear();
    machine.load(&[root_table(root, &[(index, entry(root, LEAF & !W))]), root_table(root + 0x4000, &[])]);
    machine.load(&[table(root + 0x1000, &[(index, entry(root, LEAF & !X))])]);
    machine.set_gstage(&[("hgatp", SV32 | (root + 0x1000) >> 12)]);
    let rights = if crate::deviates(&UNALIGNED_ROOT_32) { "rw" } else { "rx" };
    let output = root + 0x10_0000;
    page("by an unaligned root", Page { rights, ..full_page(output) }, &machine.probe(&probes(output)));
}
