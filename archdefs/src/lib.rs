//! Page-table formats as data: the TOML files, their reader, checker and reference interpreter.

pub mod bound;
pub mod eval;
pub mod expr;
pub mod interpret;
pub mod model;
pub mod source;
pub mod show;
