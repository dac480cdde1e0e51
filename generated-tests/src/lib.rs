//! What the tests share: the laws of formats, the MMU models that judge our tables, and the means to reach them.

pub mod conformance;
pub mod emulators;
pub mod formats;
pub mod laws;
pub mod mmu;
pub mod mutation;
pub mod vectors;
pub mod verdicts;

pub use tablewright::generated_format as generated;
