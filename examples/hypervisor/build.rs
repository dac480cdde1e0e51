//! Tells the linker where the image goes.

use std::env;

fn main() {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo says what it builds for");
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let script = format!("{folder}/link/{architecture}.ld");
    println!("cargo::rerun-if-changed=link");
    println!("cargo::rustc-link-arg-bins=--script={script}");
    println!("cargo::rustc-link-arg-bins=-L{folder}/link");
    // The image runs where it was linked for: it has no loader that could move it.
    println!("cargo::rustc-link-arg-bins=--no-pie");
}
