//! Fetching the emulators that the machine lacks, without touching the system and without being root.
//!
//! apt works on a private state, from the machine's own sources, and downloads the packages with the libraries that the
//! machine lacks. They are unpacked in `.emulators/`. What Debian 12 has in too old a version comes from Debian 13 and its
//! backports, with all its libraries.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use thiserror::Error;

use super::{Emulator, FindError, folder, later, list, unpacked};

/// Why the missing emulators could not be fetched.
#[derive(Debug, Error)]
pub enum InstallError {
    /// The machine does not have Debian's packages.
    #[error(
        "only Debian and its relatives are known here (apt-get: {0}); install QEMU 11.1 or later and Bochs 2.7 or \
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
    let mut missing = Vec::new();
    for emulator in Emulator::ALL {
        match emulator.find() {
            Ok(found) => println!("{found}"),
            Err(error) => {
                println!("{error}");
                missing.push(emulator);
            }
        }
    }
    let release = release();
    let (mut later_ones, own): (Vec<Emulator>, Vec<Emulator>) =
        missing.iter().partition(|emulator| emulator.comes_later() && release.is_some());
    let state = folder().join("apt");
    if !own.is_empty() {
        Apt::new(&state, Source::Own(release))?.fetch(&packages(&own), &unpacked())?;
    }
    let old = |emulator: &Emulator| {
        let own = later().join("usr/bin").join(emulator.program());
        !own.exists() && emulator.find().is_ok_and(|found| found.version < emulator.wanted())
    };
    later_ones.extend(Emulator::ALL.into_iter().filter(old));
    if let (Some(release), false) = (release, later_ones.is_empty()) {
        Apt::new(&state, Source::Trixie { from: release })?.fetch(&packages(&later_ones), &later())?;
    }
    let fetched = !own.is_empty() || !later_ones.is_empty();
    if fetched {
        for emulator in Emulator::ALL {
            println!("{}", emulator.find()?);
        }
    }
    Ok(())
}

fn packages(emulators: &[Emulator]) -> Vec<&'static str> {
    // One package may have several of them.
    let names: BTreeSet<_> = emulators.iter().flat_map(|emulator| emulator.packages().iter().copied()).collect();
    names.into_iter().collect()
}

const BOOKWORM: &str = "bookworm";
const TRIXIE: &str = "trixie";

/// The release of the machine, if it is Debian 12 or 13.
fn release() -> Option<&'static str> {
    let told = fs::read_to_string("/etc/os-release").unwrap_or_default();
    [BOOKWORM, TRIXIE].into_iter().find(|name| told.contains(&format!("VERSION_CODENAME={name}")))
}

/// Where packages come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The machine's own release, and on Debian 12 its backports.
    Own(Option<&'static str>),
    /// Debian 13 and its backports, and nothing that the machine has installed.
    Trixie {
        /// The release whose mirrors have it.
        from: &'static str,
    },
}

/// apt with a state of its own, which knows the machine's sources and installed packages, but only downloads.
struct Apt {
    state: PathBuf,
    archives: PathBuf,
    options: Vec<OsString>,
}

impl Apt {
    fn new(state: &Path, source: Source) -> Result<Self, InstallError> {
        Command::new("apt-get").arg("--version").output().map_err(InstallError::NoApt)?;
        let [sources, lists, archives] = ["sources", "lists", "archives"].map(|name| state.join(name));
        for folder in [sources.clone(), lists.join("partial"), archives.join("partial")] {
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        // Debian 12 has QEMU 7.2, and 10.0 in its backports. Later releases have it in the release itself.
        let (from, suites, preferred): (_, &[&str], _) = match source {
            Source::Own(Some(BOOKWORM)) => (BOOKWORM, &["bookworm-backports"], Some("bookworm-backports")),
            Source::Own(_) => ("", &[], None),
            Source::Trixie { from } => (from, &[TRIXIE, "trixie-backports"], Some("trixie-backports")),
        };
        copy_sources(&sources, matches!(source, Source::Own(_)), from, suites)?;

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
        if let Source::Trixie { .. } = source {
            let nothing = state.join("status");
            fs::write(&nothing, "").map_err(at(&nothing))?;
            options.extend(option("Dir::State::Status", &nothing));
        }
        if let Some(suite) = preferred {
            options.extend(option("APT::Default-Release", Path::new(suite)));
        }
        Ok(Self { state: state.to_owned(), archives, options })
    }

    /// Downloads packages, and unpacks them.
    fn fetch(self, packages: &[&str], to: &Path) -> Result<(), InstallError> {
        println!("fetching {} into {}", packages.join(", "), to.display());
        self.run(&["update"])?;
        self.run(&[&["install"], packages].concat())?;
        let files = list(&self.archives).map_err(at(&self.archives))?;
        for package in files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "deb")) {
            run(Command::new("dpkg-deb").arg("-x").arg(package).arg(to))?;
        }
        fs::remove_dir_all(&self.state).map_err(at(&self.state))
    }

    fn run(&self, arguments: &[&str]) -> Result<(), InstallError> {
        run(Command::new("apt-get").args(&self.options).args(arguments))
    }
}

/// Copies the machine's package sources if they are wanted, and adds other suites from the mirrors of a release.
fn copy_sources(to: &Path, own: bool, from: &str, suites: &[&str]) -> Result<(), InstallError> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(list(Path::new("/etc/apt/sources.list.d")).unwrap_or_default());
    for file in files {
        let (Ok(text), Some(name)) = (fs::read_to_string(&file), file.file_name()) else {
            continue;
        };
        let copy = to.join(name);
        if own {
            fs::write(&copy, &text).map_err(at(&copy))?;
        }
        for suite in suites {
            let other = copy.with_file_name(format!("{suite}-{}", name.to_string_lossy()));
            fs::write(&other, with_suite(&text, from, suite)).map_err(at(&other))?;
        }
    }
    Ok(())
}

/// The entries of a sources file, of either of apt's two forms, that have a release, turned to another suite.
fn with_suite(text: &str, from: &str, suite: &str) -> String {
    let one_line = text.lines().filter(|line| line.starts_with("deb ") && line.contains(&format!(" {from} ")));
    let one_line = one_line.map(|line| line.replace(&format!(" {from} "), &format!(" {suite} ")));
    let stanzas = text.split("\n\n").filter_map(|stanza| {
        let suites = stanza.lines().find(|line| line.starts_with("Suites:"))?;
        let has_it = suites.split_whitespace().any(|word| word == from);
        has_it.then(|| stanza.replace(suites, &format!("Suites: {suite}")) + "\n")
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
            with_suite(lines, "bookworm", "bookworm-backports"),
            "deb [signed-by=/k] http://mirror.example/debian bookworm-backports main\n",
        );
        let stanzas = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\n\
                       Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\n";
        assert_eq!(
            with_suite(stanzas, "bookworm", "bookworm-backports"),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\n\n",
        );
    }
}
