//! What `tablewright new` writes passes everything that a format must.

tablewright::page_table_format! { mod my_format = "../macros/cli/src/new.toml" }

tablewright::format_tests! { mod laws = "../macros/cli/src/new.toml": crate::my_format }
