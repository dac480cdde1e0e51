//! Measures what the library costs its dependants to build: the compiler's CPU seconds for each package.
//!
//! Cargo is configured to use this program as its compiler, so that it sees each run of the real one. The figures are
//! only printed, not judged, as they depend on the machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use quote::quote;
use tablewright_archdefs::{BUILTINS, read_builtin};

use crate::step::{self, Outcome, workspace};

/// The environment variable with the file into which this program, as a compiler, writes what it measured. If it is not
/// set, the program is the suite.
const LOG: &str = "TABLEWRIGHT_BUILD_COST";

/// How often an expansion is measured. The fastest counts.
const TIMES: usize = 3;

/// A dependant that uses one built-in architecture.
const BUILT_IN: &str = "\
pub fn format() -> Option<tablewright::x86_64::ept::Format> {
    tablewright::Format::new(&tablewright::x86_64::ept::Config::new(4, 48)).ok()
}
";

/// The same, with a format file of its own.
const OWN: &str = "\
tablewright::page_table_format! { pub mod hyp = \"hyp.toml\" }
pub fn format() -> Option<hyp::Format> {
    tablewright::Format::new(&hyp::Config::new(3, 32)).ok()
}
";

/// Builds dependants cold and warm, and expands the built-in formats.
pub(crate) fn report() -> Outcome {
    cold_and_warm("a dependant with one built-in architecture", "\"x86_64\"", BUILT_IN)?;
    cold_and_warm("a dependant with a format file of its own", "\"format-files\"", OWN)?;

    println!("\nto expand a built-in format, without optimisation as the compiler runs macros:");
    for (name, _) in BUILTINS {
        println!("  {:6.2} s  {name}", expansion(name)?.as_secs_f64());
    }
    Ok(())
}

/// Builds a crate with this text that depends on the library with these features only: from scratch, and after an edit.
fn cold_and_warm(what: &str, features: &str, text: &str) -> Outcome {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let place = place.path();
    write_dependant(place, features).map_err(|error| format!("{}: {error}", place.display()))?;
    let edit = |text: &str| fs::write(place.join("src/lib.rs"), text).map_err(|error| error.to_string());
    edit(text)?;
    print(&format!("cold: {what}, and all that is below it"), &build(place)?);
    edit(&format!("{text}// edited\n"))?;
    print("warm: the same, after an edit of the dependant", &build(place)?);
    Ok(())
}

/// A crate outside the workspace. Its dependencies are compiled as if they came from a registry: once, and not
/// incrementally.
fn write_dependant(place: &Path, features: &str) -> std::io::Result<()> {
    let library = workspace().join("runtime");
    let manifest = format!(
        "[package]\nname = \"dependant\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\ntablewright = {{ path = {library:?}, default-features = false, features = [{features}] }}\n\n\
         [profile.dev.package.\"*\"]\nincremental = false\n"
    );
    fs::create_dir(place.join("src"))?;
    fs::write(place.join("Cargo.toml"), manifest)?;
    // It uses the workspace's versions, so that nothing has to be downloaded.
    fs::copy(workspace().join("Cargo.lock"), place.join("Cargo.lock"))?;
    fs::copy(workspace().join("examples/tutorial/arch/hyp.toml"), place.join("hyp.toml"))?;
    Ok(())
}

/// CPU seconds by package, for what cargo compiles in this run.
fn build(place: &Path) -> Result<BTreeMap<String, f64>, String> {
    let log = place.join("log");
    fs::write(&log, "").map_err(|error| error.to_string())?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--offline", "--manifest-path"]).arg(place.join("Cargo.toml"));
    command.arg("--target-dir").arg(place.join("target"));
    command.env("RUSTC_WRAPPER", this).env(LOG, &log).env_remove("RUSTFLAGS").env_remove("CARGO_PKG_NAME");
    step::run(&mut command)?;

    let mut packages = BTreeMap::new();
    for line in fs::read_to_string(&log).map_err(|error| error.to_string())?.lines() {
        let (package, seconds) = line.split_once(' ').ok_or("a line of the log is cut short")?;
        *packages.entry(package.to_owned()).or_default() +=
            seconds.parse::<f64>().map_err(|error| error.to_string())?;
    }
    Ok(packages)
}

fn print(what: &str, packages: &BTreeMap<String, f64>) {
    println!("\n{what}:");
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by(|one, other| other.1.total_cmp(one.1));
    for (package, seconds) in sorted {
        println!("  {seconds:6.2} s  {package}");
    }
    let ours = |package: &str| package.starts_with("tablewright") || package == "dependant";
    let all: f64 = packages.values().sum();
    let of_us: f64 = packages.iter().filter(|(name, _)| ours(name)).map(|(_, seconds)| seconds).sum();
    println!("  {all:6.2} s  in all, of which {of_us:.2} s ours");
}

/// Measures how long the reader and the generator take for a built-in format.
fn expansion(name: &str) -> Result<Duration, String> {
    let mut fastest = Duration::MAX;
    for _ in 0..TIMES {
        let start = Instant::now();
        let (_, format) = read_builtin(name).ok_or("it is not built in")?;
        let format = format.map_err(|_| format!("{name} has mistakes"))?;
        let code = tablewright_codegen::modules(&format, &quote!(::tablewright));
        fastest = fastest.min(start.elapsed());
        drop(code);
    }
    Ok(fastest)
}

/// If cargo called this program as its compiler: runs the real compiler and records the time that it took.
pub(crate) fn as_compiler() -> Option<ExitCode> {
    let log = std::env::var_os(LOG)?;
    let mut arguments = std::env::args_os().skip(1);
    let status = Command::new(arguments.next()?).args(arguments).status().ok()?;
    // Cargo also asks for the version, which belongs to no package.
    if let (Ok(package), Some(seconds)) = (std::env::var("CARGO_PKG_NAME"), children()) {
        let line = format!("{package} {seconds}\n");
        // One write, so that lines of compilers that run at once do not mix.
        OpenOptions::new().append(true).open(log).ok()?.write_all(line.as_bytes()).ok()?;
    }
    Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// CPU seconds of this program's finished children, which Linux gives in hundredths, after the name.
fn children() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Vec<f64> = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    Some(ticks.iter().sum::<f64>() / 100.0)
}
