//! Prints the table: every row, ours and the others as multiples of the hand-written loop in the same run.

use std::time::{Duration, Instant};

use tablewright_benches::{measure::Row, rows};

/// Each contender of a row is measured so often, in turn: what slows one down slows down all.
const ROUNDS: usize = 15;
/// How long a measurement takes, at least.
const LONG: Duration = Duration::from_millis(8);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for row in rows::all() {
        let name = row.name();
        if !wanted.iter().all(|word| name.contains(word.as_str())) {
            continue;
        }
        let times = times(&row);
        let hand = times.first().copied().unwrap_or(f64::NAN);
        print!("| {name} | {hand:.3} ns/{} | {:.2} |", row.unit, row.limit);
        for (contender, time) in row.contenders.iter().zip(&times).skip(1) {
            print!(" {} {:.2} |", contender.name, time / hand);
        }
        println!();
    }
}

/// Nanoseconds for one unit, for each contender: the best of all rounds.
fn times(row: &Row) -> Vec<f64> {
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
    for _ in 0..ROUNDS {
        for ((contender, &runs), best) in row.contenders.iter().zip(&runs).zip(&mut best) {
            let time = contender.run(runs).as_nanos() as f64 / (runs * row.units) as f64;
            *best = best.min(time);
        }
    }
    best
}
