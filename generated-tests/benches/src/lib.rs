//! What each operation costs, as a multiple of a hand-written loop for exactly that job.
//!
//! To read it: `subject.rs` (what contenders are asked to do), `hand/` (the hand-written loops), `ours.rs`, `peers/`
//! (other libraries), `work/` (the jobs), `rows.rs` (who does which job).
//!
//! `cargo bench-table` prints the times (`--markdown`: as tables; `--sizes`: against how much there is; `--threads`: of two
//! at once; `--invalidations`: how many are asked for), `cargo bench-count` instructions; words after it choose the rows
//! whose names contain all of them. `cargo bench` here measures the same with criterion.

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
