//! A crate that has nothing in scope, calls everything by another name, and allows no lint.
#![no_std]
#![no_implicit_prelude]
#![deny(
    warnings,
    future_incompatible,
    keyword_idents,
    let_underscore,
    nonstandard_style,
    refining_impl_trait,
    rust_2018_idioms,
    rust_2024_compatibility,
    unused,
    absolute_paths_not_starting_with_crate,
    ambiguous_negative_literals,
    deprecated_in_future,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    ffi_unwind_calls,
    impl_trait_redundant_captures,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_unsafe_on_extern,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unstable_features,
    unused_crate_dependencies,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![forbid(missing_docs, unsafe_code)]
#![deny(clippy::all, clippy::nursery, clippy::pedantic)]

::nested::page_table_format! {
    /// A format of this crate.
    pub mod tiny = "arch/tiny.toml"
}

#[cfg(test)]
::nested::format_tests! { mod tiny_laws = "arch/tiny.toml": crate::tiny }

/// Another format, in a module of the same name.
pub mod wide {
    ::nested::page_table_format! {
        /// It extends the other.
        pub mod tiny = "arch/wide.toml";
    }

    #[cfg(test)]
    ::nested::format_tests! { mod tiny_laws = "arch/wide.toml": crate::wide::tiny }
}

/// What no macro must take for the real one.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
pub struct Option;
/// See [`Option`].
pub type Result = Option;
/// See [`Option`].
pub type Format = Option;
/// See [`Option`].
pub type Box = Option;
/// See [`Option`].
pub mod core {}
/// See [`Option`].
pub mod std {}
/// See [`Option`].
pub mod tablewright {}

/// Where a page of this crate's own format maps to.
#[must_use]
pub fn page(address: u64) -> ::core::option::Option<u64> {
    let format = <tiny::Format as ::nested::Format>::new(&tiny::Config::new(3, 39)).ok()?;
    let attributes = ::nested::Attributes::new(::nested::Rights::RW, ::nested::MemoryType::Inherit);
    let page = tiny::Page::new(&format, address, &attributes).ok()?;
    ::core::option::Option::Some(page.address(&format))
}

/// The same, of the format that extends it.
#[must_use]
pub fn wide_page(address: u64) -> ::core::option::Option<u64> {
    let format = <wide::tiny::Format as ::nested::Format>::new(&wide::tiny::Config::new(3, 39)).ok()?;
    let attributes = ::nested::Attributes::new(::nested::Rights::RW, ::nested::MemoryType::Inherit);
    let page = wide::tiny::Page::new(&format, address, &attributes).ok()?;
    ::core::option::Option::Some(page.address(&format))
}

#[cfg(test)]
mod tests {
    use ::core::assert_eq;
    use ::core::option::Option::{None, Some};

    #[test]
    fn pages_map_where_they_should() {
        assert_eq!(super::page(0x1234_5000), Some(0x1234_5000));
        assert_eq!(super::page(0x1234_5678), None);
        assert_eq!(super::page(1 << 48), None);
        assert_eq!(super::wide_page(1 << 48), Some(1 << 48));
    }
}
