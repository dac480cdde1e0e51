//! Runs every row under criterion, which shows how much the times scatter, and how they changed since the last run.
//!
//! `cargo bench --manifest-path generated-tests/benches/Cargo.toml -- "map 1 GiB"` chooses rows.

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use tablewright_benches::rows;

fn rows(criterion: &mut Criterion) {
    for row in rows::all().into_iter().chain(rows::sizes()).chain(rows::threads()) {
        let mut group = criterion.benchmark_group(row.name());
        // Preparing a job takes longer than the job, so a sample has few runs.
        group.sampling_mode(SamplingMode::Flat).sample_size(10);
        group.warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(500));
        group.throughput(Throughput::Elements(row.units));
        for contender in &row.contenders {
            group.bench_function(contender.name, |bencher| bencher.iter_custom(|runs| contender.run(runs).total));
        }
        group.finish();
    }
}

criterion_group!(benches, rows);
criterion_main!(benches);
