//! Where the fields of registers are, as the manuals draw them: of a code that is never large, no value shows how wide
//! its field is. Each table names the manual, and public sources that say the same of every field in it; where one says
//! otherwise, that is noted.

use tablewright_archdefs::bound::Bound;

/// A field's name, highest bit, and lowest bit.
type Field = (&'static str, u8, u8);

/// Formats that share a register, its name, and its fields.
type Layout = (&'static [&'static str], &'static str, &'static [Field]);

/// The highest bit of a physical address: how many there are, depends on the machine.
const PHYSICAL: u8 = u8::MAX;

#[rustfmt::skip]
const LAYOUTS: &[Layout] = &[
    // Arm ARM, TCR_EL1; also TCR_EL2 where HCR_EL2.E2H is 1. Linux arch/arm64/include/asm/pgtable-hwdef.h.
    (&["stage1"], "tcr_elx", &[
        ("t0sz", 5, 0), ("irgn0", 9, 8), ("orgn0", 11, 10), ("sh0", 13, 12), ("tg0", 15, 14),
        ("t1sz", 21, 16), ("irgn1", 25, 24), ("orgn1", 27, 26), ("sh1", 29, 28), ("tg1", 31, 30),
        ("ips", 34, 32), ("as", 36, 36), ("ha", 39, 39), ("hd", 40, 40), ("ds", 59, 59),
    ]),
    // Arm ARM, TCR_EL2 where HCR_EL2.E2H is 0. Linux arch/arm64/include/asm/kvm_arm.h; QEMU target/arm/helper.c
    // (aa64_va_parameters), also for HA and HD.
    (&["stage1_el2"], "tcr_elx", &[
        ("t0sz", 5, 0), ("irgn0", 9, 8), ("orgn0", 11, 10), ("sh0", 13, 12), ("tg0", 15, 14), ("ps", 18, 16),
        ("ha", 21, 21), ("hd", 22, 22), ("ds", 32, 32),
    ]),
    // Arm ARM, MAIR_EL1, MAIR_EL2: eight bytes.
    (&["stage1", "stage1_el2"], "mair_elx", &[("types", 63, 0)]),
    // Arm ARM, VTCR_EL2. Linux arch/arm64/include/asm/kvm_arm.h, DS and SL2 as in the patches for FEAT_LPA2.
    (&["stage2"], "vtcr_el2", &[
        ("t0sz", 5, 0), ("sl0", 7, 6), ("irgn0", 9, 8), ("orgn0", 11, 10), ("sh0", 13, 12), ("tg0", 15, 14),
        ("ps", 18, 16), ("vs", 19, 19), ("ha", 21, 21), ("hd", 22, 22), ("ds", 32, 32), ("sl2", 33, 33),
    ]),
    // IHI 0070, Stream Table Entry: V, Config; S2FWB (bit 89), SHCFG (109:108); from bit 128 on; from bit 192 on. Linux
    // drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.h; for S2HD and S2HA QEMU hw/arm/smmuv3-internal.h, whose early versions
    // had them one bit too high; for S2SL0_2 and S2DS Renode's model.
    (&["smmu_v3"], "ste0", &[("valid", 0, 0), ("config", 3, 1)]),
    (&["smmu_v3"], "ste1", &[("s2fwb", 25, 25), ("shcfg", 45, 44)]),
    (&["smmu_v3"], "ste2", &[
        ("s2t0sz", 37, 32), ("s2sl0", 39, 38), ("s2ir0", 41, 40), ("s2or0", 43, 42), ("s2sh0", 45, 44),
        ("s2tg", 47, 46), ("s2ps", 50, 48), ("s2aa64", 51, 51), ("s2hd", 55, 55), ("s2ha", 56, 56), ("s2r", 58, 58),
    ]),
    (&["smmu_v3"], "ste3", &[("s2sl0_2", 2, 2), ("s2ds", 3, 3), ("s2ttb", 51, 4)]),
    // RISC-V Privileged Architecture, satp, hgatp; RISC-V IOMMU Architecture Specification, device context. Linux
    // arch/riscv/include/asm/csr.h, drivers/iommu/riscv/iommu-bits.h.
    (&["sv"], "satp", &[("mode", 63, 60), ("asid", 59, 44), ("ppn", 43, 0)]),
    (&["sv32"], "satp", &[("mode", 31, 31), ("asid", 30, 22), ("ppn", 21, 0)]),
    (&["sv_x4"], "hgatp", &[("mode", 63, 60), ("vmid", 57, 44), ("ppn", 43, 0)]),
    (&["riscv_iommu"], "iohgatp", &[("mode", 63, 60), ("gscid", 59, 44), ("ppn", 43, 0)]),
    (&["riscv_iommu"], "fsc", &[("mode", 63, 60)]),
    (&["riscv_iommu_first_stage"], "fsc", &[("mode", 63, 60), ("ppn", 43, 0)]),
    (&["riscv_iommu_first_stage"], "ta", &[("valid", 0, 0), ("ens", 1, 1), ("pscid", 31, 12)]),
    // LoongArch Reference Manual, Volume 1: PGDL and PGDH, ASID, PWCL, PWCH, CRMD, STLBPS (HPTW_En since 1.10). Linux
    // arch/loongarch/include/asm/loongarch.h; QEMU target/loongarch/cpu-csr.h, which gives STLBPS.PS only 5 bits.
    (&["loongarch64"], "pgd", &[("base", 63, 12)]),
    (&["loongarch64"], "asid", &[("asid", 9, 0)]),
    (&["loongarch64"], "pwcl", &[
        ("ptbase", 4, 0), ("ptwidth", 9, 5), ("dir1_base", 14, 10), ("dir1_width", 19, 15), ("dir2_base", 24, 20),
        ("dir2_width", 29, 25),
    ]),
    (&["loongarch64"], "pwch", &[("dir3_base", 5, 0), ("dir3_width", 11, 6), ("hptw_en", 24, 24)]),
    (&["loongarch64"], "crmd", &[("da", 3, 3), ("pg", 4, 4)]),
    (&["loongarch64"], "stlbps", &[("ps", 5, 0)]),
    // Intel SDM Vol. 3C, EPTP: defined up to bit 51, whatever the processor's width. Linux arch/x86/include/asm/vmx.h.
    (&["ept"], "eptp", &[("memory_type", 2, 0), ("walk_length", 5, 3), ("access_dirty", 6, 6), ("root", 51, 12)]),
    // Intel SDM Vol. 3A, CR3, IA32_PAT; AMD APM Vol. 2, VMCB, Control Area (the ASID has 32 bits). Linux
    // arch/x86/include/asm/svm.h.
    (&["long_mode"], "cr3", &[("pcid", 11, 0), ("root", PHYSICAL, 12)]),
    (&["legacy"], "cr3", &[("root", 31, 12)]),
    (&["pae"], "cr3", &[("root", 31, 5)]),
    (&["long_mode", "pae", "legacy"], "ia32_pat", &[("types", 63, 0)]),
    (&["npt"], "n_cr3", &[("root", PHYSICAL, 12)]),
    (&["npt"], "guest_asid", &[("asid", 31, 0)]),
    (&["npt"], "nested_control", &[("np_enable", 0, 0), ("execute_trap", 3, 3)]),
    // Intel VT-d Architecture Specification, Scalable-Mode PASID Table Entry: P, SLPTPTR with its AW, PGTT; DID, PWSNP;
    // SRE, FLPM, WPE, EAFE, FLPTPTR. Linux drivers/iommu/intel/pasid.h, where SLPTPTR is 63:12, and SLADE below it: all of
    // that is 0 here.
    (&["vtd_first_stage"], "pasid0", &[
        ("present", 0, 0), ("second_stage", 5, 1), ("translation", 8, 6), ("second_stage_root", 63, 9),
    ]),
    (&["vtd_first_stage"], "pasid1", &[("domain", 15, 0), ("reserved", 22, 16), ("page_walk_snoop", 23, 23)]),
    (&["vtd_first_stage"], "pasid2", &[
        ("supervisor_requests", 0, 0), ("levels", 3, 2), ("write_protect", 4, 4), ("extended_accessed", 7, 7),
        ("root", PHYSICAL, 12),
    ]),
    // 48882, Device Table Entry: V, TV, HAD, Mode, the root pointer; the domain. Linux
    // drivers/iommu/amd/amd_iommu_types.h.
    (&["amd_iommu_v1"], "dte0", &[
        ("valid", 0, 0), ("translation_valid", 1, 1), ("host_access_dirty", 8, 7), ("mode", 11, 9), ("root", 51, 12),
        ("read", 61, 61), ("write", 62, 62),
    ]),
    (&["amd_iommu_v1"], "dte1", &[("domain", 15, 0)]),
];

/// VT-d's second stage is set up by an entry of either of two forms: a word of it, whether in scalable mode, its fields.
#[rustfmt::skip]
const VTD_ENTRIES: &[(&str, bool, &[Field])] = &[
    // Intel VT-d Architecture Specification, Context Entry: P, the root; AW, ignored, reserved, DID, reserved. Linux
    // drivers/iommu/intel/iommu.h.
    ("entry0", false, &[("present", 0, 0), ("root", PHYSICAL, 12)]),
    ("entry1", false, &[
        ("address_width", 2, 0), ("available", 6, 3), ("reserved_7", 7, 7), ("domain", 23, 8), ("reserved_24", 63, 24),
    ]),
    // Scalable-Mode PASID Table Entry: P, AW, reserved, PGTT, SLADE, SLPTPTR; DID, reserved, PWSNP, EMTE. Linux
    // drivers/iommu/intel/pasid.h; for EMTE the patches for nested translation.
    ("entry0", true, &[
        ("present", 0, 0), ("address_width", 4, 2), ("reserved", 5, 5), ("translation", 8, 6), ("access_dirty", 9, 9),
        ("root", PHYSICAL, 12),
    ]),
    ("entry1", true, &[
        ("domain", 15, 0), ("reserved_16", 22, 16), ("page_walk_snoop", 23, 23), ("memory_types", 26, 26),
    ]),
];

pub(super) fn check(format: &str, bound: &Bound) -> Result<(), String> {
    for (_, register, fields) in LAYOUTS.iter().filter(|(formats, ..)| formats.contains(&format)) {
        drawn(bound, register, fields)?;
    }
    let scalable = bound.params.get("scalable") == Some(1);
    for (register, _, fields) in VTD_ENTRIES.iter().filter(|(_, of, _)| format == "vtd_second_stage" && *of == scalable)
    {
        drawn(bound, register, fields)?;
    }
    Ok(())
}

/// Whether those of the fields that the register has here are where the manual has them.
fn drawn(bound: &Bound, register: &str, fields: &[Field]) -> Result<(), String> {
    let report = bound.explain_register(register, 0).ok_or_else(|| format!("there is no `{register}`"))?;
    let report = report.map_err(|error| format!("{error:?}"))?;
    let pa_bits = bound.params.get("pa_bits").and_then(|bits| u8::try_from(bits).ok());
    for part in report.parts {
        let Some((name, high, low)) = fields.iter().find(|(name, ..)| *name == part.name) else { continue };
        let high = if *high == PHYSICAL { pa_bits.unwrap_or(0).saturating_sub(1) } else { *high };
        let drawn = u64::MAX >> (63 - high) & u64::MAX << low;
        if part.bits != drawn {
            return Err(format!("`{name}` of `{register}` has the bits {:#x}, and should have {drawn:#x}", part.bits));
        }
    }
    Ok(())
}
