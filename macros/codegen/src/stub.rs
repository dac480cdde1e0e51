//! The items that replace a format whose file cannot be read: the types that users' code names, so that the errors
//! about the file are not followed by many others.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::Outline;

use crate::scope::{ident, param_type};

/// The items of a module without a format, with the names from its file as far as they are known. They always stand
/// beside a `compile_error!`.
pub fn stub(outline: &Outline, runtime: &TokenStream) -> TokenStream {
    let items = items(outline, runtime);
    if outline.builds.is_empty() {
        return items;
    }
    let builds = outline.builds.iter().map(|name| ident(name));
    quote!(#(pub mod #builds { #items })*)
}

fn items(outline: &Outline, runtime: &TokenStream) -> TokenStream {
    let params = outline.params.iter().map(|(name, _)| ident(name));
    let types = outline.params.iter().map(|(_, domain)| param_type(domain).name());
    let capabilities = outline.capabilities.iter().map(|name| ident(name));
    let registers = outline.registers.iter().map(|name| ident(name));
    let report = outline.report.iter().map(|name| ident(name));
    let controls = outline.controls.iter().map(|name| ident(name));
    quote! {
        use ::core::prelude::rust_2024::*;
        use #runtime::*;

        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Config {
            #(pub #params: #types,)*
            pub levels: u8,
            pub input_bits: u8,
        }

        impl Config {
            pub const fn new(_: u8, _: u8) -> Self { loop {} }
            pub const fn from_capabilities(_: &Capabilities, _: u8, _: u8) -> Self { loop {} }
            pub fn set(&mut self, _: &str, _: i64) -> bool { loop {} }
        }

        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Capabilities {
            #(pub #capabilities: u64,)*
        }

        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Registers {
            #(pub #registers: u64,)*
        }

        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Report {
            #(pub #report: u64,)*
        }

        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Controls {
            #(pub #controls: u64,)*
        }

        #[derive(Clone, Copy, Debug)]
        pub struct Format {}

        impl Format {
            pub const fn new(_: &Config) -> Result<Self, ConfigError> { loop {} }
            pub const fn config(&self) -> &Config { loop {} }
        }

        unsafe impl #runtime::Format for Format {
            type Config = Config;
            type Registers = Registers;
            type Report = Report;
            type Controls = Controls;
            type Word = Le64;

            const INFO: &'static FormatInfo =
                &FormatInfo { name: "", title: "", architecture: "", stage: 0, cite: "", tlb: "" };
            const ENTRY_BITS: [u8; Geometry::MAX_LEVELS] = [12; Geometry::MAX_LEVELS];
            const HAS_RUNS: bool = true;

            fn new(_: &Config) -> Result<Self, ConfigError> { loop {} }
            fn geometry(&self) -> Geometry { loop {} }
            fn page_sizes(&self, _: Level) -> PageSizes { loop {} }
            fn invalid_cached(&self) -> bool { loop {} }
            fn next(&self, _: Level, _: u64) -> Next { loop {} }
            fn kinds(&self, _: Level) -> Kinds { loop {} }
            fn output(&self, _: Level, _: u64) -> u64 { loop {} }
            fn run_bits(&self, _: Level, _: u64) -> u8 { loop {} }
            fn strip(&self, _: Prototype, _: u64, _: usize) -> Strip { loop {} }
            fn prototype(&self, _: Level, _: u8, _: &Attributes) -> Result<Prototype, Refusal> { loop {} }
            fn rewrite(&self, _: Level, _: &Change) -> Result<Rewrite, Refusal> { loop {} }
            fn accessed_dirty(&self, _: Level) -> AccessedDirty { loop {} }
            fn table(&self, _: Level, _: u64) -> Result<u64, Refusal> { loop {} }
            fn empty(&self, _: Level) -> u64 { loop {} }
            fn edit(&self, _: Level, _: u64, _: u64) -> Edit { loop {} }
            fn decode(&self, _: Level, _: u64) -> Entry { loop {} }
            fn registers(&self, _: HostPhysAddr, _: Tag) -> Result<Registers, Refusal> { loop {} }
            fn fault(&self, _: &Report) -> Option<FaultInfo> { loop {} }
            unsafe fn invalidate(&self, _: HostPhysAddr, _: Tag, _: &Invalidation) -> bool { loop {} }
        }

        impl ByName for Format {
            fn config(_: u8, _: u8) -> Config { loop {} }
            fn set(_: &mut Config, _: &str, _: i64) -> bool { loop {} }
            fn parameters(_: &Config) -> impl Iterator<Item = (&'static str, i64)> { ::core::iter::empty() }
            fn of_machine(_: &[u64], _: u8, _: u8) -> Option<Config> { loop {} }
            fn register_values(_: &Registers) -> impl Iterator<Item = (&'static str, u64)> { ::core::iter::empty() }
            fn report(_: &[u64]) -> Option<Report> { loop {} }
            fn report_values(_: &Report) -> impl Iterator<Item = (&'static str, u64)> { ::core::iter::empty() }
            fn controls(_: &[u64]) -> Option<Controls> { loop {} }
        }
    }
}
