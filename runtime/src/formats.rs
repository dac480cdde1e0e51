//! The built-in formats, by architecture, and the macro that adds others.
//!
//! The code generated from the built-in files is checked in beside this file, in a folder for each architecture, so that
//! their users need not compile the generator. `BLESS=1 cargo test -p tablewright-cli --test builtin` generates it anew;
//! without `BLESS`, the test fails if it is not what the files say.

/// Generates the module of a format file of your own.
///
/// ```
/// use tablewright::{PageTable, Tag, sim::Machine};
///
/// tablewright::page_table_format! { pub mod hyp = "../examples/tutorial/arch/hyp.toml" }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let format = hyp::Format::new(&hyp::Config::new(3, 32))?;
/// let table = PageTable::new(format, Machine::new(0x8000_0000, 1 << 20), Tag(0))?;
/// assert_eq!(table.registers()?.httbr, table.root().as_usize() as u64);
/// # Ok(())
/// # }
/// ```
///
/// The path is relative to your crate's `Cargo.toml`. The module holds a `Config` (the parameters that vary between
/// machines and address spaces), a `Format` that implements [`Format`](crate::Format), `Page`, `Block` and `Table` for
/// single entries, `Registers`, and `Report`. A file with `[[build]]` rows gives such a module, inside this one, for each
/// row. Mistakes in the file are compile errors, with their position in the file.
///
/// It needs the feature `format-files`, which takes longer to compile than all the rest.
#[cfg(feature = "format-files")]
#[macro_export]
macro_rules! page_table_format {
    ($($input:tt)*) => {
        $crate::__macros::page_table_format! { [$crate] $($input)* }
    };
}

/// Needs the feature `format-files`.
#[cfg(not(feature = "format-files"))]
#[macro_export]
macro_rules! page_table_format {
    ($($input:tt)*) => {
        ::core::compile_error! { "format files of your own need the feature `format-files` of `tablewright`" }
    };
}

#[cfg(feature = "format-files")]
#[doc(hidden)]
pub use tablewright_macros as __macros;

/// Modules of formats, each in a file of its own, as `tablewright expand` writes it.
#[cfg(any(feature = "x86_64", feature = "aarch64", feature = "loongarch64", feature = "riscv64"))]
macro_rules! generated {
    ($($name:ident)*) => {
        $(
            // A rule that must hold is written as the file has it: `!(input_bits <= pa_bits)`.
            #[allow(clippy::nonminimal_bool)]
            pub mod $name;
        )*
    };
}

/// Formats of x86-64 machines and their guests.
#[cfg(feature = "x86_64")]
pub mod x86_64 {
    generated! { ept npt long_mode pae legacy vtd_first_stage vtd_second_stage amd_iommu_v1 }

    pub use nested::*;

    mod nested {
        use super::{ept, npt};
        use crate::nested::prelude::*;

        crate::nested::nested_formats! {
            "```
use tablewright::{ClosedRange, Format, MappingFlags, Rights, Tag, sim::Machine, x86_64::*};

# fn main() -> Result<(), Box<dyn std::error::Error>> {
let format = ept::Format::new(&ept::Config::new(4, 48))?;"
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
    generated! { stage2_4k stage2_16k stage2_64k }
    generated! { stage1_4k stage1_16k stage1_64k }
    generated! { stage1_el2_4k stage1_el2_16k stage1_el2_64k }
    generated! { smmu_v3_4k smmu_v3_16k smmu_v3_64k }

    pub use nested::*;

    mod nested {
        use super::{stage2_4k, stage2_16k, stage2_64k};
        use crate::nested::prelude::*;

        crate::nested::nested_formats! {
            "```
use tablewright::{ClosedRange, Format, MappingFlags, Rights, Tag, sim::Machine, aarch64::*};

# fn main() -> Result<(), Box<dyn std::error::Error>> {
let format = stage2_4k::Format::new(&stage2_4k::Config::new(3, 39))?;"
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
    generated! { loongarch64_4k loongarch64_16k loongarch64_64k }
}

/// Formats of 64-bit RISC-V machines and their guests.
#[cfg(feature = "riscv64")]
pub mod riscv64 {
    generated! { sv_x4 sv sv32 riscv_iommu riscv_iommu_first_stage }

    /// The one nested format.
    ///
    /// ```
    /// use tablewright::{Format, riscv64::{NestedFormat, sv_x4}};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format: NestedFormat = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
    /// assert_eq!(format.geometry().levels, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub type NestedFormat = sv_x4::Format;
    /// The values to load into the machine's registers.
    ///
    /// ```
    /// use tablewright::{Tag, riscv64::*, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format: NestedFormat = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
    /// let table = NestedPageTable::new(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// let registers: NestedRegisters = table.registers()?;
    /// assert_eq!(registers.hgatp >> 60, 8);
    /// # Ok(())
    /// # }
    /// ```
    pub type NestedRegisters = sv_x4::Registers;
    /// The hardware's fault report.
    ///
    /// ```
    /// use tablewright::{Tag, riscv64::*, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format: NestedFormat = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
    /// let space: NestedAddrSpace<_> = NestedAddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// // A store of the guest.
    /// let report = NestedReport { scause: 23, stval: 0x1234, htval: 0x1234 >> 2, htinst: 0 };
    /// assert_eq!(space.handle_report(&report)?, tablewright::FaultOutcome::NotMapped);
    /// # Ok(())
    /// # }
    /// ```
    pub type NestedReport = sv_x4::Report;
    /// A gather of a guest's page table.
    ///
    /// ```
    /// use tablewright::{ClosedRange, Tag, riscv64::*, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format: NestedFormat = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
    /// let mut table = NestedPageTable::new(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// let mut gather: NestedGather<Machine> = table.gather();
    /// table.unmap(ClosedRange::around(0x8000_0000, 12), &mut gather)?;
    /// gather.flush();
    /// # Ok(())
    /// # }
    /// ```
    pub type NestedGather<H> = crate::Gather<sv_x4::Format, H>;
    /// A guest's page table.
    ///
    /// ```
    /// use tablewright::{Tag, riscv64::*, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format: NestedFormat = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
    /// let table = NestedPageTable::new(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// assert_eq!(table.translate(0x8000_0000), None);
    /// # Ok(())
    /// # }
    /// ```
    pub type NestedPageTable<H> = crate::PageTable<sv_x4::Format, H>;
    /// A guest's address space.
    ///
    /// ```
    /// use tablewright::{MappingFlags, Rights, Tag, riscv64::*, sim::Machine};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let format: NestedFormat = sv_x4::Format::new(&sv_x4::Config::new(3, 41))?;
    /// let mut space: NestedAddrSpace<_> = NestedAddrSpace::new_empty(format, Machine::new(0, 1 << 20), Tag(1))?;
    /// space.map_alloc(0x1000.into(), 0x4000, MappingFlags::READ | MappingFlags::WRITE, false)?;
    /// assert!(space.handle_fault(0x2000.into(), Rights::W).is_resolved());
    /// # Ok(())
    /// # }
    /// ```
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
