//! Measures what each operation costs, as a multiple of a hand-written loop for exactly that job.
//!
//! Read it in this order: `subject.rs` (the operations of contenders), `hand/` (the hand-written loops), `ours.rs`
//! (this library), `peers/` (other libraries), `work/` (the jobs), `rows.rs` (which contenders do which job).
//!
//! `cargo bench-table` prints the times (`--markdown`: as tables; `--sizes`: by the amount of memory; `--threads`: of
//! two threads at once; `--invalidations`: how many are requested), and `cargo bench-count` instructions. Words after
//! these choose the rows whose names contain all of them. `cargo bench` here measures the same with criterion.

pub mod frames;
pub mod hand;
pub mod machine;
pub mod markdown;
pub mod measure;
pub mod ours;
pub mod peers;
pub mod rows;
pub mod subject;
pub mod times;
pub mod work;
