//! The laws of formats, which are part of the library.

pub use tablewright::testing::{AGREEMENT, Case, ENGINE, Generated, Glance, Interpreted, LAWS, Law, Subject, Verdict};
