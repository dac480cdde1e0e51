//! Races between operations that take `&self`, and between an MMU and operations that take `&mut self`, small enough
//! for [loom](https://docs.rs/loom) to try every order.
//!
//! Without `--cfg loom` this crate is empty. Tables and operations are the library's, in a format with two entries per
//! table. Only the memory is modelled here, as an entry must be one of loom's atomics.
#![cfg(loom)]

pub mod memory;
pub mod mmu;

tablewright::page_table_format! { pub mod tiny = "tiny.toml" }
