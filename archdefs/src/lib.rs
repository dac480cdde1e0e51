//! Page-table formats as data: the TOML files, their reader, checker and reference interpreter.

pub mod expr;
pub mod model;
pub mod source;
