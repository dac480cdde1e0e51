use misspelt::{Config, Format};

tablewright::page_table_format! { pub mod misspelt = "arch/misspelt.toml" }

pub fn format() -> Option<Format> {
    tablewright::Format::new(&Config::new(4, 48)).ok()
}
