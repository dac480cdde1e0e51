//! Checks the judges of IOMMUs' tables themselves: tables written by hand from the manuals, and what QEMU must say of the
//! loads and stores of a device.

use tablewright_tests::emulators::{Emulator, Found, require};
use tablewright_tests::mmu::Access::{Read, Write};
use tablewright_tests::mmu::FaultKind::{
    self, AccessFlag, AddressSize, Bus, Misconfigured, NotMapped, Permission, Unspecified,
};
use tablewright_tests::mmu::deviations::{
    AMD_IGNORES_SKIPPED_BITS, AMD_IGNORES_UPPER_BITS, AMD_RECORDS_NO_FAULTS, AMD_TAKES_ILLEGAL_ENTRIES,
    AMD_TRANSLATES_BY_ABSENT_LEAVES, Deviation, IOMMU_ADDRESS_IS_WIDE, IOMMU_IGNORES_POINTER_BITS, IOMMU_IGNORES_USER,
    IOMMU_REPORTS_NO_GPA, IOMMU_STORES_UNACCESSED, SMMU_CHECKS_ADDRESS_LAST, SMMU_READS_WIDE_TABLES,
    SMMU_ROOT_IS_ONE_TABLE, SMMU_TAKES_ANY_BLOCK, VTD_KEEPS_STATES, VTD_RECORDS_LEGACY_REASONS,
    VTD_REFUSES_WHOLE_PAGES, VTD_TAKES_WIDTH_OF_SECOND_STAGE,
};
use tablewright_tests::mmu::iommu::{Dma, Path, amd, riscv, smmu_v3, vtd};
use tablewright_tests::mmu::{Access, Probe, Verdict};

/// Where tables are in a machine's free memory: the root, which may have several pages, and one for each level below.
const ROOT: u64 = 0;
const LEVEL_1: u64 = 0x1_0000;
const LEVEL_0: u64 = 0x1_1000;
/// Where leaves lead to, in free memory.
const TARGET: u64 = 0x20_0000;

/// A machine, and what leads its device to a root.
struct Judge {
    dma: Dma,
    free: u64,
    registers: fn(u64) -> Vec<(&'static str, u64)>,
}

impl Judge {
    /// `None` if there is no QEMU for it.
    fn start(path: &'static Path, registers: fn(u64) -> Vec<(&'static str, u64)>) -> Option<Self> {
        let dma = Dma::start(path)?;
        let free = dma.ram().start;
        Some(Self { dma, free, registers })
    }

    /// What an access comes to with these entries: where they are from the start of free memory on, and their values.
    fn ask(&mut self, entries: &[(u64, u64)], address: u64, access: Access) -> Verdict {
        let chunks: Vec<_> = [ROOT, ROOT + 0x1000, LEVEL_1, LEVEL_0]
            .map(|table| {
                let mut page = vec![0; 0x1000];
                for &(at, entry) in entries.iter().filter(|(at, _)| (table..table + 0x1000).contains(at)) {
                    page[(at - table) as usize..][..8].copy_from_slice(&entry.to_le_bytes());
                }
                (self.free + table, page)
            })
            .into();
        self.dma.clear();
        self.dma.load(&chunks);
        self.dma.translate(&(self.registers)(self.free + ROOT));
        self.dma.probe(&[Probe { address, access, user: false }]).remove(0)
    }

    /// Where the access went, from the start of the targets on.
    fn reaches(&mut self, entries: &[(u64, u64)], address: u64, access: Access) -> Option<u64> {
        match self.ask(entries, address, access) {
            Verdict::Translated(at) => Some(at.expect("readable memory") - self.free - TARGET),
            Verdict::Fault(_) => None,
        }
    }

    /// What fault it met.
    fn faults(&mut self, entries: &[(u64, u64)], address: u64, access: Access) -> Option<FaultKind> {
        match self.ask(entries, address, access) {
            Verdict::Translated(_) => None,
            Verdict::Fault(fault) => Some(fault.kind),
        }
    }

    /// What an entry is after an access.
    fn leaves(&mut self, entries: &[(u64, u64)], address: u64, access: Access, entry: u64) -> u64 {
        assert!(self.reaches(entries, address, access).is_some());
        self.dma.board.read(self.free + entry)
    }
}

// RISC-V IOMMU: Sv39x4.

fn riscv_judge() -> Option<(Judge, Found)> {
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
fn riscv_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, to(free + LEVEL_1) | POINTER), (LEVEL_1, to(free + LEVEL_0) | POINTER), (LEVEL_0 + 8, page)]
}

#[test]
fn riscv_rights_are_asked_for() {
    let Some((mut judge, _)) = riscv_judge() else { return };
    let free = judge.free;
    let page = |bits| riscv_page(free, to(free + TARGET) | bits);
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
fn riscv_roots_have_four_pages() {
    let Some((mut judge, _)) = riscv_judge() else { return };
    let gigabyte = to(0x8000_0000) | LEAF;
    let at = judge.free - 0x8000_0000 + TARGET + 0x18;
    assert_eq!(judge.reaches(&[(ROOT + 0x1008, gigabyte)], (0x201 << 30) + at, Write), Some(0x18));
    assert_eq!(judge.faults(&[(ROOT + 0x1008, gigabyte)], (1 << 30) + at, Write), Some(Unspecified));
}

#[test]
fn riscv_departures_are_known() {
    let Some((mut judge, found)) = riscv_judge() else { return };
    let free = judge.free;
    let page = |bits| riscv_page(free, to(free + TARGET) | bits);
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

// RISC-V IOMMU: Sv39 of the first stage.

fn riscv_first_stage_judge(registers: fn(u64) -> Vec<(&'static str, u64)>) -> Option<(Judge, Found)> {
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
fn riscv_first_stage_rights_are_asked_for() {
    for registers in [by_device, by_process] {
        let Some((mut judge, found)) = riscv_first_stage_judge(registers) else { return };
        let free = judge.free;
        let page = |bits| riscv_page(free, to(free + TARGET) | bits);
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
fn riscv_processes_have_contexts() {
    let invalid =
        |root| by_process(root).into_iter().map(|(name, value)| (name, if name == "ta" { 0 } else { value })).collect();
    let Some((mut judge, _)) = riscv_first_stage_judge(invalid) else { return };
    let page = riscv_page(judge.free, to(judge.free + TARGET) | LEAF);
    assert_eq!(judge.faults(&page, 0x1238, Read), Some(Bus), "V of ta is 0");
}

// SMMUv3: 4 KiB granule, IDR5.OAS 44 bits. 39 or 40 bits of input from level 1 on, as the manual counts.

fn smmu_judge(input_bits: u64) -> Option<(Judge, Found)> {
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

fn smmu_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, (free + LEVEL_1) | TABLE), (LEVEL_1, (free + LEVEL_0) | TABLE), (LEVEL_0 + 8, page)]
}

#[test]
fn smmu_rights_are_asked_for() {
    let Some((mut judge, _)) = smmu_judge(39) else { return };
    let free = judge.free;
    let page = |bits| smmu_page(free, (free + TARGET) | bits);
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
fn smmu_departures_are_known() {
    let Some((mut judge, found)) = smmu_judge(39) else { return };
    let free = judge.free;
    let page = |bits| smmu_page(free, (free + TARGET) | bits);
    let departs = |known: &Deviation| known.applies_to(&found);

    let late = judge.faults(&page(PAGE & !0x400 | 1 << 44), 0x1238, Read);
    assert_eq!(late == Some(AccessFlag), departs(&SMMU_CHECKS_ADDRESS_LAST), "{late:?}");
    let mut far = page(PAGE);
    far[1].1 |= 1 << 44;
    let far = judge.faults(&far, 0x1238, Read);
    assert_eq!(far == Some(Bus), departs(&SMMU_READS_WIDE_TABLES), "{far:?}");

    let Some((mut judge, _)) = smmu_judge(44) else { return };
    let block = judge.faults(&[(ROOT, 1 << 44 | BLOCK)], 0x1238, Read);
    assert_eq!(block == Some(AddressSize), departs(&SMMU_TAKES_ANY_BLOCK), "{block:?}: a block of level 0");

    let Some((mut judge, _)) = smmu_judge(40) else { return };
    let second = [(ROOT, 0), (ROOT + 0x1000, 0x4000_0000 | BLOCK)];
    let at = judge.free - 0x4000_0000 + TARGET + 0x18;
    let own = judge.reaches(&second, (1 << 39) + at, Read);
    assert_eq!(own.is_none(), departs(&SMMU_ROOT_IS_ONE_TABLE), "{own:x?}");
}

// VT-d: second stage, 3 levels.

fn vtd_judge() -> Option<(Judge, Found)> {
    // Present; domain 1, 39 bits.
    let registers = |root: u64| vec![("entry0", root | 1), ("entry1", 1 << 8 | 1)];
    Some((Judge::start(&vtd::LEGACY, registers)?, require(Emulator::QemuX86)?))
}

/// R and W; PS.
const READ_WRITE: u64 = 0b11;
const LARGE: u64 = 1 << 7;

fn vtd_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, (free + LEVEL_1) | READ_WRITE), (LEVEL_1, (free + LEVEL_0) | READ_WRITE), (LEVEL_0 + 8, page)]
}

#[test]
fn vtd_rights_are_asked_for() {
    let Some((mut judge, _)) = vtd_judge() else { return };
    let free = judge.free;
    let page = |bits| vtd_page(free, (free + TARGET) | bits);
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
fn vtd_reserved_bits_are_checked() {
    let Some((mut judge, _)) = vtd_judge() else { return };
    let free = judge.free;
    let page = |bits| vtd_page(free, (free + TARGET) | READ_WRITE | bits);
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
fn vtd_departures_are_known() {
    let Some((mut judge, found)) = vtd_judge() else { return };
    // Interrupts are at 0xfee0_0000, and nothing is here.
    let blocked = judge.faults(&[(ROOT, 0xc000_0000 | READ_WRITE | LARGE)], 0x1000_0000, Read);
    assert_eq!(blocked.is_some(), VTD_REFUSES_WHOLE_PAGES.applies_to(&found), "{blocked:?}");
}

// VT-d in scalable mode: second stage, 3 levels.

fn vtd_scalable_judge() -> Option<(Judge, Found)> {
    // Present, 39 bits, second stage; domain 1.
    let registers = |root: u64| vec![("entry0", root | 2 << 6 | 1 << 2 | 1), ("entry1", 1)];
    Some((Judge::start(&vtd::scalable::SECOND_STAGE, registers)?, require(Emulator::QemuX86)?))
}

#[test]
fn vtd_has_the_second_stage_in_scalable_mode() {
    let Some((mut judge, found)) = vtd_scalable_judge() else { return };
    let free = judge.free;
    let page = |bits| vtd_page(free, (free + TARGET) | bits);
    assert_eq!(judge.reaches(&page(READ_WRITE), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&page(0b01), 0x1238, Read), Some(0x238), "without W");
    assert_eq!(judge.faults(&page(READ_WRITE | 1 << 62), 0x1238, Read), Some(Misconfigured), "TM");
    assert_eq!(judge.faults(&page(READ_WRITE), 1 << 39 | 0x1238, Read), Some(AddressSize));
    let Verdict::Fault(fault) = judge.ask(&page(0b01), 0x1238, Write) else { panic!("without W") };
    let [(_, _), (_, high)] = fault.report[..] else { panic!("two words") };
    assert_eq!(high >> 32 & 0xff == 5, VTD_RECORDS_LEGACY_REASONS.applies_to(&found), "{fault:x?}");
}

// VT-d: first stage, 4 levels.

fn vtd_first_stage_judge(path: &'static Path) -> Option<(Judge, Found)> {
    // Present, first stage; domain 1; WPE, 4 levels.
    let registers = |root: u64| vec![("pasid0", 1 << 6 | 1), ("pasid1", 1), ("pasid2", root | 1 << 4)];
    Some((Judge::start(path, registers)?, require(Emulator::QemuX86)?))
}

/// P, R/W and U/S; A and D.
const FIRST: u64 = 0b111;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;

/// A way by the first and the last entry of the root, and one page.
fn vtd_first_page(free: u64, page: u64) -> [(u64, u64); 5] {
    let level_2 = (free + ROOT + 0x1000) | FIRST;
    let (level_1, level_0) = ((free + LEVEL_1) | FIRST, (free + LEVEL_0) | FIRST);
    [(ROOT, level_2), (ROOT + 0xff8, level_2), (ROOT + 0x1000, level_1), (LEVEL_1, level_0), (LEVEL_0 + 8, page)]
}

#[test]
fn vtd_first_stage_is_for_users() {
    let Some((mut judge, _)) = vtd_first_stage_judge(&vtd::scalable::FIRST_STAGE) else { return };
    let free = judge.free;
    let page = |bits| vtd_first_page(free, (free + TARGET) | bits);
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
fn vtd_first_stage_marks() {
    let Some((mut judge, found)) = vtd_first_stage_judge(&vtd::scalable::FIRST_STAGE) else { return };
    let leaf = (judge.free + TARGET) | FIRST;
    let mut marks = |page: u64, access, entry| {
        let entries = vtd_first_page(judge.free, leaf | page);
        judge.leaves(&entries, 0x1238, access, entry) & (ACCESSED | DIRTY)
    };
    assert_eq!(marks(0, Read, LEVEL_0 + 8), ACCESSED);
    assert_eq!(marks(0, Write, LEVEL_0 + 8), ACCESSED | DIRTY);
    assert_eq!(marks(0, Write, LEVEL_1), ACCESSED, "a table");
    let kept = [ACCESSED, DIRTY].map(|state| marks(state, Write, LEVEL_0 + 8) == state);
    assert_eq!(kept, [VTD_KEEPS_STATES.applies_to(&found); 2]);
}

#[test]
fn vtd_first_stage_needs_no_second() {
    let Some((mut judge, found)) = vtd_first_stage_judge(&vtd::scalable::FIRST_STAGE_ALONE) else { return };
    let page = vtd_first_page(judge.free, (judge.free + TARGET) | FIRST);
    let refused = judge.faults(&page, 0xffff_ff80_0000_1238, Read);
    assert_eq!(refused == Some(AddressSize), VTD_TAKES_WIDTH_OF_SECOND_STAGE.applies_to(&found), "{refused:?}");
}

// AMD's IOMMU: 3 levels, which the manual counts from 1.

fn amd_judge() -> Option<(Judge, Found)> {
    // V, TV, Mode 3, IR and IW; domain 1.
    let registers = |root: u64| vec![("dte0", root | 3 | 3 << 9 | AMD_RIGHTS), ("dte1", 1)];
    Some((Judge::start(&amd::PATH, registers)?, require(Emulator::QemuX86)?))
}

/// IR and IW.
const AMD_READ: u64 = 1 << 61;
const AMD_WRITE: u64 = 1 << 62;
const AMD_RIGHTS: u64 = AMD_READ | AMD_WRITE;

/// An entry with PR, all rights and this Next Level.
fn amd_entry(address: u64, next_level: u64) -> u64 {
    address | 1 | next_level << 9 | AMD_RIGHTS
}

fn amd_page(free: u64, page: u64) -> [(u64, u64); 3] {
    [(ROOT, amd_entry(free + LEVEL_1, 2)), (LEVEL_1, amd_entry(free + LEVEL_0, 1)), (LEVEL_0 + 8, page)]
}

#[test]
fn amd_rights_are_asked_for() {
    let Some((mut judge, _)) = amd_judge() else { return };
    let free = judge.free;
    let leaf = amd_entry(free + TARGET, 0);
    assert_eq!(judge.reaches(&amd_page(free, leaf), 0x1238, Read), Some(0x238));
    assert_eq!(judge.reaches(&amd_page(free, leaf), 0x1238, Write), Some(0x238));
    assert_eq!(judge.reaches(&amd_page(free, leaf & !AMD_WRITE), 0x1238, Read), Some(0x238), "without IW");
    assert_eq!(judge.faults(&amd_page(free, leaf & !AMD_WRITE), 0x1238, Write), Some(Unspecified), "without IW");
    assert_eq!(judge.faults(&amd_page(free, leaf & !AMD_READ), 0x1238, Read), Some(Unspecified), "without IR");
    assert_eq!(judge.faults(&amd_page(free, leaf & !AMD_READ), 0x1238, Write), None, "without IR");
    assert_eq!(judge.faults(&amd_page(free, 0), 0x1238, Read), Some(Unspecified));
    assert_eq!(judge.faults(&amd_page(free, leaf), 0x2000, Read), Some(Unspecified), "the next page");
    let mut read_only = amd_page(free, leaf);
    read_only[0].1 &= !AMD_WRITE;
    assert_eq!(judge.faults(&read_only, 0x1238, Write), Some(Unspecified), "IW of a table");
    assert_eq!(judge.reaches(&read_only, 0x1238, Read), Some(0x238), "IW of a table");
    let mut absent = amd_page(free, leaf);
    absent[1].1 &= !1;
    assert_eq!(judge.faults(&absent, 0x1238, Read), Some(Unspecified), "PR of a table");
}

#[test]
fn amd_sizes_are_in_addresses() {
    let Some((mut judge, _)) = amd_judge() else { return };
    let free = judge.free;
    // Bit 12 is 0: 8 KiB. Bits 13:12 are 1, and bit 14 is 0: 32 KiB.
    for (code, bytes) in [(0, 0x2000), (0x3000, 0x8000)] {
        let at = |address: u64| (LEVEL_0 + address / 0x1000 * 8, amd_entry(free + TARGET + code, 7));
        let [root, table, _] = amd_page(free, 0);
        let entries = [root, table, at(bytes), at(2 * bytes - 0x1000)];
        assert_eq!(judge.reaches(&entries, bytes + 0x238, Read), Some(0x238), "{bytes:#x} bytes");
        assert_eq!(judge.reaches(&entries, 2 * bytes - 0x238, Write), Some(bytes - 0x238), "{bytes:#x} bytes");
    }
    let large = [(ROOT, amd_entry(free + LEVEL_1, 2)), (LEVEL_1 + 8, amd_entry(free + TARGET, 0))];
    assert_eq!(judge.reaches(&large, 0x20_1238, Write), Some(0x1238), "a page of the level's own size");
}

#[test]
fn amd_levels_may_be_skipped() {
    let Some((mut judge, found)) = amd_judge() else { return };
    let skip = [(ROOT, amd_entry(judge.free + LEVEL_0, 1)), (LEVEL_0 + 8, amd_entry(judge.free + TARGET, 0))];
    assert_eq!(judge.reaches(&skip, 0x1238, Write), Some(0x238));
    let other = judge.reaches(&skip, 0x20_1238, Write);
    assert_eq!(other.is_some(), AMD_IGNORES_SKIPPED_BITS.applies_to(&found), "{other:x?}");
}

#[test]
fn amd_departures_are_known() {
    let Some((mut judge, found)) = amd_judge() else { return };
    let free = judge.free;
    let leaf = amd_entry(free + TARGET, 0);
    let departs = |known: &Deviation| known.applies_to(&found);

    let absent = judge.reaches(&amd_page(free, leaf & !1), 0x1238, Read).is_some();
    assert_eq!(absent, departs(&AMD_TRANSLATES_BY_ABSENT_LEAVES));
    let reserved = judge.reaches(&amd_page(free, leaf | 1 << 52), 0x1238, Read).is_some();
    // 2 MiB, as a size of its own, in a table of pages.
    let large = judge.reaches(&amd_page(free, amd_entry(free + TARGET + 0xff000, 7)), 0x1238, Read).is_some();
    assert_eq!([reserved, large], [departs(&AMD_TAKES_ILLEGAL_ENTRIES); 2]);
    let upper = judge.reaches(&amd_page(free, leaf), 1 << 39 | 0x1238, Read).is_some();
    assert_eq!(upper, departs(&AMD_IGNORES_UPPER_BITS));
    let mut denied = amd_page(free, leaf);
    denied[0].1 &= !AMD_WRITE;
    for entries in [amd_page(free, 0), denied] {
        assert_eq!(judge.faults(&entries, 0x1238, Write), Some(Unspecified));
        assert_eq!(judge.dma.board.machine.read(amd::EVENT_TAIL, 8) == 0, departs(&AMD_RECORDS_NO_FAULTS));
    }
}
