//! Times of a row's contenders, measured in turn: what slows one down slows down all.

use std::time::{Duration, Instant};

use crate::measure::Row;

/// How often each contender is measured, at most and at least.
const ROUNDS: (usize, usize) = (15, 3);
/// How long a measurement takes, at least.
const LONG: Duration = Duration::from_millis(8);
/// After so long no further round begins.
const PATIENCE: Duration = Duration::from_secs(4);

/// Nanoseconds for one unit, for each contender: the best of all rounds.
pub fn of(row: &Row) -> Vec<f64> {
    let start = Instant::now();
    let runs: Vec<u64> = row
        .contenders
        .iter()
        .map(|contender| {
            let start = Instant::now();
            contender.run(1);
            (LONG.as_nanos() / start.elapsed().as_nanos().max(1) + 1) as u64
        })
        .collect();
    let mut best = vec![f64::INFINITY; runs.len()];
    for round in 0..ROUNDS.0 {
        if round >= ROUNDS.1 && start.elapsed() > PATIENCE {
            break;
        }
        for ((contender, &runs), best) in row.contenders.iter().zip(&runs).zip(&mut best) {
            let time = contender.run(runs).as_nanos() as f64 / (runs * row.units) as f64;
            *best = best.min(time);
        }
    }
    best
}
