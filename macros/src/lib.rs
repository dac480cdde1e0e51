//! The procedural macros of `tablewright`: files in, `tablewright-codegen` out. Use them through `tablewright`, which
//! passes its own path on.

#[cfg(feature = "format-files")]
mod file;
mod input;

use proc_macro::TokenStream;
use quote::quote_spanned;
use syn::parse_macro_input;
use tablewright_archdefs::{Diagnostics, Sources, Style};

/// `page_table_format! { [runtime] pub mod name = "path.toml" }`: the module of a format file, found relative to
/// `CARGO_MANIFEST_DIR`. A file with `[[build]]` rows gives a module for each of them within.
#[cfg(feature = "format-files")]
#[proc_macro]
pub fn page_table_format(input: TokenStream) -> TokenStream {
    file::module(parse_macro_input!(input)).into()
}

/// `builtin_format! { [runtime] "name" }`: the modules of a built-in format, here. It is not checked: the tests of its
/// package have done that.
#[proc_macro]
pub fn builtin_format(input: TokenStream) -> TokenStream {
    let input::Builtin { runtime, name } = parse_macro_input!(input);
    let message = match tablewright_archdefs::read_builtin(&name.value()) {
        None => format!("there is no built-in format `{}`", name.value()),
        Some((_, Ok(format))) => return tablewright_codegen::builtin(&format, &runtime).into(),
        Some((sources, Err(problems))) => render(&problems, &sources),
    };
    quote_spanned!(name.span()=> ::core::compile_error!(#message);).into()
}

fn render(problems: &Diagnostics, sources: &Sources) -> String {
    // The compiler puts `error: ` before the whole.
    let text = problems.render(sources, Style::Plain);
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}
