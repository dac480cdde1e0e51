//! AArch64 stage 1, in each regime. Levels are the project's: 0 is leaf-most, the manual's level 3.

use tablewright_tests::mmu::aarch64::stage1::{Controls, Regime, Shape, Stage1};
use tablewright_tests::mmu::deviations::{CLEAN_IS_EXECUTED, DEVICE_IS_FORCED, NON_CACHEABLE_ORDERS};
use tablewright_tests::mmu::{Access, Chunk, FaultKind, Probe, Verdict};

use crate::Case;
use crate::expect::{Page, page, probes, refused};

pub(crate) const CASES: &[Case<Stage1>] = &[
    ("lower_half_of_el1", |machine| two_privileges(machine, Regime::El1 { upper: false })),
    ("upper_half_of_el1", |machine| two_privileges(machine, Regime::El1 { upper: true })),
    ("lower_half_of_el2_as_a_host", |machine| two_privileges(machine, Regime::El2Host { upper: false })),
    ("upper_half_of_el2_as_a_host", |machine| two_privileges(machine, Regime::El2Host { upper: true })),
    ("el2", el2),
    ("el2_lets_its_code_in_by_any_entry", el2_lets_its_code_in_by_any_entry),
    ("privileged_access_never", privileged_access_never),
    ("clean_pages_are_executed", clean_pages_are_executed),
    ("types_of_memory", types_of_memory),
    ("under_a_stage_2", under_a_stage_2),
    ("types_of_both_stages", types_of_both_stages),
];

/// Descriptor fields.
const TABLE: u64 = 0b11;
const BLOCK: u64 = 0b01;
const PAGE: u64 = 0b11;
const USER: u64 = 0b01 << 6;
const READ_ONLY: u64 = 0b10 << 6;
const SHARED: u64 = 0b11 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const DIRTY_MANAGED: u64 = 1 << 51;
const PXN: u64 = 1 << 53;
const XN: u64 = 1 << 54;
/// In tables.
const NO_USERS_BELOW: u64 = 0b01 << 61;
const READ_ONLY_BELOW: u64 = 0b10 << 61;

const LEAF: u64 = ACCESSED | SHARED | NOT_GLOBAL;

/// 39 bits of input in three levels of 4 KiB granules, cacheable walks, 48 bits of output, with which half's fields.
const LOWER: u64 = 5 << 32 | 0b11_0101 << 8 | (64 - 39);
const UPPER: u64 = 5 << 32 | 0b10 << 30 | 0b11_0101 << 24 | (64 - 39) << 16;
/// The same in TCR_EL2, with the bits that are one.
const EL2: u64 = 1 << 31 | 1 << 23 | 5 << 16 | 0b11_0101 << 8 | (64 - 39);
const SHAPE: Shape = Shape { granule: 12, levels: 3, input_bits: 39 };
/// TLBI VMALLE1.
const VMALLE1: u32 = 0xd508_871f;
/// TCR_EL1.HA and HD.
const HARDWARE: u64 = 0b11 << 39;

/// Stage 2: 39 bits of input in three levels of 4 KiB granules, 48 bits of output; and write-back memory in its entries.
const VTCR: u64 = 1 << 31 | 5 << 16 | 0b01 << 6 | (64 - 39);
const NORMAL: u64 = ACCESSED | SHARED | 0b1111 << 2;
const READABLE: u64 = 0b01 << 6;
const WRITABLE: u64 = 0b10 << 6;
/// HCR_EL2.FWB.
const FORCED: u64 = 1 << 46;
/// ESR_EL2: the fault was met by a walk of stage 1.
const S1PTW: u64 = 1 << 7;

fn table(address: u64, entries: &[(usize, u64)]) -> Chunk {
    let mut bytes = vec![0; 0x1000];
    for &(index, entry) in entries {
        bytes[index * 8..][..8].copy_from_slice(&entry.to_le_bytes());
    }
    (address, bytes)
}

fn begin(machine: &mut Stage1, regime: Regime, controls: Controls, (tcr, mair): (u64, u64), tables: &[Chunk]) {
    machine.machine.clear();
    machine.machine.load(tables);
    machine.set(regime, controls, &[("ttbr_elx", tables[0].0), ("tcr_elx", tcr), ("mair_elx", mair)]);
}

fn tcr(regime: Regime) -> u64 {
    match regime {
        Regime::El1 { upper: true } | Regime::El2Host { upper: true } => UPPER,
        Regime::El1 { upper: false } | Regime::El2Host { upper: false } => LOWER,
        Regime::El2(_) => EL2,
    }
}

/// Three tables: the first 2 MiB by these pages, the second by those with what the upper table says.
fn pages(root: u64, pages: &[u64], limit: u64) -> [Chunk; 3] {
    let output = |index: usize| root + 0x10_0000 + 0x1000 * index as u64;
    let entries: Vec<_> = pages.iter().enumerate().map(|(index, bits)| (index, output(index) | bits)).collect();
    [
        table(root, &[(0, (root + 0x1000) | TABLE)]),
        table(root + 0x1000, &[(0, (root + 0x2000) | TABLE), (1, (root + 0x2000) | TABLE | limit), (2, root | LEAF)]),
        table(root + 0x2000, &entries),
    ]
}

fn two_privileges(machine: &mut Stage1, regime: Regime) {
    let root = machine.machine.ram().start;
    let bits =
        [0, USER, READ_ONLY, READ_ONLY | USER, USER | XN, USER | READ_ONLY | PXN, XN].map(|bits| LEAF | PAGE | bits);
    let rights = ["rwx/x", "rw/rwx", "rx/x", "rx/rx", "rw/rw", "r/rx", "rwx/"];
    let below = ["rx/x", "rx/x", "rx/x", "rx/x", "rx/", "r/x", "rx/"];
    let tables = pages(root, &bits, NO_USERS_BELOW | READ_ONLY_BELOW);
    begin(machine, regime, Controls::default(), (tcr(regime), 0xff), &tables);
    let start = if tcr(regime) == UPPER { !0 << 39 } else { 0 };
    for (table, rights) in [rights, below].into_iter().enumerate() {
        for (i, rights) in rights.into_iter().enumerate() {
            let offset = i as u64 * 0x1000 + 0x128;
            let verdicts = machine.probe(&probes(start + ((table as u64) << 21) + offset));
            let refusal = (FaultKind::Permission, Some(0));
            page(
                &format!("{regime:?}: {rights}"),
                Page { output: root + 0x10_0000 + offset, rights, refusal },
                &verdicts,
            );
        }
    }
    refused("no page", (FaultKind::NotMapped, Some(0)), &machine.probe(&probes(start + 0x8000)));
    refused("no block", (FaultKind::NotMapped, Some(1)), &machine.probe(&probes(start + (3 << 21))));
    refused("no table", (FaultKind::NotMapped, Some(2)), &machine.probe(&probes(start + (1 << 30))));
    // Between the halves.
    refused("no half", (FaultKind::NotMapped, Some(3)), &machine.probe(&probes(1 << 50)));
}

fn el2(machine: &mut Stage1) {
    let root = machine.machine.ram().start;
    let bits = [USER, USER | READ_ONLY, USER | XN, USER | READ_ONLY | XN, PXN].map(|bits| ACCESSED | PAGE | bits);
    let tables = pages(root, &bits, READ_ONLY_BELOW);
    begin(machine, Regime::El2(SHAPE), Controls::default(), (EL2, 0xff), &tables);
    for (table, rights) in [["rwx", "rx", "rw", "r", "rwx"], ["rx", "rx", "r", "r", "rx"]].into_iter().enumerate() {
        for (i, rights) in rights.into_iter().enumerate() {
            let offset = i as u64 * 0x1000 + 0x128;
            let privileged = probes(((table as u64) << 21) + offset).map(|probe| Probe { user: false, ..probe });
            let refusal = (FaultKind::Permission, Some(0));
            page(rights, Page { output: root + 0x10_0000 + offset, rights, refusal }, &machine.probe(&privileged));
        }
    }
}

fn el2_lets_its_code_in_by_any_entry(machine: &mut Stage1) {
    // Every entry is in use, and each is asked about.
    let root = machine.machine.ram().start;
    let leaf = |index: usize| (index, 0x4000_0000 | LEAF & !NOT_GLOBAL | USER | BLOCK);
    let tables = [table(root, &(0..512).map(leaf).collect::<Vec<_>>())];
    begin(machine, Regime::El2(SHAPE), Controls::default(), (EL2, 0xff), &tables);
    let offset = root - 0x4000_0000 + 0x20_0000;
    let ask = |index: u64| Probe { address: index << 30 | offset, access: Access::Read, user: false };
    let verdicts = machine.probe(&(0..512).map(ask).collect::<Vec<_>>());
    assert_eq!(verdicts, vec![Verdict::Translated(Some(0x4000_0000 + offset)); 512]);
}

fn privileged_access_never(machine: &mut Stage1) {
    let root = machine.machine.ram().start;
    let regime = Regime::El1 { upper: false };
    let tables = pages(root, &[LEAF | PAGE, LEAF | PAGE | USER], 0);
    let controls = Controls { privileged_access_never: true, write_execute_never: true };
    begin(machine, regime, controls, (LOWER, 0xff), &tables);
    let refusal = (FaultKind::Permission, Some(0));
    let output = root + 0x10_0000;
    page("privileged", Page { output, rights: "rw/x", refusal }, &machine.probe(&probes(0)));
    page("of users", Page { output: output + 0x1000, rights: "/rw", refusal }, &machine.probe(&probes(0x1000)));
}

fn clean_pages_are_executed(machine: &mut Stage1) {
    let root = machine.machine.ram().start;
    let tables = pages(root, &[LEAF | PAGE | USER | READ_ONLY | DIRTY_MANAGED], 0);
    begin(machine, Regime::El1 { upper: false }, Controls::default(), (LOWER | HARDWARE, 0xff), &tables);
    let fetch = Probe { address: 0, access: Access::Execute, user: false };
    let fetched = |verdicts: &[Verdict]| matches!(verdicts, [Verdict::Translated(_)]);
    assert_eq!(fetched(&machine.probe(&[fetch])), crate::deviates(&CLEAN_IS_EXECUTED));
    // Once it is dirty, there is no doubt.
    assert!(fetched(&machine.probe(&[Probe { access: Access::Write, user: true, ..fetch }])));
    machine.machine.run(&[VMALLE1]).expect("an invalidation");
    assert!(!fetched(&machine.probe(&[fetch])));
    let descriptor = machine.machine.dump(root + 0x2000, 8);
    assert_eq!(descriptor[0] & 0x80, 0, "AP[2] is the dirty state");
}

fn types_of_memory(machine: &mut Stage1) {
    let root = machine.machine.ram().start;
    let types = [0xff_u64, 0x44, 0x00, 0x04, 0xbb, 0x08, 0x0c, 0x4f];
    let bits: Vec<_> = (0..8).map(|index| LEAF | PAGE | index << 2).collect();
    let mair = types.iter().rev().fold(0, |mair, byte| mair << 8 | byte);
    begin(machine, Regime::El1 { upper: false }, Controls::default(), (LOWER, mair), &pages(root, &bits, 0));
    let probe = |index: u64| Probe { address: index << 12, access: Access::Read, user: false };
    let pars = machine.translate(&(0..8).map(probe).collect::<Vec<_>>());
    assert_eq!(pars.iter().map(|par| par >> 56).collect::<Vec<_>>(), types);
}

fn under_a_stage_2(machine: &mut Stage1) {
    let root = machine.machine.ram().start;
    // The first 2 MiB by pages that hardware marks, the second by a table that the guest has lost.
    let mut tables = pages(root, &[0, 1, 2].map(|_| PAGE | LEAF | USER | READ_ONLY), 0).to_vec();
    tables[1] = table(root + 0x1000, &[(0, (root + 0x2000) | TABLE), (1, (root + 0x3000) | TABLE)]);
    tables[2].1[..8]
        .copy_from_slice(&((root + 0x10_0000) | PAGE | SHARED | NOT_GLOBAL | USER | READ_ONLY).to_le_bytes());
    // The guest's tables cannot be written to. Of what its pages map, one is elsewhere, one is not to be read, one missing.
    let page = |at: u64, output: u64, rights: u64| (at, output | NORMAL | rights);
    let mut own: Vec<_> = (0..3).map(|i| page(root + (i << 12), root + (i << 12), READABLE)).collect();
    own.push(page(root + 0x10_0000, root + 0x10_0000, READABLE | WRITABLE));
    own.push(page(root + 0x10_1000, root + 0x10_8000, READABLE));
    own.push(page(root + 0x10_2000, root + 0x10_2000, WRITABLE));
    begin_both(machine, (&tables, LOWER | 1 << 39, 0xff), &own, 0);

    let read = |address| Probe { address, access: Access::Read, user: true };
    let asked = [0x1128, 0x2128, 0x3000, 0x128, 1 << 21].map(read);
    let verdicts = machine.probe(&asked);
    assert_eq!(verdicts[0], Verdict::Translated(Some(root + 0x10_8128)));
    // Stage, kind, level, whether a walk of stage 1 met it, and the page.
    let faults = [
        ("esr_el2", FaultKind::Permission, 0, 0, None),
        ("esr_elx", FaultKind::NotMapped, 0, 0, None),
        ("esr_el2", FaultKind::Permission, 0, S1PTW, Some(root + 0x2000)),
        ("esr_el2", FaultKind::NotMapped, 0, S1PTW, Some(root + 0x3000)),
    ];
    for ((stage, kind, level, walk, address), verdict) in faults.into_iter().zip(&verdicts[1..]) {
        let Verdict::Fault(fault) = verdict else { panic!("{verdict:x?}, not {kind:?}") };
        let get = |wanted| fault.report.iter().find(|(register, _)| *register == wanted).map(|(_, value)| *value);
        let syndrome = get(stage).unwrap_or_else(|| panic!("{fault:x?} is not told by {stage}"));
        assert_eq!((fault.kind, fault.level, syndrome & S1PTW), (kind, Some(level), walk), "{fault:x?}");
        // HPFAR_EL2.FIPA.
        assert!(address.is_none_or(|address| get("hpfar_el2") == Some(address >> 12 << 4)), "{fault:x?}");
    }
}

fn types_of_both_stages(machine: &mut Stage1) {
    let root = machine.machine.ram().start;
    // The types of the guest's pages, and of the memory below them, with what they come to by the manual.
    let mair = 0x0c_0800_44ff;
    let meetings = [
        // Without FWB: the stricter.
        (0, [(0, 0b1111, 0xff), (0, 0b1010, 0xbb), (0, 0b0101, 0x44), (1, 0b1111, 0x44), (3, 0b0001, 0x04)]),
        (0, [(2, 0b1111, 0x00), (4, 0b1111, 0x0c), (4, 0b0010, 0x08), (0, 0b0010, 0x08), (3, 0b0000, 0x00)]),
        // With it: write-back, or the guest's, or the stricter.
        (FORCED, [(1, 0b0110, 0xff), (2, 0b0110, 0xff), (1, 0b0111, 0x44), (3, 0b0111, 0x08), (0, 0b0101, 0x44)]),
        (FORCED, [(4, 0b0101, 0x0c), (0, 0b0001, 0x04), (1, 0b0011, 0x0c), (3, 0b0010, 0x08), (0, 0b0000, 0x00)]),
    ];
    for (forced, meetings) in meetings {
        let pars = meet(machine, root, mair, forced, &meetings.map(|(own, below, _)| (own, below)));
        assert_eq!(pars, meetings.map(|(.., byte)| byte), "{meetings:x?}");
    }
    let told = |deviates, wrong, right| vec![if deviates { wrong } else { right }];
    let reorders = meet(machine, root, mair, 0, &[(1, 0b0011)]);
    assert_eq!(reorders, told(crate::deviates(&NON_CACHEABLE_ORDERS), 0x04, 0x0c));
    let stricter = meet(machine, root, mair, FORCED, &[(2, 0b0011)]);
    assert_eq!(stricter, told(crate::deviates(&DEVICE_IS_FORCED), 0x0c, 0x00));
}

/// What AT tells of pages with these types: AttrIndx of stage 1, MemAttr of stage 2.
fn meet(machine: &mut Stage1, root: u64, mair: u64, forced: u64, types: &[(u64, u64)]) -> Vec<u64> {
    let bits: Vec<_> = types.iter().map(|(own, _)| LEAF | PAGE | own << 2).collect();
    let write_back = if forced == 0 { 0b1111 } else { 0b0110 };
    let entry = |at: u64, memory: u64| (at, at | ACCESSED | SHARED | READABLE | memory << 2);
    let mut below: Vec<_> = (0..3).map(|i| entry(root + (i << 12), write_back)).collect();
    below.extend((0..).zip(types).map(|(i, (_, memory))| entry(root + 0x10_0000 + (i << 12), *memory)));
    begin_both(machine, (&pages(root, &bits, 0), LOWER, mair), &below, forced);
    let probe = |index: usize| Probe { address: (index as u64) << 12, access: Access::Read, user: false };
    let pars = machine.translate(&(0..types.len()).map(probe).collect::<Vec<_>>());
    pars.iter().map(|par| par >> 56).collect()
}

/// Stage 1 tables, TCR and MAIR, with their first 2 MiB of RAM seen by these pages of stage 2.
fn begin_both(machine: &mut Stage1, (own, tcr, mair): (&[Chunk], u64, u64), pages: &[(u64, u64)], hcr: u64) {
    let root = own[0].0;
    let below = root + 0x20_0000;
    let entries: Vec<_> = pages.iter().map(|&(at, entry)| ((at >> 12 & 511) as usize, entry | PAGE)).collect();
    let code = Stage1::OWN.start;
    let write_back = if hcr == 0 { 0b1111 } else { 0b0110 };
    let code = ((code >> 21 & 511) as usize, code | ACCESSED | SHARED | write_back << 2 | READABLE | BLOCK);
    machine.machine.clear();
    machine.machine.load(own);
    machine.machine.load(&[
        table(below, &[(1, (below + 0x1000) | TABLE)]),
        table(below + 0x1000, &[code, ((root >> 21 & 511) as usize, (below + 0x2000) | TABLE)]),
        table(below + 0x2000, &entries),
    ]);
    let registers = [
        ("ttbr_elx", root),
        ("tcr_elx", tcr),
        ("mair_elx", mair),
        ("vttbr_el2", below),
        ("vtcr_el2", VTCR),
        ("hcr_el2", 1 | hcr),
    ];
    machine.set(Regime::El1 { upper: false }, Controls::default(), &registers);
}
