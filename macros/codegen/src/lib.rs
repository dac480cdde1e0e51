//! From the model of a format to Rust: one module of items for each build.
//!
//! New here? Read [`module`] first: it lists what is generated, one file for each item. `scope` says what names stand
//! for, `fold` simplifies expressions, `emit` and `branches` turn them into code, `bits` and `address` turn bit maps
//! into masks, `layout` is where all conditions end. Nothing here knows an architecture.

mod access;
mod address;
mod attributes;
mod bits;
mod branches;
mod completion;
mod config;
mod config_docs;
mod constructor;
mod decode;
mod docs;
mod edit;
mod emit;
mod entries;
mod fault;
mod fold;
mod format;
mod grant;
mod hot;
mod info;
mod kinds;
mod layout;
mod literal;
mod locals;
mod members;
mod named;
mod options;
mod places;
#[cfg(feature = "print")]
mod print;
mod raise;
mod readings;
mod registers;
mod rows;
mod runs;
mod scope;
mod stub;
mod sum;
mod text;
mod tlb;
mod translated;

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::{Build, Format};

#[cfg(feature = "print")]
pub use print::print;
pub use stub::stub;

/// Everything that is generated for a format: its module's items, or a module for each of its builds. See [`module`].
pub fn modules(format: &Format, runtime: &TokenStream) -> TokenStream {
    if format.builds.is_empty() {
        return module(format, None, runtime);
    }
    let modules = format.builds.iter().map(|build| {
        let (name, items) = (scope::ident(&build.name.value), module(format, Some(build), runtime));
        quote!(pub mod #name { #items })
    });
    modules.collect()
}

/// The items of a format's module, for one of its builds. `runtime` is the path of the runtime crate.
///
/// All items are generated even for a format that the checker refuses, so that code that names them causes no further
/// errors. Such items need not work.
pub fn module(format: &Format, build: Option<&Build>, runtime: &TokenStream) -> TokenStream {
    let scope = &scope::Scope::new(format, build);
    let name = build.map_or(&format.name.value, |build| &build.name.value);
    let title = build.and_then(|build| build.title.as_deref()).unwrap_or(&format.title);
    let config = config::config(scope);
    let format_items = format::format(scope, name, title);
    let entries = entries::entries(scope);
    let options = options::options(scope);
    let registers = registers::registers(scope);
    let report = fault::report(scope);
    let controls = access::controls(scope);
    let named = named::named(scope);
    let blocks_matter = [&entries, &format_items].into_iter().any(|items| locals::mentions(items, "block_level"));
    let layout = layout::layout(scope, blocks_matter);
    let items = quote! {
        #config
        #options
        #entries
        #format_items
        #layout
        #registers
        #report
        #controls
        #named
    };
    let imports = imports(&items, runtime);
    let docs = docs::module(format, title);
    quote! {
        #(#![doc = #docs])*
        #imports
        #items
    }
}

/// `use` items for the names in the generated code, so that it compiles whatever the scope around it holds.
fn imports(items: &TokenStream, runtime: &TokenStream) -> TokenStream {
    const CODEC: &[&str] = &["Facts", "Grants", "Kind", "Named", "Pattern", "Run"];
    const RUNTIME: &[&str] = &[
        "AccessedDirty",
        "AtEntry",
        "Attributes",
        "Be32",
        "Be64",
        "ByName",
        "Cause",
        "Change",
        "ConfigError",
        "Edit",
        "Entry",
        "EntryWord",
        "Extension",
        "FaultInfo",
        "FirstWrites",
        "FormatInfo",
        "Geometry",
        "HostPhysAddr",
        "Invalidation",
        "Kinds",
        "Le32",
        "Le64",
        "Leaf",
        "Level",
        "MemoryType",
        "Next",
        "Options",
        "PageSizes",
        "Prototype",
        "Refusal",
        "Rewrite",
        "Rights",
        "Shareability",
        "Signal",
        "Stage1Cause",
        "Stage1Fault",
        "Strip",
        "Tag",
        "Translated",
    ];
    let (codec, names) = (locals::mentioned(items, CODEC), locals::mentioned(items, RUNTIME));
    quote! {
        use ::core::fmt;
        use ::core::prelude::rust_2024::*;

        use #runtime::codec::{self, #(#codec),*};
        use #runtime::{Format as FormatTrait, Table as DecodedTable, #(#names),*};
    }
}
