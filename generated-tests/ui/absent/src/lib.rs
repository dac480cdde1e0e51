use absent::{Config, Format};

tablewright::page_table_format! { pub mod absent = "arch/absent.toml" }

pub fn format() -> Option<Format> {
    tablewright::Format::new(&Config::new(4, 48)).ok()
}
