//! Explains raw values to people: what owns each bit, what it means, why hardware refuses an entry, and which section
//! of the manual says so.

mod completion;
mod entry;
mod layout;
mod register;
mod solve;

pub use completion::CompletionReport;
pub use entry::{EntryReport, Owner, Part, Refusal};
pub use layout::{Cell, Layout};
pub use register::{RegisterPart, RegisterReport};
