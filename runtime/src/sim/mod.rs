//! A simulated machine, for tests and demonstrations on any host.

mod builtin;
mod memory;
mod mmu;
mod rules;
mod tlb;

pub use builtin::{BuiltInError, built_in};
pub use memory::{Machine, MemoryError, Observer};
pub use mmu::{Access, Mmu, Violation};
pub use rules::{ByAddress, Rules};
pub use tablewright_archdefs::bound::Bound;
