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
    until: None,
    what: "a leaf with PBMT=3 is translated, and should fault",
    manual: "RISC-V Privileged Architecture, Svpbmt: PBMT=3 is reserved, and reserved encodings raise a page fault",
};

/// A table that is not in memory is taken for one that maps nothing.
pub const TABLE_OUTSIDE_MEMORY: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    until: None,
    what: "a pointer to missing memory raises a guest-page fault, and should raise an access fault",
    manual: "RISC-V Privileged Architecture, Virtual Address Translation Process, step 2",
};

/// A G-stage root need not be aligned to its size.
pub const UNALIGNED_ROOT: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    until: None,
    what: "the two low bits of hgatp.PPN are kept and used, and should read as zero",
    manual: "RISC-V Privileged Architecture, hgatp: the root is 16 KiB, and aligned to that",
};

/// Marks in a guest's own entries are no writes to the guest's memory.
pub const MARKS_ARE_NO_WRITES: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    until: None,
    what: "hardware sets A and D in entries of vsatp's tables where the G-stage grants no right to write, and without \
           setting D there; it should need that right, and set D",
    manual: "RISC-V Privileged Architecture, H Extension, Two-Stage Address Translation; Svadu Extension",
};

/// One of two registers that have to agree is not asked.
pub const HENVCFG_IS_NOT_ASKED: Deviation = Deviation {
    emulator: Emulator::QemuRiscv64,
    until: None,
    what: "HLV and HSV in M-mode set A and D in entries of vsatp's tables where menvcfg.ADUE is 1, and should raise a page \
           fault where henvcfg.ADUE is 0",
    manual: "RISC-V Privileged Architecture, H Extension, henvcfg",
};

/// Upper address bits count only where the addresses are configured to have them.
pub const UPPER_ADDRESS_BITS: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    until: None,
    what: "with VTCR_EL2.PS below 52 bits, address bits 51:48 (64K granule) or 51:50 (VTCR_EL2.DS) of a descriptor are \
           ignored, and should raise an Address size fault",
    manual: "Arm ARM (DDI 0487), AArch64.S2NextWalkStateTable, AArch64.OAOutOfRange",
};

/// A page that hardware would mark dirty counts as one that cannot be written, where that matters to execution.
pub const CLEAN_IS_EXECUTED: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    until: None,
    what: "while hardware manages the dirty state, a leaf with DBM and AP[2] set that EL0 could write is executed by the \
           privileged level, and with SCTLR_ELx.WXN by any that could write it, and should raise a Permission fault",
    manual: "Arm ARM (DDI 0487), AArch64.S1ApplyOutputPerms: AP[2] of such a descriptor counts as 0",
};

/// A type of Device memory takes the place of a stricter one.
pub const DEVICE_IS_FORCED: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    until: None,
    what: "with HCR_EL2.FWB, a leaf of stage 2 of some type of Device memory gives that type to all of stage 1, and should \
           leave it a stricter type of Device memory",
    manual: "Arm ARM (DDI 0487), AArch64.S2ApplyFWBMemAttrs, S2CombineS1Device",
};

/// A type of Normal memory counts as one of Device memory.
pub const NON_CACHEABLE_ORDERS: Deviation = Deviation {
    emulator: Emulator::QemuAarch64,
    until: None,
    what: "without HCR_EL2.FWB, Normal Non-cacheable in one stage and Device-nGRE or Device-GRE in the other come to \
           Device-nGnRE, and should come to the type of the other",
    manual: "Arm ARM (DDI 0487), AArch64.S2CombineS1MemAttrs",
};

/// A bit of EPT blocks is not checked.
pub const BLOCK_BIT_12: Deviation = Deviation {
    emulator: Emulator::Bochs,
    until: None,
    what: "bit 12 of an EPT entry that maps 2 MiB or 1 GiB is ignored, and should be a misconfiguration",
    manual: "SDM volume 3, Format of an EPT Page-Directory Entry that Maps a 2-MByte Page, and of one of 1 GByte",
};

/// Marks in a guest's own entries are no writes to the guest's memory.
pub const MARKS_ARE_NO_WRITES_IN_EPT: Deviation = Deviation {
    emulator: Emulator::Bochs,
    until: None,
    what: "where EPT has no accessed and dirty flags, those of a guest's own entries are set although EPT grants no right \
           to write them, and that should be a violation",
    manual: "SDM volume 3, EPT Violations",
};

/// A bit of the exit qualification is in another place. No version before 3.0 has mode-based execute control.
pub const USER_EXECUTE_IN_BIT_13: Deviation = Deviation {
    emulator: Emulator::Bochs,
    until: None,
    what: "with mode-based execute control, the right of user-mode fetches is bit 13 of the qualification of a violation \
           by a data access, and should be bit 6",
    manual: "SDM volume 3, Exit Qualification for EPT Violations",
};

/// Faults for reserved bits look like faults of entries that are not present.
pub const RESERVED_NOT_PRESENT: Deviation = Deviation {
    emulator: Emulator::QemuX86,
    until: None,
    what: "the error code of a page fault for a reserved bit has bit 0 (present) clear, and should have it set",
    manual: "SDM volume 3 and APM volume 2, Page-Fault Error Code",
};

/// A bit of upper tables is not checked.
pub const TABLE_BIT_8: Deviation = Deviation {
    emulator: Emulator::QemuX86,
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
    until: None,
    what: "where the host has EFER.NXE off, bit 4 of EXITINFO1 is clear if a fetch faults in nested tables, and should be \
           set, as for every code read",
    manual: "APM volume 2, Nested versus Guest Page Faults, Fault Ordering",
};

/// An exception of a fetch reads what could not be fetched.
pub const REFUSED_FETCHES_HANG: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    until: None,
    what: "a fetch from a page that is not for this level never ends, for the exception reads the instruction for BADI, and \
           should raise PPI (it is judged by what the refill handler puts into the TLB, and there is no report)",
    manual: "LoongArch Reference Manual, Volume 1, TLB-based Translation of Virtual Addresses to Physical Addresses",
};

/// LDDIR cuts what it reads.
pub const LDDIR_LOSES_RIGHTS: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    until: None,
    what: "LDDIR clears bits 63:48 of what it reads, and should leave NR, NX and RPLV of a block (the refill handler here \
           reads them again)",
    manual: "LoongArch Reference Manual, Volume 1, LDDIR; Multi-level Page Table Structure Supported by page walking",
};

/// The address of the upper half of a block.
pub const HALF_IS_ADDED: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    until: None,
    what: "LDPTE adds half the size of a block to its address for the upper half, without clearing the bit below the \
           address first, and should ignore it",
    manual: "LoongArch Reference Manual, Volume 1, Multi-level Page Table Structure Supported by page walking: bits not \
             defined in the formats are ignored",
};

/// What QEMU keeps beside the TLB knows nothing of NR.
pub const READ_AFTER_WRITE: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    until: None,
    what: "a load from a page with NR is let through after a store to it or a fetch from it, and should raise PNR (the \
           probes change ASID back and forth before each access, which has QEMU look at the TLB again)",
    manual: "LoongArch Reference Manual, Volume 1, TLB-based Translation of Virtual Addresses to Physical Addresses",
};

/// Of two exceptions, the wrong one comes first.
pub const NR_BEFORE_LEVEL: Deviation = Deviation {
    emulator: Emulator::QemuLoongArch64,
    until: None,
    what: "a load from a page that has NR, and that is not for this level, raises PNR, and should raise PPI",
    manual: "LoongArch Reference Manual, Volume 1, TLB-based Translation of Virtual Addresses to Physical Addresses",
};

/// All that are known.
pub const ALL: [&Deviation; 21] = [
    &RESERVED_PBMT,
    &TABLE_OUTSIDE_MEMORY,
    &UNALIGNED_ROOT,
    &MARKS_ARE_NO_WRITES,
    &HENVCFG_IS_NOT_ASKED,
    &UPPER_ADDRESS_BITS,
    &CLEAN_IS_EXECUTED,
    &DEVICE_IS_FORCED,
    &NON_CACHEABLE_ORDERS,
    &BLOCK_BIT_12,
    &MARKS_ARE_NO_WRITES_IN_EPT,
    &USER_EXECUTE_IN_BIT_13,
    &RESERVED_NOT_PRESENT,
    &TABLE_BIT_8,
    &TABLE_BIT_8_BOCHS,
    &NESTED_FETCH,
    &REFUSED_FETCHES_HANG,
    &LDDIR_LOSES_RIGHTS,
    &HALF_IS_ADDED,
    &READ_AFTER_WRITE,
    &NR_BEFORE_LEVEL,
];
