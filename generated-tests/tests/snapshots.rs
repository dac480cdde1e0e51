//! What is generated for each built-in format, as text that people review and the compiler checks.
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
    let items = tablewright_codegen::module(&format, build, &quote!(::tablewright)).expect("it can be generated");
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
    ($($name:ident: $file:literal, $format:literal, $build:expr;)*) => {
        // What is reviewed is what compiles. A module and a function may share a name.
        $(
            // A rule that must hold is written as the file has it: `!(input_bits <= pa_bits)`.
            #[allow(dead_code, unreachable_pub, clippy::nonminimal_bool)]
            #[path = $file]
            mod $name;

            #[test]
            fn $name() {
                check(stringify!($name), $format, $build);
            }
        )*
    };
}

snapshots! {
    ept: "../snapshots/ept.rs", "ept", None;
    npt: "../snapshots/npt.rs", "npt", None;
    long_mode: "../snapshots/long_mode.rs", "long_mode", None;
    vtd_first_stage: "../snapshots/vtd_first_stage.rs", "vtd_first_stage", None;
    vtd_second_stage: "../snapshots/vtd_second_stage.rs", "vtd_second_stage", None;
    amd_iommu_v1: "../snapshots/amd_iommu_v1.rs", "amd_iommu_v1", None;
    stage2_4k: "../snapshots/stage2_4k.rs", "stage2", Some("stage2_4k");
    stage2_16k: "../snapshots/stage2_16k.rs", "stage2", Some("stage2_16k");
    stage2_64k: "../snapshots/stage2_64k.rs", "stage2", Some("stage2_64k");
    sv: "../snapshots/sv.rs", "sv", None;
    sv_x4: "../snapshots/sv_x4.rs", "sv_x4", None;
}
