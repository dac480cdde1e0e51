//! How much of a format's file is held in place: change one number, value or level of it, and something must notice.
//!
//! A mutant is read, bound, checked, and held to its own examples, to hand-written vectors, to what MMUs said and to the
//! laws, all by the interpreter; generated code, which would differ from that of the true file in every case, has no say,
//! and neither have snapshots of it. What nobody notices is a survivor; [`Explained`] says of each why.

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

/// What became of the mutants of a format's file.
#[derive(Debug)]
pub struct Score {
    /// The format.
    pub format: &'static str,
    /// How many were noticed by whom.
    pub noticed: BTreeMap<Noticed, usize>,
    /// Those that were not, in the order of the file.
    pub survivors: Vec<Mutant>,
}

/// Asks everybody about some mutants of a format, on all CPUs.
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
    /// How many mutants there were.
    pub fn tried(&self) -> usize {
        self.noticed.values().sum::<usize>() + self.survivors.len()
    }

    /// How many of a thousand were noticed.
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
