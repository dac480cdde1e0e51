//! A simulated machine, for tests and demonstrations on any host.

mod memory;

pub use memory::{Machine, MemoryError, Observer};
