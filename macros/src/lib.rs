//! The procedural macro of `tablewright`: files in, `tablewright-codegen` out. Use it through `tablewright`, which passes
//! its own path on.

mod file;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// `page_table_format! { [runtime] pub mod name = "path.toml" }`: the module of a format file, found relative to
/// `CARGO_MANIFEST_DIR`. A file with `[[build]]` rows gives a module for each of them within.
#[proc_macro]
pub fn page_table_format(input: TokenStream) -> TokenStream {
    file::module(parse_macro_input!(input)).into()
}
