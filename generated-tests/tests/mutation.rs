//! The mutation score of the formats' files: of all changes of one number or word, how many are noticed.
//!
//! `cargo test -p tablewright-tests --test mutation -- --ignored` tries every change. The tests that are not ignored try
//! a sample.

use std::collections::BTreeMap;

use libtest_mimic::{Arguments, Failed, Trial};
use tablewright_archdefs::builtin;
use tablewright_tests::laws::mutation::{Noticed, mutants, noticed};

/// Formats, and how many changes of a thousand must be noticed.
const FLOORS: &[(&str, usize)] = &[
    ("ept", 800),
    ("npt", 690),
    ("long_mode", 690),
    ("stage2", 650),
    ("loongarch64", 850),
    ("sv", 850),
    ("sv_x4", 740),
    ("amd_iommu_v1", 760),
    ("vtd_first_stage", 660),
    ("vtd_second_stage", 670),
];

/// How many changes a sample has.
const SAMPLE: usize = 60;

fn main() {
    let arguments = Arguments::from_args();
    // What mutants panic with is counted, not shown.
    std::panic::set_hook(Box::new(|_| {}));
    let sample = |&(name, floor)| Trial::test(format!("{name}/sample"), move || score(name, floor, SAMPLE));
    let all = |&(name, floor)| {
        Trial::test(format!("{name}/all"), move || score(name, floor, usize::MAX)).with_ignored_flag(true)
    };
    let trials = FLOORS.iter().map(sample).chain(FLOORS.iter().map(all)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Tries about so many changes, evenly spread over the file, and prints those that nobody notices.
fn score(name: &str, floor: usize, count: usize) -> Result<(), Failed> {
    let text = builtin(name).ok_or("no such format")?;
    if let Some(by) = noticed(text) {
        return Err(format!("the file as it is does not pass: {by:?}").into());
    }
    let mutants = mutants(text);
    let step = mutants.len().div_ceil(count).max(1);
    let mut by: BTreeMap<Option<Noticed>, usize> = BTreeMap::new();
    let mut survivors = String::new();
    for mutant in mutants.iter().step_by(step) {
        let noticed = noticed(&mutant.text);
        *by.entry(noticed).or_default() += 1;
        if noticed.is_none() {
            survivors += &format!("{name}.toml:{}: {}\n    {}\n", mutant.line, mutant.was, mutant.becomes);
        }
    }
    let tried: usize = by.values().sum();
    let survived = by.remove(&None).unwrap_or(0);
    let report = format!("{name}: {} of {tried} changes noticed, by {by:?}; not these:\n{survivors}", tried - survived);
    println!("{report}");
    if (tried - survived) * 1000 < floor * tried { Err(report.into()) } else { Ok(()) }
}
