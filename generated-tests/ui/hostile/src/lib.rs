//! A crate that has nothing in scope, calls everything by another name, and allows no lint.
#![no_std]
#![no_implicit_prelude]
#![deny(
    warnings,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused,
    unused_qualifications
)]

::nested::page_table_format! {
    /// A format of this crate.
    pub mod tiny = "arch/tiny.toml"
}

::nested::page_table_format! { mod wide = "arch/wide.toml"; }

/// What generated code must not take for the real ones.
#[derive(::core::fmt::Debug)]
pub struct Option;
/// See [`Option`].
#[derive(::core::fmt::Debug)]
pub struct Result;
/// See [`Option`].
#[derive(::core::fmt::Debug)]
pub struct Format;
/// See [`Option`].
pub mod core {}
/// See [`Option`].
pub mod tablewright {}

/// Where a page of this crate's own format maps to.
pub fn page(address: u64) -> ::core::option::Option<u64> {
    let format = <tiny::Format as ::nested::Format>::new(&tiny::Config::new(3, 39)).ok()?;
    let attributes = ::nested::Attributes::new(::nested::Rights::RW, ::nested::MemoryType::Inherit);
    let page = tiny::Page::new(&format, address, &attributes).ok()?;
    ::core::option::Option::Some(page.address(&format))
}

/// The same, of a format that extends it.
pub fn wide_page(address: u64) -> ::core::option::Option<u64> {
    let format = <wide::Format as ::nested::Format>::new(&wide::Config::new(3, 39)).ok()?;
    let attributes = ::nested::Attributes::new(::nested::Rights::RW, ::nested::MemoryType::Inherit);
    let page = wide::Page::new(&format, address, &attributes).ok()?;
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
