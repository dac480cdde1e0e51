//! The local names that generated code may use, and the `let`s that bind those that it does use.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};

/// `body` after `let`s for the locals that it uses, except those in `bound`. For methods of `Format`; where `layout` or
/// a local read from it is used, `level` must be in scope.
pub(crate) fn bind(body: TokenStream, bound: &[&str]) -> TokenStream {
    let uses = |name: &str| mentions(&body, name);
    let binds = |name: &str| uses(name) && !bound.contains(&name);
    let config = binds("config").then(|| quote!(let config = &self.config;));
    let common = binds("common").then(|| quote!(let common = &self.common;));
    let layout = (binds("layout") || binds("leaf_bits") || binds("block_level"))
        .then(|| quote!(let layout = self.layout(level);));
    let leaf_bits = binds("leaf_bits").then(|| quote!(let leaf_bits = layout.leaf_bits;));
    let block_level = binds("block_level").then(|| quote!(let block_level = layout.holds_blocks;));
    quote!(#config #common #layout #leaf_bits #block_level #body)
}

/// The name of a parameter, with an underscore if `body` does not use it.
pub(crate) fn parameter(body: &TokenStream, name: &str) -> Ident {
    if mentions(body, name) { format_ident!("{name}") } else { format_ident!("_{name}") }
}

/// Whether `name` occurs in `code` other than after a `.` or as a `let`'s name.
pub(crate) fn mentions(code: &TokenStream, name: &str) -> bool {
    any_name(code.clone(), &mut |ident| ident == name)
}

/// Whether the value of `code` may differ between levels.
pub(crate) fn varies_by_level(code: &TokenStream) -> bool {
    ["level", "leaf_bits", "block_level"].iter().any(|name| mentions(code, name))
}

/// Those of `names` that [`mentions`] finds in `code`.
pub(crate) fn mentioned(code: &TokenStream, names: &[&str]) -> Vec<Ident> {
    let mut left = names.to_vec();
    any_name(code.clone(), &mut |ident| {
        let ident = ident.to_string();
        left.retain(|name| *name != ident);
        left.is_empty()
    });
    names.iter().filter(|name| !left.contains(name)).map(|name| format_ident!("{name}")).collect()
}

/// Whether `code` has a name, not after a `.`, for which `is_such` holds.
fn any_name(code: TokenStream, is_such: &mut dyn FnMut(&Ident) -> bool) -> bool {
    let mut after_dot = false;
    for token in code {
        match &token {
            TokenTree::Group(group) if any_name(group.stream(), is_such) => return true,
            TokenTree::Ident(ident) if !after_dot && is_such(ident) => return true,
            _ => {}
        }
        // The second dot of `..` does not lead to a field.
        after_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.') && !after_dot;
    }
    false
}
