//! A simulated machine, for tests and demonstrations on any host.

mod builtin;
mod guest;
mod memory;
mod mmu;
mod observer;
mod rules;
mod shadow;
mod tlb;
mod violation;

pub use builtin::{BuiltInError, built_in};
pub use memory::{Machine, MemoryError};
pub use mmu::{Access, Mmu};
pub use observer::Observer;
pub use rules::{ByAddress, Rules};
pub use tablewright_archdefs::bound::Bound;
pub use violation::Violation;
