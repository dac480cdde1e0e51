//! Other libraries, doing what they can of the same jobs: bare page tables, and address spaces on them.
//!
//! All take frames from the arena that the others take them from, and what they ask of a TLB is counted and does
//! nothing. Each is used as its documentation says a client should, and by its best call for the job. All have tables of
//! four levels in EPT's shape: with entries of their own, or with [those](entry) that a client of theirs would write. What
//! cannot be done through a library's interface is not emulated here; its row has no entry then. None of them allows for
//! hardware that changes entries, so they are measured without.

mod aarch64_paging;
mod axaddrspace;
mod entry;
mod locked;
mod memory_set;
mod page_table_generic;
mod page_table_multiarch;
mod x86_64;

pub use aarch64_paging::Aarch64;
pub use axaddrspace::AxAddrSpace;
pub use locked::Locked;
pub use memory_set::MemorySet;
pub use page_table_generic::Generic;
pub use page_table_multiarch::Multiarch;
pub use x86_64::X86;
