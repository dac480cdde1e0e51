//! Where an emulator's MMU is known to depart from the manual, and so cannot judge.
//!
//! Each entry has a witness among the tests of the machines: one that an emulator no longer departs from fails there, and
//! gets an end to its versions.

use crate::emulators::{Emulator, Found, Version};

/// A departure from the manual.
#[derive(Debug)]
pub struct Deviation {
    /// Which emulator departs.
    pub emulator: Emulator,
    /// Whether that is its IOMMU, not its processor.
    pub iommu: bool,
    /// The first version that was right, where there is one.
    pub until: Option<Version>,
    /// What it does, and what it should do.
    pub what: &'static str,
    /// What says so.
    pub manual: &'static str,
}

impl Deviation {
    /// Whether this emulator has it.
    pub fn applies_to(&self, found: &Found) -> bool {
        found.emulator == self.emulator && self.until.is_none_or(|right| found.version < right)
    }
}

/// The reserved memory type is taken.
pub const RESERVED_PBMT: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: false,
    until: None,
    what: "a leaf with PBMT=3 is translated, and should fault",
    manual: "RISC-V Privileged Architecture, Svpbmt: PBMT=3 is reserved, and reserved encodings raise a page fault",
};

/// A table that is not in memory is taken for one that maps nothing.
pub const TABLE_OUTSIDE_MEMORY: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: false,
    until: None,
    what: "a pointer to missing memory raises a guest-page fault, and should raise an access fault",
    manual: "RISC-V Privileged Architecture, Virtual Address Translation Process, step 2",
};

/// A G-stage root need not be aligned to its size.
pub const UNALIGNED_ROOT: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: false,
    until: None,
    what: "the two low bits of hgatp.PPN are kept and used, and should read as zero",
    manual: "RISC-V Privileged Architecture, hgatp: the root is 16 KiB, and aligned to that",
};

/// Marks in a guest's own entries are no writes to the guest's memory.
pub const MARKS_ARE_NO_WRITES: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: false,
    until: None,
    what: "hardware sets A and D in entries of vsatp's tables where the G-stage grants no right to write, and without \
           setting D there; it should need that right, and set D",
    manual: "RISC-V Privileged Architecture, H Extension, Two-Stage Address Translation; Svadu Extension",
};

/// One of two registers that have to agree is not asked.
pub const HENVCFG_IS_NOT_ASKED: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: false,
    until: None,
    what: "HLV and HSV in M-mode set A and D in entries of vsatp's tables where menvcfg.ADUE is 1, and should raise a page \
           fault where henvcfg.ADUE is 0",
    manual: "RISC-V Privileged Architecture, H Extension, henvcfg",
};

/// These are the same where registers have 32 bits.
pub const TABLE_OUTSIDE_MEMORY_32: Deviation = of_32_bits(TABLE_OUTSIDE_MEMORY);
/// See there.
pub const UNALIGNED_ROOT_32: Deviation = of_32_bits(UNALIGNED_ROOT);
/// See there.
pub const MARKS_ARE_NO_WRITES_32: Deviation = of_32_bits(MARKS_ARE_NO_WRITES);
/// See there.
pub const HENVCFG_IS_NOT_ASKED_32: Deviation = of_32_bits(HENVCFG_IS_NOT_ASKED);

const fn of_32_bits(deviation: Deviation) -> Deviation {
    Deviation { emulator: Emulator::QemuRiscv32, ..deviation }
}

/// Of an IOMMU's entries, too much is taken for the address.
pub const IOMMU_ADDRESS_IS_WIDE: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: true,
    until: None,
    what: "the IOMMU takes bits 61:54 of an entry for bits of its address, and does not look at 63:62; without Svnapot and \
           Svpbmt each of them should raise a page fault",
    manual: "RISC-V IOMMU Architecture Specification, Second-stage address translation",
};

/// An IOMMU's leaves need not be for users.
pub const IOMMU_IGNORES_USER: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: true,
    until: None,
    what: "the IOMMU translates users' requests by leaves whose U is 0, in either stage, and should raise a page fault",
    manual: "RISC-V IOMMU Architecture Specification, Process to translate an IOVA; Second-stage address translation",
};

/// Bits of an IOMMU's pointers are not checked.
pub const IOMMU_IGNORES_POINTER_BITS: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: true,
    until: None,
    what: "the IOMMU follows pointers in which A, D or U is set, and should raise a page fault, as they are reserved",
    manual: "RISC-V Privileged Architecture, Sv39: Virtual Address Translation Process, step 3",
};

/// An IOMMU stores by leaves that are not marked accessed.
pub const IOMMU_STORES_UNACCESSED: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: true,
    until: None,
    what: "without SADE or GADE, the IOMMU stores by leaves in which D is 1 and A is 0, and should raise a page fault",
    manual: "RISC-V Privileged Architecture, Virtual Address Translation Process, step 9",
};

/// An IOMMU's report lacks the guest-physical address.
pub const IOMMU_REPORTS_NO_GPA: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    iommu: true,
    until: None,
    what: "the IOMMU records guest-page faults with iotval2 = 0, which should be the guest-physical address",
    manual: "RISC-V IOMMU Architecture Specification, Fault/Event-Queue",
};

/// Upper address bits count only where the addresses are configured to have them.
pub const UPPER_ADDRESS_BITS: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: false,
    until: None,
    what: "with VTCR_EL2.PS below 52 bits, address bits 51:48 (64K granule) or 51:50 (VTCR_EL2.DS) of a descriptor are \
           ignored, and should raise an Address size fault",
    manual: "Arm ARM (DDI 0487), AArch64.S2NextWalkStateTable, AArch64.OAOutOfRange",
};

/// A page that hardware would mark dirty counts as one that cannot be written, where that matters to execution.
pub const CLEAN_IS_EXECUTED: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: false,
    until: None,
    what: "while hardware manages the dirty state, a leaf with DBM and AP[2] set that EL0 could write is executed by the \
           privileged level, and with SCTLR_ELx.WXN by any that could write it, and should raise a Permission fault",
    manual: "Arm ARM (DDI 0487), AArch64.S1ApplyOutputPerms: AP[2] of such a descriptor counts as 0",
};

/// A type of Device memory takes the place of a stricter one.
pub const DEVICE_IS_FORCED: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: false,
    until: None,
    what: "with HCR_EL2.FWB, a leaf of stage 2 of some type of Device memory gives that type to all of stage 1, and should \
           leave it a stricter type of Device memory",
    manual: "Arm ARM (DDI 0487), AArch64.S2ApplyFWBMemAttrs, S2CombineS1Device",
};

/// A type of Normal memory counts as one of Device memory.
pub const NON_CACHEABLE_ORDERS: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: false,
    until: None,
    what: "without HCR_EL2.FWB, Normal Non-cacheable in one stage and Device-nGRE or Device-GRE in the other come to \
           Device-nGnRE, and should come to the type of the other",
    manual: "Arm ARM (DDI 0487), AArch64.S2CombineS1MemAttrs",
};

/// Of two faults of an SMMU's, the wrong one comes first.
pub const SMMU_CHECKS_ADDRESS_LAST: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: true,
    until: None,
    what: "the SMMU records F_ACCESS or F_PERMISSION of a leaf whose address is too wide, too, and should record F_ADDR_SIZE",
    manual: "IHI 0070, F_ADDR_SIZE; Arm ARM (DDI 0487), AArch64.S2Walk",
};

/// An SMMU follows pointers to where there can be nothing.
pub const SMMU_READS_WIDE_TABLES: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: true,
    until: None,
    what: "the SMMU reads tables at addresses that are too wide, and records F_WALK_EABT, and should record F_ADDR_SIZE",
    manual: "IHI 0070, F_ADDR_SIZE; Arm ARM (DDI 0487), AArch64.S2Walk",
};

/// An SMMU's blocks are of any size.
pub const SMMU_TAKES_ANY_BLOCK: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: true,
    until: None,
    what: "the SMMU translates by blocks at levels that have none, and should record F_TRANSLATION",
    manual: "Arm ARM (DDI 0487), VMSAv8-64 Block descriptor and Page descriptor formats",
};

/// A root has one table only.
pub const SMMU_ROOT_IS_ONE_TABLE: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    iommu: true,
    until: None,
    what: "the SMMU translates all addresses by the first of concatenated tables, and should translate each by its own",
    manual: "Arm ARM (DDI 0487), Concatenated translation tables for the initial stage 2 lookup",
};

/// A bit of EPT blocks is not checked.
pub const BLOCK_BIT_12: Deviation = Deviation {
    emulator: Emulator::Bochs,
    iommu: false,
    until: None,
    what: "bit 12 of an EPT entry that maps 2 MiB or 1 GiB is ignored, and should be a misconfiguration",
    manual: "SDM volume 3, Format of an EPT Page-Directory Entry that Maps a 2-MByte Page, and of one of 1 GByte",
};

/// Marks in a guest's own entries are no writes to the guest's memory.
pub const MARKS_ARE_NO_WRITES_IN_EPT: Deviation = Deviation {
    emulator: Emulator::Bochs,
    iommu: false,
    until: None,
    what: "where EPT has no accessed and dirty flags, those of a guest's own entries are set although EPT grants no right \
           to write them, and that should be a violation",
    manual: "SDM volume 3, EPT Violations",
};

/// A bit of the exit qualification is in another place. No version before 3.0 has mode-based execute control.
pub const USER_EXECUTE_IN_BIT_13: Deviation = Deviation {
    emulator: Emulator::Bochs,
    iommu: false,
    until: None,
    what: "with mode-based execute control, the right of user-mode fetches is bit 13 of the qualification of a violation \
           by a data access, and should be bit 6",
    manual: "SDM volume 3, Exit Qualification for EPT Violations",
};

/// Faults for reserved bits look like faults of entries that are not present.
pub const RESERVED_NOT_PRESENT: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: false,
    until: None,
    what: "the error code of a page fault for a reserved bit has bit 0 (present) clear, and should have it set",
    manual: "SDM volume 3 and APM volume 2, Page-Fault Error Code",
};

/// PAE's four root entries are not loaded, but read at each walk.
pub const POINTERS_ARE_NOT_LOADED: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: false,
    until: None,
    what: "a reserved bit in an entry of a PAE root raises a page fault of what is below it, and should keep CR3 from being \
           loaded",
    manual: "SDM volume 3, PDPTE Registers",
};

/// Some of their bits are not checked.
pub const POINTER_BITS: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: false,
    until: None,
    what: "bits 8:5 and 2:1 of an entry of a PAE root are ignored, and should be reserved",
    manual: "SDM volume 3, Format of a PAE Page-Directory-Pointer-Table Entry (PDPTE)",
};

/// One of these bits is written.
pub const POINTER_IS_MARKED: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: false,
    until: None,
    what: "a walk sets bit 5 (accessed) in an entry of a PAE root, and should write nothing there, where the bit is reserved",
    manual: "SDM volume 3, Accessed and Dirty Flags; Format of a PAE Page-Directory-Pointer-Table Entry (PDPTE)",
};

/// A bit of upper tables is not checked.
pub const TABLE_BIT_8: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: false,
    until: None,
    what: "bit 8 of an entry of level 2 or 3 that points to a table is ignored, and should be a reserved bit on \
           processors of AMD's",
    manual: "APM volume 2, 4-Kbyte Page Translation, Page-Map Level-4 Table",
};

/// The same in Bochs.
pub const TABLE_BIT_8_BOCHS: Deviation = Deviation { emulator: Emulator::Bochs, ..TABLE_BIT_8 };

/// What a nested fault tells of fetches.
pub const NESTED_FETCH: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: false,
    until: None,
    what: "where the host has EFER.NXE off, bit 4 of EXITINFO1 is clear if a fetch faults in nested tables, and should be \
           set, as for every code read",
    manual: "APM volume 2, Nested versus Guest Page Faults, Fault Ordering",
};

/// An exception of a fetch reads what could not be fetched.
pub const REFUSED_FETCHES_HANG: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    iommu: false,
    until: None,
    what: "a fetch from a page that is not for this level never ends, for the exception reads the instruction for BADI, and \
           should raise PPI (it is judged by what the refill handler puts into the TLB, and there is no report)",
    manual: "LoongArch Reference Manual, Volume 1, TLB-based Translation of Virtual Addresses to Physical Addresses",
};

/// LDDIR cuts what it reads.
pub const LDDIR_LOSES_RIGHTS: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    iommu: false,
    until: None,
    what: "LDDIR clears bits 63:48 of what it reads, and should leave NR, NX and RPLV of a block (the refill handler here \
           reads them again)",
    manual: "LoongArch Reference Manual, Volume 1, LDDIR; Multi-level Page Table Structure Supported by page walking",
};

/// The address of the upper half of a block.
pub const HALF_IS_ADDED: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    iommu: false,
    until: None,
    what: "LDPTE adds half the size of a block to its address for the upper half, without clearing the bit below the \
           address first, and should ignore it",
    manual: "LoongArch Reference Manual, Volume 1, Multi-level Page Table Structure Supported by page walking: bits not \
             defined in the formats are ignored",
};

/// What QEMU keeps beside the TLB knows nothing of NR.
pub const READ_AFTER_WRITE: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    iommu: false,
    until: None,
    what: "a load from a page with NR is let through after a store to it or a fetch from it, and should raise PNR (the \
           probes change ASID back and forth before each access, which has QEMU look at the TLB again)",
    manual: "LoongArch Reference Manual, Volume 1, TLB-based Translation of Virtual Addresses to Physical Addresses",
};

/// Of two exceptions, the wrong one comes first.
pub const NR_BEFORE_LEVEL: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    iommu: false,
    until: None,
    what: "a load from a page that has NR, and that is not for this level, raises PNR, and should raise PPI",
    manual: "LoongArch Reference Manual, Volume 1, TLB-based Translation of Virtual Addresses to Physical Addresses",
};

/// A page is refused for a part of it.
pub const VTD_REFUSES_WHOLE_PAGES: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "VT-d blocks each request by a leaf of 1 GiB that spans the interrupt address range, and should block those that \
           come to an address in that range",
    manual: "Intel VT-d Architecture Specification, Handling Requests to Interrupt Address Range",
};

/// Reasons are those of the other mode.
pub const VTD_RECORDS_LEGACY_REASONS: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "VT-d records faults of the second stage in scalable mode with the reasons of legacy mode (4, 5, 6 and 12), and \
           should record those of scalable mode",
    manual: "Intel VT-d Architecture Specification, Fault Reason Encodings",
};

/// Addresses of the first stage are as wide as those of the second.
pub const VTD_TAKES_WIDTH_OF_SECOND_STAGE: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "VT-d takes input addresses of the first stage for canonical by AW of the PASID-table entry, which is for the \
           second, and should by FSPM (the judge sets AW, too)",
    manual: "Intel VT-d Architecture Specification, Scalable-Mode PASID Table Entry",
};

/// Of two flags of a leaf, one that is set keeps the other from being set.
pub const VTD_KEEPS_STATES: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "a store by a leaf of VT-d's first stage in which A or D is set sets neither, and should set both (what was \
           stored after a load is not looked for in edits in use)",
    manual: "Intel VT-d Architecture Specification, Accessed, Extended Accessed, and Dirty Flags",
};

/// Not every leaf need be present.
pub const AMD_TRANSLATES_BY_ABSENT_LEAVES: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "AMD's IOMMU translates by leaves whose PR is 0, if any other bit is 1, and should fault",
    manual: "48882, I/O Page Tables for Host Translations",
};

/// Illegal entries are followed.
pub const AMD_TAKES_ILLEGAL_ENTRIES: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "AMD's IOMMU translates by entries with reserved bits that are 1, pages of sizes that their levels do not have, and \
           tables of a level that is not below theirs, and should fault",
    manual: "48882, I/O Page Tables for Host Translations",
};

/// Addresses that a table is not for are translated by it.
pub const AMD_IGNORES_SKIPPED_BITS: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "AMD's IOMMU translates by tables that skip levels whatever the bits of the address are that would select entries \
           there, and should fault if one is 1",
    manual: "48882, I/O Page Tables for Host Translations",
};

/// Addresses that no table is for are translated.
pub const AMD_IGNORES_UPPER_BITS: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "AMD's IOMMU ignores bits of the address above those that the levels translate, and should fault if one is 1",
    manual: "48882, I/O Page Tables for Host Translations",
};

/// Faults leave no trace.
pub const AMD_RECORDS_NO_FAULTS: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    iommu: true,
    until: None,
    what: "AMD's IOMMU logs no event for an access that faults, and should log IO_PAGE_FAULT (what has faulted is told by \
           QEMU's own log of accesses that nothing answers)",
    manual: "48882, IO_PAGE_FAULT Event",
};

/// All that are known.
pub const ALL: [&Deviation; 46] = [
    &RESERVED_PBMT,
    &TABLE_OUTSIDE_MEMORY,
    &UNALIGNED_ROOT,
    &MARKS_ARE_NO_WRITES,
    &HENVCFG_IS_NOT_ASKED,
    &TABLE_OUTSIDE_MEMORY_32,
    &UNALIGNED_ROOT_32,
    &MARKS_ARE_NO_WRITES_32,
    &HENVCFG_IS_NOT_ASKED_32,
    &IOMMU_ADDRESS_IS_WIDE,
    &IOMMU_IGNORES_USER,
    &IOMMU_IGNORES_POINTER_BITS,
    &IOMMU_STORES_UNACCESSED,
    &IOMMU_REPORTS_NO_GPA,
    &UPPER_ADDRESS_BITS,
    &CLEAN_IS_EXECUTED,
    &DEVICE_IS_FORCED,
    &NON_CACHEABLE_ORDERS,
    &SMMU_CHECKS_ADDRESS_LAST,
    &SMMU_READS_WIDE_TABLES,
    &SMMU_TAKES_ANY_BLOCK,
    &SMMU_ROOT_IS_ONE_TABLE,
    &BLOCK_BIT_12,
    &MARKS_ARE_NO_WRITES_IN_EPT,
    &USER_EXECUTE_IN_BIT_13,
    &RESERVED_NOT_PRESENT,
    &POINTERS_ARE_NOT_LOADED,
    &POINTER_BITS,
    &POINTER_IS_MARKED,
    &TABLE_BIT_8,
    &TABLE_BIT_8_BOCHS,
    &NESTED_FETCH,
    &REFUSED_FETCHES_HANG,
    &LDDIR_LOSES_RIGHTS,
    &HALF_IS_ADDED,
    &READ_AFTER_WRITE,
    &NR_BEFORE_LEVEL,
    &VTD_REFUSES_WHOLE_PAGES,
    &VTD_RECORDS_LEGACY_REASONS,
    &VTD_TAKES_WIDTH_OF_SECOND_STAGE,
    &VTD_KEEPS_STATES,
    &AMD_TRANSLATES_BY_ABSENT_LEAVES,
    &AMD_TAKES_ILLEGAL_ENTRIES,
    &AMD_IGNORES_SKIPPED_BITS,
    &AMD_IGNORES_UPPER_BITS,
    &AMD_RECORDS_NO_FAULTS,
];
