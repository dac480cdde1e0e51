//! What the macros are given.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream, Result};
#[cfg(feature = "format-files")]
use syn::{Attribute, Ident, Token, Visibility};
use syn::{LitStr, bracketed};

/// `[runtime] #[attributes] pub mod name = "path"`
#[cfg(feature = "format-files")]
pub(crate) struct Module {
    pub(crate) runtime: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) path: LitStr,
}

/// `[runtime] "name"`
pub(crate) struct Builtin {
    pub(crate) runtime: TokenStream,
    pub(crate) name: LitStr,
}

fn runtime(input: ParseStream<'_>) -> Result<TokenStream> {
    let path;
    bracketed!(path in input);
    path.parse()
}

#[cfg(feature = "format-files")]
impl Parse for Module {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let runtime = runtime(input)?;
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<Token![mod]>()?;
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        let path = input.parse()?;
        input.parse::<Option<Token![;]>>()?;
        Ok(Self { runtime, attributes, visibility, name, path })
    }
}

impl Parse for Builtin {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self { runtime: runtime(input)?, name: input.parse()? })
    }
}
