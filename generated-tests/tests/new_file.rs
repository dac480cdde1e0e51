//! The file that `tablewright new` writes passes all tests of a format.

tablewright::page_table_format! { mod my_format = "../macros/cli/src/new.toml" }

tablewright::format_tests! { mod laws = "../macros/cli/src/new.toml": crate::my_format }
