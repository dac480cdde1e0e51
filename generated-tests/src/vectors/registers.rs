//! What registers hold that no example of a configuration shows: the widest tag, and codes of widths that no
//! configuration has.

use tablewright::testing::Configured;
use tablewright_archdefs::bound::Bound;

/// Formats, configurations, and how many bits a tag has.
const TAGS: &[(&str, &str, u32)] = &[
    ("amd_iommu_v1", "four-level", 16),
    ("loongarch64", "4k-39", 10),
    ("long_mode", "server", 12),
    ("riscv_iommu_first_stage", "sv39", 20),
    ("smmu_v3", "4k-40", 8),
    ("smmu_v3", "4k-48", 16),
    ("stage1", "4k-48", 8),
    ("stage1", "4k-upper", 16),
    ("stage2", "4k-40", 8),
    ("stage2", "4k-48", 16),
    ("sv", "sv39", 16),
    ("sv32", "sv32", 9),
    ("sv_x4", "sv39x4", 14),
    ("vtd_first_stage", "four-level", 16),
    ("vtd_second_stage", "legacy", 16),
    ("vtd_second_stage", "scalable", 16),
];

/// Formats, a configuration with a small input, the register that has the width of physical addresses, and its shift.
const WIDTHS: &[(&str, &str, &str, u32)] = &[
    ("stage1", "4k-small", "tcr_elx", 32),
    ("stage1_el2", "4k-small", "tcr_elx", 16),
    ("stage2", "4k-small", "vtcr_el2", 16),
    ("smmu_v3", "4k-small", "ste2", 48),
];

/// ID_AA64MMFR0_EL1.PARange, and all fields like it.
const PHYSICAL_ADDRESS_SIZES: [(i64, u64); 6] = [(32, 0), (36, 1), (40, 2), (42, 3), (44, 4), (48, 5)];

pub(super) fn check(format: &str, config: &str, case: &Configured) -> Result<(), String> {
    for (_, _, bits) in TAGS.iter().filter(|(name, of, _)| *name == format && *of == config) {
        let fits = |tag: u64| case.bound.registers(0x1000_0000, tag).is_ok();
        if !fits((1 << bits) - 1) || fits(1 << bits) {
            return Err(format!("tags are not of {bits} bits"));
        }
    }
    for (_, _, register, shift) in WIDTHS.iter().filter(|(name, of, ..)| *name == format && *of == config) {
        for (pa_bits, code) in PHYSICAL_ADDRESS_SIZES {
            let params = &case.params;
            let set = [("levels", params.levels()), ("input_bits", params.input_bits()), ("pa_bits", pa_bits)];
            let bound = params.with(&case.format, &set).ok().and_then(|to| Bound::new(&case.format, &to).ok());
            let values = bound.and_then(|bound| bound.registers(0x1000_0000, 0).ok()).unwrap_or_default();
            let found = values.iter().find(|value| value.name == *register).map(|value| value.value >> shift & 0b111);
            if found != Some(code) {
                return Err(format!("{register} says {found:?} of {pa_bits} bits, and should say {code}"));
            }
        }
    }
    Ok(())
}
