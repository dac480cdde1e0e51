//! The reference interpreter: decodes, walks, encodes and judges edits straight from a bound format.
//!
//! It shares no code with what is generated from the same file, so that the two can be tested against each other. It is
//! the MMU of the simulated machine, and tools are built on it. Start at [`Bound::walk`] and [`Bound::decode`].
//!
//! [`Bound::walk`]: crate::bound::Bound::walk
//! [`Bound::decode`]: crate::bound::Bound::decode

mod access;
mod completion;
mod decode;
mod edit;
mod encode;
mod fault;
mod invalidation;
mod raise;
mod registers;
pub(crate) mod rights;
mod translated;
mod walk;

pub use decode::{Decoded, FieldValue, LeafEntry, TableEntry};
pub use edit::Edit;
pub use encode::{Attributes, Refused};
pub use fault::FaultInfo;
pub use invalidation::{Invalidation, Means, Round, Stale};
pub use raise::{Met, Why};
pub use registers::RegisterValue;
pub(crate) use registers::{BoundRegisterField, register_fields};
pub use translated::Translated;
pub use walk::{Start, Step, Translation, Walk};
