//! Mutation tests of format files: if one number, value or level in a file is changed, some test must notice.
//!
//! A mutant is read, bound and checked, and compared with its own examples, hand-written vectors, the verdicts of MMUs
//! and the laws, all through the interpreter. Generated code and snapshots of it are not asked, as they differ for
//! every mutant. A mutant that nothing notices is a survivor; [`Explained`] gives the reason for each.

mod explained;
mod mutants;
mod recompiled;
mod witnesses;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub use explained::Explained;
pub use mutants::{Mutant, mutants};
pub use recompiled::source;
pub use witnesses::{Noticed, Witnesses};

/// The result of the mutants of a format's file.
#[derive(Debug)]
pub struct Score {
    /// The format.
    pub format: &'static str,
    /// The number of mutants that each witness noticed.
    pub noticed: BTreeMap<Noticed, usize>,
    /// The survivors, in the order of the file.
    pub survivors: Vec<Mutant>,
}

/// Asks all witnesses about some mutants of a format, on all CPUs.
pub fn score(format: &'static str, witnesses: &Witnesses, mutants: Vec<Mutant>) -> Score {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut verdicts = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(mutant) = mutants.get(index) else { break verdicts };
            verdicts.push((index, witnesses.noticed(&mutant.text)));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut verdicts: Vec<(usize, Option<Noticed>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("panics of mutants are caught")).collect()
    });
    verdicts.sort_by_key(|(index, _)| *index);
    let mut score = Score { format, noticed: BTreeMap::new(), survivors: Vec::new() };
    for (mutant, (_, noticed)) in mutants.into_iter().zip(verdicts) {
        match noticed {
            Some(by) => *score.noticed.entry(by).or_default() += 1,
            None => score.survivors.push(mutant),
        }
    }
    score
}

impl Score {
    /// The number of mutants.
    pub fn tried(&self) -> usize {
        self.noticed.values().sum::<usize>() + self.survivors.len()
    }

    /// The number of mutants noticed, of a thousand.
    pub fn per_mille(&self) -> usize {
        (self.tried() - self.survivors.len()) * 1000 / self.tried().max(1)
    }
}

/// Who noticed how many, and the survivors.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, noticed, survivors } = self;
        let (whole, tenth) = (self.per_mille() / 10, self.per_mille() % 10);
        writeln!(f, "{format}: {whole}.{tenth} % of {} mutants noticed", self.tried())?;
        for (by, count) in noticed {
            writeln!(f, "  {count:5} by {by}")?;
        }
        for Mutant { line, name, .. } in survivors {
            writeln!(f, "  survives: {format}.toml:{line}: {name}")?;
        }
        Ok(())
    }
}
