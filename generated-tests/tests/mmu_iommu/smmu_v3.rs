//! Arm's SMMUv3, stage 2: 4 KiB granule, IDR5.OAS 44 bits. 39 or 40 bits of input from level 1 on, as the manual counts.

use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::Access::{Read, Write};
use tablewright_tests::mmu::FaultKind::{AccessFlag, AddressSize, Bus, NotMapped, Permission};
use tablewright_tests::mmu::deviations::{
    Deviation, SMMU_CHECKS_ADDRESS_LAST, SMMU_READS_WIDE_TABLES, SMMU_ROOT_IS_ONE_TABLE, SMMU_TAKES_ANY_BLOCK,
};
use tablewright_tests::mmu::iommu::smmu_v3;

use super::{Judge, LEVEL_0, LEVEL_1, ROOT, TARGET};

fn start(input_bits: u64) -> Option<(Judge, Found)> {
    let registers: fn(u64) -> Vec<_> = match input_bits {
        39 => |root| ste(39, 1, root),
        40 => |root| ste(40, 1, root),
        _ => |root| ste(44, 2, root),
    };
    Some((Judge::start(&smmu_v3::PATH, registers)?, require(Emulator::QemuAarch64)?))
}

/// S2VMID, S2T0SZ, S2SL0, S2PS (44 bits), S2AA64, S2R.
fn ste(input_bits: u64, start: u64, root: u64) -> Vec<(&'static str, u64)> {
    let control = 5 | (64 - input_bits) << 32 | start << 38 | 4 << 48 | 1 << 51 | 1 << 58;
    vec![("ste0", 0xd), ("ste1", 1 << 44), ("ste2", control), ("ste3", root)]
}

/// A table; a page and a block with AF, and the rights to read and write.
const TABLE: u64 = 0b11;
const PAGE: u64 = 0x4ff;
const BLOCK: u64 = 0x4fd;

fn one_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, (free + LEVEL_1) | TABLE), (LEVEL_1, (free + LEVEL_0) | TABLE), (LEVEL_0 + 8, page)]
}

#[test]
fn rights_are_asked_for() {
    let Some((mut judge, _)) = start(39) else { return };
    let free = judge.free;
    let page = |bits| one_page(free, (free + TARGET) | bits);
    assert_eq!(judge.reaches(&page(PAGE), 0x1238, Read), Some(0x238));
    assert_eq!(judge.reaches(&page(PAGE), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&page(PAGE & !0x80), 0x1238, Read), Some(0x238), "S2AP 01");
    assert_eq!(judge.faults(&page(PAGE & !0x80), 0x1238, Write), Some(Permission), "S2AP 01");
    assert_eq!(judge.faults(&page(PAGE & !0x40), 0x1238, Read), Some(Permission), "S2AP 10");
    assert_eq!(judge.faults(&page(PAGE & !0x400), 0x1238, Read), Some(AccessFlag));
    assert_eq!(judge.faults(&page(PAGE & !1), 0x1238, Read), Some(NotMapped));
    assert_eq!(judge.faults(&page(PAGE & !2), 0x1238, Read), Some(NotMapped), "a block of level 3");
    assert_eq!(judge.faults(&page(PAGE | 1 << 44), 0x1238, Read), Some(AddressSize));
    assert_eq!(judge.faults(&page(PAGE), 1 << 39 | 0x1238, Read), Some(NotMapped));
}

#[test]
fn departures_are_known() {
    let Some((mut judge, found)) = start(39) else { return };
    let free = judge.free;
    let page = |bits| one_page(free, (free + TARGET) | bits);
    let departs = |known: &Deviation| known.applies_to(&found);

    let late = judge.faults(&page(PAGE & !0x400 | 1 << 44), 0x1238, Read);
    assert_eq!(late == Some(AccessFlag), departs(&SMMU_CHECKS_ADDRESS_LAST), "{late:?}");
    let mut far = page(PAGE);
    far[1].1 |= 1 << 44;
    let far = judge.faults(&far, 0x1238, Read);
    assert_eq!(far == Some(Bus), departs(&SMMU_READS_WIDE_TABLES), "{far:?}");

    let Some((mut judge, _)) = start(44) else { return };
    let block = judge.faults(&[(ROOT, 1 << 44 | BLOCK)], 0x1238, Read);
    assert_eq!(block == Some(AddressSize), departs(&SMMU_TAKES_ANY_BLOCK), "{block:?}: a block of level 0");

    let Some((mut judge, _)) = start(40) else { return };
    let second = [(ROOT, 0), (ROOT + 0x1000, 0x4000_0000 | BLOCK)];
    let at = judge.free - 0x4000_0000 + TARGET + 0x18;
    let own = judge.reaches(&second, (1 << 39) + at, Read);
    assert_eq!(own.is_none(), departs(&SMMU_ROOT_IS_ONE_TABLE), "{own:x?}");
}
