//! Measures the contenders of a row in turn, so that what slows down the machine slows down all of them.

use std::time::{Duration, Instant};

use crate::measure::Row;

/// How often each contender is measured, at most and at least.
const ROUNDS: (usize, usize) = (80, 3);
/// About how long a measurement takes, preparation included.
const LONG: Duration = Duration::from_millis(10);
/// A contender that has had this much time is not measured again.
const SHARE: Duration = Duration::from_millis(800);

/// Nanoseconds per unit for each contender, in the best run of all rounds.
pub fn of(row: &Row) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; row.contenders.len()];
    let mut spent = vec![Duration::ZERO; row.contenders.len()];
    let mut runs = vec![1; row.contenders.len()];
    for round in 0..ROUNDS.0 {
        for (place, contender) in row.contenders.iter().enumerate() {
            if round >= ROUNDS.1 && spent[place] > SHARE {
                continue;
            }
            let start = Instant::now();
            let time = contender.run(runs[place]).best;
            let whole = start.elapsed();
            best[place] = best[place].min(time.as_nanos() as f64 / row.units as f64);
            spent[place] += whole;
            runs[place] = (LONG.as_nanos() * u128::from(runs[place]) / whole.as_nanos().max(1) + 1) as u64;
        }
    }
    best
}
