//! Fault reports: every code, with the bits around it clear and set.

use tablewright::{Cause, Level, MemoryType, Rights, Shareability, Translated};

use crate::laws::{Interpreted, Subject};

use Cause::{AccessFlag, AddressSize, External, Misconfigured, NotMapped, Permission, Unspecified};

/// What a report says, as far as it matters to a vector; `None`: it is not of this translation.
type Told = Option<(Cause, Rights)>;

pub(super) fn check(format: &str, subject: &Interpreted) -> Result<(), String> {
    match format {
        "stage1" => arm(subject, &[0x20, 0x21, 0x24, 0x25], 1).and_then(|()| par(subject)),
        "stage1_el2" => arm(subject, &[0x21, 0x25], 1).and_then(|()| par(subject)),
        "stage2" => arm(subject, &[0x20, 0x24], 2),
        "smmu_v3" => smmu(subject),
        "riscv_iommu" => riscv_iommu(subject),
        "riscv_iommu_first_stage" => riscv_iommu_first_stage(subject),
        "sv_x4" => guest_pages(subject),
        "loongarch64" => loongarch(subject),
        "ept" => ept(subject),
        "vtd_first_stage" => vtd(subject, first_stage),
        "vtd_second_stage" if subject.0.params.get("scalable") == Some(1) => vtd(subject, second_stage),
        "vtd_second_stage" => vtd(subject, legacy),
        "amd_iommu_v1" => amd(subject),
        "long_mode" | "pae" | "legacy" => page_fault(subject),
        _ => Ok(()),
    }
}

/// Holds a report against what it should say.
fn says(subject: &Interpreted, report: &[u64], told: Told) -> Result<(), String> {
    let found = subject.fault(report).map(|fault| (fault.cause, fault.access));
    if found == told { Ok(()) } else { Err(format!("{report:x?} says {found:?}, and should say {told:?}")) }
}

fn address(subject: &Interpreted, report: &[u64], wanted: Option<u64>) -> Result<(), String> {
    let found = subject.fault(report).and_then(|fault| fault.address);
    if found == wanted { Ok(()) } else { Err(format!("{report:x?} is of {found:x?}, not of {wanted:x?}")) }
}

fn guest_walk(subject: &Interpreted, report: &[u64], wanted: bool) -> Result<(), String> {
    let found = subject.fault(report).map(|fault| fault.guest_walk);
    if found == Some(wanted) { Ok(()) } else { Err(format!("{report:x?} is of a guest's walk: {found:?}")) }
}

/// ESR_ELx.{IFSC, DFSC}, and the level by this project's count (Arm ARM, ESR_ELx).
fn fault_status(code: u64) -> Option<(Cause, Level)> {
    let level = 3 - (code & 0b11) as Level;
    match code {
        0b00_0000..=0b00_0011 => Some((AddressSize, level)),
        0b00_0100..=0b00_0111 => Some((NotMapped, level)),
        0b00_1000..=0b00_1011 => Some((AccessFlag, level)),
        0b00_1100..=0b00_1111 => Some((Permission, level)),
        // External aborts on walks; level -1 has codes of its own.
        0b01_0011 => Some((External, 4)),
        0b01_0100..=0b01_0111 => Some((External, level)),
        0b10_1001 => Some((AddressSize, 4)),
        0b10_1011 => Some((NotMapped, 4)),
        _ => None,
    }
}

/// Instruction aborts are those of the lower numbers of exception classes. Of data aborts, WnR is bit 6.
fn arm(subject: &Interpreted, classes: &[u64], stage: u8) -> Result<(), String> {
    // IL, and bits above 31, which are ISS2.
    for around in [0, 1 << 6, 1 << 25, 1 << 32 | 1 << 25, 0xff_ffff << 32] {
        for (class, code) in (0..64).flat_map(|class| (0..64).map(move |code| (class, code))) {
            let esr = around | class << 26 | code;
            let report = if stage == 1 { vec![esr, 0x1678] } else { vec![esr, 0x1678, 0x10] };
            let told = fault_status(code).filter(|_| classes.contains(&class));
            let access = match (class & 0b100, esr >> 6 & 1) {
                (0, _) => Rights::X,
                (_, 0) => Rights::R,
                _ => Rights::W,
            };
            says(subject, &report, told.map(|(cause, _)| (cause, access)))?;
            let level = subject.fault(&report).and_then(|fault| fault.level);
            if level != told.map(|(_, level)| level) {
                return Err(format!("{report:x?} is of level {level:?}, and should be of {told:?}"));
            }
            // HPFAR_EL2 is not valid for Permission faults and external aborts.
            let known = told.is_some_and(|(cause, _)| stage == 1 || !matches!(cause, Permission | External));
            address(subject, &report, known.then_some(0x1678))?;
            if stage == 2
                && let Some((cause, _)) = told
            {
                // FIPA is bits 43:4.
                address(subject, &[esr, 0x1678, !0], known.then_some(0x000f_ffff_ffff_f678))?;
                walk_of_stage1(subject, esr, cause)?;
                width_of_data(subject, esr)?;
            }
        }
    }
    Ok(())
}

/// PAR_EL1 (Arm ARM): after a fault F is bit 0, FST bits 6:1, PTW bit 8, S bit 9; else SH is bits 8:7, ATTR bits 63:56.
fn par(subject: &Interpreted) -> Result<(), String> {
    let says = |par: u64, wanted| match subject.translated(&[par]) {
        found if found == Some(wanted) => Ok(()),
        found => Err(format!("PAR_EL1 {par:#x} says {found:x?}, and should say {wanted:x?}")),
    };
    for (code, bits) in (0..64).flat_map(|code| (0..8).map(move |bits| (code, bits))) {
        let (walk, second, above): (u64, u64, u64) =
            (bits & 1, bits >> 1 & 1, if bits & 4 == 0 { 1 << 11 } else { !0 << 10 | 1 << 7 });
        let (cause, level) = fault_status(code).map_or((Unspecified, None), |(cause, level)| (cause, Some(level)));
        let wanted = Translated::Fault { cause, level, second_stage: second == 1, guest_walk: walk == 1 };
        says(above | second << 9 | walk << 8 | code << 1 | 1, wanted)?;
    }
    for (byte, sharing) in (0..256).flat_map(|byte| (0..4).map(move |sharing| (byte, sharing))) {
        let memory = match byte {
            0xff => MemoryType::WriteBack,
            0xbb => MemoryType::WriteThrough,
            0x44 => MemoryType::NonCacheable,
            0x00 => MemoryType::DeviceNGnRnE,
            0x04 => MemoryType::DeviceNGnRE,
            0x08 => MemoryType::DeviceNGRE,
            0x0c => MemoryType::DeviceGRE,
            _ => MemoryType::Unnamed,
        };
        let shareability = match sharing {
            0b00 => Some(Shareability::Non),
            0b10 => Some(Shareability::Outer),
            0b11 => Some(Shareability::Inner),
            _ => None,
        };
        for (address, rest) in [(0xf_ffff_ffff_f000, 0xe00), (0x8020_1000, 0xf0_0000_0000_007e)] {
            says(byte << 56 | address | rest | sharing << 7, Translated::To { address, memory, shareability })?;
        }
    }
    // Of one register.
    if subject.translated(&[]).is_some() || subject.translated(&[1, 1]).is_some() {
        return Err("there is one PAR_EL1".into());
    }
    Ok(())
}

/// Of a walk of stage 1, S1PTW, HPFAR_EL2 has the page, for Permission faults, too: such a walk reads, unless it may not
/// mark what it read.
fn walk_of_stage1(subject: &Interpreted, esr: u64, cause: Cause) -> Result<(), String> {
    let report = [esr | 1 << 7, 0x1678, !0];
    address(subject, &report, (cause != External).then_some(0x000f_ffff_ffff_f000))?;
    says(subject, &report, Some((cause, if cause == Permission { Rights::W } else { Rights::R })))?;
    guest_walk(subject, &report, true)
}

/// ISV is bit 24, and SAS are bits 23:22, of a data abort that is of no walk of stage 1.
fn width_of_data(subject: &Interpreted, esr: u64) -> Result<(), String> {
    let [own, walk] = [0, 1 << 7].map(|walk| [esr | 1 << 24 | 2 << 22 | walk, 0x1678, 0x10]);
    let [own, walk] = [own, walk].map(|report| subject.fault(&report).and_then(|fault| fault.width));
    let data = esr >> 26 & 0b111111 == 0x24;
    if own == data.then_some(4) && walk.is_none() { Ok(()) } else { Err(format!("{esr:#x} moves {own:?}, {walk:?}")) }
}

/// Event records (IHI 0070, Event records): of stage 2, where the input address is an IPA.
fn smmu(subject: &Interpreted) -> Result<(), String> {
    // StreamID and SSV; bits beside S2 and CLASS.
    for (above, beside) in [(0, 0), (!0 << 8, 0), (0, 1 << 38), (!0 << 11, 1 << 42), (1 << 8, 0)] {
        for code in 0..256 {
            let cause = match code {
                0x10 => Some(NotMapped),
                0x11 => Some(AddressSize),
                0x12 => Some(AccessFlag),
                0x13 => Some(Permission),
                // F_WALK_EABT
                0x0b => Some(External),
                _ => None,
            };
            // S2, CLASS IN, RnW.
            let [input, read] = [2_u64 << 40, 1 << 35];
            let report = [above | code, beside | 1 << 39 | input | read, !0, !0];
            says(subject, &report, cause.map(|cause| (cause, Rights::R)))?;
            let ipa = 0x000f_ffff_ffff_ffff;
            let known = cause.is_some_and(|cause| cause != External);
            address(subject, &report, known.then_some(ipa))?;
            // The page comes from the one word, the rest from the other.
            address(subject, &[above | code, beside | 1 << 39 | input | read, !0, 0], known.then_some(0xfff))?;
            let write = [above | code, beside | 1 << 39 | input, !0, !0];
            says(subject, &write, cause.map(|cause| (cause, Rights::W)))?;
            // A walk of stage 1, and that for a context descriptor: only the page is known.
            for class in [0, 1] {
                let report = [above | code, beside | 1 << 39 | class << 40, !0, !0];
                says(subject, &report, cause.map(|cause| (cause, Rights::R)))?;
                address(subject, &report, known.then_some(ipa & !0xfff))?;
                if cause.is_some() {
                    guest_walk(subject, &report, true)?;
                    guest_walk(subject, &write, false)?;
                }
            }
            // Not of stage 2.
            says(subject, &[above | code, beside | input | read, !0, !0], None)?;
        }
    }
    Ok(())
}

/// Fault records (RISC-V IOMMU, Fault/Event-Queue): CAUSE is bits 11:0.
fn riscv_iommu(subject: &Interpreted) -> Result<(), String> {
    for (above, code) in [0, !0 << 12, 1 << 12].into_iter().flat_map(|above| (0..4096).map(move |code| (above, code))) {
        let access = match code {
            20 => Some(Rights::X),
            21 => Some(Rights::R),
            23 => Some(Rights::W),
            _ => None,
        };
        let record: u64 = above | code;
        // iotval2 is the guest-physical address without its two lowest bits, which tell of implicit accesses.
        let explicit = [record, !0 << 2 | 1, !0 << 2];
        says(subject, &explicit, access.map(|access| (Unspecified, access)))?;
        address(subject, &explicit, access.map(|_| !0 << 2 | 1))?;
        for (low, implicit) in [(1, Rights::R), (3, Rights::W)] {
            let report = [record, !0, !0 << 2 | low];
            says(subject, &report, access.map(|_| (Unspecified, implicit)))?;
            address(subject, &report, access.map(|_| !0 << 2))?;
        }
    }
    // Bits of the address next to those that tell.
    address(subject, &[21, 0b111, 0b1000], Some(0b1011))
}

/// The same records, of the first stage: iotval is the address.
fn riscv_iommu_first_stage(subject: &Interpreted) -> Result<(), String> {
    for (above, code) in [0, !0 << 12, 1 << 12].into_iter().flat_map(|above| (0..4096).map(move |code| (above, code))) {
        let access = match code {
            12 => Some(Rights::X),
            13 => Some(Rights::R),
            15 => Some(Rights::W),
            _ => None,
        };
        let report = [above | code, !0 << 12 | 7];
        says(subject, &report, access.map(|access| (Unspecified, access)))?;
        address(subject, &report, access.map(|_| !0 << 12 | 7))?;
    }
    Ok(())
}

/// Guest-page faults (RISC-V Privileged Architecture): scause, stval, htval, htinst.
fn guest_pages(subject: &Interpreted) -> Result<(), String> {
    for (scause, access) in [(20, Rights::X), (21, Rights::R), (23, Rights::W)] {
        for htval in [1, 0x2000] {
            let explicit = [scause, 0b111, htval, 0];
            says(subject, &explicit, Some((Unspecified, access)))?;
            address(subject, &explicit, Some(htval << 2 | 0b11))?;
            guest_walk(subject, &explicit, false)?;
            // Pseudoinstructions: 32 and 64 bits, reads and writes of a walk.
            for (htinst, access) in [(0x2000, Rights::R), (0x3000, Rights::R), (0x2020, Rights::W), (0x3020, Rights::W)]
            {
                let implicit = [scause, 0b111, htval, htinst];
                says(subject, &implicit, Some((Unspecified, access)))?;
                address(subject, &implicit, Some(htval << 2))?;
                guest_walk(subject, &implicit, true)?;
            }
            for htinst in [0x2001, 0x3001, 0x2021, 0x3021] {
                guest_walk(subject, &[scause, 0b111, htval, htinst], false)?;
            }
        }
    }
    let parts = (0..128).flat_map(|opcode| (0..8).map(move |funct3| funct3 << 12 | opcode));
    let registers = [0, 1 << 7, 1 << 11, 1 << 15, 1 << 19, 1 << 20, 1 << 24, 1 << 25, 1 << 31, 1 << 62, 1 << 63];
    for htinst in parts.flat_map(|low| registers.map(|register| low | register)).filter(|htinst| defined(*htinst)) {
        let found = subject.fault(&[21, 0, 1, htinst]).and_then(|fault| fault.width);
        if found.map(u64::from) != width(htinst) {
            return Err(format!("htinst {htinst:#x} moves {found:?} bytes, not {:?}", width(htinst)));
        }
    }
    Ok(())
}

/// Whether a load is one that there is.
fn defined(htinst: u64) -> bool {
    !matches!((htinst & 0x7f | 0b10, htinst >> 12 & 7), (0b000_0011, 7) | (0b000_0111, 0 | 5..=7))
}

/// How many bytes a transformed load or store moves; 16 are no width here.
fn width(htinst: u64) -> Option<u64> {
    let (opcode, funct3) = (htinst & 0x7f | 0b10, htinst >> 12 & 7);
    // rd of a store and rs2 of a load are clear.
    let (load, store) = (htinst >> 20 == 0, htinst >> 25 == 0 && htinst >> 7 & 0x1f == 0);
    match (opcode, funct3) {
        (0b000_0011, 0..=6) | (0b000_0111, 1..=3) if load => Some(1 << (funct3 & 0b11)),
        (0b010_0011 | 0b010_0111, 0..=3) if store => Some(1 << funct3),
        _ => None,
    }
}

/// ESTAT.Ecode is bits 21:16 (LoongArch, Volume 1, Exceptions).
fn loongarch(subject: &Interpreted) -> Result<(), String> {
    for (around, code) in
        [0, 1 << 15, 1 << 22, !0 << 22 | 0x1fff].into_iter().flat_map(|around| (0..64).map(move |code| (around, code)))
    {
        let told = match code {
            1 => Some((NotMapped, Rights::R)),
            2 => Some((NotMapped, Rights::W)),
            3 => Some((NotMapped, Rights::X)),
            // Page modification: the page is not dirty.
            4 => Some((Unspecified, Rights::W)),
            5 => Some((Permission, Rights::R)),
            6 => Some((Permission, Rights::X)),
            7 => Some((Permission, Rights::empty())),
            _ => None,
        };
        says(subject, &[around | code << 16, 0x1678], told)?;
    }
    Ok(())
}

/// The basic exit reason is bits 15:0 (Intel SDM Vol. 3C, Exit Qualification for EPT Violations).
fn ept(subject: &Interpreted) -> Result<(), String> {
    let by_mode = subject.0.params.get("mode_based_execute") == Some(1);
    for above in [0, 1 << 16, 0xffff << 16] {
        for reason in [47, 50, 48 | 1 << 14, 48 | 1 << 15, 49 | 1 << 14, 49 | 1 << 15] {
            says(subject, &[above | reason, 0, 0x1678], None)?;
        }
        says(subject, &[above | 49, 0, 0x1678], Some((Misconfigured, Rights::empty())))?;
        guest_walk(subject, &[above | 49, 1 << 7, 0x1678], false)?;
        for qualification in 0..1 << 10 {
            let readable = qualification >> 3 & 0b111 != 0 || by_mode && qualification >> 6 & 1 == 1;
            let access = match qualification & 0b111 {
                0b100.. => Rights::X,
                0b010.. => Rights::W,
                _ => Rights::R,
            };
            let report = [above | 48, qualification, 0x1678];
            says(subject, &report, Some((if readable { Permission } else { NotMapped }, access)))?;
            guest_walk(subject, &report, qualification >> 7 & 0b11 == 0b01)?;
        }
    }
    Ok(())
}

/// F is bit 127 and the reason is bits 103:96 of a fault record; reads are told by bit 126 (VT-d, Fault Recording
/// Registers).
fn vtd(subject: &Interpreted, cause: fn(u64) -> Option<Cause>) -> Result<(), String> {
    for (above, below) in [(0, 0), (1 << 40, 1 << 31), (0xf_ffff << 40, 0xffff)] {
        for reason in 0..256 {
            let fault1: u64 = 1 << 63 | above | reason << 32 | below;
            says(subject, &[0x1000, fault1], cause(reason).map(|cause| (cause, Rights::W)))?;
            says(subject, &[0x1000, fault1 | 1 << 62], cause(reason).map(|cause| (cause, Rights::R)))?;
            says(subject, &[0x1000, fault1 & !(1 << 63)], None)?;
            address(subject, &[!0, fault1], cause(reason).map(|_| !0xfff))?;
        }
    }
    Ok(())
}

fn first_stage(reason: u64) -> Option<Cause> {
    match reason {
        0x70 | 0x73 => Some(External),
        0x71 => Some(NotMapped),
        0x72 => Some(Misconfigured),
        0x80 => Some(AddressSize),
        0x81 | 0x82 | 0x85 | 0x86 => Some(Permission),
        _ => None,
    }
}

fn second_stage(reason: u64) -> Option<Cause> {
    match reason {
        0x78 | 0x7b => Some(External),
        // An entry that is not present lacks the right.
        0x79 | 0x85 | 0x86 => Some(Unspecified),
        0x7a => Some(Misconfigured),
        0x84 => Some(AddressSize),
        _ => None,
    }
}

fn legacy(reason: u64) -> Option<Cause> {
    match reason {
        4 => Some(AddressSize),
        5 | 6 => Some(Unspecified),
        7 => Some(External),
        0xc => Some(Misconfigured),
        _ => None,
    }
}

/// IO_PAGE_FAULT has the code 2 in bits 63:60; GN 48, I 51, PR 52, RW 53, PE 54, TR 56 (48882, IO_PAGE_FAULT Event).
fn amd(subject: &Interpreted) -> Result<(), String> {
    for (code, flags) in (0..16).flat_map(|code| (0..1 << 11).map(move |flags| (code, flags << 47))) {
        let event: u64 = code << 60 | flags;
        let has = |bit: u8| event >> bit & 1 == 1;
        let cause = match (has(52), has(54)) {
            (false, _) => NotMapped,
            (_, true) => Permission,
            _ => Misconfigured,
        };
        let access = match (has(52), has(56), has(53)) {
            (false, ..) | (_, true, _) => Rights::empty(),
            (_, _, true) => Rights::W,
            _ => Rights::R,
        };
        let host = code == 2 && !has(48) && !has(51);
        says(subject, &[event, 0x1678], host.then_some((cause, access)))?;
    }
    Ok(())
}

/// SGX is bit 15 of the error code (Intel SDM Vol. 3A, Page-Fault Exceptions).
fn page_fault(subject: &Interpreted) -> Result<(), String> {
    says(subject, &[1 << 15, 0x1678], None)?;
    says(subject, &[1 << 14, 0x1678], Some((NotMapped, Rights::R)))?;
    says(subject, &[1 << 16, 0x1678], Some((NotMapped, Rights::R)))
}
