//! The conformance report, `CONFORMANCE.md`: how many probes each judge judged. The tests that count them check that it
//! is current. Counts are the same in every run, as random numbers have a fixed seed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use fastrand::Rng;
use libtest_mimic::{Arguments, Trial};

use super::Counts;
use crate::emulators::Found;
use crate::mmu::deviations;

/// One section of the report: one judge in one test binary.
pub struct Section<'a> {
    /// Its heading.
    pub title: &'a str,
    /// The judge.
    pub found: &'a Found,
    /// Whether it is an IOMMU in that emulator, not the processor.
    pub iommu: bool,
    /// Returns what was judged, once all tests have run.
    pub counts: &'a dyn Fn() -> Counts,
}

/// Runs the tests, then checks their sections of the report, if all ran and none failed. With `BLESS=1`, the sections
/// are written.
///
/// A section written with another version of the emulator is not checked, as other tests may apply to that.
pub fn run(arguments: &Arguments, mut tests: Vec<Trial>, sections: &[Section<'_>]) -> ExitCode {
    // Neighbouring tests share a judge, so the second would wait for the first.
    Rng::with_seed(0).shuffle(&mut tests);
    let conclusion = libtest_mimic::run(arguments, tests);
    let complete = conclusion.num_filtered_out == 0 && conclusion.num_ignored == 0 && !arguments.list;
    if !complete || conclusion.has_failed() {
        return conclusion.exit_code();
    }
    let wrong: Vec<String> = sections.iter().filter_map(|section| section.check().err()).collect();
    wrong.iter().for_each(|why| eprintln!("{why}"));
    if wrong.is_empty() { conclusion.exit_code() } else { ExitCode::FAILURE }
}

impl Section<'_> {
    fn check(&self) -> Result<(), String> {
        let path = path();
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let report = fs::read_to_string(&path).map_err(failed)?;
        let (begin, end) = (format!("<!-- begin {} -->\n", self.title), format!("<!-- end {} -->\n", self.title));
        let place = report.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
        let Some((before, (recorded, after))) = place else {
            return Err(format!("{} has no section `{}`", path.display(), self.title));
        };
        let current = self.text();
        if recorded == current {
            Ok(())
        } else if env::var_os("BLESS").is_some() {
            fs::write(&path, [before, &begin, &current, &end, after].concat()).map_err(failed)
        } else if recorded.contains(&self.judge()) {
            Err(format!("the section `{}` of {} is not current: run with BLESS=1", self.title, path.display()))
        } else {
            eprintln!("the section `{}` of {} is of another emulator", self.title, path.display());
            Ok(())
        }
    }

    fn judge(&self) -> String {
        let (major, minor) = self.found.version;
        format!("Judged by `{}` {major}.{minor}.", self.found.emulator)
    }

    fn text(&self) -> String {
        let counts = (self.counts)();
        let properties: BTreeSet<&str> = counts.keys().map(|(_, property)| *property).collect();
        let setups: BTreeSet<&String> = counts.keys().map(|(setup, _)| setup).collect();
        let mut text = format!("## {}\n\n{}\n\n| configuration |", self.title, self.judge());
        for property in &properties {
            let _ = write!(text, " {property} |");
        }
        text += &format!("\n|---|{}\n", "--:|".repeat(properties.len()));
        for setup in setups {
            let _ = write!(text, "| {setup} |");
            for property in &properties {
                let count = counts.get(&(setup.clone(), *property));
                let _ = write!(text, " {} |", count.map_or(String::new(), u64::to_string));
            }
            text.push('\n');
        }
        let known = deviations::ALL
            .iter()
            .filter(|deviation| deviation.iommu == self.iommu && deviation.applies_to(self.found));
        for (number, deviation) in known.enumerate() {
            if number == 0 {
                text += "\nWhere the model departs from its manual, and so does not judge:\n\n";
            }
            let _ = writeln!(text, "- {} ({})", deviation.what, deviation.manual);
        }
        text
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFORMANCE.md")
}
