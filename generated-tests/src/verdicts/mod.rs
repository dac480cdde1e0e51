//! Verdicts of real MMUs on entries, recorded in `verdicts/`, so that an interpretation of a format's file can be
//! compared with them without an emulator.
//!
//! The conformance tests of random entries write them with `BLESS=1`. Each file is for one configuration. It has the
//! root of some tables, and below it one access per line, with the words that its walk read and no walk before it, and
//! the result. All numbers are hexadecimal.
//!
//! ```text
//! root 80000000 controls 40000
//! read user 1238 words 80000000=20000401 80001008=200800d7 to 80200238
//! write privileged 2000 words 80001010=0 fault Unspecified report scause=f stval=2000 told 2000/c/Unspecified/-/-/false
//! ```

mod replay;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use tablewright::FaultInfo;

use crate::mmu::{Probe, Verdict};

pub use replay::agrees;

/// Words of memory, by their addresses.
pub type Words = BTreeMap<u64, u64>;

/// Some tables, and the MMU's verdicts on accesses through them.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The root table's address.
    pub root: u64,
    /// The registers that modify rights, in the order of the format's file, if they are known.
    pub controls: Option<Vec<u64>>,
    /// The accesses.
    pub accesses: Vec<Recorded>,
}

/// An access, and the MMU's verdict on it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The access.
    pub probe: Probe,
    /// The words that its walk read.
    pub words: Words,
    /// Its result.
    pub outcome: Outcome,
}

/// The result of an access.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was translated, to this address if that is known.
    Translated(Option<u64>),
    /// It faulted.
    Faulted {
        /// The kind, by its name in [`FaultKind`](crate::mmu::FaultKind).
        kind: String,
        /// The level, if it was reported.
        level: Option<u8>,
        /// The values of the report's registers, by their names.
        report: BTreeMap<String, u64>,
        /// What the report says by the manual, as [`short`] writes it; `None` if it is not about this translation.
        told: Option<String>,
    },
}

/// The folder with the verdicts on a format.
fn folder(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("verdicts").join(format)
}

/// Everything recorded for a format, by configuration.
///
/// # Errors
///
/// The file, and its line, that cannot be read.
pub fn read(format: &str) -> Result<BTreeMap<String, Vec<Tables>>, String> {
    let mut all = BTreeMap::<String, Vec<Tables>>::new();
    // Not every format has a judge.
    for entry in fs::read_dir(folder(format)).into_iter().flatten() {
        let path = entry.map_err(|error| error.to_string())?.path();
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let config = name.split_once('.').map_or(&*name, |(config, _)| config);
        let tables = text::parse(&text).map_err(|line| format!("{}: `{line}`", path.display()))?;
        all.entry(config.to_owned()).or_default().extend(tables);
    }
    Ok(all)
}

/// Writes the verdicts from one test of a configuration. The name begins with that of the judge if there are several.
///
/// # Errors
///
/// Those of the file system.
pub fn write(format: &str, config: &str, test: &str, tables: &[Tables]) -> io::Result<()> {
    let folder = folder(format);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{config}.{test}.txt")), text::show(tables))
}

impl Outcome {
    /// The result in a verdict, with these registers of its report. `told` is what the report says by the manual, if it
    /// is a fault.
    pub fn new(verdict: &Verdict, registers: &[&str], told: Option<FaultInfo>) -> Self {
        match verdict {
            Verdict::Translated(address) => Self::Translated(*address),
            Verdict::Fault(fault) => {
                let report = fault.report.iter().filter(|(name, _)| registers.contains(name));
                Self::Faulted {
                    kind: format!("{:?}", fault.kind),
                    level: fault.level,
                    report: report.map(|(name, value)| ((*name).to_owned(), *value)).collect(),
                    told: told.as_ref().map(short),
                }
            }
        }
    }
}

/// The content of a report in one word.
pub fn short(told: &FaultInfo) -> String {
    let FaultInfo { address, access, cause, level, width, guest_walk } = told;
    let or_none = |value: Option<u64>| value.map_or_else(|| "-".into(), |value| format!("{value:x}"));
    let [address, level, width] = [*address, level.map(u64::from), width.map(u64::from)].map(or_none);
    format!("{address}/{:x}/{cause:?}/{level}/{width}/{guest_walk}", access.bits())
}
