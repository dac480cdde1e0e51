//! What the tests share: the MMU models that judge our tables, and the means to reach them.

pub mod emulators;
pub mod mmu;
