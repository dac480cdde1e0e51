//! Format files with one thing changed, each as generated code and interpreted: every law gives the same result for
//! both, and they agree with each other. So a test that notices a change in the interpreter would notice it in
//! generated code.
//!
//! `cargo suite recompiled` chooses the changes at random, and writes the code that is included here.

use std::collections::BTreeSet;
use std::iter;
use std::process::ExitCode;

use tablewright::testing::{AGREEMENT, Case, Interpreted, LAWS, Law, Module, Subject, configured};

/// A file with one thing changed.
struct Mutant {
    /// The format and what was changed.
    name: &'static str,
    /// The law that the interpreter breaks, if a law noticed the change.
    law: Option<&'static str>,
    /// The whole text.
    text: &'static str,
    /// The code generated from it.
    modules: &'static [Module],
}

// The modules, and `MUTANTS: &[Mutant]`.
include!(env!("TABLEWRIGHT_MUTANTS"));

fn main() -> ExitCode {
    let mut failed = 0;
    for mutant in MUTANTS {
        match judge(mutant) {
            Ok(broken) if broken.is_empty() => println!("agree, all laws hold: {}", mutant.name),
            Ok(broken) => println!("agree, both break {broken:?}: {}", mutant.name),
            Err(why) => {
                failed += 1;
                println!("DISAGREE: {}\n  {why}", mutant.name);
            }
        }
    }
    println!("{} files, {failed} of which mean something else once compiled", MUTANTS.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The laws that generated code and interpreter both break.
fn judge(mutant: &Mutant) -> Result<BTreeSet<&'static str>, String> {
    let none = |_: &str| Err("there are no other files".to_owned());
    let format = tablewright_archdefs::read("mutant.toml", mutant.text, &none).1;
    let format = format.map_err(|_| "the file cannot be read")?;
    let mut broken = BTreeSet::new();
    for case in configured(format)? {
        let reference = Interpreted(case.bound.clone());
        let holds = |law: &Law, subject: &dyn Subject| {
            let case = Case { subject, reference: &reference, format: &case.format, config: &case.config };
            (law.check)(&case)
        };
        let config = &case.config.id.value;
        let mut generated = mutant.modules.iter().filter_map(|module| module(&case.params));
        let generated = generated.next().ok_or_else(|| format!("no module is for `{config}`"))?;
        let generated = generated.map_err(|error| format!("{config}: {error}"))?;
        // A changed file may contradict itself. Then the interpreter does not agree with itself, either.
        for law in iter::once(&AGREEMENT).chain(LAWS) {
            match (holds(law, &reference).is_err(), holds(law, &*generated)) {
                (false, Ok(())) => {}
                (true, Err(_)) => {
                    broken.insert(law.name);
                }
                (false, Err(why)) => return Err(format!("{config}: only generated code breaks `{}`: {why}", law.name)),
                (true, Ok(())) => return Err(format!("{config}: only the interpreter breaks `{}`", law.name)),
            }
        }
    }
    match mutant.law {
        Some(law) if !broken.contains(law) => Err(format!("`{law}` held, which had noticed the change")),
        _ => Ok(broken),
    }
}
