//! What is generated for each built-in format, as text that people review. `snapshots_compile` compiles it.
//!
//! `BLESS=1 cargo test -p tablewright-tests --test snapshots` writes the files anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use quote::quote;
use tablewright_archdefs::read_builtin;

/// The module of one build of a built-in format, as text.
fn generated(format: &str, build: Option<&str>) -> String {
    let (_, format) = read_builtin(format).expect("it is built in");
    let format = format.expect("it has no mistakes");
    let build = build.map(|name| format.builds.iter().find(|build| build.name.value == name).expect("it is a build"));
    let items = tablewright_codegen::module(&format, build, &quote!(::tablewright));
    tablewright_codegen::print(items).expect("it is Rust")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name).with_extension("rs")
}

fn check(name: &str, format: &str, build: Option<&str>) {
    let actual = generated(format, build);
    let path = file(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("the snapshot can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "{} differs:\n{}", path.display(), difference(&expected, &actual));
}

/// The lines between the first and the last that differ.
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let before = expected.iter().zip(&actual).take_while(|(a, b)| a == b).count();
    let rest = expected.len().min(actual.len()) - before;
    let after = expected.iter().rev().zip(actual.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut text = format!("@@ line {} @@\n", before + 1);
    for (sign, lines) in [('-', &expected), ('+', &actual)] {
        for line in &lines[before..lines.len() - after] {
            let _ = writeln!(text, "{sign}{line}");
        }
    }
    text
}

macro_rules! snapshots {
    ($($name:ident: $format:literal, $build:expr;)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $format, $build);
            }
        )*
    };
}

snapshots! {
    ept: "ept", None;
    npt: "npt", None;
    long_mode: "long_mode", None;
    vtd_first_stage: "vtd_first_stage", None;
    vtd_second_stage: "vtd_second_stage", None;
    amd_iommu_v1: "amd_iommu_v1", None;
    stage2_4k: "stage2", Some("stage2_4k");
    stage2_16k: "stage2", Some("stage2_16k");
    stage2_64k: "stage2", Some("stage2_64k");
    stage1_4k: "stage1", Some("stage1_4k");
    stage1_16k: "stage1", Some("stage1_16k");
    stage1_64k: "stage1", Some("stage1_64k");
    stage1_el2_4k: "stage1_el2", Some("stage1_el2_4k");
    stage1_el2_16k: "stage1_el2", Some("stage1_el2_16k");
    stage1_el2_64k: "stage1_el2", Some("stage1_el2_64k");
    smmu_v3_4k: "smmu_v3", Some("smmu_v3_4k");
    smmu_v3_16k: "smmu_v3", Some("smmu_v3_16k");
    smmu_v3_64k: "smmu_v3", Some("smmu_v3_64k");
    loongarch64_4k: "loongarch64", Some("loongarch64_4k");
    loongarch64_16k: "loongarch64", Some("loongarch64_16k");
    loongarch64_64k: "loongarch64", Some("loongarch64_64k");
    riscv_iommu: "riscv_iommu", None;
    riscv_iommu_first_stage: "riscv_iommu_first_stage", None;
    sv: "sv", None;
    sv_x4: "sv_x4", None;
}

/// Every snapshot is compiled, and none is left over from a format that is gone.
#[test]
fn all_are_compiled() {
    let compiled = include_str!("snapshots_compile.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots");
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let name = entry.expect("it can be listed").file_name();
        let name = name.to_str().expect("names are plain").to_owned();
        assert!(compiled.contains(&format!("snapshots/{name}\"")), "{name} is not compiled");
    }
}
