//! What the tests share: the laws of formats, the conformance tests by MMU models, vectors, verdicts and mutation.

pub mod conformance;
pub mod formats;
pub mod laws;
pub mod mutation;
pub mod vectors;
pub mod verdicts;

pub use tablewright::generated_format as generated;
pub use tablewright_machines::{emulators, mmu};
