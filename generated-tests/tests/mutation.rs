//! The mutation score of the formats' files: of all changes of one number, value or level, how many are noticed.
//!
//! `cargo suite mutation` tries every change. The tests that are not ignored try a sample.

use libtest_mimic::{Arguments, Failed, Trial};
use tablewright_archdefs::builtin;
use tablewright_tests::mutation::{Witnesses, mutants, score};

/// Formats, and how many changes of a thousand must be noticed.
const FLOORS: &[(&str, usize)] = &[
    ("amd_iommu_v1", 950),
    ("ept", 930),
    ("long_mode", 940),
    ("loongarch64", 810),
    ("npt", 950),
    ("riscv_iommu", 800),
    ("smmu_v3", 850),
    ("stage1", 810),
    ("stage1_el2", 730),
    ("stage2", 880),
    ("sv", 950),
    ("sv_x4", 780),
    ("vtd_first_stage", 800),
    ("vtd_second_stage", 810),
];

/// How many changes a sample has.
const SAMPLE: usize = 40;

/// How many of a thousand may be missing from what a sample of this size shows.
const SLACK: usize = 150;

fn main() {
    let arguments = Arguments::from_args();
    // What mutants panic with is counted, not shown.
    std::panic::set_hook(Box::new(|_| {}));
    let sample = |&(name, floor)| Trial::test(format!("{name}/sample"), move || holds(name, floor - SLACK, SAMPLE));
    let all = |&(name, floor)| {
        Trial::test(format!("{name}/all"), move || holds(name, floor, usize::MAX)).with_ignored_flag(true)
    };
    let trials = FLOORS.iter().map(sample).chain(FLOORS.iter().map(all)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Tries about so many changes, evenly spread over the file.
fn holds(name: &'static str, floor: usize, count: usize) -> Result<(), Failed> {
    let text = builtin(name).ok_or("no such format")?;
    let witnesses = Witnesses::of(name)?;
    if let Some(by) = witnesses.noticed(text) {
        return Err(format!("the file as it is does not pass: {by}").into());
    }
    let mutants = mutants(text);
    let step = mutants.len().div_ceil(count).max(1);
    let score = score(name, &witnesses, mutants.into_iter().step_by(step).collect());
    println!("{score}");
    if score.per_mille() >= floor { Ok(()) } else { Err(score.to_string().into()) }
}
