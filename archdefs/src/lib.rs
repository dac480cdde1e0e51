//! Page-table formats as data: the TOML files, their reader, checker and reference interpreter.

mod ascending;
pub mod bound;
pub mod check;
pub mod diagnostics;
pub mod eval;
#[cfg(feature = "tools")]
pub mod explain;
pub mod expr;
mod grammar;
pub mod interpret;
pub mod linear;
#[cfg(feature = "tools")]
pub mod mappings;
pub mod model;
mod reader;
pub mod schema;
pub mod show;
pub mod source;
pub mod suggest;
#[cfg(feature = "tools")]
mod summary;
mod visit;
pub mod words;

pub use check::check;
pub use diagnostics::{Diagnostic, Diagnostics, Style};
pub use reader::{Outline, outline, read, read_builtin};
pub use source::{Sources, Span};
#[cfg(feature = "tools")]
pub use summary::Summary;

/// The formats of this package: name and text of each file.
pub const BUILTINS: &[(&str, &str)] = &[
    ("amd_iommu_v1", include_str!("../formats/amd_iommu_v1.toml")),
    ("ept", include_str!("../formats/ept.toml")),
    ("legacy", include_str!("../formats/legacy.toml")),
    ("long_mode", include_str!("../formats/long_mode.toml")),
    ("loongarch64", include_str!("../formats/loongarch64.toml")),
    ("npt", include_str!("../formats/npt.toml")),
    ("pae", include_str!("../formats/pae.toml")),
    ("riscv_iommu", include_str!("../formats/riscv_iommu.toml")),
    ("riscv_iommu_first_stage", include_str!("../formats/riscv_iommu_first_stage.toml")),
    ("smmu_v3", include_str!("../formats/smmu_v3.toml")),
    ("stage1", include_str!("../formats/stage1.toml")),
    ("stage1_el2", include_str!("../formats/stage1_el2.toml")),
    ("stage2", include_str!("../formats/stage2.toml")),
    ("sv", include_str!("../formats/sv.toml")),
    ("sv32", include_str!("../formats/sv32.toml")),
    ("sv_x4", include_str!("../formats/sv_x4.toml")),
    ("vtd_first_stage", include_str!("../formats/vtd_first_stage.toml")),
    ("vtd_second_stage", include_str!("../formats/vtd_second_stage.toml")),
];

/// The text of a built-in format.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static str> {
    BUILTINS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The JSON Schema of format files, for editors: `#:schema PATH` in a file's first line makes them use it.
#[must_use]
pub fn schema() -> &'static str {
    include_str!("../schema/tablewright.schema.json")
}
