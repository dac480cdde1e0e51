//! Other libraries, which do as many of the same jobs as they can: bare page tables, and address spaces on top of them.
//!
//! They take frames from the same arena as this library, and their requests for invalidations are only counted. Each is
//! used as its documentation says, and by its best call for the job. All have tables of four levels in EPT's shape,
//! with entries of their own, or with [those](entry) that a client would write. A job that a library's interface cannot
//! do is not emulated here; the row has no figure for it. None of them supports hardware that changes entries, so they
//! are measured without it.

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
