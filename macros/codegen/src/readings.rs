//! The registers that a caller reads and passes in, as fields of a struct.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::Reading;

use crate::scope::ident;
use crate::text::{cited, sentence};

/// The documentation of such a struct: what the registers are, and the manual's section.
pub(crate) fn docs(what: &str, cite: Option<&str>) -> Vec<String> {
    [format!(" {what}, one field for each register.")].into_iter().chain(cited(cite)).collect()
}

/// A field for each register, documented by its name if the file has no description.
pub(crate) fn fields(registers: &[Reading]) -> TokenStream {
    let fields = registers.iter().map(|register| {
        let name = &register.name.value;
        let doc = format!(" {}", register.doc.as_deref().map_or(format!("`{name}`."), sentence));
        let name = ident(name);
        quote!(#[doc = #doc] pub #name: u64,)
    });
    fields.collect()
}
