//! The RISC-V IOMMU: its second stage, Sv39x4, and its first, Sv39.

use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::Access::{Read, Write};
use tablewright_tests::mmu::FaultKind::{Bus, Unspecified};
use tablewright_tests::mmu::Verdict;
use tablewright_tests::mmu::deviations::{
    Deviation, IOMMU_ADDRESS_IS_WIDE, IOMMU_IGNORES_POINTER_BITS, IOMMU_IGNORES_USER, IOMMU_REPORTS_NO_GPA,
    IOMMU_STORES_UNACCESSED,
};
use tablewright_tests::mmu::iommu::riscv;

use super::{Judge, LEVEL_0, LEVEL_1, ROOT, TARGET};

fn start() -> Option<(Judge, Found)> {
    let registers = |root: u64| vec![("tc", 1), ("iohgatp", 8 << 60 | 3 << 44 | root >> 12), ("fsc", 0)];
    Some((Judge::start(&riscv::PATH, registers)?, require(Emulator::QemuRiscv64)?))
}

/// V, and A, D, U, W and R of a leaf.
const POINTER: u64 = 0x1;
const LEAF: u64 = 0xd7;

fn to(address: u64) -> u64 {
    address >> 12 << 10
}

/// A way to the table of pages, and one page.
fn one_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, to(free + LEVEL_1) | POINTER), (LEVEL_1, to(free + LEVEL_0) | POINTER), (LEVEL_0 + 8, page)]
}

#[test]
fn rights_are_asked_for() {
    let Some((mut judge, _)) = start() else { return };
    let free = judge.free;
    let page = |bits| one_page(free, to(free + TARGET) | bits);
    assert_eq!(judge.reaches(&page(LEAF), 0x1238, Read), Some(0x238));
    assert_eq!(judge.reaches(&page(LEAF), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&page(LEAF & !4), 0x1238, Read), Some(0x238), "without W");
    assert_eq!(judge.faults(&page(LEAF & !4), 0x1238, Write), Some(Unspecified), "without W");
    assert_eq!(judge.faults(&page(LEAF & !2), 0x1238, Read), Some(Unspecified), "W without R");
    assert_eq!(judge.faults(&page(LEAF & !0x80), 0x1238, Write), Some(Unspecified), "without D");
    assert_eq!(judge.faults(&page(LEAF & !1), 0x1238, Read), Some(Unspecified), "without V");
    assert_eq!(judge.faults(&page(LEAF), 0x2000, Read), Some(Unspecified), "the next page");
    assert_eq!(judge.faults(&page(LEAF), 1 << 41 | 0x1238, Read), Some(Unspecified), "above 41 bits");
}

#[test]
fn roots_have_four_pages() {
    let Some((mut judge, _)) = start() else { return };
    let gigabyte = to(0x8000_0000) | LEAF;
    let at = judge.free - 0x8000_0000 + TARGET + 0x18;
    assert_eq!(judge.reaches(&[(ROOT + 0x1008, gigabyte)], (0x201 << 30) + at, Write), Some(0x18));
    assert_eq!(judge.faults(&[(ROOT + 0x1008, gigabyte)], (1 << 30) + at, Write), Some(Unspecified));
}

#[test]
fn departures_are_known() {
    let Some((mut judge, found)) = start() else { return };
    let free = judge.free;
    let page = |bits| one_page(free, to(free + TARGET) | bits);
    let departs = |known: &Deviation| known.applies_to(&found);

    let wide = [60, 62].map(|bit| judge.faults(&page(LEAF | 1 << bit), 0x1238, Read).is_none());
    assert_eq!(wide, [departs(&IOMMU_ADDRESS_IS_WIDE); 2], "a reserved bit, and a memory type that it does not have");
    let by_users = judge.reaches(&page(LEAF & !0x10), 0x1238, Read).is_some();
    assert_eq!(by_users, departs(&IOMMU_IGNORES_USER));
    let unaccessed = judge.reaches(&page(LEAF & !0x40), 0x1238, Write).is_some();
    assert_eq!(unaccessed, departs(&IOMMU_STORES_UNACCESSED));
    let mut marked = page(LEAF);
    marked[1].1 |= 0x40;
    assert_eq!(judge.reaches(&marked, 0x1238, Read).is_some(), departs(&IOMMU_IGNORES_POINTER_BITS));
    let Verdict::Fault(fault) = judge.ask(&page(0), 0x1238, Read) else { panic!("nothing is mapped") };
    let told = fault.report.contains(&("iotval2", 0x1238));
    assert_eq!(!told, departs(&IOMMU_REPORTS_NO_GPA), "{fault:x?}");
}

fn start_first_stage(registers: fn(u64) -> Vec<(&'static str, u64)>) -> Option<(Judge, Found)> {
    Some((Judge::start(&riscv::PATH, registers)?, require(Emulator::QemuRiscv64)?))
}

/// V; PSCID 3; Sv39.
fn by_device(root: u64) -> Vec<(&'static str, u64)> {
    vec![("tc", 1), ("iohgatp", 0), ("ta", 3 << 12), ("fsc", 8 << 60 | root >> 12)]
}

/// V and PDTV; V and PSCID 3; Sv39.
fn by_process(root: u64) -> Vec<(&'static str, u64)> {
    vec![("tc", 0x21), ("iohgatp", 0), ("ta", 3 << 12 | 1), ("fsc", 8 << 60 | root >> 12)]
}

#[test]
fn first_stage_rights_are_asked_for() {
    for registers in [by_device, by_process] {
        let Some((mut judge, found)) = start_first_stage(registers) else { return };
        let free = judge.free;
        let page = |bits| one_page(free, to(free + TARGET) | bits);
        assert_eq!(judge.reaches(&page(LEAF), 0x1238, Read), Some(0x238));
        assert_eq!(judge.reaches(&page(LEAF), 0x1238, Write), Some(0x238));
        assert_eq!(judge.faults(&page(LEAF & !4), 0x1238, Write), Some(Unspecified), "without W");
        assert_eq!(judge.faults(&page(LEAF & !6 | 8), 0x1238, Read), Some(Unspecified), "X alone");
        assert_eq!(judge.faults(&page(LEAF & !1), 0x1238, Read), Some(Unspecified), "without V");
        assert_eq!(judge.faults(&page(LEAF), 1 << 39 | 0x1238, Read), Some(Unspecified), "above 39 bits");
        let mut upper = page(LEAF);
        upper[0].0 = ROOT + 0x800;
        assert_eq!(judge.reaches(&upper, !0 << 38 | 0x1238, Read), Some(0x238), "the upper half");
        assert_eq!(judge.faults(&upper, 1 << 38 | 0x1238, Read), Some(Unspecified), "bit 38 is not extended");
        let by_users = judge.reaches(&page(LEAF & !0x10), 0x1238, Read).is_some();
        assert_eq!(by_users, IOMMU_IGNORES_USER.applies_to(&found), "without U");
    }
}

#[test]
fn processes_have_contexts() {
    let invalid =
        |root| by_process(root).into_iter().map(|(name, value)| (name, if name == "ta" { 0 } else { value })).collect();
    let Some((mut judge, _)) = start_first_stage(invalid) else { return };
    let page = one_page(judge.free, to(judge.free + TARGET) | LEAF);
    assert_eq!(judge.faults(&page, 0x1238, Read), Some(Bus), "V of ta is 0");
}
