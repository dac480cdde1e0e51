//! Intel's VT-d: the second stage of 3 levels, in legacy and in scalable mode, and the first stage of 4 levels.

use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::Access::{Read, Write};
use tablewright_tests::mmu::FaultKind::{AddressSize, Misconfigured, NotMapped, Permission, Unspecified};
use tablewright_tests::mmu::Verdict;
use tablewright_tests::mmu::deviations::{
    VTD_KEEPS_STATES, VTD_RECORDS_LEGACY_REASONS, VTD_REFUSES_WHOLE_PAGES, VTD_TAKES_WIDTH_OF_SECOND_STAGE,
};
use tablewright_tests::mmu::iommu::{Path, vtd};

use super::{Judge, LEVEL_0, LEVEL_1, ROOT, TARGET};

fn start() -> Option<(Judge, Found)> {
    // Present; domain 1, 39 bits.
    let registers = |root: u64| vec![("entry0", root | 1), ("entry1", 1 << 8 | 1)];
    Some((Judge::start(&vtd::LEGACY, registers)?, require(Emulator::QemuX86)?))
}

/// R and W; PS.
const READ_WRITE: u64 = 0b11;
const LARGE: u64 = 1 << 7;

fn one_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, (free + LEVEL_1) | READ_WRITE), (LEVEL_1, (free + LEVEL_0) | READ_WRITE), (LEVEL_0 + 8, page)]
}

#[test]
fn rights_are_asked_for() {
    let Some((mut judge, _)) = start() else { return };
    let free = judge.free;
    let page = |bits| one_page(free, (free + TARGET) | bits);
    assert_eq!(judge.reaches(&page(READ_WRITE), 0x1238, Read), Some(0x238));
    assert_eq!(judge.reaches(&page(READ_WRITE), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&page(0b01), 0x1238, Read), Some(0x238), "without W");
    assert_eq!(judge.faults(&page(0b01), 0x1238, Write), Some(Unspecified), "without W");
    assert_eq!(judge.faults(&page(0b10), 0x1238, Read), Some(Unspecified), "without R");
    assert_eq!(judge.faults(&page(0b10), 0x1238, Write), None, "without R");
    assert_eq!(judge.faults(&page(0), 0x1238, Read), Some(Unspecified));
    assert_eq!(judge.faults(&page(READ_WRITE), 0x2000, Read), Some(Unspecified), "the next page");
    assert_eq!(judge.faults(&page(READ_WRITE), 1 << 39 | 0x1238, Read), Some(AddressSize));
    let mut read_only = page(READ_WRITE);
    read_only[0].1 &= !0b10;
    assert_eq!(judge.faults(&read_only, 0x1238, Write), Some(Unspecified), "W of a table");
    assert_eq!(judge.reaches(&read_only, 0x1238, Read), Some(0x238), "W of a table");
}

#[test]
fn reserved_bits_are_checked() {
    let Some((mut judge, _)) = start() else { return };
    let free = judge.free;
    let page = |bits| one_page(free, (free + TARGET) | READ_WRITE | bits);
    assert_eq!(judge.faults(&page(1 << 48), 0x1238, Read), Some(Misconfigured), "above 48 bits");
    assert_eq!(judge.faults(&page(1 << 62), 0x1238, Read), Some(Misconfigured), "TM");
    assert_eq!(judge.reaches(&page(1 << 63 | 0x3ff << 52), 0x1238, Read), Some(0x238), "ignored");
    assert_eq!(judge.reaches(&page(1 << 11), 0x1238, Read), Some(0x238), "SNP");
    let mut table = page(0);
    table[1].1 |= 1 << 11;
    assert_eq!(judge.faults(&table, 0x1238, Read), Some(Misconfigured), "SNP of a table");
    let block = |bits| [(ROOT, (free + LEVEL_1) | READ_WRITE), (LEVEL_1 + 8, bits | READ_WRITE | LARGE)];
    assert_eq!(judge.reaches(&block(free + TARGET), 0x20_1238, Write), Some(0x1238));
    assert_eq!(judge.faults(&block(free + TARGET + 0x1000), 0x20_1238, Write), Some(Misconfigured));
}

#[test]
fn departures_are_known() {
    let Some((mut judge, found)) = start() else { return };
    // Interrupts are at 0xfee0_0000, and nothing is here.
    let blocked = judge.faults(&[(ROOT, 0xc000_0000 | READ_WRITE | LARGE)], 0x1000_0000, Read);
    assert_eq!(blocked.is_some(), VTD_REFUSES_WHOLE_PAGES.applies_to(&found), "{blocked:?}");
}

fn start_scalable() -> Option<(Judge, Found)> {
    // Present, 39 bits, second stage; domain 1.
    let registers = |root: u64| vec![("entry0", root | 2 << 6 | 1 << 2 | 1), ("entry1", 1)];
    Some((Judge::start(&vtd::scalable::SECOND_STAGE, registers)?, require(Emulator::QemuX86)?))
}

#[test]
fn has_the_second_stage_in_scalable_mode() {
    let Some((mut judge, found)) = start_scalable() else { return };
    let free = judge.free;
    let page = |bits| one_page(free, (free + TARGET) | bits);
    assert_eq!(judge.reaches(&page(READ_WRITE), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&page(0b01), 0x1238, Read), Some(0x238), "without W");
    assert_eq!(judge.faults(&page(READ_WRITE | 1 << 62), 0x1238, Read), Some(Misconfigured), "TM");
    assert_eq!(judge.faults(&page(READ_WRITE), 1 << 39 | 0x1238, Read), Some(AddressSize));
    let Verdict::Fault(fault) = judge.ask(&page(0b01), 0x1238, Write) else { panic!("without W") };
    let [(_, _), (_, high)] = fault.report[..] else { panic!("two words") };
    assert_eq!(high >> 32 & 0xff == 5, VTD_RECORDS_LEGACY_REASONS.applies_to(&found), "{fault:x?}");
}

fn start_first_stage(path: &'static Path) -> Option<(Judge, Found)> {
    // Present, first stage; domain 1; WPE, 4 levels.
    let registers = |root: u64| vec![("pasid0", 1 << 6 | 1), ("pasid1", 1), ("pasid2", root | 1 << 4)];
    Some((Judge::start(path, registers)?, require(Emulator::QemuX86)?))
}

/// P, R/W and U/S; A and D.
const FIRST: u64 = 0b111;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;

/// A way by the first and the last entry of the root, and one page.
fn first_page(free: u64, page: u64) -> [(u64, u64); 5] {
    let level_2 = (free + ROOT + 0x1000) | FIRST;
    let (level_1, level_0) = ((free + LEVEL_1) | FIRST, (free + LEVEL_0) | FIRST);
    [(ROOT, level_2), (ROOT + 0xff8, level_2), (ROOT + 0x1000, level_1), (LEVEL_1, level_0), (LEVEL_0 + 8, page)]
}

#[test]
fn first_stage_is_for_users() {
    let Some((mut judge, _)) = start_first_stage(&vtd::scalable::FIRST_STAGE) else { return };
    let free = judge.free;
    let page = |bits| first_page(free, (free + TARGET) | bits);
    assert_eq!(judge.reaches(&page(FIRST), 0x1238, Read), Some(0x238));
    assert_eq!(judge.reaches(&page(FIRST), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&page(FIRST), 0xffff_ff80_0000_1238, Write), Some(0x238), "the upper half");
    assert_eq!(judge.faults(&page(FIRST), 1 << 47 | 0x1238, Read), Some(AddressSize), "not canonical");
    assert_eq!(judge.reaches(&page(0b101), 0x1238, Read), Some(0x238), "without R/W");
    assert_eq!(judge.faults(&page(0b101), 0x1238, Write), Some(Permission), "without R/W");
    assert_eq!(judge.faults(&page(0b011), 0x1238, Read), Some(Permission), "without U/S");
    assert_eq!(judge.faults(&page(0b110), 0x1238, Read), Some(NotMapped), "without P");
    assert_eq!(judge.faults(&page(FIRST), 0x2000, Read), Some(NotMapped), "the next page");
    assert_eq!(judge.reaches(&page(FIRST | 1 << 63 | 0b11 << 3), 0x1238, Read), Some(0x238), "XD, PCD and PWT");
    assert_eq!(judge.faults(&page(FIRST | 1 << 48), 0x1238, Read), Some(Misconfigured), "above 48 bits");
    for (entry, bit) in [(0, 0b010), (2, 0b010), (3, 0b100)] {
        let mut table = page(FIRST);
        table[entry].1 &= !bit;
        assert_eq!(judge.faults(&table, 0x1238, Write), Some(Permission), "{bit:#b} of a table");
    }
}

#[test]
fn first_stage_marks() {
    let Some((mut judge, found)) = start_first_stage(&vtd::scalable::FIRST_STAGE) else { return };
    let leaf = (judge.free + TARGET) | FIRST;
    let mut marks = |page: u64, access, entry| {
        let entries = first_page(judge.free, leaf | page);
        judge.leaves(&entries, 0x1238, access, entry) & (ACCESSED | DIRTY)
    };
    assert_eq!(marks(0, Read, LEVEL_0 + 8), ACCESSED);
    assert_eq!(marks(0, Write, LEVEL_0 + 8), ACCESSED | DIRTY);
    assert_eq!(marks(0, Write, LEVEL_1), ACCESSED, "a table");
    let kept = [ACCESSED, DIRTY].map(|state| marks(state, Write, LEVEL_0 + 8) == state);
    assert_eq!(kept, [VTD_KEEPS_STATES.applies_to(&found); 2]);
}

#[test]
fn first_stage_needs_no_second() {
    let Some((mut judge, found)) = start_first_stage(&vtd::scalable::FIRST_STAGE_ALONE) else { return };
    let page = first_page(judge.free, (judge.free + TARGET) | FIRST);
    let refused = judge.faults(&page, 0xffff_ff80_0000_1238, Read);
    assert_eq!(refused == Some(AddressSize), VTD_TAKES_WIDTH_OF_SECOND_STAGE.applies_to(&found), "{refused:?}");
}
