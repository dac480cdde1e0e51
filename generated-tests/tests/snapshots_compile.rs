//! The snapshots of generated code compile: what people review is what users get.
//!
//! Apart from `snapshots`, so that a snapshot that no longer compiles can still be written anew.

macro_rules! snapshots {
    ($($name:ident: $file:literal;)*) => {
        $(
            // A rule that must hold is written as the file has it: `!(input_bits <= pa_bits)`.
            #[allow(dead_code, unreachable_pub, clippy::nonminimal_bool)]
            #[path = $file]
            mod $name;
        )*
    };
}

snapshots! {
    ept: "../snapshots/ept.rs";
    npt: "../snapshots/npt.rs";
    long_mode: "../snapshots/long_mode.rs";
    vtd_first_stage: "../snapshots/vtd_first_stage.rs";
    vtd_second_stage: "../snapshots/vtd_second_stage.rs";
    amd_iommu_v1: "../snapshots/amd_iommu_v1.rs";
    stage2_4k: "../snapshots/stage2_4k.rs";
    stage2_16k: "../snapshots/stage2_16k.rs";
    stage2_64k: "../snapshots/stage2_64k.rs";
    stage1_4k: "../snapshots/stage1_4k.rs";
    stage1_16k: "../snapshots/stage1_16k.rs";
    stage1_64k: "../snapshots/stage1_64k.rs";
    stage1_el2_4k: "../snapshots/stage1_el2_4k.rs";
    stage1_el2_16k: "../snapshots/stage1_el2_16k.rs";
    stage1_el2_64k: "../snapshots/stage1_el2_64k.rs";
    smmu_v3_4k: "../snapshots/smmu_v3_4k.rs";
    smmu_v3_16k: "../snapshots/smmu_v3_16k.rs";
    smmu_v3_64k: "../snapshots/smmu_v3_64k.rs";
    loongarch64_4k: "../snapshots/loongarch64_4k.rs";
    loongarch64_16k: "../snapshots/loongarch64_16k.rs";
    loongarch64_64k: "../snapshots/loongarch64_64k.rs";
    riscv_iommu: "../snapshots/riscv_iommu.rs";
    riscv_iommu_first_stage: "../snapshots/riscv_iommu_first_stage.rs";
    sv: "../snapshots/sv.rs";
    sv_x4: "../snapshots/sv_x4.rs";
}
