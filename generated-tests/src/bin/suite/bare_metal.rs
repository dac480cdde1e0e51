//! Building for the machines that have no operating system.
//!
//! Generic code that nothing instantiates is never compiled to instructions, so this builds an example that uses the
//! library, not the library alone.

use std::path::Path;
use std::process::Command;

use crate::step::{Outcome, output, run};

/// Target, and the feature of the example that goes with it.
pub(crate) const TARGETS: [(&str, &str); 4] = [
    ("aarch64-unknown-none", "aarch64"),
    ("loongarch64-unknown-none", "loongarch64"),
    ("riscv64gc-unknown-none-elf", "riscv64"),
    ("x86_64-unknown-none", "x86_64"),
];

/// Builds the bare-metal example for every target.
pub(crate) fn build() -> Outcome {
    TARGETS.into_iter().try_for_each(|(target, feature)| release("examples/bare-metal", target, feature))
}

/// Builds the package in this folder for `target`, with the feature that goes with it, and refuses warnings in code
/// that is compiled for such machines only.
pub(crate) fn release(folder: &str, target: &str, feature: &str) -> Outcome {
    let manifest = format!("{folder}/Cargo.toml");
    let mut command = Command::new("cargo");
    command.args(toolchain(target)?);
    command.args(["build", "--release", "--manifest-path", &manifest, "--target", target, "--features", feature]);
    run(command.env("RUSTFLAGS", "-D warnings"))
}

/// The arguments with which cargo has a `core` and an `alloc` for `target`: the toolchain in use if rustup has
/// the target for it or can fetch it, else the nightly one if it can build them from source.
pub(crate) fn toolchain(target: &str) -> Result<Vec<&'static str>, String> {
    let installed = output("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    if installed.lines().any(|line| line == target) {
        return Ok(Vec::new());
    }
    if nightly_has_sources() {
        return Ok(vec!["+nightly", "-Zbuild-std=core,alloc,compiler_builtins"]);
    }
    if output("rustup", &["target", "add", target]).is_some() {
        return Ok(Vec::new());
    }
    Err(format!(
        "no way to build for {target}: `rustup target add {target}` fails, and the nightly toolchain has no rust-src"
    ))
}

fn nightly_has_sources() -> bool {
    output("rustc", &["+nightly", "--print", "sysroot"])
        .is_some_and(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs").exists())
}
