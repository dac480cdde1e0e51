//! What the macros are given: first the path of the runtime crate, in brackets.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream, Result};
use syn::{LitStr, bracketed};

/// `[runtime] "name"`
pub(crate) struct Builtin {
    pub(crate) runtime: TokenStream,
    pub(crate) name: LitStr,
}

impl Parse for Builtin {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self { runtime: runtime(input)?, name: input.parse()? })
    }
}

/// `[runtime]`
pub(crate) fn runtime(input: ParseStream<'_>) -> Result<TokenStream> {
    let path;
    bracketed!(path in input);
    path.parse()
}
