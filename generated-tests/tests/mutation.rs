//! The mutation score of the formats' files: of all changes to one number, value or level, how many are noticed, and
//! why the others cannot be.
//!
//! `cargo suite mutation` tries every change. The tests that are not ignored try a sample.

use libtest_mimic::{Arguments, Failed, Trial};
use tablewright_archdefs::BUILTINS;
use tablewright_tests::mutation::{Explained, Witnesses, mutants, score};

/// How many changes of a thousand must be noticed, whatever the format.
const FLOOR: usize = 970;

/// How many changes a sample has.
const SAMPLE: usize = 40;

fn main() {
    let arguments = Arguments::from_args();
    // What mutants panic with is counted, not shown.
    std::panic::set_hook(Box::new(|_| {}));
    let sample = |&(name, text)| Trial::test(format!("{name}/sample"), move || sample(name, text));
    let all = |&(name, text)| Trial::test(format!("{name}/all"), move || all(name, text)).with_ignored_flag(true);
    let trials = BUILTINS.iter().map(sample).chain(BUILTINS.iter().map(all)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// Tries every change.
fn all(name: &'static str, text: &str) -> Result<(), Failed> {
    let score = score(name, &Witnesses::of(name)?, mutants(text));
    println!("{score}");
    let explained = Explained::read()?;
    let wrong = [explained.unexplained(&score), explained.stale(&score)].concat();
    if score.per_mille() >= FLOOR && wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{name}: {} of a thousand noticed\n{}", score.per_mille(), wrong.join("\n")).into())
}

/// Tries some changes, evenly spread over the file: only what the list names is noticed by nobody.
fn sample(name: &'static str, text: &str) -> Result<(), Failed> {
    let witnesses = Witnesses::of(name)?;
    if let Some(by) = witnesses.noticed(text) {
        return Err(format!("the file as it is does not pass: {by}").into());
    }
    let mutants = mutants(text);
    let step = mutants.len().div_ceil(SAMPLE).max(1);
    let score = score(name, &witnesses, mutants.into_iter().step_by(step).collect());
    let unexplained = Explained::read()?.unexplained(&score);
    if unexplained.is_empty() { Ok(()) } else { Err(unexplained.join("\n").into()) }
}
