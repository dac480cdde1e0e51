//! Which parameters make a legal configuration: the last that is on either side of a bound.

use tablewright::testing::Configured;
use tablewright_archdefs::bound::Bound;

/// Format, configuration, what is set otherwise, whether that is legal.
type Limit = (&'static str, &'static str, &'static [(&'static str, i64)], bool);

const LIMITS: &[Limit] = &[
    ("ept", "baseline", &[("pa_bits", 36)], true),
    ("ept", "baseline", &[("pa_bits", 35)], false),
    ("ept", "baseline", &[("pa_bits", 53)], false),
    ("long_mode", "baseline", &[("pa_bits", 32)], true),
    ("long_mode", "baseline", &[("pa_bits", 31)], false),
    ("long_mode", "server", &[("c_bit", 32), ("pa_bits", 32)], true),
    ("long_mode", "server", &[("c_bit", 31), ("pa_bits", 32)], false),
    ("pae", "nx", &[("pa_bits", 32)], true),
    ("pae", "nx", &[("pa_bits", 31)], false),
    ("pae", "nx", &[("pa_bits", 53)], false),
    ("pae", "nx", &[("levels", 2), ("input_bits", 23)], false),
    ("legacy", "blocks", &[("pa_bits", 31)], false),
    ("legacy", "blocks", &[("pa_bits", 40)], true),
    ("legacy", "blocks", &[("pa_bits", 41)], false),
    ("legacy", "blocks", &[("levels", 1), ("input_bits", 22)], false),
    ("loongarch64", "4k-39", &[("pa_bits", 36)], true),
    ("loongarch64", "4k-39", &[("pa_bits", 35)], false),
    ("loongarch64", "4k-39", &[("pa_bits", 49)], false),
    ("loongarch64", "4k-bare", &[("va_bits", 49)], false),
    ("loongarch64", "16k-36", &[("va_bits", 36), ("input_bits", 35)], true),
    ("loongarch64", "16k-36", &[("va_bits", 35), ("input_bits", 34)], false),
    ("loongarch64", "4k-39", &[("invalid_table", 0x1001)], false),
    // Below 3 levels no directory is left that the walker could begin with.
    ("loongarch64", "4k-39", &[("levels", 2), ("input_bits", 30)], false),
    ("loongarch64", "4k-39", &[("levels", 3), ("input_bits", 31)], true),
    ("loongarch64", "4k-39", &[("levels", 3), ("input_bits", 30)], false),
    ("loongarch64", "4k-39", &[("levels", 3), ("input_bits", 40)], false),
    ("loongarch64", "16k-36", &[("levels", 1), ("input_bits", 25)], false),
    ("loongarch64", "16k-36", &[("levels", 2), ("input_bits", 26)], true),
    ("loongarch64", "16k-36", &[("levels", 2), ("input_bits", 25)], false),
    ("loongarch64", "16k-36", &[("levels", 2), ("input_bits", 37)], false),
    ("loongarch64", "64k-42", &[("levels", 1), ("input_bits", 29)], false),
    ("loongarch64", "64k-42", &[("levels", 2), ("input_bits", 30)], true),
    ("loongarch64", "64k-42", &[("levels", 2), ("input_bits", 29)], false),
    ("loongarch64", "64k-42", &[("levels", 2), ("input_bits", 43)], false),
    ("sv", "sv39", &[("levels", 2), ("input_bits", 30)], false),
    ("sv", "sv57", &[("levels", 6), ("input_bits", 66)], false),
    ("sv32", "sv32", &[("levels", 1), ("input_bits", 22)], false),
    ("sv32", "sv32", &[("levels", 3), ("input_bits", 42)], false),
    ("sv_x4", "sv39x4", &[("levels", 2), ("input_bits", 32)], false),
    ("riscv_iommu_first_stage", "sv39", &[("levels", 4), ("input_bits", 48)], false),
    ("riscv_iommu_first_stage", "sv48", &[("levels", 3), ("input_bits", 39)], true),
    ("riscv_iommu_first_stage", "sv48", &[("sv48", 0)], false),
    ("stage2", "4k-40", &[("bbm", 3)], false),
    // The smallest input is of 25 bits, and of 16 with FEAT_TTST.
    ("stage2", "16k-small", &[("input_bits", 24)], false),
    ("stage2", "4k-smallest", &[("input_bits", 15)], false),
    ("stage2", "16k-small", &[("input_bits", 16), ("ttst", 1)], true),
    ("stage2", "16k-small", &[("input_bits", 15), ("ttst", 1)], false),
    ("stage1", "16k-36", &[("levels", 1), ("input_bits", 25)], true),
    ("stage1", "16k-36", &[("levels", 1), ("input_bits", 24)], false),
    ("stage1", "4k-small", &[("input_bits", 15)], false),
    ("stage1", "4k-48", &[("pa_bits", 52)], false),
    ("stage1", "4k-48", &[("levels", 5), ("input_bits", 49)], false),
    // The first level translates at least one bit, and at most those of a table: of 16 where tables are concatenated.
    ("stage1", "4k-small", &[("input_bits", 21)], true),
    ("stage1", "4k-small", &[("input_bits", 22)], false),
    ("stage1", "4k-39-dirty", &[("input_bits", 31)], true),
    ("stage1", "4k-39-dirty", &[("input_bits", 30)], false),
    ("stage1", "4k-39-dirty", &[("input_bits", 40)], false),
    ("stage1", "4k-lpa2", &[("input_bits", 49)], true),
    ("stage1", "4k-lpa2", &[("input_bits", 48)], false),
    ("stage1", "4k-lpa2", &[("input_bits", 53)], false),
    ("stage1", "16k-36", &[("input_bits", 26)], true),
    ("stage1", "16k-36", &[("input_bits", 25)], false),
    ("stage1", "16k-36", &[("input_bits", 37)], false),
    ("stage1", "16k-lpa2", &[("input_bits", 48)], true),
    ("stage1", "16k-lpa2", &[("input_bits", 47)], false),
    ("stage1", "16k-lpa2", &[("input_bits", 53)], false),
    ("stage1", "64k-42", &[("levels", 1), ("input_bits", 25)], true),
    ("stage1", "64k-42", &[("input_bits", 30)], true),
    ("stage1", "64k-42", &[("input_bits", 29)], false),
    ("stage1", "64k-42", &[("input_bits", 43)], false),
    ("stage1", "64k-52", &[("lva", 0), ("input_bits", 48)], true),
    ("stage1", "64k-52", &[("lva", 0), ("input_bits", 49)], false),
    ("stage1", "64k-52", &[("input_bits", 43)], true),
    ("stage1", "64k-52", &[("input_bits", 42)], false),
    ("stage1", "64k-52", &[("input_bits", 53)], false),
    ("stage2", "4k-smallest", &[("input_bits", 25)], true),
    ("stage2", "4k-smallest", &[("input_bits", 26)], false),
    ("stage2", "4k-16-tables", &[("input_bits", 22), ("ttst", 1)], true),
    ("stage2", "4k-16-tables", &[("input_bits", 21), ("ttst", 1)], false),
    ("stage2", "4k-16-tables", &[("input_bits", 35)], false),
    ("stage2", "4k-39", &[("input_bits", 43)], true),
    ("stage2", "4k-39", &[("input_bits", 44)], false),
    ("stage2", "4k-48", &[("input_bits", 40)], true),
    ("stage2", "4k-48", &[("input_bits", 39)], false),
    ("stage2", "4k-lpa2", &[("levels", 4), ("input_bits", 52)], true),
    ("stage2", "4k-lpa2", &[("input_bits", 49)], true),
    ("stage2", "4k-lpa2", &[("input_bits", 48)], false),
    ("stage2", "16k-small", &[("input_bits", 29)], true),
    ("stage2", "16k-small", &[("input_bits", 30)], false),
    ("stage2", "16k-40", &[("input_bits", 26)], true),
    ("stage2", "16k-40", &[("input_bits", 25)], false),
    ("stage2", "16k-48", &[("input_bits", 37)], true),
    ("stage2", "16k-48", &[("input_bits", 36)], false),
    ("stage2", "16k-lpa2", &[("levels", 3), ("input_bits", 51)], true),
    ("stage2", "16k-lpa2", &[("levels", 3), ("input_bits", 52)], false),
    ("stage2", "16k-lpa2", &[("input_bits", 48)], true),
    ("stage2", "16k-lpa2", &[("input_bits", 47)], false),
    ("stage2", "64k-small", &[("input_bits", 33)], true),
    ("stage2", "64k-small", &[("input_bits", 34)], false),
    ("stage2", "64k-42", &[("input_bits", 30)], true),
    ("stage2", "64k-42", &[("input_bits", 29)], false),
    ("stage2", "64k-48", &[("levels", 2), ("input_bits", 46)], true),
    ("stage2", "64k-48", &[("levels", 2), ("input_bits", 47)], false),
    ("stage2", "64k-48", &[("input_bits", 43)], true),
    ("stage2", "64k-48", &[("input_bits", 42)], false),
    // Which level a walk may start at depends on the width of physical addresses.
    ("stage2", "4k-48", &[("pa_bits", 44), ("input_bits", 44)], true),
    ("stage2", "4k-48", &[("pa_bits", 42), ("input_bits", 42)], false),
    ("stage2", "16k-48", &[("pa_bits", 42), ("input_bits", 42)], true),
    ("stage2", "16k-48", &[("pa_bits", 40), ("input_bits", 40)], false),
    ("stage2", "64k-48", &[("pa_bits", 44), ("input_bits", 44)], true),
    ("stage2", "64k-48", &[("pa_bits", 42), ("input_bits", 42)], false),
];

pub(super) fn check(format: &str, config: &str, case: &Configured) -> Result<(), String> {
    for (_, _, set, legal) in LIMITS.iter().filter(|(name, of, ..)| *name == format && *of == config) {
        // With the size alone, the number of levels would follow.
        let levels =
            [("levels", case.params.levels())].into_iter().filter(|_| set.iter().all(|(name, _)| *name != "levels"));
        let sized = set.iter().any(|(name, _)| *name == "input_bits");
        let set: Vec<_> = levels.filter(|_| sized).chain(set.iter().copied()).collect();
        let params = case.params.with(&case.format, &set);
        let found = params.is_ok_and(|params| Bound::new(&case.format, &params).is_ok());
        if found != *legal {
            return Err(format!("{set:?} is legal: {found}"));
        }
    }
    Ok(())
}
