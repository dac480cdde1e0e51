//! AMD's IOMMU: host page tables of 3 levels, which the manual counts from 1.

use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::Access::{Read, Write};
use tablewright_tests::mmu::FaultKind::Unspecified;
use tablewright_tests::mmu::deviations::{
    AMD_IGNORES_SKIPPED_BITS, AMD_IGNORES_UPPER_BITS, AMD_RECORDS_NO_FAULTS, AMD_TAKES_ILLEGAL_ENTRIES,
    AMD_TRANSLATES_BY_ABSENT_LEAVES, Deviation,
};
use tablewright_tests::mmu::iommu::amd;

use super::{Judge, LEVEL_0, LEVEL_1, ROOT, TARGET};

fn start() -> Option<(Judge, Found)> {
    // V, TV, Mode 3, IR and IW; domain 1.
    let registers = |root: u64| vec![("dte0", root | 3 | 3 << 9 | RIGHTS), ("dte1", 1)];
    Some((Judge::start(&amd::PATH, registers)?, require(Emulator::QemuX86)?))
}

/// IR and IW.
const READ: u64 = 1 << 61;
const WRITE: u64 = 1 << 62;
const RIGHTS: u64 = READ | WRITE;

/// An entry with PR, all rights and this Next Level.
fn entry(address: u64, next_level: u64) -> u64 {
    address | 1 | next_level << 9 | RIGHTS
}

fn one_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, entry(free + LEVEL_1, 2)), (LEVEL_1, entry(free + LEVEL_0, 1)), (LEVEL_0 + 8, page)]
}

#[test]
fn rights_are_asked_for() {
    let Some((mut judge, _)) = start() else { return };
    let free = judge.free;
    let leaf = entry(free + TARGET, 0);
    assert_eq!(judge.reaches(&one_page(free, leaf), 0x1238, Read), Some(0x238));
    assert_eq!(judge.reaches(&one_page(free, leaf), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&one_page(free, leaf & !WRITE), 0x1238, Read), Some(0x238), "without IW");
    assert_eq!(judge.faults(&one_page(free, leaf & !WRITE), 0x1238, Write), Some(Unspecified), "without IW");
    assert_eq!(judge.faults(&one_page(free, leaf & !READ), 0x1238, Read), Some(Unspecified), "without IR");
    assert_eq!(judge.faults(&one_page(free, leaf & !READ), 0x1238, Write), None, "without IR");
    assert_eq!(judge.faults(&one_page(free, 0), 0x1238, Read), Some(Unspecified));
    assert_eq!(judge.faults(&one_page(free, leaf), 0x2000, Read), Some(Unspecified), "the next page");
    let mut read_only = one_page(free, leaf);
    read_only[0].1 &= !WRITE;
    assert_eq!(judge.faults(&read_only, 0x1238, Write), Some(Unspecified), "IW of a table");
    assert_eq!(judge.reaches(&read_only, 0x1238, Read), Some(0x238), "IW of a table");
    let mut absent = one_page(free, leaf);
    absent[1].1 &= !1;
    assert_eq!(judge.faults(&absent, 0x1238, Read), Some(Unspecified), "PR of a table");
}

#[test]
fn sizes_are_in_addresses() {
    let Some((mut judge, _)) = start() else { return };
    let free = judge.free;
    // Bit 12 is 0: 8 KiB. Bits 13:12 are 1, and bit 14 is 0: 32 KiB.
    for (code, bytes) in [(0, 0x2000), (0x3000, 0x8000)] {
        let at = |address: u64| (LEVEL_0 + address / 0x1000 * 8, entry(free + TARGET + code, 7));
        let [root, table, _] = one_page(free, 0);
        let entries = [root, table, at(bytes), at(2 * bytes - 0x1000)];
        assert_eq!(judge.reaches(&entries, bytes + 0x238, Read), Some(0x238), "{bytes:#x} bytes");
        assert_eq!(judge.reaches(&entries, 2 * bytes - 0x238, Write), Some(bytes - 0x238), "{bytes:#x} bytes");
    }
    let large = [(ROOT, entry(free + LEVEL_1, 2)), (LEVEL_1 + 8, entry(free + TARGET, 0))];
    assert_eq!(judge.reaches(&large, 0x20_1238, Write), Some(0x1238), "a page of the level's own size");
}

#[test]
fn levels_may_be_skipped() {
    let Some((mut judge, found)) = start() else { return };
    let skip = [(ROOT, entry(judge.free + LEVEL_0, 1)), (LEVEL_0 + 8, entry(judge.free + TARGET, 0))];
    assert_eq!(judge.reaches(&skip, 0x1238, Write), Some(0x238));
    let other = judge.reaches(&skip, 0x20_1238, Write);
    assert_eq!(other.is_some(), AMD_IGNORES_SKIPPED_BITS.applies_to(&found), "{other:x?}");
}

#[test]
fn departures_are_known() {
    let Some((mut judge, found)) = start() else { return };
    let free = judge.free;
    let leaf = entry(free + TARGET, 0);
    let departs = |known: &Deviation| known.applies_to(&found);

    let absent = judge.reaches(&one_page(free, leaf & !1), 0x1238, Read).is_some();
    assert_eq!(absent, departs(&AMD_TRANSLATES_BY_ABSENT_LEAVES));
    let reserved = judge.reaches(&one_page(free, leaf | 1 << 52), 0x1238, Read).is_some();
    // 2 MiB, as a size of its own, in a table of pages.
    let large = judge.reaches(&one_page(free, entry(free + TARGET + 0xff000, 7)), 0x1238, Read).is_some();
    assert_eq!([reserved, large], [departs(&AMD_TAKES_ILLEGAL_ENTRIES); 2]);
    let upper = judge.reaches(&one_page(free, leaf), 1 << 39 | 0x1238, Read).is_some();
    assert_eq!(upper, departs(&AMD_IGNORES_UPPER_BITS));
    let mut denied = one_page(free, leaf);
    denied[0].1 &= !WRITE;
    for entries in [one_page(free, 0), denied] {
        assert_eq!(judge.faults(&entries, 0x1238, Write), Some(Unspecified));
        assert_eq!(judge.dma.board.machine.read(amd::EVENT_TAIL, 8) == 0, departs(&AMD_RECORDS_NO_FAULTS));
    }
}
