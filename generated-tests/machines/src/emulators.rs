//! Finding the emulators whose MMUs judge our tables.
//!
//! An emulator is looked for in its environment variable, then among the ones that [`install`] fetched into `.emulators/`
//! at the workspace root, those of a later release of Debian first, then on `PATH`.

mod install;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use thiserror::Error;

pub use install::{InstallError, install};

/// An emulator that the tests know how to drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulator {
    /// QEMU's AArch64 system emulator.
    QemuAarch64,
    /// QEMU's 32-bit RISC-V system emulator.
    QemuRiscv32,
    /// QEMU's 64-bit RISC-V system emulator.
    QemuRiscv64,
    /// QEMU's LoongArch64 system emulator.
    QemuLoongArch64,
    /// QEMU's system emulator of z/Architecture.
    QemuS390x,
    /// QEMU's x86-64 system emulator.
    QemuX86,
    /// Bochs, for x86.
    Bochs,
}

/// Major and minor version.
pub type Version = (u32, u32);

impl Emulator {
    /// Every emulator.
    pub const ALL: [Self; 7] = [
        Self::QemuAarch64,
        Self::QemuRiscv32,
        Self::QemuRiscv64,
        Self::QemuLoongArch64,
        Self::QemuS390x,
        Self::QemuX86,
        Self::Bochs,
    ];

    /// The file name of the program.
    pub const fn program(self) -> &'static str {
        match self {
            Self::QemuAarch64 => "qemu-system-aarch64",
            Self::QemuRiscv32 => "qemu-system-riscv32",
            Self::QemuRiscv64 => "qemu-system-riscv64",
            Self::QemuLoongArch64 => "qemu-system-loongarch64",
            Self::QemuS390x => "qemu-system-s390x",
            Self::QemuX86 => "qemu-system-x86_64",
            Self::Bochs => "bochs-bin",
        }
    }

    /// The environment variable that names the program to use.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::QemuAarch64 => "TABLEWRIGHT_QEMU_AARCH64",
            Self::QemuRiscv32 => "TABLEWRIGHT_QEMU_RISCV32",
            Self::QemuRiscv64 => "TABLEWRIGHT_QEMU_RISCV64",
            Self::QemuLoongArch64 => "TABLEWRIGHT_QEMU_LOONGARCH64",
            Self::QemuS390x => "TABLEWRIGHT_QEMU_S390X",
            Self::QemuX86 => "TABLEWRIGHT_QEMU_X86",
            Self::Bochs => "TABLEWRIGHT_BOCHS",
        }
    }

    /// The oldest version whose MMU is good enough to judge ours.
    pub const fn minimum(self) -> Version {
        match self {
            // Older ones ignore reserved bits, PBMTE and the rights of HLVX, and have a part of each IOMMU only.
            Self::QemuAarch64 | Self::QemuRiscv32 | Self::QemuRiscv64 | Self::QemuX86 => (10, 0),
            // The first with the page table walker.
            Self::QemuLoongArch64 => (10, 2),
            // None that is older was tried.
            Self::QemuS390x => (11, 1),
            Self::Bochs => (2, 7),
        }
    }

    /// The oldest version that can judge everything of ours that any version can.
    const fn wanted(self) -> Version {
        match self {
            // The first with mode-based execute control for EPT.
            Self::Bochs => (3, 0),
            _ => self.minimum(),
        }
    }

    /// The Debian packages that have the program.
    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::QemuAarch64 => &["qemu-system-arm"],
            Self::QemuRiscv32 | Self::QemuRiscv64 => &["qemu-system-riscv"],
            Self::QemuLoongArch64 => &["qemu-system-misc"],
            Self::QemuS390x => &["qemu-system-s390x"],
            Self::QemuX86 => &["qemu-system-x86"],
            Self::Bochs => &["bochs", "bochs-term"],
        }
    }

    /// Whether Debian 12 with its backports, and Debian 13 without, have it in too old a version.
    const fn comes_later(self) -> bool {
        matches!(self, Self::QemuLoongArch64 | Self::QemuS390x)
    }

    /// A plugin without which the program is of no use, in one of [`library_folders`].
    const fn plugin(self) -> Option<&'static str> {
        match self {
            // The only display that needs neither a screen nor a network port.
            Self::Bochs => Some("bochs/plugins/libbx_term_gui.so"),
            _ => None,
        }
    }

    /// Looks for the emulator, and checks its version.
    ///
    /// # Errors
    ///
    /// [`FindError::Missing`] if it is nowhere, [`FindError::Broken`] if the one found does not tell its version (a
    /// library it needs may be missing), [`FindError::TooOld`] if only older ones exist, [`FindError::Incomplete`] if it
    /// lacks a plugin.
    pub fn find(self) -> Result<Found, FindError> {
        if let Some(path) = env::var_os(self.variable()) {
            return Found::check(self, path.into(), None);
        }
        for private in [later(), unpacked()] {
            let program = private.join("usr/bin").join(self.program());
            if program.exists() {
                self.check_plugin(&program, &private)?;
                return Found::check(self, program, Some(private));
            }
        }
        let program = env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join(self.program()))
            .find(|program| program.exists())
            .ok_or(FindError::Missing(self))?;
        self.check_plugin(&program, Path::new("/"))?;
        Found::check(self, program, None)
    }

    fn check_plugin(self, program: &Path, root: &Path) -> Result<(), FindError> {
        match self.plugin() {
            Some(plugin) if !library_folders(root).iter().any(|folder| folder.join(plugin).exists()) => {
                Err(FindError::Incomplete { program: program.to_owned(), plugin })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// An emulator that starts and is new enough.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which one it is.
    pub emulator: Emulator,
    /// What it says its version is.
    pub version: Version,
    program: PathBuf,
    /// The root of the unpacked packages, if it comes from there and needs its libraries from there too.
    private: Option<PathBuf>,
}

impl Found {
    /// A command that runs the emulator, without arguments as yet.
    pub fn command(&self) -> Command {
        let Some(root) = &self.private else { return Command::new(&self.program) };
        let libraries = library_folders(root);
        let plugins = join(libraries.iter().map(|folder| folder.join("bochs/plugins")));
        // A C library works with its own loader only.
        let mut command = match loader(&libraries) {
            Some(loader) => {
                let mut command = Command::new(loader);
                command.arg("--library-path").arg(join(libraries.into_iter())).arg(&self.program);
                command
            }
            None => {
                let mut command = Command::new(&self.program);
                command.env("LD_LIBRARY_PATH", join(libraries.into_iter()));
                command
            }
        };
        command.env("LTDL_LIBRARY_PATH", plugins);
        command
    }

    fn check(emulator: Emulator, program: PathBuf, private: Option<PathBuf>) -> Result<Self, FindError> {
        let mut found = Self { emulator, version: (0, 0), program, private };
        // Bochs prints its banner to whatever it is asked.
        let flag = if emulator == Emulator::Bochs { "--help" } else { "--version" };
        let output = found.command().arg(flag).output();
        let said = match output {
            Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
            Err(error) => error.to_string(),
        };
        match version_in(&said) {
            None => Err(FindError::Broken { program: found.program, said }),
            Some(version) if version < emulator.minimum() => {
                Err(FindError::TooOld { program: found.program, version, minimum: emulator.minimum() })
            }
            Some(version) => {
                found.version = version;
                Ok(found)
            }
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version;
        write!(f, "{} {major}.{minor} ({})", self.emulator, self.program.display())
    }
}

/// Why an emulator cannot be used.
#[derive(Debug, Error)]
pub enum FindError {
    /// It is nowhere.
    #[error("{0} is not installed: run `cargo suite`, or set {name}", name = .0.variable())]
    Missing(Emulator),
    /// It did not tell its version.
    #[error("{} does not run:\n{said}", program.display())]
    Broken {
        /// The program tried.
        program: PathBuf,
        /// What it said in place of its version.
        said: String,
    },
    /// A package beside its own is missing.
    #[error("{} lacks its plugin {plugin}", program.display())]
    Incomplete {
        /// The program found.
        program: PathBuf,
        /// What is in none of the library folders.
        plugin: &'static str,
    },
    /// Its MMU is not good enough to judge ours.
    #[error("{} is version {}.{}, and {}.{} is needed", program.display(), version.0, version.1, minimum.0, minimum.1)]
    TooOld {
        /// The program found.
        program: PathBuf,
        /// Its version.
        version: Version,
        /// The oldest that would do.
        minimum: Version,
    },
}

/// The emulator a test needs, or `None` if the test must be skipped for the lack of it, which it says on stderr.
///
/// # Panics
///
/// Where `CI` is `true`: a test that is silently not run proves nothing.
pub fn require(emulator: Emulator) -> Option<Found> {
    match emulator.find() {
        Ok(found) => Some(found),
        Err(error) if env::var("CI").is_ok_and(|ci| ci == "true") => panic!("{error}"),
        Err(error) => {
            eprintln!("SKIPPED, nothing was tested: {error}");
            None
        }
    }
}

/// The first `<major>.<minor>` in what an emulator says.
fn version_in(said: &str) -> Option<Version> {
    said.split_whitespace().find_map(|word| {
        let mut numbers = word.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        }
    })
}

fn folder() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).join(".emulators")
}

fn unpacked() -> PathBuf {
    folder().join("root")
}

/// Where packages of a later release are, with all libraries that they need.
fn later() -> PathBuf {
    folder().join("later")
}

/// The dynamic loader in these folders, if there is one.
fn loader(libraries: &[PathBuf]) -> Option<PathBuf> {
    let files = libraries.iter().flat_map(|folder| list(folder).unwrap_or_default());
    files.into_iter().find(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ld-linux") && name.contains(".so")
    })
}

/// Where Debian puts shared libraries: one folder per machine type, in `/usr/lib` and, before Debian 13, `/lib`, which is
/// the same later.
fn library_folders(root: &Path) -> Vec<PathBuf> {
    let parents: BTreeSet<PathBuf> = ["usr/lib", "lib"].iter().flat_map(|lib| root.join(lib).canonicalize()).collect();
    let folders = parents.iter().flat_map(|lib| list(lib).unwrap_or_default());
    folders.filter(|folder| folder.to_string_lossy().contains("-linux-gnu")).collect()
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

fn join(folders: impl Iterator<Item = PathBuf>) -> OsString {
    env::join_paths(folders).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_banners() {
        assert_eq!(version_in("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)"), Some((10, 0)));
        assert_eq!(version_in("=====\n   Bochs x86 Emulator 2.7\n"), Some((2, 7)));
        assert_eq!(version_in("error while loading shared libraries: libfdt.so.1"), None);
    }
}
