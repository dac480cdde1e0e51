//! What the tests share: the laws of formats, and what MMU models are asked about our tables.

pub mod conformance;
pub mod formats;
pub mod laws;
pub mod mutation;
pub mod vectors;
pub mod verdicts;

pub use tablewright::generated_format as generated;
pub use tablewright_machines::{emulators, mmu};
