//! A guest's own tables under nested ones: which of the two faults, and what is reported.

use tablewright_tests::mmu::FaultKind::{NotMapped, Permission};
use tablewright_tests::mmu::deviations::MARKS_ARE_NO_WRITES_IN_EPT;

use super::*;

/// Where the guest's own tables are, in the machine's memory and in the guest's.
const GUEST: u64 = 0x300_0000;
/// What the guest takes for the start of its memory, and where that is.
const GUEST_MEMORY: u64 = 0x40_0000;
const MEMORY: u64 = 0x260_0000;
/// Guest-physical: where nothing is.
const NOTHING: u64 = 0x80_0000;
/// Guest-physical: what the guest may not write, and where that is.
const PROTECTED: u64 = 0xa0_0000;
const PROTECTED_MEMORY: u64 = 0x240_0000;

fn guest() -> Paging {
    Paging { cr0: 1 << 16, cr3: GUEST + 0x3000, cr4: 0, efer: NO_EXECUTE_ENABLE, rflags: 0, root: GUEST + 0x3000 }
}

/// The guest has four levels; the nested tables as many as asked for. `block`: a nested leaf of 2 MiB, that lets writes
/// through or not.
fn image(levels: u64, block: impl Fn(u64, bool) -> u64) -> Vec<Chunk> {
    let nested = [(GUEST, GUEST, true), (GUEST_MEMORY, MEMORY, true), (PROTECTED, PROTECTED_MEMORY, false)]
        .map(|(from, to, writable)| (1, from >> 21, block(to, writable)));
    let own = [
        (0, 0, GUEST_MEMORY | ALL),
        (0, 1, 0),
        (0, 2, NOTHING | ALL),
        (0, 3, GUEST_MEMORY | PRESENT | USER),
        (0, 4, PROTECTED | ALL),
        (1, 1, NOTHING | ALL),
    ];
    [tables(table(0), levels, &nested), tables(GUEST, 4, &own)].concat()
}

/// Probes of the guest's linear addresses, and how each goes wrong, if it does.
fn questions() -> Vec<(Probe, Answer)> {
    vec![
        (probe(0x238, Read), Ok(Some(MEMORY + 0x238))),
        (Probe { user: true, ..probe(0x238, Write) }, Ok(Some(MEMORY + 0x238))),
        (probe(0x238, Execute), Ok(Some(MEMORY + 0x238))),
        (probe(0x4238, Read), Ok(Some(PROTECTED_MEMORY + 0x238))),
        (probe(0x1238, Read), Err(NotMapped)),
        (probe(0x3238, Write), Err(Permission)),
        (probe(0x2238, Read), Err(NotMapped)),
        (probe(0x4238, Write), Err(Permission)),
        (probe(0x20_3238, Read), Err(NotMapped)),
    ]
}

/// What the last five report: the guest's own tables (error code, address), or the nested ones.
fn check(machine: &Machine, case: &Case, nested: [[(&'static str, u64); 3]; 3]) {
    let outcome = run(machine, case, &[]);
    for ((probe, expected), verdict) in case.questions.iter().zip(&outcome.verdicts) {
        assert_eq!(short(verdict), *expected, "{probe:x?}: {verdict:x?}");
    }
    let [not_present, read_only, ..] = &outcome.verdicts[4..] else { panic!("{outcome:?}") };
    assert_eq!(report(not_present), [("error_code", 0), ("cr2", 0x1238)]);
    assert_eq!(report(read_only), [("error_code", 3), ("cr2", 0x3238)]);
    for (verdict, expected) in outcome.verdicts[6..].iter().zip(nested) {
        assert_eq!(report(verdict), expected, "{verdict:x?}");
    }
}

/// APM *Nested versus Guest Page Faults, Fault Ordering*: bit 32 of EXITINFO1 is a fault of the access, bit 33 one of the
/// guest's walk, which counts as a write.
#[test]
fn under_npt() {
    for judge in judges() {
        let rights = |writable| if writable { ALL } else { PRESENT | USER };
        let nested = Nested::Npt { nested_control: 1, n_cr3: table(judge.levels - 1), guest_asid: 3 };
        let image = image(judge.levels, |to, writable| to | LARGE | rights(writable));
        let case = Case { image, guest: Some(guest()), nested, questions: questions() };
        let fault =
            |information, address| [("exit_code", 0x400), ("exit_info_1", information), ("exit_info_2", address)];
        check(
            &judge.machine,
            &case,
            [
                fault(0x1_0000_0004, NOTHING + 0x238),
                fault(0x1_0000_0007, PROTECTED + 0x238),
                fault(0x2_0000_0006, NOTHING + 3 * 8),
            ],
        );
    }
}

/// SDM *Exit Qualification for EPT Violations*: bit 8 is a violation by the access, and not by the guest's walk.
#[test]
fn under_ept() {
    if require(Emulator::Bochs).is_none() {
        return;
    }
    let machine = Machine::vmx("corei7_haswell_4770").unwrap();
    let image = image(4, |to, writable| to | LARGE | 6 << 3 | if writable { 0b111 } else { 0b101 });
    let nested = Nested::Ept { eptp: table(3) | 0x1e, mode_based_execute: false };
    let case = Case { image, guest: Some(guest()), nested, questions: questions() };
    let fault = |qualification, address| {
        [("exit_reason", 48), ("qualification", qualification), ("guest_physical_address", address)]
    };
    check(
        &machine,
        &case,
        [fault(0x181, NOTHING + 0x238), fault(0x1aa, PROTECTED + 0x238), fault(0x81, NOTHING + 3 * 8)],
    );
}

/// SDM *EPT Violations*: writes that set flags in the guest's own entries are data writes.
#[test]
fn marks_under_ept_are_writes() {
    if require(Emulator::Bochs).is_none() {
        return;
    }
    let machine = Machine::vmx("corei7_haswell_4770").unwrap();
    let rights = |to, writable| if writable && to != GUEST { 0b111 } else { 0b101 };
    let image = image(4, |to, writable| to | LARGE | 6 << 3 | rights(to, writable));
    let deviates = machine.deviates(&MARKS_ARE_NO_WRITES_IN_EPT);
    let without_flags = if deviates { Ok(Some(MEMORY + 0x238)) } else { Err(Permission) };
    for (flags, expected) in [(0, without_flags), (1 << 6, Err(Permission))] {
        let nested = Nested::Ept { eptp: table(3) | 0x1e | flags, mode_based_execute: false };
        let questions = vec![(probe(0x238, Read), expected)];
        let case = Case { image: image.clone(), guest: Some(guest()), nested, questions };
        let outcome = run(&machine, &case, &[GUEST]);
        assert_eq!(short(&outcome.verdicts[0]), expected);
        assert_eq!(outcome.words[0] & ACCESSED != 0, expected.is_ok(), "{outcome:x?}");
    }
}
