//! The procedural macros of `tablewright`: files in, `tablewright-codegen` out. Use them through `tablewright`, which
//! passes its own path on.

mod file;
mod input;

use proc_macro::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse_macro_input;

/// `page_table_format! { [runtime] pub mod name = "path.toml" }`: the module of a format file, found relative to
/// `CARGO_MANIFEST_DIR`. A file with `[[build]]` rows gives a module for each of them within.
#[proc_macro]
pub fn page_table_format(input: TokenStream) -> TokenStream {
    let input::Module { runtime, attributes, visibility, name, path } = parse_macro_input!(input);
    let file = file::generate(&path.value(), &runtime);
    let error = file.error.map(|message| quote_spanned!(path.span()=> ::core::compile_error!(#message);));
    let (items, tracked) = (file.items, file.read);
    quote! {
        // That a user's crate needs only part of this is no fault of it, nor is an architecture that Rust does not know.
        #(#attributes)*
        #[allow(dead_code, unexpected_cfgs, unreachable_pub)]
        #visibility mod #name {
            #items
            // Makes a change of a file rebuild the crate.
            #(const _: &[u8] = ::core::include_bytes!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #tracked));)*
        }
        #error
    }
    .into()
}

/// `builtin_format! { [runtime] "name" }`: the modules of a built-in format, here.
#[proc_macro]
pub fn builtin_format(input: TokenStream) -> TokenStream {
    let input::Builtin { runtime, name } = parse_macro_input!(input);
    match file::builtin(&name.value(), &runtime) {
        Ok(items) => items.into(),
        Err(message) => quote_spanned!(name.span()=> ::core::compile_error!(#message);).into(),
    }
}
