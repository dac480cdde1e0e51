//! The built-in formats, by architecture, and the macro that adds others.

/// Generates the module of a format file of your own.
///
/// ```ignore
/// tablewright::page_table_format! { pub mod lpae = "arch/lpae.toml" }
/// ```
///
/// The path is relative to your crate's `Cargo.toml`. The module holds a `Config` (the parameters that vary between
/// machines and address spaces), a `Format` that implements [`Format`](crate::Format), `Page`, `Block` and `Table` for
/// single entries, `Registers`, and `Report`. A file with `[[build]]` rows gives a module of that kind for each of them
/// within. What is wrong with the file is shown as a compile error, with the place in it.
#[macro_export]
macro_rules! page_table_format {
    ($($input:tt)*) => {
        $crate::__macros::page_table_format! { [$crate] $($input)* }
    };
}

#[doc(hidden)]
pub use tablewright_macros as __macros;

/// Formats of x86-64 machines.
#[cfg(feature = "x86_64")]
pub mod x86_64 {
    tablewright_macros::builtin_format! { [crate] "ept" }
    tablewright_macros::builtin_format! { [crate] "npt" }
    tablewright_macros::builtin_format! { [crate] "long_mode" }
    tablewright_macros::builtin_format! { [crate] "vtd_first_stage" }
    tablewright_macros::builtin_format! { [crate] "vtd_second_stage" }
    tablewright_macros::builtin_format! { [crate] "amd_iommu_v1" }

    pub use nested::*;

    mod nested {
        use super::{ept, npt};
        use crate::nested::prelude::*;

        crate::nested::nested_formats! {
            /// Intel machines: extended page tables.
            Ept: ept,
            /// AMD machines: nested page tables.
            Npt: npt,
        }
    }
}

/// Formats of AArch64 machines.
#[cfg(feature = "aarch64")]
pub mod aarch64 {
    tablewright_macros::builtin_format! { [crate] "stage2" }
    tablewright_macros::builtin_format! { [crate] "stage1" }
    tablewright_macros::builtin_format! { [crate] "stage1_el2" }
    tablewright_macros::builtin_format! { [crate] "smmu_v3" }

    pub use nested::*;

    mod nested {
        use super::{stage2_4k, stage2_16k, stage2_64k};
        use crate::nested::prelude::*;

        crate::nested::nested_formats! {
            /// The 4 KiB granule.
            Stage2With4k: stage2_4k,
            /// The 16 KiB granule.
            Stage2With16k: stage2_16k,
            /// The 64 KiB granule.
            Stage2With64k: stage2_64k,
        }
    }
}

/// Formats of LoongArch64 machines.
#[cfg(feature = "loongarch64")]
pub mod loongarch64 {
    tablewright_macros::builtin_format! { [crate] "loongarch64" }
}

/// Formats of 64-bit RISC-V machines.
#[cfg(feature = "riscv64")]
pub mod riscv64 {
    tablewright_macros::builtin_format! { [crate] "sv_x4" }
    tablewright_macros::builtin_format! { [crate] "sv" }
    tablewright_macros::builtin_format! { [crate] "riscv_iommu" }

    /// The one nested format.
    pub type NestedFormat = sv_x4::Format;
    /// The values to load into the machine's registers.
    pub type NestedRegisters = sv_x4::Registers;
    /// The hardware's fault report.
    pub type NestedReport = sv_x4::Report;
    /// A gather of a guest's page table.
    pub type NestedGather<H> = crate::Gather<sv_x4::Format, H>;
    /// A guest's page table.
    pub type NestedPageTable<H> = crate::PageTable<sv_x4::Format, H>;
    /// A guest's address space.
    pub type NestedAddrSpace<H, B = crate::Builtin> = crate::AddrSpace<sv_x4::Format, H, B>;
}

/// The formats of the architecture that this is compiled for, if its feature is on.
#[cfg(any(
    all(feature = "x86_64", target_arch = "x86_64"),
    all(feature = "aarch64", target_arch = "aarch64"),
    all(feature = "loongarch64", target_arch = "loongarch64"),
    all(feature = "riscv64", target_arch = "riscv64"),
))]
pub mod native {
    #[cfg(target_arch = "aarch64")]
    pub use crate::aarch64::*;
    #[cfg(target_arch = "loongarch64")]
    pub use crate::loongarch64::*;
    #[cfg(target_arch = "riscv64")]
    pub use crate::riscv64::*;
    #[cfg(target_arch = "x86_64")]
    pub use crate::x86_64::*;
}
