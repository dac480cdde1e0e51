//! AArch64 stage 2. Levels are the project's: 0 is leaf-most, the manual's level 3.

use std::time::Duration;

use tablewright_tests::mmu::aarch64::Machine;
use tablewright_tests::mmu::deviations::UPPER_ADDRESS_BITS;
use tablewright_tests::mmu::qemu::RunError;
use tablewright_tests::mmu::{Access, Chunk, FaultKind, Probe, Verdict};

use crate::Case;
use crate::expect::{Page, page, probes, refused};

pub(crate) const CASES: &[Case<Machine>] = &[
    ("rights_of_4k_pages", rights_of_4k_pages),
    ("concatenated_root_4k", concatenated_root_4k),
    ("four_levels_4k", four_levels_4k),
    ("upper_address_bits_count_always", upper_address_bits_count_always),
    ("five_levels_4k_with_lpa2", five_levels_4k_with_lpa2),
    ("granule_16k", granule_16k),
    ("granule_64k", granule_64k),
    ("hardware_sets_flags", hardware_sets_flags),
    ("invalidation_is_needed", invalidation_is_needed),
    ("clearing_forgets_tables", clearing_forgets_tables),
    ("traps_are_reported", traps_are_reported),
    ("a_lost_emulator_tells_its_last_command", a_lost_emulator_tells_its_last_command),
    ("a_hung_emulator_is_killed", a_hung_emulator_is_killed),
];

/// VTCR_EL2: the bit that is one, cacheable walks, 48 bits of output.
const VTCR: u64 = 1 << 31 | 5 << 16 | 0b11_0101 << 8;
const GRANULE_16K: u64 = 0b10 << 14;
const GRANULE_64K: u64 = 0b01 << 14;

/// HCR_EL2.VM.
const VM: u64 = 1;

/// VTCR_EL2.T0SZ.
const fn input_bits(bits: u64) -> u64 {
    64 - bits
}

/// VTCR_EL2.SL0.
const fn start(sl0: u64) -> u64 {
    sl0 << 6
}

/// Descriptor fields.
const TABLE: u64 = 0b11;
const BLOCK: u64 = 0b01;
const PAGE: u64 = 0b11;
const NORMAL: u64 = 0b1111 << 2;
const READ: u64 = 0b01 << 6;
const WRITE: u64 = 0b10 << 6;
const SHARED: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const DIRTY_MANAGED: u64 = 1 << 51;
/// XN[1:0], bits 54:53.
const XN_PRIVILEGED: u64 = 0b01 << 53;
const XN_ALL: u64 = 0b10 << 53;
const XN_USER: u64 = 0b11 << 53;

/// What most leaves have.
const LEAF: u64 = ACCESSED | SHARED | READ | WRITE | NORMAL;

const NOWHERE: FaultKind = FaultKind::NotMapped;

/// A descriptor of a physical address of less than 48 bits.
const fn entry(address: u64, bits: u64) -> u64 {
    address | bits
}

/// A table of some size: entries by index, the others zero.
fn table(address: u64, size: usize, entries: &[(usize, u64)]) -> Chunk {
    let mut bytes = vec![0; size];
    for &(index, entry) in entries {
        bytes[index * 8..][..8].copy_from_slice(&entry.to_le_bytes());
    }
    (address, bytes)
}

fn begin(machine: &mut Machine, tables: &[Chunk], vtcr: u64) -> u64 {
    machine.clear();
    machine.load(tables);
    let root = tables[0].0;
    machine.set_stage2(&[("vttbr_el2", root), ("vtcr_el2", VTCR | vtcr), ("hcr_el2", VM)]);
    root
}

fn rights_of_4k_pages(machine: &mut Machine) {
    let root = machine.ram().start;
    let pages = root + 0x10_0000;
    let bare = ACCESSED | SHARED | NORMAL | PAGE;
    let rights = [
        (READ | WRITE, "rwx"),
        (READ, "rx"),
        (WRITE, "wx"),
        (0, "x"),
        (READ | WRITE | XN_ALL, "rw"),
        (READ | XN_ALL, "r"),
        (WRITE | XN_ALL, "w"),
        (XN_ALL, ""),
        (READ | WRITE | XN_PRIVILEGED, "rw/rwx"),
        (READ | XN_USER, "rx/r"),
    ];
    let page_entry = |i: usize| (i, entry(pages + 0x1000 * i as u64, bare | rights[i].0));
    let entries: Vec<_> = (0..rights.len()).map(page_entry).collect();
    let tables = [
        table(root, 0x1000, &[(1, entry(root + 0x1000, TABLE))]),
        table(root + 0x1000, 0x1000, &[(2, entry(root + 0x2000, TABLE))]),
        table(root + 0x2000, 0x1000, &entries),
    ];
    begin(machine, &tables, input_bits(39) | start(1));
    for (i, (_, rights)) in rights.into_iter().enumerate() {
        let offset = i as u64 * 0x1000 + 0xffc;
        let verdicts = machine.probe(&probes(0x4040_0000 + offset));
        let refusal = (FaultKind::Permission, Some(0));
        page(&format!("rights {rights}"), Page { output: pages + offset, rights, refusal }, &verdicts);
    }
}

fn concatenated_root_4k(machine: &mut Machine) {
    let root = machine.ram().start;
    let next = root + 0x2000;
    let tables = [
        // Two tables, for input address bits 39:30.
        table(
            root,
            0x2000,
            &[(0, entry(next, TABLE)), (513, entry(0x4000_0000, LEAF | BLOCK)), (514, entry(next, TABLE))],
        ),
        table(
            next,
            0x1000,
            &[
                (0, entry(next + 0x1000, TABLE)),
                (1, entry(root + 0x20_0000, LEAF | BLOCK)),
                (2, entry(root + 0x20_0000, LEAF & !ACCESSED | BLOCK)),
                (3, entry(0xffff_0000_0000, TABLE)),
            ],
        ),
        table(
            next + 0x1000,
            0x1000,
            &[
                (0, entry(root + 0x10_0000, LEAF | PAGE)),
                (1, entry(root + 0x10_1000, LEAF & !ACCESSED | PAGE)),
                // Not a page descriptor: reserved.
                (2, entry(root + 0x10_2000, LEAF | BLOCK)),
                (4, entry(root + 0x10_3000, LEAF & !READ | PAGE)),
            ],
        ),
    ];
    begin(machine, &tables, input_bits(40) | start(1));
    let refusal = (FaultKind::Permission, Some(0));
    for area in [0, 514 << 30] {
        let mut ask = |address: u64| machine.probe(&probes(area + address));
        page("a page", Page { output: root + 0x10_0abc, rights: "rwx", refusal }, &ask(0xabc));
        page("a block", Page { output: root + 0x21_2344, rights: "rwx", refusal }, &ask(0x21_2344));
        page("write-only", Page { output: root + 0x10_3000, rights: "wx", refusal }, &ask(0x4000));
        refused("a page without AF", (FaultKind::AccessFlag, Some(0)), &ask(0x1000));
        refused("a block without AF", (FaultKind::AccessFlag, Some(1)), &ask(0x40_0000));
        refused("a reserved descriptor", (NOWHERE, Some(0)), &ask(0x2000));
        refused("an empty page entry", (NOWHERE, Some(0)), &ask(0x3000));
        refused("an empty entry above it", (NOWHERE, Some(1)), &ask(0x80_0000));
        refused("a table where no memory is", (FaultKind::Bus, Some(0)), &ask(0x60_0000));
    }
    let far = machine.probe(&probes((513 << 30) + 0x1234_5678));
    page("a 1 GiB block", Page { output: 0x5234_5678, rights: "rwx", refusal }, &far);
    refused("an empty root entry", (NOWHERE, Some(2)), &machine.probe(&probes(1 << 30)));
    // The manual reports an address beyond the input size at level 0.
    refused("beyond the input size", (NOWHERE, Some(3)), &machine.probe(&probes(1 << 40)));
}

fn four_levels_4k(machine: &mut Machine) {
    let root = machine.ram().start;
    let tables = [
        // A block is illegal at level 0 without FEAT_LPA2.
        table(root, 0x1000, &[(511, entry(root + 0x1000, TABLE)), (1, entry(0, LEAF | BLOCK))]),
        table(root + 0x1000, 0x1000, &[(511, entry(root + 0x2000, TABLE)), (1, entry(0x8000_0000, LEAF | BLOCK))]),
        table(root + 0x2000, 0x1000, &[(511, entry(root + 0x3000, TABLE)), (1, entry(root + 0x40_0000, LEAF | BLOCK))]),
        table(root + 0x3000, 0x1000, &[(511, entry(root + 0x7000, LEAF | PAGE))]),
    ];
    begin(machine, &tables, input_bits(48) | start(2));
    let refusal = (FaultKind::Permission, Some(0));
    let level1 = 511 << 39;
    let level2 = level1 | 511 << 30;
    let mut ask = |address: u64| machine.probe(&probes(address));
    page("the last page", Page { output: root + 0x7ff8, rights: "rwx", refusal }, &ask(0xffff_ffff_fff8));
    page("2 MiB", Page { output: root + 0x5f_fff0, rights: "rwx", refusal }, &ask(level2 | 0x3f_fff0));
    page("1 GiB", Page { output: 0xbfff_fff0, rights: "rwx", refusal }, &ask(level1 | 0x7fff_fff0));
    refused("512 GiB", (NOWHERE, Some(3)), &ask(1 << 39));
    refused("an empty root entry", (NOWHERE, Some(3)), &ask(0));
    refused("an empty entry", (NOWHERE, Some(0)), &ask(0xffff_ffff_0000));
}

fn five_levels_4k_with_lpa2(machine: &mut Machine) {
    const DS: u64 = 1 << 32;
    const SL2: u64 = 1 << 33;
    const PS_52_BITS: u64 = 6 << 16;
    let root = machine.ram().start;
    // SH is in VTCR_EL2, and bits 9:8 are bits 51:50 of the address.
    let leaf = LEAF & !SHARED;
    let tables = [
        table(root, 0x1000, &[(15, entry(root + 0x1000, TABLE))]),
        table(root + 0x1000, 0x1000, &[(1, entry(root + 0x2000, TABLE)), (2, entry(0x200_0000_0000, leaf | BLOCK))]),
        table(root + 0x2000, 0x1000, &[(0, entry(root + 0x3000, TABLE))]),
        table(root + 0x3000, 0x1000, &[(0, entry(root + 0x4000, TABLE))]),
        table(
            root + 0x4000,
            0x1000,
            &[(0, entry(0x1_0004_0000, leaf | 0b11 << 8 | PAGE)), (1, entry(root, leaf | PAGE))],
        ),
    ];
    begin(machine, &tables, input_bits(52) | SL2 | DS | PS_52_BITS);
    let refusal = (FaultKind::Permission, Some(0));
    let mut ask = |address: u64| machine.probe(&probes(15 << 48 | address));
    page("a page", Page { output: root | 0x120, rights: "rwx", refusal }, &ask(1 << 39 | 0x1120));
    page("512 GiB", Page { output: 0x212_3456_7890, rights: "rwx", refusal }, &ask(2 << 39 | 0x12_3456_7890));
    refused("an empty entry", (NOWHERE, Some(3)), &ask(3 << 39));
    refused("an empty root entry", (NOWHERE, Some(4)), &machine.probe(&probes(0)));
    let beyond = Probe { address: 15 << 48 | 1 << 39 | 0x128, access: Access::Read, user: false };
    let seen = machine.probe(&[beyond]);
    assert_eq!(seen, [Verdict::Translated(Some(0xc_0001_0004_0128))], "the access fails in memory, not in translation");
}

fn upper_address_bits_count_always(machine: &mut Machine) {
    const DS: u64 = 1 << 32;
    let (root, next) = (machine.ram().start, machine.ram().start + 0x1_0000);
    // VTCR_EL2.PS has 48 bits: where addresses could have 52, bits 51:50 or 51:48 of a table's are too many.
    for (wide, leaf, at, vtcr) in [
        (0b11 << 8, LEAF & !SHARED | BLOCK, 1 << 21, DS | input_bits(39) | start(1)),
        (0b1111 << 12, LEAF | PAGE, 1 << 16, GRANULE_64K | input_bits(42) | start(1)),
    ] {
        for bits in [0, wide] {
            let leaf = table(next, 0x1000, &[(1, entry(root & !0x1f_ffff, leaf))]);
            begin(machine, &[table(root, 0x1000, &[(0, entry(next, TABLE | bits))]), leaf], vtcr);
            let seen = machine.probe(&[Probe { address: at, access: Access::Read, user: false }]);
            let refused = matches!(&seen[..], [Verdict::Fault(fault)] if fault.kind == FaultKind::AddressSize);
            assert_eq!(refused, bits != 0 && !crate::deviates(&UPPER_ADDRESS_BITS), "{bits:#x}: {seen:x?}");
        }
    }
}

fn granule_16k(machine: &mut Machine) {
    let root = machine.ram().start;
    let next = root + 0x4_0000;
    let tables = [
        // Sixteen tables, for input address bits 39:25.
        table(root, 0x4_0000, &[(0, entry(next, TABLE)), (0x7fff, entry(0x8200_0000, LEAF | BLOCK))]),
        table(next, 0x4000, &[(2047, entry(root + 0x8_0000, LEAF | PAGE)), (1, entry(root, LEAF & !WRITE | PAGE))]),
    ];
    begin(machine, &tables, GRANULE_16K | input_bits(40) | start(1));
    let refusal = (FaultKind::Permission, Some(0));
    let mut ask = |address: u64| machine.probe(&probes(address));
    page("a page", Page { output: root + 0x8_3ff8, rights: "rwx", refusal }, &ask(0x1ff_fff8));
    page("read-only", Page { output: root + 0x3ff8, rights: "rx", refusal }, &ask(0x7ff8));
    page("32 MiB", Page { output: 0x8345_6788, rights: "rwx", refusal }, &ask(0xff_ff45_6788));
    refused("an empty page entry", (NOWHERE, Some(0)), &ask(0x8000));
    refused("an empty root entry", (NOWHERE, Some(1)), &ask(0x200_0000));

    // From level 1, where a block is illegal without FEAT_LPA2.
    let tables = [
        table(root, 0x4000, &[(0, entry(root + 0x4000, TABLE)), (1, entry(0x10_0000_0000, LEAF | BLOCK))]),
        table(root + 0x4000, 0x4000, &[(1, entry(0x8200_0000, LEAF | XN_ALL | BLOCK))]),
    ];
    begin(machine, &tables, GRANULE_16K | input_bits(47) | start(2));
    let refusal = (FaultKind::Permission, Some(1));
    let mut ask = |address: u64| machine.probe(&probes(address));
    page("32 MiB", Page { output: 0x8345_6788, rights: "rw", refusal }, &ask(0x345_6788));
    refused("64 GiB", (NOWHERE, Some(2)), &ask(1 << 36));
}

fn granule_64k(machine: &mut Machine) {
    let root = machine.ram().start;
    let next = root + 0x1_0000;
    let tables = [
        table(root, 0x1_0000, &[(0, entry(next, TABLE)), (8191, entry(0xa000_0000, LEAF | BLOCK))]),
        table(next, 0x1_0000, &[(8191, entry(root + 0x8_0000, LEAF | PAGE)), (1, entry(root, LEAF & !WRITE | PAGE))]),
    ];
    begin(machine, &tables, GRANULE_64K | input_bits(42) | start(1));
    let refusal = (FaultKind::Permission, Some(0));
    let mut ask = |address: u64| machine.probe(&probes(address));
    page("a page", Page { output: root + 0x8_fff8, rights: "rwx", refusal }, &ask(0x1fff_fff8));
    page("read-only", Page { output: root + 0xfff8, rights: "rx", refusal }, &ask(0x1_fff8));
    page("512 MiB", Page { output: 0xb456_7888, rights: "rwx", refusal }, &ask(0x3ff_f456_7888));
    refused("an empty page entry", (NOWHERE, Some(0)), &ask(0x2_0000));
    refused("an empty root entry", (NOWHERE, Some(1)), &ask(0x2000_0000));
}

fn hardware_sets_flags(machine: &mut Machine) {
    const HA: u64 = 1 << 21;
    const HD: u64 = 1 << 22;
    let root = machine.ram().start;
    let clean = entry(root + 0x10_0000, LEAF & !ACCESSED & !WRITE | DIRTY_MANAGED | PAGE);
    let tables = [
        table(root, 0x1000, &[(0, entry(root + 0x1000, TABLE))]),
        table(root + 0x1000, 0x1000, &[(0, entry(root + 0x2000, TABLE))]),
        table(root + 0x2000, 0x1000, &[(0, clean)]),
    ];
    begin(machine, &tables, HA | HD | input_bits(39) | start(1));
    for (access, expected) in [(Access::Read, clean | ACCESSED), (Access::Write, clean | ACCESSED | WRITE)] {
        let seen = machine.probe(&[Probe { address: 0, access, user: false }]);
        assert_eq!(seen, [Verdict::Translated(Some(root + 0x10_0000))]);
        assert_eq!(machine.dump(root + 0x2000, 8), expected.to_le_bytes(), "after {access:?}");
    }
}

fn invalidation_is_needed(machine: &mut Machine) {
    const TLBI_VMALLS12E1IS: u32 = 0xd50c_83df;
    const DSB_ISH: u32 = 0xd503_3b9f;
    const ISB: u32 = 0xd503_3fdf;
    let root = machine.ram().start;
    let tables = [table(root, 0x1000, &[(1, entry(0x4000_0000, LEAF | BLOCK))])];
    begin(machine, &tables, input_bits(39) | start(1));
    let address = root + 0x10_0000;
    assert_eq!(machine.fetch(address, false), Verdict::Translated(None));
    machine.load(&[table(root, 0x1000, &[])]);
    assert_eq!(machine.fetch(address, false), Verdict::Translated(None), "the TLB still has it");
    machine.run(&[TLBI_VMALLS12E1IS, DSB_ISH, ISB]).expect("they run");
    assert!(matches!(machine.fetch(address, false), Verdict::Fault(_)), "the TLB has forgotten it");
}

fn clearing_forgets_tables(machine: &mut Machine) {
    let free = machine.ram();
    machine.load(&[(free.end - 16, vec![1; 16])]);
    assert_eq!(machine.dump(free.end - 16, 16), [1; 16]);
    machine.clear();
    assert_eq!(machine.dump(free.end - 16, 16), [0; 16]);
}

fn a_lost_emulator_tells_its_last_command(_: &mut Machine) {
    /// `mov w0, #0x18` (SYS_EXIT), then the call.
    const EXIT: [u32; 2] = [0x5280_0300, 0xd45e_0000];
    let mut machine = Machine::start().expect("QEMU starts");
    let error = machine.run(&EXIT).expect_err("it is gone").to_string();
    assert!(error.contains("call [52800300, d45e0000"), "{error}");
}

fn a_hung_emulator_is_killed(_: &mut Machine) {
    /// `b .`
    const FOREVER: [u32; 1] = [0x1400_0000];
    let mut machine = Machine::start().expect("QEMU starts");
    machine.set_patience(Duration::from_millis(100));
    let Err(RunError::Lost(lost)) = machine.run(&FOREVER) else { panic!("it cannot have come to an end") };
    assert!(lost.command.starts_with("call [14000000"), "{lost}");
    assert!(lost.after >= Duration::from_millis(100) && lost.said.contains("signal: 9"), "{lost}");
}

fn traps_are_reported(machine: &mut Machine) {
    assert!(matches!(machine.run(&[0]), Err(RunError::Trap(_))));
    machine.run(&[]).expect("the machine goes on");
}
