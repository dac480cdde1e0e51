//! The laws of formats, which live in the library, and how well they hold a format's file in place.

pub mod mutation;

pub use tablewright::testing::{AGREEMENT, Case, ENGINE, Generated, Glance, Interpreted, LAWS, Law, Subject, Verdict};
