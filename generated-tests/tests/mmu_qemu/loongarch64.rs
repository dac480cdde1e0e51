//! LoongArch64: tables of PGDL and PGDH, walked by a refill handler and by the page table walker.

use std::time::Duration;

use tablewright_tests::mmu::deviations::{
    HALF_IS_ADDED, LDDIR_LOSES_RIGHTS, NR_BEFORE_LEVEL, READ_AFTER_WRITE, REFUSED_FETCHES_HANG,
};
use tablewright_tests::mmu::loongarch64::{Half, Machine};
use tablewright_tests::mmu::qemu::RunError;
use tablewright_tests::mmu::{Access, Chunk, FaultKind, Probe, Verdict};

use crate::Case;
use crate::expect::{Page, page, probes, refused};

pub(crate) const CASES: &[Case<Machine>] = &[
    ("rights_of_pages", rights_of_pages),
    ("exceptions", exceptions),
    ("blocks", blocks),
    ("sizes_of_pages", sizes_of_pages),
    ("upper_half", upper_half),
    ("walker_sets_flags", walker_sets_flags),
    ("walker_asks_p_and_w", walker_asks_p_and_w),
    ("invalid_pages_are_cached", invalid_pages_are_cached),
    ("global_entries", global_entries),
    ("upper_bits_of_blocks", upper_bits_of_blocks),
    ("bit_below_a_block", bit_below_a_block),
    ("a_load_after_a_store", a_load_after_a_store),
    ("refused_fetches", refused_fetches),
    ("clearing_forgets_tables", clearing_forgets_tables),
    ("traps_are_reported", traps_are_reported),
];

/// Fields of an entry.
const V: u64 = 1;
const D: u64 = 1 << 1;
const PLV1: u64 = 1 << 2;
const PLV3: u64 = 0b11 << 2;
const MAT_CC: u64 = 1 << 4;
const G: u64 = 1 << 6;
const H: u64 = 1 << 6;
const P: u64 = 1 << 7;
const W: u64 = 1 << 8;
const BLOCK_G: u64 = 1 << 12;
const NR: u64 = 1 << 61;
const NX: u64 = 1 << 62;
const RPLV: u64 = 1 << 63;

/// What most leaves have.
const LEAF: u64 = V | D | MAT_CC | P | W | PLV3;

/// PWCH.HPTW_En.
const WALKER: u64 = 1 << 24;

/// INVTLB 0; INVTLB 4 for the address space in a0.
const INVTLB_ALL: u32 = 0x0649_8000;
const INVTLB_SPACE: u32 = 0x0649_8084;

const NOT_MAPPED: (FaultKind, Option<u8>) = (FaultKind::NotMapped, None);
const REFUSED: (FaultKind, Option<u8>) = (FaultKind::Permission, None);

/// A table: entries by index, the others zero.
fn table(address: u64, entries: &[(usize, u64)]) -> Chunk {
    let mut bytes = vec![0; 0x1000];
    for &(index, entry) in entries {
        bytes[index * 8..][..8].copy_from_slice(&entry.to_le_bytes());
    }
    (address, bytes)
}

/// Three levels of 9 bits each above pages of 4 KiB.
fn begin(machine: &mut Machine, (half, walker): (Half, u64), tables: &[Chunk]) {
    machine.clear();
    machine.load(tables);
    let pwcl = 12 | 9 << 5 | 21 << 10 | 9 << 15;
    let registers = [("pgd", tables[0].0), ("asid", 1), ("pwcl", pwcl), ("pwch", 30 | 9 << 6 | walker)];
    machine.set(half, &[&registers[..], &[("stlbps", 12), ("crmd", 1 << 4)]].concat());
}

/// Tables that have these entries for the first pages.
fn begin_pages(machine: &mut Machine, walker: u64, entries: &[u64]) {
    let root = machine.ram().start;
    let entries: Vec<_> = entries.iter().copied().enumerate().collect();
    let tables = [
        table(root, &[(0, root + 0x1000)]),
        table(root + 0x1000, &[(0, root + 0x2000)]),
        table(root + 0x2000, &entries),
    ];
    begin(machine, (Half::Lower, walker), &tables);
}

/// The judge tells apart why stores are refused by their exceptions only.
fn ask(machine: &mut Machine, address: u64) -> Vec<Verdict> {
    let mut verdicts = machine.probe(&probes(address));
    for verdict in &mut verdicts {
        match verdict {
            Verdict::Fault(fault) if fault.kind == FaultKind::Unspecified => fault.kind = FaultKind::Permission,
            _ => {}
        }
    }
    verdicts
}

fn rights_of_pages(machine: &mut Machine) {
    let pages = machine.ram().start + 0x10_0000;
    let entries = [
        (LEAF, "rwx"),
        (LEAF & !PLV3, "rwx/"),
        (LEAF & !PLV3 | PLV1, "rwx/"),
        (LEAF | RPLV, "/rwx"),
        (LEAF & !PLV3 | RPLV, "rwx/"),
        (LEAF & !PLV3 | PLV1 | RPLV, ""),
        (LEAF | NR, "wx"),
        (LEAF | NX, "rw"),
        (LEAF & !D, "rx"),
        (LEAF & !D & !PLV3 | NR | NX, ""),
        // Software walks know nothing of P and W.
        (LEAF & !P & !W, "rwx"),
        // All types of memory, and bits that are software's or nobody's.
        (LEAF & !MAT_CC, "rwx"),
        (LEAF ^ (0b11 << 4), "rwx"),
        (LEAF | 0b111 << 9 | 0x1fff << 48, "rwx"),
    ];
    let raw: Vec<_> = (0..).zip(entries).map(|(i, (bits, _))| (pages + i * 0x1000) | bits).collect();
    begin_pages(machine, 0, &raw);
    for (i, (_, rights)) in (0..).zip(entries) {
        let offset = i * 0x1000 + 0xff8;
        let verdicts = ask(machine, offset);
        page(&format!("entry {i}"), Page { output: pages + offset, rights, refusal: REFUSED }, &verdicts);
    }
}

fn exceptions(machine: &mut Machine) {
    let output = machine.ram().start + 0x10_0000;
    let kernel = LEAF & !PLV3;
    let nr_first = if crate::deviates(&NR_BEFORE_LEVEL) { 5 } else { 7 };
    let (read, write, execute) = (Access::Read, Access::Write, Access::Execute);
    let wanted = [
        (LEAF & !V, read, false, 1),
        (LEAF & !V, write, true, 2),
        (LEAF & !V, execute, false, 3),
        (LEAF & !D, write, true, 4),
        (kernel & !D, write, false, 4),
        (LEAF | NR, read, true, 5),
        (kernel, read, true, 7),
        (kernel, write, true, 7),
        (kernel & !D, write, true, 7),
        (LEAF | RPLV, read, false, 7),
        (kernel | NR, read, true, nr_first),
    ];
    begin_pages(machine, 0, &wanted.map(|(bits, ..)| output | bits));
    for (i, (_, access, user, code)) in (0..).zip(wanted) {
        let address = i * 0x1000 + 0x7f8;
        let verdicts = machine.probe(&[Probe { address, access, user }]);
        let Verdict::Fault(fault) = &verdicts[0] else { panic!("entry {i}: {verdicts:x?}") };
        let register = |name| fault.report.iter().find(|(register, _)| *register == name).map(|(_, value)| *value);
        assert_eq!(register("estat").map(|estat| estat >> 16 & 0x3f), Some(code), "entry {i}: {fault:x?}");
        assert_eq!(register("badv"), Some(address), "entry {i}");
    }
}

fn blocks(machine: &mut Machine) {
    let root = machine.ram().start;
    let block = root + 0x20_0000;
    for walker in [0, WALKER] {
        let tables = [
            table(root, &[(0, root + 0x1000), (1, 0x8000_0000 | LEAF | H)]),
            table(
                root + 0x1000,
                &[(1, block | LEAF | H), (2, block | LEAF | H | NX), (3, (block | LEAF | H | NR) & !PLV3)],
            ),
        ];
        begin(machine, (Half::Lower, walker), &tables);
        let full = |output| Page { output, rights: "rwx", refusal: REFUSED };
        // A block is a pair of halves.
        for offset in [0, 0xf_fff8, 0x10_0000, 0x1f_fff8] {
            page("2 MiB", full(block + offset), &ask(machine, 0x20_0000 + offset));
            page("NX", Page { rights: "rw", ..full(block + offset) }, &ask(machine, 0x40_0000 + offset));
            page("NR", Page { rights: "wx/", ..full(block + offset) }, &ask(machine, 0x60_0000 + offset));
        }
        refused("an empty entry", NOT_MAPPED, &ask(machine, 0));
        page("1 GiB", full(0x8456_7890), &ask(machine, 1 << 30 | 0x456_7890));
    }
}

fn sizes_of_pages(machine: &mut Machine) {
    let root = machine.ram().start;
    for (bits, dir_bits) in [(14, 11), (16, 13)] {
        let page_bytes = 1 << bits;
        let (next, output) = (root + page_bytes, root + 0x400_0000);
        machine.clear();
        // Of pages, bits below the address are not asked.
        machine.load(&[table(root, &[(0, next), (1, output & !((1 << (bits + dir_bits)) - 1) | LEAF | H)])]);
        machine.load(&[table(next, &[(0, output | LEAF), (1, (output + page_bytes) | LEAF | 0x1000)])]);
        let (ptwidth, dir3_base) = (dir_bits << 5, bits + dir_bits);
        let registers = [("pwcl", bits | ptwidth), ("pwch", dir3_base | 9 << 6), ("stlbps", bits), ("crmd", 1 << 4)];
        machine.set(Half::Lower, &[&registers[..], &[("pgd", root), ("asid", 1)]].concat());
        for offset in [0, page_bytes - 8, page_bytes, 2 * page_bytes - 8] {
            page("a page", Page { output: output + offset, rights: "rwx", refusal: REFUSED }, &ask(machine, offset));
        }
        refused("an empty entry", NOT_MAPPED, &ask(machine, 2 * page_bytes));
        let address = 1 << dir3_base | output & ((1 << dir3_base) - 1);
        page("a block", Page { output, rights: "rwx", refusal: REFUSED }, &ask(machine, address));
    }
}

fn upper_half(machine: &mut Machine) {
    let root = machine.ram().start;
    let output = root + 0x10_0000;
    let tables = [
        table(root, &[(511, root + 0x1000)]),
        table(root + 0x1000, &[(511, root + 0x2000)]),
        table(root + 0x2000, &[(511, output | LEAF)]),
    ];
    let last = !7_u64;
    begin(machine, (Half::Upper, 0), &tables);
    page("the last page", Page { output: output + 0xff8, rights: "rwx", refusal: REFUSED }, &ask(machine, last));
    refused("the lower half", NOT_MAPPED, &ask(machine, last & 0x7f_ffff_ffff));
    begin(machine, (Half::Lower, 0), &tables);
    refused("the upper half", NOT_MAPPED, &ask(machine, last));
    refused("no address", NOT_MAPPED, &ask(machine, 1 << 47 | last & 0x7f_ffff_ffff));
}

fn walker_sets_flags(machine: &mut Machine) {
    let root = machine.ram().start;
    let output = root + 0x10_0000;
    let unmarked = output | LEAF & !V & !D;
    for (access, marked) in [(Access::Read, unmarked | V), (Access::Write, unmarked | V | D)] {
        begin_pages(machine, WALKER, &[unmarked]);
        let seen = machine.probe(&[Probe { address: 0, access, user: true }]);
        assert_eq!(seen, [Verdict::Translated(Some(output))]);
        assert_eq!(machine.dump(root + 0x2000, 8), marked.to_le_bytes(), "after {access:?}");
    }
    // Without the walker, this is a page that is not valid.
    begin_pages(machine, 0, &[unmarked]);
    refused("not valid", NOT_MAPPED, &ask(machine, 0));
    assert_eq!(machine.dump(root + 0x2000, 8), unmarked.to_le_bytes());
}

fn walker_asks_p_and_w(machine: &mut Machine) {
    let output = machine.ram().start + 0x10_0000;
    begin_pages(machine, WALKER, &[output | LEAF & !P, output | LEAF & !W, output | LEAF & !W & !D]);
    refused("not present", NOT_MAPPED, &ask(machine, 0));
    let read_only = Page { output, rights: "rx", refusal: REFUSED };
    page("not writable, but dirty", read_only, &ask(machine, 0x1000));
    page("not writable", read_only, &ask(machine, 0x2000));
}

fn invalid_pages_are_cached(machine: &mut Machine) {
    let root = machine.ram().start;
    let output = root + 0x10_0000;
    begin_pages(machine, 0, &[output | LEAF]);
    let read = |address| Probe { address, access: Access::Read, user: false };
    let translated = Verdict::Translated(Some(output));
    assert_eq!(machine.probe(&[read(0)])[0], translated);
    machine.load(&[table(root + 0x2000, &[(1, output | LEAF)])]);
    // The TLB has the first page still, and with it the second one, which was not valid.
    let stale = machine.probe(&[read(0), read(0x1000)]);
    assert!(matches!(&stale[..], [first, Verdict::Fault(_)] if *first == translated), "{stale:x?}");
    machine.run(&[INVTLB_ALL]).expect("it runs");
    let fresh = machine.probe(&[read(0), read(0x1000)]);
    assert!(matches!(&fresh[..], [Verdict::Fault(_), second] if *second == translated), "{fresh:x?}");
}

fn global_entries(machine: &mut Machine) {
    let root = machine.ram().start;
    let block = root + 0x20_0000;
    let own = [0, 0x20_0000, 1 << 30, 1 << 30 | 0x20_0000];
    let tables = [
        table(root, &[(0, root + 0x1000), (1, root + 0x3000)]),
        table(root + 0x1000, &[(0, root + 0x2000), (1, block | LEAF | H)]),
        table(root + 0x2000, &[(0, block | LEAF), (1, block | LEAF)]),
        table(root + 0x3000, &[(0, root + 0x4000), (1, block | LEAF | H | BLOCK_G)]),
        table(root + 0x4000, &[(0, block | LEAF | G), (1, block | LEAF | G)]),
    ];
    begin(machine, (Half::Lower, 0), &tables);
    let read = own.map(|address| Probe { address, access: Access::Read, user: false });
    assert_eq!(machine.probe(&read), vec![Verdict::Translated(Some(block)); 4]);
    machine.load(&[table(root, &[])]);
    machine.run_with(&[INVTLB_SPACE], [1, 0, 0, 0]).expect("it runs");
    let left = machine.probe(&read).into_iter().map(|verdict| matches!(verdict, Verdict::Translated(_)));
    assert_eq!(left.collect::<Vec<_>>(), [false, false, true, true]);
}

/// What LDDIR reads of a block at level 1.
fn upper_bits_of_blocks(machine: &mut Machine) {
    /// `csrwr $a2, TLBRBADV`, `lddir $a0, $a0, 1`, `st.d $a0, $a1, 0`.
    const READ_DIRECTORY: [u32; 3] = [0x0402_2426, 0x0640_0484, 0x29c0_00a4];
    const WINDOW: u64 = 0x9000_0000_0000_0000;
    let root = machine.ram().start;
    let block = (root + 0x20_0000) | LEAF | H | NX | RPLV;
    begin(machine, (Half::Lower, 0), &[table(root, &[(1, block)])]);
    machine.run_with(&READ_DIRECTORY, [root, WINDOW | (root + 0x1000), 0x20_0000, 0]).expect("it runs");
    let kept = if crate::deviates(&LDDIR_LOSES_RIGHTS) { block << 16 >> 16 } else { block };
    assert_eq!(machine.dump(root + 0x1000, 8), kept.to_le_bytes());
    machine.clear();
}

fn bit_below_a_block(machine: &mut Machine) {
    let root = machine.ram().start;
    let block = root + 0x20_0000;
    let entry = block | 1 << 20 | LEAF | H;
    begin(machine, (Half::Lower, 0), &[table(root, &[(0, root + 0x1000)]), table(root + 0x1000, &[(1, entry)])]);
    // Ignored, the bit would tell nothing; added to, it makes the halves one page apart from where they should be.
    let [lower, upper] = if crate::deviates(&HALF_IS_ADDED) { [0x10_0000, 0x20_0000] } else { [0, 0x10_0000] };
    let full = |output| Page { output, rights: "rwx", refusal: REFUSED };
    page("the lower half", full(block + lower), &ask(machine, 0x20_0000));
    page("the upper half", full(block + upper), &ask(machine, 0x30_0000));
}

fn a_load_after_a_store(machine: &mut Machine) {
    /// `st.b $zero, $a0, 0` and `ld.bu $a1, $a0, 0`.
    const STORE: u32 = 0x2900_0080;
    const LOAD: u32 = 0x2a00_0085;
    let output = machine.ram().start + 0x10_0000;
    begin_pages(machine, 0, &[output | LEAF | NR]);
    assert!(matches!(machine.run(&[LOAD]), Err(RunError::Trap(_))));
    let after = machine.run(&[STORE, LOAD]);
    assert_eq!(after.is_ok(), crate::deviates(&READ_AFTER_WRITE), "{after:x?}");
}

fn refused_fetches(_: &mut Machine) {
    /// `csrwr $a0, ERA`, `csrwr $a1, PRMD`, `ertn`: to a0 at level a1.
    const ENTER: [u32; 3] = [0x0400_1824, 0x0400_0425, 0x0648_3800];
    // It may not survive this.
    let mut machine = Machine::start().expect("QEMU starts");
    let output = machine.ram().start + 0x10_0000;
    begin_pages(&mut machine, 0, &[output | LEAF | NX, output | LEAF & !PLV3]);
    let estat = |fetched: &Result<(), RunError>| match fetched {
        Err(RunError::Trap(report)) => Some(report[0].1 >> 16),
        _ => None,
    };
    let fetched = machine.run_with(&ENTER, [0, 3, 0, 0]);
    assert_eq!(estat(&fetched), Some(6), "{fetched:x?}");
    machine.set_patience(Duration::from_millis(100));
    let fetched = machine.run_with(&ENTER, [0x1000, 3, 0, 0]);
    let wanted = if crate::deviates(&REFUSED_FETCHES_HANG) { None } else { Some(7) };
    assert_eq!(estat(&fetched), wanted, "{fetched:x?}");
}

fn clearing_forgets_tables(machine: &mut Machine) {
    let last = machine.ram().end - 8;
    for at in [0x4000, last] {
        let before = machine.dump(at, 8);
        machine.load(&[(at, vec![1; 8])]);
        assert_eq!(machine.dump(at, 8), [1; 8]);
        machine.clear();
        assert_eq!(machine.dump(at, 8), before);
    }
}

fn traps_are_reported(machine: &mut Machine) {
    assert!(matches!(machine.run(&[0]), Err(RunError::Trap(_))));
    machine.run(&[]).expect("the machine goes on");
}
