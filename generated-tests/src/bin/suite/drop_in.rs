//! Runs the tests of `axaddrspace` and of its clients on the drop-in for it.
//!
//! The published sources are copied from cargo's registry into the target folder, as a workspace with the same one-line
//! patch that any client would write. They are not changed, except that the original's tests, which are inside its
//! modules, are cut out and given the drop-in's names in place of the module's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Outcome, output, run, workspace};

/// The clients whose tests are run. The last has none and is only compiled.
const CLIENTS: [&str; 6] =
    ["axvcpu-0.3.0", "axdevice-0.2.2", "axdevice_base-0.2.2", "x86_vcpu-0.3.0", "x86_vlapic-0.2.2", "axvm-0.3.0"];

const ORIGINAL: &str = "axaddrspace-0.3.0";

/// The targets that the original supports.
const TARGETS: [&str; 3] = ["aarch64-unknown-none", "riscv64gc-unknown-none-elf", "x86_64-unknown-none"];

/// Some clients are for the nightly compiler only; it builds `core` for the machines, and needs `rust-src` for that.
const TOOLCHAIN: &str = "+nightly";

/// The original's modules with tests, and the names that the tests use from the module around them.
const TESTED: [(&str, &str); 3] = [
    ("address_space/mod.rs", "use axaddrspace::{AddrSpace, GuestPhysAddr, MappingFlags}; use memory_addr::PhysAddr;"),
    ("frame.rs", "use axaddrspace::PhysFrame; use memory_addr::PAGE_SIZE_4K as PAGE_SIZE;"),
    ("memory_accessor.rs", "use axaddrspace::{GuestMemoryAccessor, GuestPhysAddr}; use axerrno::AxResult;"),
];

/// The dependencies of the original's tests.
const ORIGINAL_MANIFEST: &str = r#"[package]
name = "original-tests"
version = "0.0.0"
edition = "2024"

[dependencies]
assert_matches = "1.5.0"
axaddrspace = "0.3"
axerrno = "0.2"
axin = "0.1.0"
lazy_static = "1.5"
memory_addr = "0.4"
page_table_multiarch = "0.6"
spin = "0.10"
"#;

/// Runs the drop-in's own tests; then downloads the clients and the original, runs all their tests on it, and compiles the
/// client that has all others below it for each machine.
pub(crate) fn test() -> Outcome {
    step::cargo(&["test", "--manifest-path", "examples/axaddrspace/Cargo.toml", "--target-dir", "target"])?;
    let place = workspace().join("target/drop-in");
    let sources = download(&place.join("published")).map_err(|error| format!("the clients: {error}"))?;
    let patched = place.join("patched");
    assemble(&patched, &sources).map_err(|error| format!("{}: {error}", patched.display()))?;
    pin(&patched)?;
    // Tests of a client share the frames of one simulated machine, which some of them reset.
    cargo(&patched, &["test", "--workspace", "--all-targets", "--", "--test-threads=1"])?;
    TARGETS.into_iter().try_for_each(|target| {
        cargo(&patched, &["check", "--package", "axvm", "-Zbuild-std=core,alloc,compiler_builtins", "--target", target])
    })
}

/// Lets cargo fetch the published packages. Returns the folder with their sources.
fn download(place: &Path) -> Result<PathBuf, String> {
    let exactly = |package: &&str| {
        let (name, version) = package.rsplit_once('-').unwrap_or((package, "*"));
        format!("{name} = \"={version}\"\n")
    };
    let dependencies: String = CLIENTS.iter().chain([&ORIGINAL]).map(exactly).collect();
    let manifest = format!(
        "[package]\nname = \"published\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}"
    );
    write(&place.join("Cargo.toml"), &manifest).map_err(|error| error.to_string())?;
    write(&place.join("src/lib.rs"), "").map_err(|error| error.to_string())?;
    pin(place)?;
    cargo(place, &["fetch"])?;
    let manifest = place.join("Cargo.toml");
    let metadata = output("cargo", &["metadata", "--format-version=1", "--manifest-path", &manifest.to_string_lossy()])
        .ok_or("cargo metadata fails")?;
    // The path of the original's manifest is the only one of its kind there.
    let end = metadata.find(&format!("/{ORIGINAL}/Cargo.toml")).ok_or("cargo does not say where the sources are")?;
    let start = metadata.get(..end).and_then(|before| before.rfind('"')).map_or(0, |quote| quote + 1);
    Ok(PathBuf::from(metadata.get(start..end).unwrap_or_default()))
}

/// Later versions of `x86_64` need another nightly compiler than the clients do.
fn pin(place: &Path) -> Outcome {
    cargo(place, &["update", "--package", "x86_64", "--precise", "0.15.4"])
}

/// Copies the clients and the original's tests, and writes the workspace around them.
fn assemble(place: &Path, sources: &Path) -> std::io::Result<()> {
    for client in CLIENTS {
        let copy = place.join(client);
        copy_folder(&sources.join(client), &copy)?;
    }
    let original = place.join("original");
    write(&original.join("Cargo.toml"), ORIGINAL_MANIFEST)?;
    write(&original.join("src/lib.rs"), &original_tests(&sources.join(ORIGINAL).join("src"))?)?;

    let members: String = CLIENTS.iter().map(|client| format!("    \"{client}\",\n")).collect();
    let facade = workspace().join("examples/axaddrspace");
    let manifest = format!(
        "[workspace]\nresolver = \"2\"\nmembers = [\n{members}    \"original\",\n]\n\n[patch.crates-io]\naxaddrspace = {{ path = {facade:?} }}\n"
    );
    write(&place.join("Cargo.toml"), &manifest)
}

/// The original's tests as one file, in modules that import the drop-in in place of the modules around them.
fn original_tests(sources: &Path) -> std::io::Result<String> {
    let helpers = fs::read_to_string(sources.join("test_utils/mod.rs"))?;
    let mut all = format!(
        "#![cfg(test)]\nextern crate alloc;\nuse axaddrspace::{{AxMmHal, HostPhysAddr, HostVirtAddr}};\nmod test_utils {{\n{helpers}\n}}\n"
    );
    for (number, (file, names)) in TESTED.iter().enumerate() {
        let text = fs::read_to_string(sources.join(file))?;
        let (_, tests) = text
            .split_once("#[cfg(test)]\n")
            .ok_or_else(|| std::io::Error::other(format!("{file} of the original has no tests")))?;
        all += &format!("mod module_{number} {{\n#![allow(unused_imports)]\n{names}\n{tests}\n}}\n");
    }
    Ok(all)
}

fn write(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    // Files that are unchanged are not written, so that cargo does not build them again.
    if fs::read_to_string(file).is_ok_and(|old| old == text) { Ok(()) } else { fs::write(file, text) }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&source, &copy)?;
        } else if entry.file_name() != "Cargo.lock" {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}

/// Runs cargo in a folder outside the workspace.
fn cargo(place: &Path, arguments: &[&str]) -> Outcome {
    let (verb, rest) = arguments.split_first().ok_or("no command")?;
    // The toolchain that runs the suite must not be inherited.
    let mut command = Command::new("cargo");
    command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
    command.args([TOOLCHAIN, verb, "--manifest-path"]).arg(place.join("Cargo.toml")).args(rest);
    run(&mut command)
}
