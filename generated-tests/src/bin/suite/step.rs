//! Runs the commands of a step.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// The result of a step, with the reason if it failed.
pub(crate) type Outcome = Result<(), String>;

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// Runs cargo in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Outcome {
    cargo_with(arguments, &[])
}

/// Runs cargo in the workspace with some environment variables set.
pub(crate) fn cargo_with(arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    run(Command::new(cargo).args(arguments).envs(variables.iter().copied()))
}

/// Runs a command in the workspace, with its output shown as it comes.
pub(crate) fn run(command: &mut Command) -> Outcome {
    match command.current_dir(workspace()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// What a command prints on stdout, or `None` if it cannot be run or fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
