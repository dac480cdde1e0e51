//! Checks the judge of EPT itself: tables written by hand from the manual (SDM volume 3, *The Extended Page Table
//! Mechanism*), and what Bochs must say to them.

use std::sync::OnceLock;
use std::time::Duration;

use tablewright_tests::emulators::{Emulator, require};
use tablewright_tests::mmu::Access::{self, Execute, Read, Write};
use tablewright_tests::mmu::FaultKind::{self, AddressSize, Misconfigured, NotMapped, Permission};
use tablewright_tests::mmu::deviations::{BLOCK_BIT_12, USER_EXECUTE_IN_BIT_13};
use tablewright_tests::mmu::pc::{self, Board, Run};
use tablewright_tests::mmu::x86_64::{Batch, Error, Machine, Nested};
use tablewright_tests::mmu::{Chunk, Probe, Verdict};

/// Haswell: execute-only, 2 MiB and 1 GiB pages, accessed and dirty flags.
fn haswell() -> Option<&'static Machine> {
    static MACHINE: OnceLock<Option<Machine>> = OnceLock::new();
    MACHINE.get_or_init(|| start("corei7_haswell_4770")).as_ref()
}

fn start(model: &'static str) -> Option<Machine> {
    require(Emulator::Bochs)?;
    Some(Machine::vmx(model).unwrap())
}

/// A table of the tests' only walk, by the level of its entries (0: pages).
const fn table(level: u64) -> u64 {
    0x100_0000 + level * 0x1000
}

/// Walk length 4, and tables cached write-back.
const EPTP: u64 = table(3) | 0x1e;
/// The same, with accessed and dirty flags.
const EPTP_WITH_FLAGS: u64 = EPTP | 1 << 6;

/// A pointer to the table below, with all rights.
const fn pointer(level: u64) -> u64 {
    table(level - 1) | 7
}

const READ: u64 = 1;
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
const ALL: u64 = 7;
const WRITE_BACK: u64 = 6 << 3;
const LARGE: u64 = 1 << 7;
const ACCESSED: u64 = 1 << 8;
const DIRTY: u64 = 1 << 9;
const USER_EXECUTE: u64 = 1 << 10;
/// Where most leaves of the tests map.
const TARGET: u64 = 0x200_0000;
const PAGE: u64 = TARGET | WRITE_BACK;

/// Level, index and value of an entry.
type Entry = (u64, u64, u64);

/// One table per level: entry 0 of each points to the next, except as given.
fn tables(entries: &[Entry]) -> Vec<Chunk> {
    (0..4)
        .map(|level| {
            let mut bytes = vec![0; 4096];
            let mut set =
                |index: u64, entry: u64| bytes[index as usize * 8..][..8].copy_from_slice(&entry.to_le_bytes());
            if level > 0 {
                set(0, pointer(level));
            }
            entries.iter().filter(|entry| entry.0 == level).for_each(|&(_, index, entry)| set(index, entry));
            (table(level), bytes)
        })
        .collect()
}

fn probe(address: u64, access: Access) -> Probe {
    Probe { address, access, user: false }
}

/// Read, write and execute at an address.
fn all(address: u64) -> [Probe; 3] {
    [Read, Write, Execute].map(|access| probe(address, access))
}

/// The output address of a translation (`Ok`), or the kind of a fault.
fn short(verdict: &Verdict) -> Result<Option<u64>, FaultKind> {
    match verdict {
        Verdict::Translated(address) => Ok(*address),
        Verdict::Fault(fault) => Err(fault.kind),
    }
}

/// What a load, a store and a fetch came to.
type Answers = [Result<Option<u64>, FaultKind>; 3];

/// The answers for each case: tables with these entries, and an address.
fn ask_each(machine: &Machine, cases: &[(Vec<Entry>, u64)]) -> Vec<Answers> {
    let asked: Vec<_> = cases.iter().map(|(entries, address)| (tables(entries), all(*address))).collect();
    let batches: Vec<_> = asked.iter().map(|(image, probes)| batch(image, EPTP, probes, &[])).collect();
    let outcomes = machine.run(&batches).unwrap();
    outcomes.iter().map(|outcome| [0, 1, 2].map(|index| short(&outcome.verdicts[index]))).collect()
}

fn ask(machine: &Machine, entries: &[Entry], address: u64) -> Answers {
    ask_each(machine, &[(entries.to_vec(), address)])[0]
}

fn ept(eptp: u64) -> Nested {
    Nested::Ept { eptp, mode_based_execute: false }
}

fn batch<'a>(image: &'a [Chunk], eptp: u64, probes: &'a [Probe], peek: &'a [u64]) -> Batch<'a> {
    Batch { image, guest: None, nested: ept(eptp), probes, peek }
}

#[test]
fn haswell_has_what_the_tests_need() {
    let Some(machine) = haswell() else { return };
    let capabilities = machine.ept_capabilities();
    for (bit, what) in [
        (0, "execute-only"),
        (6, "walk length 4"),
        (14, "write-back tables"),
        (16, "2 MiB pages"),
        (17, "1 GiB pages"),
        (21, "flags"),
    ] {
        assert!(capabilities & 1 << bit != 0, "{what}");
    }
    assert!(!machine.has_mode_based_execute());
    assert_eq!(machine.physical_address_bits(), 40);
}

#[test]
fn a_page_grants_its_rights() {
    let Some(machine) = haswell() else { return };
    // Entry n grants the rights n. Write without read is illegal.
    let entries: Vec<_> = (0..8).map(|rights| (0, rights, (PAGE + rights * 0x1000) | rights)).collect();
    let probes: Vec<_> = (0..8).flat_map(|rights| all(rights * 0x1000 + 0x234)).collect();
    let verdicts = machine.probe(&tables(&entries), ept(EPTP), &probes).unwrap();
    for (probe, verdict) in probes.iter().zip(&verdicts) {
        let rights = probe.address / 0x1000;
        let expected = match (rights, probe.access) {
            (2 | 6, _) => Err(Misconfigured),
            (0, _) => Err(NotMapped),
            (1 | 3 | 5 | 7, Read) | (3 | 7, Write) | (4 | 5 | 7, Execute) => Ok(Some(TARGET + probe.address)),
            _ => Err(Permission),
        };
        // A page without rights is not present, whatever its other bits.
        assert_eq!(short(verdict), expected, "{probe:x?}");
    }
}

#[test]
fn a_fault_has_the_raw_report() {
    let Some(machine) = haswell() else { return };
    let verdicts = machine.probe(&tables(&[(0, 0, PAGE | READ)]), ept(EPTP), &[probe(0x18, Write)]).unwrap();
    let Verdict::Fault(fault) = &verdicts[0] else { panic!("{verdicts:?}") };
    // A write (bit 1), readable (bit 3), of a known linear address (7), by the access itself (8).
    assert_eq!(fault.report, [("exit_reason", 48), ("qualification", 0x18a), ("guest_physical_address", 0x18)]);
}

#[test]
fn every_byte_of_a_page_is_reached() {
    let Some(machine) = haswell() else { return };
    let probes: Vec<_> = (0..0x1000).flat_map(all).collect();
    let verdicts = machine.probe(&tables(&[(0, 0, PAGE | ALL)]), ept(EPTP), &probes).unwrap();
    assert_eq!(probes.len(), verdicts.len());
    for (probe, verdict) in probes.iter().zip(&verdicts) {
        assert_eq!(short(verdict), Ok(Some(TARGET + probe.address)), "{probe:x?}");
    }
}

#[test]
fn blocks_map_at_their_size() {
    let Some(machine) = haswell() else { return };
    let large = WRITE_BACK | LARGE | ALL;
    let megabytes = ask(machine, &[(1, 3, 0x40_0000 | large)], 0x60_0000 + 0x1f_f678);
    assert_eq!(megabytes, [Ok(Some(0x5f_f678)); 3]);
    let gigabyte = ask(machine, &[(2, 1, large)], 0x4000_0000 + 0x123_4567);
    assert_eq!(gigabyte, [Ok(Some(0x123_4567)); 3]);
    let beyond_ram = ask(machine, &[(2, 1, 0x8000_0000 | large)], 0x4000_0000);
    assert_eq!(beyond_ram, [Ok(None); 3]);
}

#[test]
fn the_top_level_has_no_blocks() {
    let Some(machine) = haswell() else { return };
    assert_eq!(ask(machine, &[(3, 0, WRITE_BACK | LARGE | ALL)], 0), [Err(Misconfigured); 3]);
}

#[test]
fn one_gigabyte_is_reserved_where_the_processor_lacks_it() {
    let Some(machine) = start("corei5_lynnfield_750") else { return };
    assert_eq!(machine.ept_capabilities() & 1 << 17, 0);
    assert_eq!(ask(&machine, &[(2, 1, WRITE_BACK | LARGE | ALL)], 0x4000_0000), [Err(Misconfigured); 3]);
    assert_eq!(ask(&machine, &[(1, 0, WRITE_BACK | LARGE | ALL)], 0x12_3456), [Ok(Some(0x12_3456)); 3]);
}

#[test]
fn rights_intersect_along_the_walk() {
    let Some(machine) = haswell() else { return };
    let there = Ok(Some(TARGET));
    let denied = Err(Permission);
    let rights = [
        (READ, ALL, [there, denied, denied]),
        (READ | WRITE, ALL, [there, there, denied]),
        (READ | WRITE, READ | EXECUTE, [there, denied, denied]),
        (EXECUTE, ALL, [denied, denied, there]),
        (WRITE, ALL, [Err(Misconfigured); 3]),
        // Rights that exclude each other are reported as if nothing were there.
        (EXECUTE, READ, [Err(NotMapped); 3]),
    ];
    for level in 1..4 {
        let cases =
            rights.map(|(pointer, leaf, _)| (vec![(level, 0, table(level - 1) | pointer), (0, 0, PAGE | leaf)], 0));
        assert_eq!(ask_each(machine, &cases), rights.map(|(_, _, answers)| answers), "level {level}");
    }
}

#[test]
fn fetches_can_need_a_right_by_mode() {
    let Some(machine) = start("corei7_skylake_x") else { return };
    let pointers = [1, 2, 3].map(|level| (level, 0, pointer(level) | USER_EXECUTE));
    let leaves = [READ, READ | EXECUTE, READ | USER_EXECUTE, USER_EXECUTE];
    let leaves = [0, 1, 2, 3].map(|index| (0, index as u64, PAGE | leaves[index]));
    let image = tables(&[pointers.as_slice(), &leaves].concat());
    let user_fetch = |address| Probe { address, access: Execute, user: true };
    let probes: Vec<_> = (0..4)
        .map(|index| index * 0x1000)
        .flat_map(|address| [probe(address, Execute), user_fetch(address), probe(address, Read)])
        .collect();
    let nested = Nested::Ept { eptp: EPTP, mode_based_execute: true };
    let batch = Batch { nested, ..batch(&image, EPTP, &probes, &[]) };
    let result = machine.run(&[batch]);
    if !machine.has_mode_based_execute() {
        assert!(matches!(result, Err(Error::Lacks { .. })), "only Bochs 3.0 has it");
        return;
    }
    let there = Ok(Some(TARGET));
    let denied = Err(Permission);
    let seen_as_unmapped = if machine.deviates(&USER_EXECUTE_IN_BIT_13) { Err(NotMapped) } else { denied };
    let answers: Vec<_> = result.unwrap()[0].verdicts.iter().map(short).collect();
    let expected =
        [[denied, denied, there], [there, denied, there], [denied, there, there], [denied, there, seen_as_unmapped]];
    assert_eq!(answers, expected.concat());
}

#[test]
fn nothing_is_mapped_where_an_entry_is_empty() {
    let Some(machine) = haswell() else { return };
    let addresses = [0x1000, 0x20_0000, 0x4000_0000, 0x80_0000_0000];
    let cases = addresses.map(|address| (vec![(0, 0, PAGE | ALL)], address));
    assert_eq!(ask_each(machine, &cases), [[Err(NotMapped); 3]; 4]);
}

#[test]
fn reserved_bits_are_misconfigurations() {
    let Some(machine) = haswell() else { return };
    // Bits 51:40 are beyond the physical address. Bits 7:3 of a pointer are reserved, except that bit 7 makes a block.
    // The address of a block is aligned to its size.
    let mut reserved: Vec<Entry> = (40..52).map(|bit| (0, PAGE | ALL, bit)).collect();
    for level in 1..4 {
        reserved.extend((3..7).chain(40..52).map(|bit| (level, pointer(level), bit)));
    }
    for (level, bits) in [(1, 13..21), (2, 13..30)] {
        reserved.extend(bits.map(|bit| (level, WRITE_BACK | LARGE | ALL, bit)));
    }
    let case = |level, entry| (vec![(0, 0, PAGE | ALL), (level, 0, entry)], 0);
    let cases: Vec<_> =
        reserved.iter().flat_map(|&(level, entry, bit)| [case(level, entry), case(level, entry | 1 << bit)]).collect();
    let answers = ask_each(machine, &cases);
    for ((level, entry, bit), answers) in reserved.iter().zip(answers.chunks(2)) {
        assert!(answers[0].iter().all(Result::is_ok), "level {level}: {entry:#x} gave {answers:?}");
        assert_eq!(answers[1], [Err(Misconfigured); 3], "level {level}: {entry:#x} with bit {bit}");
    }
}

#[test]
fn known_deviations_are_still_there() {
    let Some(machine) = haswell() else { return };
    let block = WRITE_BACK | LARGE | ALL;
    let cases = [(1, block), (2, block)].map(|(level, block)| (vec![(level, 0, block | 1 << 12)], 0x10_0000));
    let expected = if machine.deviates(&BLOCK_BIT_12) { Ok(Some(0x10_0000)) } else { Err(Misconfigured) };
    assert_eq!(ask_each(machine, &cases), [[expected; 3]; 2]);
}

#[test]
fn memory_types_are_checked() {
    let Some(machine) = haswell() else { return };
    let cases: Vec<_> = (0..8).map(|kind| (vec![(0, 0, TARGET | kind << 3 | ALL)], 0)).collect();
    let legal = [Ok(Some(TARGET)); 3];
    let illegal = [Err(Misconfigured); 3];
    // UC, WC, -, -, WT, WP, WB, -
    assert_eq!(ask_each(machine, &cases), [legal, legal, illegal, illegal, legal, legal, legal, illegal]);
}

#[test]
fn flags_are_written_where_the_eptp_says_so() {
    let Some(machine) = haswell() else { return };
    let image = tables(&[(0, 0, PAGE | ALL), (0, 1, PAGE | ALL), (0, 2, PAGE | READ)]);
    let probes = [probe(0, Read), probe(0x1000, Write), probe(0x2000, Write)];
    let peek = [table(3), table(2), table(1), table(0), table(0) + 8, table(0) + 16];
    let batches = [EPTP, EPTP_WITH_FLAGS].map(|eptp| batch(&image, eptp, &probes, &peek));
    let outcomes = machine.run(&batches).unwrap();
    let untouched = [pointer(3), pointer(2), pointer(1), PAGE | ALL, PAGE | ALL, PAGE | READ];
    assert_eq!(outcomes[0].words, untouched);
    // Dirty is for leaves only, and a refused access sets nothing in the leaf.
    let written = [ACCESSED, ACCESSED, ACCESSED, ACCESSED, ACCESSED | DIRTY, 0];
    let expected: Vec<_> = untouched.iter().zip(written).map(|(entry, flags)| entry | flags).collect();
    assert_eq!(outcomes[1].words, expected);
}

#[test]
fn both_reachable_entries_of_the_root_can_be_probed() {
    let Some(machine) = haswell() else { return };
    let image = tables(&[(3, 1, pointer(3)), (0, 5, PAGE | ALL)]);
    let high = 0x80_0000_5000;
    let probes = [probe(high, Read), probe(0x5000, Write), probe(high, Execute)];
    let outcomes = machine.run(&[batch(&image, EPTP, &probes, &[table(3), table(3) + 8])]).unwrap();
    assert_eq!(outcomes[0].verdicts, [const { Verdict::Translated(Some(TARGET)) }; 3]);
    assert_eq!(outcomes[0].words, [pointer(3); 2], "the root is as it was");
}

#[test]
fn addresses_beyond_the_processors_width_are_refused() {
    let Some(machine) = haswell() else { return };
    let probes: Vec<_> = (40..52).flat_map(|bit| all(1 << bit)).collect();
    let verdicts = machine.probe(&tables(&[(0, 0, PAGE | ALL)]), ept(EPTP), &probes).unwrap();
    assert!(verdicts.iter().all(|verdict| short(verdict) == Err(AddressSize)), "{verdicts:x?}");
    let error = machine.probe(&tables(&[]), ept(EPTP), &[probe(1 << 52, Read)]).unwrap_err();
    assert!(matches!(error, Error::NoSuchAddress { .. }), "{error}");
}

#[test]
fn an_illegal_eptp_is_refused() {
    let Some(machine) = haswell() else { return };
    // Walk length 3; memory type 2; a reserved bit.
    for eptp in [table(3) | 0x16, table(3) | 0x1a, EPTP | 1 << 8] {
        let error = machine.probe(&tables(&[]), ept(eptp), &[probe(0, Read)]).unwrap_err();
        assert!(matches!(error, Error::EntryRefused { error: 7, .. }), "{eptp:#x}: {error}");
    }
    let error = machine.probe(&tables(&[]), ept(Machine::RAM.end | 0x1e), &[probe(0, Read)]).unwrap_err();
    assert!(matches!(error, Error::OutsideRam { .. }), "{error}");
}

#[test]
fn a_batch_leaves_nothing_behind() {
    let Some(machine) = haswell() else { return };
    // The second batch has its tables elsewhere, and maps what the first had its tables in.
    const ELSEWHERE: u64 = 0x10_0000;
    let first = tables(&[(0, 0, PAGE | ALL)]);
    let second = tables(&[
        (3, 0, pointer(3) + ELSEWHERE),
        (2, 0, pointer(2) + ELSEWHERE),
        (1, 0, pointer(1) + ELSEWHERE),
        (0, 0, table(0) | WRITE_BACK | ALL),
    ]);
    let second: Vec<_> = second.into_iter().map(|(address, bytes)| (address + ELSEWHERE, bytes)).collect();
    let probes = all(0x10);
    let peek = [table(3) + 0x100];
    let batches = [batch(&first, EPTP, &probes, &peek), batch(&second, EPTP + ELSEWHERE, &probes, &peek)];
    let outcomes = machine.run(&batches).unwrap();
    assert_eq!(outcomes[1].verdicts, [const { Verdict::Translated(Some(table(0) + 0x10)) }; 3]);
    assert_eq!(outcomes[1].words, [0]);
}

#[test]
fn batches_too_large_for_one_run_take_several() {
    let Some(machine) = haswell() else { return };
    let image = tables(&[(0, 0, PAGE | ALL)]);
    let probes = vec![probe(0, Read); 20_000];
    let outcomes = machine.run(&[batch(&image, EPTP, &probes, &[]); 3]).unwrap();
    assert_eq!(outcomes.len(), 3);
    assert!(outcomes.iter().flat_map(|outcome| &outcome.verdicts).all(|verdict| short(verdict) == Ok(Some(TARGET))));
    let error = machine.probe(&image, ept(EPTP), &vec![probe(0, Read); 50_000]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn a_model_without_vmx_is_an_error() {
    if require(Emulator::Bochs).is_none() {
        return;
    }
    let error = Machine::vmx("athlon64_venice").err().unwrap();
    assert!(matches!(error, Error::Pc(pc::Error::Failed { .. })), "{error}");
}

#[test]
fn a_hung_bochs_is_killed_and_named() {
    let Some(found) = require(Emulator::Bochs) else { return };
    let mut rom = vec![0; 0x1_0000];
    rom[0xfff0..0xfff2].copy_from_slice(&[0xeb, 0xfe]); // jump to itself
    let run = Run {
        board: Board { model: "corei7_haswell_4770", memory: 32, rom: &rom },
        magic: 0,
        results: 0,
        time_limit: Duration::from_secs(2),
        what: "an endless loop",
    };
    let error = pc::run(&found, &run).unwrap_err();
    assert!(matches!(error, pc::Error::Hung { .. }), "{error}");
    assert!(error.to_string().contains("an endless loop"));
}
