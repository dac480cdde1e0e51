//! s390: dynamic address translation. Manual: z/Architecture Principles of Operation, SA22-7832, chapter 3.

use tablewright_tests::mmu::s390x::Machine;
use tablewright_tests::mmu::{Access, Chunk, FaultKind, Probe, Verdict};

use crate::Case;
use crate::expect::{Page, page, probes, refused};

pub(crate) const CASES: &[Case<Machine>] = &[
    ("rights_of_pages", rights_of_pages),
    ("levels_of_faults", levels_of_faults),
    ("types_of_tables", types_of_tables),
    ("lengths_of_tables", lengths_of_tables),
    ("common_segments", common_segments),
    ("no_enhanced_dat", no_enhanced_dat),
    ("translations_are_remembered", translations_are_remembered),
    ("clearing_forgets_tables", clearing_forgets_tables),
];

/// Control register 0: instruction-execution protection, and enhanced DAT.
const IEP: u64 = 1 << 20;
const EDAT: u64 = 1 << 23;

/// Entries of pages: instruction-execution protection, DAT protection (that of segments, too), invalid.
const NO_EXECUTE: u64 = 0x100;
const PROTECTED: u64 = 0x200;
const PAGE_INVALID: u64 = 0x400;
/// Entries of segments and regions: the table's length, common segment, invalid, the table's offset.
const WHOLE: u64 = 0b11;
const COMMON: u64 = 0x10;
const INVALID: u64 = 0x20;
const OFFSET: u32 = 6;
/// An address-space-control element of a private space.
const PRIVATE: u64 = 0x100;

const ILLEGAL: (FaultKind, Option<u8>) = (FaultKind::Misconfigured, None);
const REFUSED: (FaultKind, Option<u8>) = (FaultKind::Permission, None);

const fn not_mapped(level: u8) -> (FaultKind, Option<u8>) {
    (FaultKind::NotMapped, Some(level))
}

/// The designation of a table above pages, in entries and address-space-control elements: its type.
const fn kind(level: u64) -> u64 {
    (level - 1) << 2
}

/// A table of 2048 entries: some by index, the others invalid, whatever they are of.
fn table(address: u64, entries: &[(usize, u64)]) -> Chunk {
    let mut bytes = (INVALID | PAGE_INVALID).to_be_bytes().repeat(2048);
    for &(index, entry) in entries {
        bytes[index * 8..][..8].copy_from_slice(&entry.to_be_bytes());
    }
    (address, bytes)
}

/// Tables that lead from the first entry of one at level 4 down to pages, of which the first have these entries: the
/// designation of that at each level.
fn begin(machine: &mut Machine, pages: &[u64]) -> [u64; 5] {
    let start = machine.ram().start;
    let at = |level: u64| start + level * 0x4000;
    let designation = |level: u64| at(level) | if level > 0 { kind(level) | WHOLE } else { 0 };
    let pages: Vec<_> = pages.iter().copied().enumerate().collect();
    let above =
        (1..5).map(|level| table(at(level), &[(0, at(level - 1) | kind(level) | if level > 1 { WHOLE } else { 0 })]));
    let tables: Vec<Chunk> = [table(at(0), &pages)].into_iter().chain(above).collect();
    machine.clear();
    machine.load(&tables);
    [0, 1, 2, 3, 4].map(designation)
}

fn output(machine: &Machine) -> u64 {
    machine.ram().start + 0x10_0000
}

fn rights_of_pages(machine: &mut Machine) {
    // With the control for the bit that forbids to execute, and without it.
    let entries = [
        (0, ["rwx", "rwx"]),
        (PROTECTED, ["rx", "rx"]),
        (NO_EXECUTE, ["rw", "rwx"]),
        (PROTECTED | NO_EXECUTE, ["r", "rx"]),
        // Bits that are software's.
        (0xff, ["rwx", "rwx"]),
    ];
    let first = output(machine);
    let raw: Vec<_> = (0..).zip(entries).map(|(i, (bits, _))| (first + i * 0x1000) | bits).collect();
    let designations = begin(machine, &[&raw[..], &[first | 0x800, first | PAGE_INVALID]].concat());
    let segments = designations[1];
    for (number, (control, offset)) in [(IEP, 0xff8), (0, 0)].into_iter().enumerate() {
        machine.set(control, segments | PRIVATE);
        for (i, (_, rights)) in (0..).zip(entries) {
            let verdicts = machine.probe(&probes(i * 0x1000 + offset));
            let output = first + i * 0x1000 + offset;
            page(&format!("entry {i}"), Page { output, rights: rights[number], refusal: REFUSED }, &verdicts);
        }
        refused("bit 52", ILLEGAL, &machine.probe(&probes(0x5000)));
        refused("invalid", not_mapped(0), &machine.probe(&probes(0x6000)));
    }
    // What protects a segment, protects all of its pages.
    machine.load(&[table(segments & !0xfff, &[(0, designations[0] | PROTECTED)])]);
    machine.set(0, segments | PRIVATE);
    let verdicts = machine.probe(&probes(0));
    page("a protected segment", Page { output: first, rights: "rx", refusal: REFUSED }, &verdicts);
}

fn levels_of_faults(machine: &mut Machine) {
    let output = output(machine);
    let designations = begin(machine, &[output]);
    machine.set(0, designations[4] | PRIVATE);
    page("a page", Page { output, rights: "rwx", refusal: REFUSED }, &machine.probe(&probes(0)));
    for (level, address) in [(0, 1 << 12), (1, 1 << 20), (2, 1 << 31), (3, 1 << 42), (4, 1 << 53)] {
        refused("nothing", not_mapped(level), &machine.probe(&probes(address)));
    }
    // Addresses that a table of the highest level is too low for.
    for (level, too_high) in [(1, 31), (2, 42), (3, 53)] {
        machine.set(0, designations[level] | PRIVATE);
        page("a page", Page { output, rights: "rwx", refusal: REFUSED }, &machine.probe(&probes(0)));
        refused("too high", (FaultKind::NotMapped, None), &machine.probe(&probes(1 << too_high)));
    }
}

fn types_of_tables(machine: &mut Machine) {
    let designations = begin(machine, &[]);
    for level in [1, 2, 3, 4] {
        let place = designations[level] & !0xfff;
        let below = designations[level - 1] & !0xfff | WHOLE;
        machine.set(0, designations[4] | PRIVATE);
        for other in (1..5).filter(|other| *other != level as u64) {
            machine.load(&[table(place, &[(0, below | kind(other)), (1, below | kind(other) | INVALID)])]);
            refused("another type", ILLEGAL, &machine.probe(&probes(0)));
            let span = [20, 31, 42, 53][level - 1];
            refused("another type, invalid", not_mapped(level as u8), &machine.probe(&probes(1 << span)));
        }
        machine.load(&[table(place, &[(0, below | kind(level as u64))])]);
    }
}

fn lengths_of_tables(machine: &mut Machine) {
    let output = output(machine);
    let designations = begin(machine, &[output]);
    let quarter = 1 << 29;
    // The second and the third quarter of a segment table: only what is in them is looked at.
    let segments: Vec<_> = [0, 512, 1024, 1536].map(|index| (index, designations[0])).into();
    machine.load(&[table(designations[1] & !0xfff, &segments)]);
    machine.load(&[table(designations[2] & !0xfff, &[(0, designations[1] & !0xfff | kind(2) | 1 << OFFSET | 2)])]);
    machine.set(0, designations[2] | PRIVATE);
    for (number, address) in (0..4).map(|number| (number, number * quarter)) {
        let verdicts = machine.probe(&probes(address));
        match number {
            1 | 2 => page("a part", Page { output, rights: "rwx", refusal: REFUSED }, &verdicts),
            _ => refused("no part", not_mapped(1), &verdicts),
        }
    }
    machine.set(0, designations[1] & !WHOLE | PRIVATE);
    page("the first part", Page { output, rights: "rwx", refusal: REFUSED }, &machine.probe(&probes(0)));
    refused("the second", not_mapped(1), &machine.probe(&probes(quarter)));
}

/// Common segments are for spaces that are not private.
fn common_segments(machine: &mut Machine) {
    let output = output(machine);
    let designations = begin(machine, &[output]);
    machine.load(&[table(designations[1] & !0xfff, &[(0, designations[0] | COMMON)])]);
    machine.set(0, designations[1]);
    page("not private", Page { output, rights: "rwx", refusal: REFUSED }, &machine.probe(&probes(0)));
    machine.set(0, designations[1] | PRIVATE);
    refused("private", ILLEGAL, &machine.probe(&probes(0)));
}

/// What the conformance tests leave out, for QEMU does not have it: frames of 1 MiB, protection of regions.
fn no_enhanced_dat(machine: &mut Machine) {
    let output = output(machine);
    let designations = begin(machine, &[output]);
    machine.load(&[
        table(designations[1] & !0xfff, &[(0, designations[0] | PAGE_INVALID)]),
        table(designations[2] & !0xfff, &[(0, designations[1] | kind(2) | PROTECTED)]),
    ]);
    machine.set(EDAT, designations[2] | PRIVATE);
    page("a page", Page { output, rights: "rwx", refusal: REFUSED }, &machine.probe(&probes(0)));
}

/// PTLB.
const PURGE: [u8; 4] = [0xb2, 0x0d, 0, 0];

fn translations_are_remembered(machine: &mut Machine) {
    let output = output(machine);
    let designations = begin(machine, &[output]);
    let read = [Probe { address: 0, access: Access::Read, user: false }];
    machine.set(0, designations[1] | PRIVATE);
    assert_eq!(machine.probe(&read), [Verdict::Translated(Some(output))]);
    machine.load(&[table(designations[0], &[(0, output + 0x1000)])]);
    assert_eq!(machine.probe(&read), [Verdict::Translated(Some(output))]);
    machine.run(&PURGE, [0; 2]);
    assert_eq!(machine.probe(&read), [Verdict::Translated(Some(output + 0x1000))]);
}

fn clearing_forgets_tables(machine: &mut Machine) {
    let place = output(machine);
    machine.load(&[(place, vec![0xff; 16])]);
    assert_eq!(machine.dump(place, 16), vec![0xff; 16]);
    machine.clear();
    assert_eq!(machine.dump(place, 16), [place, place + 8].map(u64::to_be_bytes).concat());
}
