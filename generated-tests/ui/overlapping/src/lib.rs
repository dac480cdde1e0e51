use overlapping::{Config, Format};

tablewright::page_table_format! { pub mod overlapping = "arch/overlapping.toml" }

pub fn format() -> Option<Format> {
    tablewright::Format::new(&Config::new(4, 48)).ok()
}
