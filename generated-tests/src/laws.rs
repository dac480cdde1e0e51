//! The laws of formats, which live in the library.

pub use tablewright::testing::{AGREEMENT, Case, ENGINE, Generated, Glance, Interpreted, LAWS, Law, Subject, Verdict};
