//! A simulated machine, for tests and demonstrations on any host.

mod memory;
mod mmu;
mod tlb;

pub use memory::{Machine, MemoryError, Observer};
pub use mmu::{Access, Mmu, Violation};
