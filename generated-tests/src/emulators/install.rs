//! Fetching the emulators that the machine lacks, without touching the system and without being root.
//!
//! apt works on a private state, from the machine's own sources, and downloads the packages with the libraries that the
//! machine lacks. They are unpacked in `.emulators/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use thiserror::Error;

use super::{Emulator, FindError, folder, list, unpacked};

/// Why the missing emulators could not be fetched.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The machine does not have Debian's packages.
    #[error(
        "only Debian and its relatives are known here (apt-get: {0}); install QEMU 10.0 or later and Bochs 2.7 or \
         later by hand"
    )]
    NoApt(io::Error),
    /// A folder or file of the private state could not be written.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// apt or dpkg failed.
    #[error("`{command}` failed:\n{said}")]
    Failed {
        /// The command line.
        command: String,
        /// What it printed.
        said: String,
    },
    /// The packages were fetched, but what they hold cannot be used.
    #[error(transparent)]
    Unusable(#[from] FindError),
}

/// Fetches the emulators that the machine lacks, saying on stdout what it does.
///
/// # Errors
///
/// [`InstallError::NoApt`] on a machine without apt, [`InstallError::Io`] and [`InstallError::Failed`] for what went
/// wrong on the way, [`InstallError::Unusable`] if the packages hold no emulator that is new enough.
pub fn install() -> Result<(), InstallError> {
    let mut packages = Vec::new();
    for emulator in Emulator::ALL {
        match emulator.find() {
            Ok(found) => println!("{found}"),
            Err(error) => {
                println!("{error}");
                packages.extend(emulator.packages());
            }
        }
    }
    if packages.is_empty() {
        return Ok(());
    }
    println!("fetching {} into {}", packages.join(", "), unpacked().display());
    let apt = Apt::new(&folder().join("apt"))?;
    apt.run(["update"].as_slice())?;
    apt.run(&[["install"].as_slice(), &packages].concat())?;
    let files = list(&apt.archives).map_err(at(&apt.archives))?;
    for package in files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "deb")) {
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(unpacked()))?;
    }
    fs::remove_dir_all(&apt.state).map_err(at(&apt.state))?;
    for emulator in Emulator::ALL {
        println!("{}", emulator.find()?);
    }
    Ok(())
}

/// apt with a state of its own, which knows the machine's sources and installed packages, but only downloads.
struct Apt {
    state: PathBuf,
    archives: PathBuf,
    options: Vec<OsString>,
}

impl Apt {
    fn new(state: &Path) -> Result<Self, InstallError> {
        Command::new("apt-get").arg("--version").output().map_err(InstallError::NoApt)?;
        let [sources, lists, archives] = ["sources", "lists", "archives"].map(|name| state.join(name));
        for folder in [sources.clone(), lists.join("partial"), archives.join("partial")] {
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        // Debian 12 has QEMU 7.2, and 10.0 in its backports. Later releases have it in the release itself.
        let backports = release.contains("VERSION_CODENAME=bookworm");
        copy_sources(&sources, if backports { &["bookworm"] } else { &[] })?;

        let option = |name: &str, value: &Path| {
            let mut option = OsString::from(name);
            option.push("=");
            option.push(value);
            ["-o".into(), option]
        };
        let mut options: Vec<OsString> =
            ["-q", "-y", "--no-install-recommends", "--download-only"].map(OsString::from).into();
        options.extend(option("Dir::Etc::SourceList", Path::new("/dev/null")));
        options.extend(option("Dir::Etc::SourceParts", &sources));
        options.extend(option("Dir::State::Lists", &lists));
        options.extend(option("Dir::Cache", state));
        options.extend(option("Debug::NoLocking", Path::new("true")));
        if backports {
            options.extend(option("APT::Default-Release", Path::new("bookworm-backports")));
        }
        Ok(Self { state: state.to_owned(), archives, options })
    }

    fn run(&self, arguments: &[&str]) -> Result<(), InstallError> {
        run(Command::new("apt-get").args(&self.options).args(arguments))
    }
}

/// Copies the machine's package sources, and for each of `suites` adds its backports from the same mirrors.
fn copy_sources(to: &Path, suites: &[&str]) -> Result<(), InstallError> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(list(Path::new("/etc/apt/sources.list.d")).unwrap_or_default());
    for file in files {
        let (Ok(text), Some(name)) = (fs::read_to_string(&file), file.file_name()) else {
            continue;
        };
        let copy = to.join(name);
        fs::write(&copy, &text).map_err(at(&copy))?;
        for suite in suites {
            let backports = copy.with_file_name(format!("{suite}-backports-{}", name.to_string_lossy()));
            fs::write(&backports, with_backports(&text, suite)).map_err(at(&backports))?;
        }
    }
    Ok(())
}

/// The entries of a sources file, of either of apt's two forms, that have `suite`, turned to its backports.
fn with_backports(text: &str, suite: &str) -> String {
    let turn = |line: &str| line.replace(&format!(" {suite} "), &format!(" {suite}-backports "));
    let one_line =
        text.lines().filter(|line| line.starts_with("deb ") && line.contains(&format!(" {suite} "))).map(turn);
    let stanzas = text.split("\n\n").filter_map(|stanza| {
        let suites = stanza.lines().find(|line| line.starts_with("Suites:"))?;
        let has_it = suites.split_whitespace().any(|word| word == suite);
        has_it.then(|| stanza.replace(suites, &format!("Suites: {suite}-backports")) + "\n")
    });
    one_line.chain(stanzas).map(|entry| entry + "\n").collect()
}

fn run(command: &mut Command) -> Result<(), InstallError> {
    let failed = |command: &Command, said: String| InstallError::Failed { command: format!("{command:?}"), said };
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failed(command, String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) => Err(failed(command, error.to_string())),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> InstallError {
    move |error| InstallError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backports_come_from_the_same_mirror() {
        let lines = "deb [signed-by=/k] http://mirror.example/debian bookworm main\n# deb-src x bookworm main\n\
                     deb http://mirror.example/debian bookworm-updates main\n";
        assert_eq!(
            with_backports(lines, "bookworm"),
            "deb [signed-by=/k] http://mirror.example/debian bookworm-backports main\n",
        );
        let stanzas = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\n\
                       Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\n";
        assert_eq!(
            with_backports(stanzas, "bookworm"),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\n",
        );
    }
}
