//! `cargo suite`: everything that must hold of this repository, in one command.
//!
//! `cargo suite` runs every step but `build-cost`, `code-size`, `drop-in`, `mutation` and `recompiled`; `cargo suite
//! lints bare-metal` runs the named ones; `cargo suite --list` names them. Each step runs even if one before it failed,
//! so that one run reports everything.

mod bare_metal;
mod build_cost;
mod code_size;
mod drop_in;
mod hypervisors;
mod recompiled;
mod step;

use std::process::ExitCode;
use std::time::Instant;

use step::{Outcome, cargo};
use tablewright_tests::emulators;

/// Name, what it shows, how.
type Step = (&'static str, &'static str, fn() -> Outcome);

/// In this order: the quickest checks come first, and emulators are installed before the tests that need them.
const STEPS: [Step; 14] = [
    ("format", "the sources are formatted", format),
    ("emulators", "the MMU models are there, fetched if need be", fetch_emulators),
    ("lints", "clippy and rustdoc have nothing to say", lints),
    ("features", "every feature of the runtime builds alone", features),
    ("packages", "what would be published builds without this repository", packages),
    ("bare-metal", "the library builds and links for the machines it is for", bare_metal::build),
    ("tests", "unit tests, laws, snapshots, and the verdicts of real MMUs", tests),
    ("loom", "operations that race give the same in every order", loom),
    ("tour", "the tour runs", tour),
    ("hypervisor-aarch64", "a hypervisor at EL2 tells its story with two guests", hypervisors::aarch64),
    ("hypervisor-riscv64", "the same in HS-mode", hypervisors::riscv64),
    ("hypervisor-npt", "the same on a PC, with AMD's nested page tables", hypervisors::npt),
    ("hypervisor-ept", "the same with Intel's extended page tables", hypervisors::ept),
    ("new-arch", "a crate with an architecture of its own builds, runs, and passes every law", new_arch),
];

/// The steps that run only if they are named: they need packages from the registry and the nightly compiler, or take
/// minutes; and `code-size` fails, because the library is larger than its limit.
const BY_NAME: [Step; 5] = [
    ("build-cost", "what the library costs its dependants to compile, in CPU seconds", build_cost::report),
    ("code-size", "an address space in one format, with all operations, is at most 32 KiB of code", code_size::measure),
    ("drop-in", "clients of `axaddrspace`, unmodified, pass their tests on the drop-in", drop_in::test),
    ("mutation", "every change of one thing in a format's file is noticed, or it is known why not", mutation),
    (
        "recompiled",
        "files with one thing changed, drawn at random, mean the same compiled as interpreted",
        recompiled::compare,
    ),
];

fn main() -> ExitCode {
    if let Some(code) = build_cost::as_compiler() {
        return code;
    }
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.iter().any(|argument| argument == "--list") {
        for (name, shows, _) in STEPS.into_iter().chain(BY_NAME) {
            println!("{name:18} {shows}");
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = wanted.iter().find(|name| STEPS.iter().chain(&BY_NAME).all(|step| step.0 != **name)) {
        eprintln!("there is no step `{unknown}`; `cargo suite --list` names them");
        return ExitCode::from(2);
    }

    let mut failed = Vec::new();
    let named = |step: &Step| wanted.iter().any(|name| name == step.0);
    let chosen: Vec<Step> = STEPS
        .into_iter()
        .filter(|step| wanted.is_empty() || named(step))
        .chain(BY_NAME.into_iter().filter(named))
        .collect();
    for &(name, shows, run) in &chosen {
        println!("\n== {name}: {shows}");
        let start = Instant::now();
        let outcome = run();
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(()) => println!("== {name}: ok, {seconds} s"),
            Err(why) => {
                println!("== {name}: FAILED, {seconds} s\n{why}");
                failed.push(name);
            }
        }
    }

    println!("\n{} passed, {} failed", chosen.len() - failed.len(), failed.len());
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed: {}", failed.join(", "));
        ExitCode::FAILURE
    }
}

fn format() -> Outcome {
    cargo(&["fmt", "--all", "--check"])
}

fn fetch_emulators() -> Outcome {
    emulators::install().map_err(|error| error.to_string())
}

fn lints() -> Outcome {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    // Not a member of the workspace.
    let benches = ["--manifest-path", "generated-tests/benches/Cargo.toml", "--target-dir", "target"];
    cargo(&[&["clippy"], &benches[..], &["--all-targets", "--", "-D", "warnings"]].concat())?;
    step::cargo_with(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
}

/// `cargo test --workspace` unifies features, so a missing `cfg` would not show there.
fn features() -> Outcome {
    for features in
        ["", "x86_64", "aarch64", "loongarch64", "riscv64", "aarch64,arm-el2", "format-files", "sim", "testing"]
    {
        step::cargo_with(
            &["check", "--package", "tablewright", "--no-default-features", "--features", features],
            &[("RUSTFLAGS", "-D warnings")],
        )?;
    }
    Ok(())
}

/// In the workspace, files that a package leaves out are still there.
fn packages() -> Outcome {
    let ours = ["tour", "tablewright-machines", "tablewright-tests"].map(|ours| ["--exclude", ours]);
    cargo(&[&["package", "--workspace", "--allow-dirty"], ours.as_flattened()].concat())
}

fn tests() -> Outcome {
    cargo(&["test", "--workspace", "--no-fail-fast"])
}

/// Each format keeps all CPUs busy, so formats are tested one after the other.
fn mutation() -> Outcome {
    let all = ["--ignored", "--nocapture", "--test-threads", "1"];
    cargo(&[&["test", "--package", "tablewright-tests", "--test", "mutation", "--"], &all[..]].concat())
}

/// Everything is compiled with loom's atomics, so it has a target folder of its own.
fn loom() -> Outcome {
    step::cargo_with(
        &["test", "--manifest-path", "generated-tests/loom/Cargo.toml", "--target-dir", "target/loom"],
        &[("RUSTFLAGS", "--cfg loom")],
    )
}

fn tour() -> Outcome {
    cargo(&["run", "--package", "tour"])
}

/// It is not a member of the workspace, as a user's crate would not be.
fn new_arch() -> Outcome {
    ["run", "test"].into_iter().try_for_each(|command| {
        cargo(&[command, "--manifest-path", "examples/new-arch/Cargo.toml", "--target-dir", "target"])
    })
}
