//! RISC-V G-stage: Sv39x4, Sv48x4, Sv57x4. Every refusal is a guest-page fault, which does not say why.

use tablewright_tests::mmu::deviations::{HENVCFG_IS_NOT_ASKED, RESERVED_PBMT, TABLE_OUTSIDE_MEMORY, UNALIGNED_ROOT};
use tablewright_tests::mmu::qemu::RunError;
use tablewright_tests::mmu::riscv::Machine;
use tablewright_tests::mmu::{Access, Chunk, FaultKind, Probe, Verdict};

use crate::Case;
use crate::expect::{Page, page, probes, refused};

pub(crate) const CASES: &[Case<Machine>] = &[
    ("rights_of_pages", rights_of_pages),
    ("sv39x4", sv39x4),
    ("sv48x4", sv48x4),
    ("sv57x4", sv57x4),
    ("contiguous_pages", contiguous_pages),
    ("memory_types", memory_types),
    ("reserved_bits", reserved_bits),
    ("memory_that_is_missing", memory_that_is_missing),
    ("hardware_sets_flags", hardware_sets_flags),
    ("hardware_sets_flags_of_a_guest", hardware_sets_flags_of_a_guest),
    ("invalidation_is_needed", invalidation_is_needed),
    ("unaligned_root", unaligned_root),
    ("clearing_forgets_tables", clearing_forgets_tables),
    ("traps_are_reported", traps_are_reported),
];

/// hgatp.MODE.
const SV39X4: u64 = 8;
const SV48X4: u64 = 9;
const SV57X4: u64 = 10;

/// menvcfg fields.
const PBMTE: u64 = 1 << 62;
const ADUE: u64 = 1 << 61;

/// PTE fields.
const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
const N: u64 = 1 << 63;

/// What most leaves have.
const LEAF: u64 = V | R | W | X | U | A | D;

const REFUSED: (FaultKind, Option<u8>) = (FaultKind::Unspecified, None);

/// A PTE of a physical address.
const fn entry(address: u64, bits: u64) -> u64 {
    address >> 12 << 10 | bits
}

/// A table: entries by index, the others zero.
fn table(address: u64, entries: &[(usize, u64)]) -> Chunk {
    sized_table(address, 0x1000, entries)
}

/// A root table, which is four times as large.
fn root_table(address: u64, entries: &[(usize, u64)]) -> Chunk {
    sized_table(address, 0x4000, entries)
}

fn sized_table(address: u64, size: usize, entries: &[(usize, u64)]) -> Chunk {
    let mut bytes = vec![0; size];
    for &(index, entry) in entries {
        bytes[index * 8..][..8].copy_from_slice(&entry.to_le_bytes());
    }
    (address, bytes)
}

fn begin(machine: &mut Machine, tables: &[Chunk], mode: u64) {
    machine.clear();
    machine.load(tables);
    machine.set_gstage(&[("hgatp", mode << 60 | tables[0].0 >> 12), ("menvcfg", PBMTE)]);
}

/// Sv39x4 tables that have these entries for the first pages of the input.
fn begin_pages(machine: &mut Machine, entries: &[u64]) {
    let root = machine.ram().start;
    let entries: Vec<_> = entries.iter().copied().enumerate().collect();
    let tables = [
        root_table(root, &[(0, entry(root + 0x4000, V))]),
        table(root + 0x4000, &[(0, entry(root + 0x5000, V))]),
        table(root + 0x5000, &entries),
    ];
    begin(machine, &tables, SV39X4);
}

fn full_page(output: u64) -> Page {
    Page { output, rights: "rwx", refusal: REFUSED }
}

fn rights_of_pages(machine: &mut Machine) {
    let pages = machine.ram().start + 0x10_0000;
    let leaf = V | U | A | D;
    let entries = [
        (leaf | R, "r"),
        (leaf | R | W, "rw"),
        (leaf | R | X, "rx"),
        (leaf | R | W | X, "rwx"),
        (leaf | X, "x"),
        // Reserved, or a pointer with bits that pointers must not have.
        (leaf | W, ""),
        (leaf | W | X, ""),
        (leaf, ""),
        // The G-stage takes every access for one of user mode.
        (LEAF & !U, ""),
        // Without hardware updates these want software's help.
        (LEAF & !A, ""),
        (LEAF & !D, "rx"),
        (LEAF & !V, ""),
    ];
    let ptes: Vec<_> = (0..).zip(entries).map(|(i, (bits, _))| entry(pages + i * 0x1000, bits)).collect();
    begin_pages(machine, &ptes);
    for (i, (_, rights)) in (0..).zip(entries) {
        let offset = i * 0x1000 + 0xff9;
        let verdicts = machine.probe(&probes(offset));
        page(&format!("entry {i}"), Page { output: pages + offset, rights, refusal: REFUSED }, &verdicts);
    }
}

fn sv39x4(machine: &mut Machine) {
    let root = machine.ram().start;
    let ram = 0x8000_0000;
    let tables = [
        root_table(
            root,
            &[
                (0, entry(root + 0x4000, V)),
                (2047, entry(root + 0x4000, V)),
                (2, entry(ram, LEAF)),
                (3, entry(root, LEAF)),
            ],
        ),
        table(
            root + 0x4000,
            &[
                (511, entry(root + 0x5000, V)),
                (1, entry(root + 0x20_0000, LEAF & !W)),
                (2, entry(root + 0x20_1000, LEAF)),
            ],
        ),
        table(root + 0x5000, &[(511, entry(root + 0x1_0000, LEAF))]),
    ];
    begin(machine, &tables, SV39X4);
    let mut ask = |address: u64| machine.probe(&probes(address));
    for area in [0, 2047 << 30] {
        page("a page", full_page(root + 0x1_0ffc), &ask(area + 0x3fff_fffc));
        let rights = "rx";
        page("2 MiB", Page { rights, ..full_page(root + 0x32_3458) }, &ask(area + 0x32_3458));
        refused("2 MiB, misaligned", REFUSED, &ask(area + 0x40_0000));
        refused("an empty entry", REFUSED, &ask(area));
        refused("an empty page entry", REFUSED, &ask(area + 0x3fff_e000));
    }
    page("1 GiB", full_page(ram + 0x456_7890), &ask((2 << 30) + 0x456_7890));
    refused("1 GiB, misaligned", REFUSED, &ask(3 << 30));
    refused("an empty root entry", REFUSED, &ask(4 << 30));
    refused("beyond the input size", REFUSED, &ask(1 << 41));
    refused("beyond the input size", REFUSED, &ask(1 << 63));
}

fn sv48x4(machine: &mut Machine) {
    let root = machine.ram().start;
    let level2 = root + 0x4000;
    let tables = [
        root_table(root, &[(2047, entry(level2, V)), (1, entry(0, LEAF)), (2, entry(1 << 30, LEAF))]),
        table(level2, &[(511, entry(root + 0x5000, V)), (1, entry(0x8000_0000, LEAF))]),
        table(root + 0x5000, &[(511, entry(root + 0x6000, V))]),
        table(root + 0x6000, &[(511, entry(root + 0x1_0000, LEAF))]),
    ];
    begin(machine, &tables, SV48X4);
    let output = root + 0x20_0008;
    let mut ask = |address: u64| machine.probe(&probes(address));
    page("the last page", full_page(root + 0x1_0ff0), &ask((1 << 50) - 16));
    page("1 GiB", full_page(output), &ask(2047 << 39 | 1 << 30 | output & 0x3fff_ffff));
    page("512 GiB", full_page(output), &ask(1 << 39 | output));
    refused("512 GiB, misaligned", REFUSED, &ask(2 << 39));
    refused("an empty root entry", REFUSED, &ask(0));
    refused("beyond the input size", REFUSED, &ask(1 << 50));
}

fn sv57x4(machine: &mut Machine) {
    let root = machine.ram().start;
    let tables = [
        root_table(root, &[(2047, entry(root + 0x4000, V)), (1, entry(0, LEAF)), (2, entry(1 << 39, LEAF))]),
        table(root + 0x4000, &[(511, entry(root + 0x5000, V)), (0, entry(0, LEAF))]),
        table(root + 0x5000, &[(511, entry(root + 0x6000, V))]),
        table(root + 0x6000, &[(511, entry(root + 0x7000, V))]),
        table(root + 0x7000, &[(511, entry(root + 0x1_0000, LEAF))]),
    ];
    begin(machine, &tables, SV57X4);
    let output = root + 0x20_0008;
    let mut ask = |address: u64| machine.probe(&probes(address));
    page("the last page", full_page(root + 0x1_0ff0), &ask((1 << 59) - 16));
    page("512 GiB", full_page(output), &ask(2047 << 48 | output));
    page("256 TiB", full_page(output), &ask(1 << 48 | output));
    refused("256 TiB, misaligned", REFUSED, &ask(2 << 48));
    refused("an empty root entry", REFUSED, &ask(0));
    refused("beyond the input size", REFUSED, &ask(1 << 59));
}

fn contiguous_pages(machine: &mut Machine) {
    let root = machine.ram().start;
    let run = root + 0x10_0000;
    let mut entries = [0; 64];
    // 64 KiB, told by the lowest bits of the address: 1000.
    entries[..16].fill(entry(run + 0x8000, LEAF | N));
    // No other size exists.
    entries[16..32].fill(entry(run + 0x4000, LEAF | N));
    entries[32..48].fill(entry(run, LEAF | N));
    begin_pages(machine, &entries);
    for offset in [0, 0x7ff8, 0x8000, 0xf234] {
        page("64 KiB", full_page(run + offset), &machine.probe(&probes(offset)));
    }
    refused("32 KiB", REFUSED, &machine.probe(&probes(0x1_0000)));
    refused("no size", REFUSED, &machine.probe(&probes(0x2_0000)));

    let tables = [
        root_table(root, &[(0, entry(root + 0x4000, V)), (1, entry(root + 0x4000, V | N))]),
        table(root + 0x4000, &[(0, entry(root + 0x20_0000, LEAF)), (1, entry(root + 0x20_8000, LEAF | N))]),
    ];
    begin(machine, &tables, SV39X4);
    page("2 MiB", full_page(root + 0x20_0000), &machine.probe(&probes(0)));
    refused("N in a superpage", REFUSED, &machine.probe(&probes(0x20_8000)));
    refused("N in a pointer", REFUSED, &machine.probe(&probes(1 << 30)));
}

fn memory_types(machine: &mut Machine) {
    const PBMT: u32 = 61;
    let root = machine.ram().start;
    let output = root + 0x10_0000;
    begin_pages(machine, &[0, 1, 2, 3].map(|kind| entry(output, LEAF | kind << PBMT)));
    for kind in 0..3 {
        page("a memory type", full_page(output), &machine.probe(&probes(kind << 12)));
    }
    let reserved = machine.probe(&probes(3 << 12));
    if crate::deviates(&RESERVED_PBMT) {
        page("the reserved memory type", full_page(output), &reserved);
    } else {
        refused("the reserved memory type", REFUSED, &reserved);
    }
    // With PBMTE clear the field is reserved.
    machine.set_gstage(&[("menvcfg", 0)]);
    page("no memory type", full_page(output), &machine.probe(&probes(0)));
    refused("a memory type", REFUSED, &machine.probe(&probes(1 << 12)));
}

fn reserved_bits(machine: &mut Machine) {
    let root = machine.ram().start;
    let next = root + 0x4000;
    // In a pointer U, A, D and PBMT are reserved too.
    let pointers: Vec<_> = [4, 6, 7, 54, 60, 61, 62].map(|bit| entry(next, V | 1 << bit)).into();
    let pointers: Vec<_> = pointers.into_iter().chain([entry(next, V)]).enumerate().collect();
    let leaves: Vec<_> = (54..=60).map(|bit| entry(root + 0x20_0000, LEAF | 1 << bit)).collect();
    let leaves: Vec<_> = leaves.into_iter().chain([entry(root + 0x20_0000, LEAF | 0b11 << 8)]).enumerate().collect();
    begin(machine, &[root_table(root, &pointers), table(next, &leaves)], SV39X4);
    for pointer in 0..7 {
        refused("a pointer", REFUSED, &machine.probe(&probes(pointer << 30 | 7 << 21)));
        refused("a leaf", REFUSED, &machine.probe(&probes(7 << 30 | pointer << 21)));
    }
    page("software's bits", full_page(root + 0x20_0000), &machine.probe(&probes(7 << 30 | 7 << 21)));
}

fn memory_that_is_missing(machine: &mut Machine) {
    let root = machine.ram().start;
    let nowhere = 0x10_0000_0000;
    let tables = [root_table(root, &[(0, entry(nowhere, LEAF & !X)), (1, entry(nowhere, V))])];
    begin(machine, &tables, SV39X4);
    let leaf = machine.probe(&probes(0));
    assert!(leaf[..4].iter().all(|verdict| *verdict == Verdict::Translated(None)), "{leaf:#x?}");
    assert!(leaf[4..].iter().all(|verdict| matches!(verdict, Verdict::Fault(_))), "{leaf:#x?}");
    let pointer = machine.probe(&probes(1 << 30));
    if crate::deviates(&TABLE_OUTSIDE_MEMORY) {
        refused("a table in missing memory", REFUSED, &pointer);
    } else {
        assert!(pointer.iter().all(|verdict| *verdict == Verdict::Translated(None)), "{pointer:#x?}");
    }
}

fn hardware_sets_flags(machine: &mut Machine) {
    let root = machine.ram().start;
    let output = root + 0x10_0000;
    begin_pages(machine, &[entry(output, LEAF & !A & !D)]);
    machine.set_gstage(&[("menvcfg", ADUE)]);
    for (access, bits) in [(Access::Read, LEAF & !D), (Access::Write, LEAF)] {
        let seen = machine.probe(&[Probe { address: 0, access, user: false }]);
        assert_eq!(seen, [Verdict::Translated(Some(output))]);
        assert_eq!(machine.dump(root + 0x5000, 8), entry(output, bits).to_le_bytes(), "after {access:?}");
    }
}

fn hardware_sets_flags_of_a_guest(machine: &mut Machine) {
    const SV39: u64 = 8;
    let root = machine.ram().start;
    let own = root + 0x4000;
    // A leaf of 1 GiB in both stages, the guest's one not accessed.
    let unmarked = entry(0x8000_0000, V | R | W);
    machine.clear();
    machine.load(&[root_table(root, &[(2, entry(0x8000_0000, LEAF))])]);
    for (henvcfg, marks) in [(0, crate::deviates(&HENVCFG_IS_NOT_ASKED)), (ADUE, true)] {
        machine.load(&[table(own, &[(2, unmarked)])]);
        machine.set_gstage(&[
            ("hgatp", SV39X4 << 60 | root >> 12),
            ("menvcfg", ADUE),
            ("henvcfg", henvcfg),
            ("vsatp", SV39 << 60 | own >> 12),
        ]);
        let read = Probe { address: root + 0x10_0000, access: Access::Read, user: false };
        let verdicts = machine.probe(&[read]);
        assert_eq!(matches!(verdicts[0], Verdict::Translated(_)), marks, "{henvcfg:#x}: {verdicts:x?}");
        let expected = if marks { unmarked | A } else { unmarked };
        assert_eq!(machine.dump(own + 16, 8), expected.to_le_bytes(), "{henvcfg:#x}");
    }
}

fn invalidation_is_needed(machine: &mut Machine) {
    const HFENCE_GVMA: u32 = 0x6200_0073;
    let root = machine.ram().start;
    let output = root + 0x10_0000;
    begin_pages(machine, &[entry(output, LEAF)]);
    let read = Probe { address: 0, access: Access::Read, user: false };
    let translated = [Verdict::Translated(Some(output))];
    assert_eq!(machine.probe(&[read]), translated);
    machine.load(&[table(root + 0x5000, &[])]);
    assert_eq!(machine.probe(&[read]), translated, "the TLB still has it");
    machine.run(&[HFENCE_GVMA]).expect("it runs");
    assert!(matches!(machine.probe(&[read])[..], [Verdict::Fault(_)]), "the TLB has forgotten it");
}

fn unaligned_root(machine: &mut Machine) {
    let root = machine.ram().start;
    let output = 0x8000_0000;
    machine.clear();
    machine.load(&[root_table(root, &[(2, entry(output, LEAF & !W))]), root_table(root + 0x4000, &[])]);
    machine.load(&[table(root + 0x1000, &[(2, entry(output, LEAF & !X))])]);
    machine.set_gstage(&[("hgatp", SV39X4 << 60 | (root + 0x1000) >> 12)]);
    let rights = if crate::deviates(&UNALIGNED_ROOT) { "rw" } else { "rx" };
    let output = output + 0x50_0000;
    page("by an unaligned root", Page { rights, ..full_page(output) }, &machine.probe(&probes(output)));
}

fn clearing_forgets_tables(machine: &mut Machine) {
    let last = machine.ram().end - 8;
    let tag = machine.dump(last, 8);
    machine.load(&[(last, vec![1; 8])]);
    assert_eq!(machine.dump(last, 8), [1; 8]);
    machine.clear();
    assert_eq!(machine.dump(last, 8), tag);
}

fn traps_are_reported(machine: &mut Machine) {
    assert!(matches!(machine.run(&[0]), Err(RunError::Trap(_))));
    machine.run(&[]).expect("the machine goes on");
}
