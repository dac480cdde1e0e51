//! Reading and writing guest memory from the host.
//!
//! Guest memory can change at any moment, so it is never a Rust slice or reference: bytes are copied in or out, by atomic
//! accesses. Each access is translated page by page, is limited to what the guest itself may do, and never reaches device
//! memory.

mod accessor;
mod atomic;
mod error;
mod slice;
mod space;
mod tables;

pub use accessor::GuestMemoryAccessor;
pub use atomic::GuestAtomic;
pub use error::{GuestError, GuestFault};
pub use slice::GuestSlice;
pub use tables::{GuestTables, Stage1Report, Stage1Translation, VirtError, VirtFault};
