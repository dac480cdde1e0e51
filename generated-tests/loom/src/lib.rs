//! Races between operations that take `&self`, and between those that take `&mut self` and an MMU, small enough for
//! [loom](https://docs.rs/loom) to run in every order.
//!
//! Without `--cfg loom` there is nothing here. The tables are those of the library, in a format with two entries a
//! table, and so are the operations; only the memory is the model's, since an entry is an atomic of loom's.
#![cfg(loom)]

pub mod memory;
pub mod mmu;

tablewright::page_table_format! { pub mod tiny = "tiny.toml" }
