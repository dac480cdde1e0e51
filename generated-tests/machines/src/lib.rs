//! The MMU models that judge our tables, and the means to reach them: what of the tests is not compiled for each format, and
//! so is worth optimising.

pub mod emulators;
pub mod mmu;
