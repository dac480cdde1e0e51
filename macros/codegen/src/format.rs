//! Generates `Format`, which holds everything that parameters determine, and its implementation of the runtime's trait.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::ByteOrder::{Big, Little};
use tablewright_archdefs::model::EntryWord;

use crate::address::AddressMap;
use crate::locals::{bind, parameter};
use crate::members::Shape;
use crate::places::Place;
use crate::scope::Scope;
use crate::text::plain;
use crate::{
    access, attributes, completion, constructor, decode, edit, fault, grant, hot, info, kinds, literal, raise,
    registers, runs, tlb, translated,
};

/// `struct Format`, its private methods, and the trait's.
pub(crate) fn format(scope: &Scope<'_>, name: &str, title: &str) -> TokenStream {
    let doc = format!(" {} under one choice of parameters.", plain(title));
    let rows = attributes::row_methods(scope);
    let encoders = attributes::encoders(scope);
    let kind = kinds::decision(scope);
    let decoders = decode::decoders(scope);
    let invalidations = tlb::operations(scope);
    let new = constructor::constructor(scope);
    let page_sizes = page_sizes(scope);
    let prototype = attributes::prototype(scope);
    let strip = hot::strip(scope);
    let unaligned = unaligned(scope);
    let not_empty_doc =
        leads_on(scope).then(|| quote!(#[doc = " It is refused, too, if the table there stands for nothing."]));
    let table = table(scope);
    let unaligned_level = parameter(&quote!(#unaligned #table), "level");
    let common = scope.places.any(Place::Common).then(|| quote!(common: Common,));
    let (first_writes, resolve_first_writes) = (grant::field(scope), grant::resolve(scope));
    let implementation = implementation(scope, name, title);
    quote! {
        #[doc = #doc]
        ///
        /// A value holds what its [`Config`] resolves to, so that no parameter is looked at where entries are handled.
        #[derive(Clone, Copy, Debug)]
        pub struct Format {
            config: Config,
            geometry: Geometry,
            invalid_cached: bool,
            #common
            layouts: [Layout; codec::LEVELS],
            #first_writes
        }

        /// What can be had at compile time; everything else is in the implementation of the runtime's trait.
        impl Format {
            #new

            /// The parameters that it was made from.
            pub const fn config(&self) -> &Config {
                &self.config
            }

            #page_sizes
            #prototype
            #strip

            /// The entry at `level` that points to a table of the level below, with every right granted.
            ///
            /// # Errors
            ///
            /// [`Refusal::Address`] if the address is too wide or not aligned.
            #not_empty_doc
            #[inline]
            pub const fn table(&self, #unaligned_level: Level, address: u64) -> Result<u64, Refusal> {
                if address & #unaligned != 0 || address > self.geometry.last_output() {
                    return Err(Refusal::Address(address));
                }
                #table
            }

            /// The leaf at `level` that maps to `address` and belongs to no run.
            const fn leaf(&self, level: Level, address: u64, attributes: &Attributes) -> Result<u64, Refusal> {
                let size = self.layout(level).leaf_bits;
                let prototype = match self.prototype(level, size, attributes) {
                    Ok(prototype) => prototype,
                    Err(refusal) => return Err(refusal),
                };
                if address & codec::bits(size - 1, 0) != 0 || address > self.geometry.last_output() {
                    return Err(Refusal::Address(address));
                }
                Ok(self.strip(prototype, address, 1).first)
            }

            #[inline]
            const fn layout(&self, level: Level) -> &Layout {
                &self.layouts[codec::index(level)]
            }

            #kind
            #decoders
            #encoders
            #resolve_first_writes
            #rows
            #invalidations
        }

        #implementation
    }
}

fn implementation(scope: &Scope<'_>, name: &str, title: &str) -> TokenStream {
    let entry_bits = scope.entry_bits().map(|bits| literal::number(bits.into()));
    let has_runs = runs::slots(scope) > 0;
    let hot = hot::methods(scope);
    let rewrite = attributes::rewrite(scope);
    let states = registers::accessed_dirty(scope);
    let table_states = registers::table_accessed(scope);
    let (rights, edit, grant) = (decode::rights(), edit::edit(scope), grant::methods(scope));
    let registers = registers::method(scope);
    let fault = fault::method(scope);
    let translated = translated::method(scope);
    let permits = access::method(scope);
    let raise = raise::method(scope);
    let invalidate = tlb::method(scope);
    let at_entry = tlb::at_entry(scope);
    let commands = tlb::commands(scope);
    let completion = completion::method(scope);
    let limit = tlb::limit(scope);
    let info = info::info(scope, name, title);
    let word = word(scope.format.word);
    let empty = bind(scope.places.resolve(quote!(layout.empty)), &[]);
    let empty_level = parameter(&empty, "level");
    quote! {
        /// `output` and `next` read addresses through the very masks that `strip` and `table` write them through, and
        /// the checker has proved that these hold every bit of an address once.
        unsafe impl FormatTrait for Format {
            type Config = Config;
            type Registers = Registers;
            type Report = Report;
            type Controls = Controls;
            type Word = #word;

            const INFO: &'static FormatInfo = &#info;
            const ENTRY_BITS: [u8; Geometry::MAX_LEVELS] = [#(#entry_bits),*];
            const HAS_RUNS: bool = #has_runs;

            fn new(config: &Config) -> Result<Self, ConfigError> {
                Format::new(config)
            }

            #[inline]
            fn geometry(&self) -> Geometry {
                self.geometry
            }

            #[inline]
            fn page_sizes(&self, level: Level) -> PageSizes {
                Format::page_sizes(self, level)
            }

            #[inline]
            fn invalid_cached(&self) -> bool {
                self.invalid_cached
            }

            #hot

            #[inline]
            fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip {
                Format::strip(self, leaf, oa, items)
            }

            fn prototype(&self, level: Level, size: u8, attributes: &Attributes) -> Result<Prototype, Refusal> {
                Format::prototype(self, level, size, attributes)
            }

            #rewrite
            #states

            #table_states

            #[inline]
            fn table(&self, level: Level, address: u64) -> Result<u64, Refusal> {
                Format::table(self, level, address)
            }

            #[inline]
            fn empty(&self, #empty_level: Level) -> u64 {
                #empty
            }

            #rights

            #edit

            #grant

            fn decode(&self, level: Level, raw: u64) -> Entry {
                if level >= self.geometry.levels {
                    return Entry::Reserved("no such level");
                }
                match self.kind(level, raw) {
                    Kind::Invalid => Entry::Invalid,
                    Kind::Table => self.decode_table(level, raw),
                    Kind::Leaf => self.decode_leaf(level, raw),
                    Kind::Reserved(rule) => Entry::Reserved(rule),
                }
            }

            #registers
            #fault
            #translated
            #permits
            #raise
            #invalidate
            #at_entry
            #commands
            #completion

            #limit
        }
    }
}

/// The runtime's type of an entry in memory.
pub(crate) fn word(word: EntryWord) -> TokenStream {
    match (word.size, word.order) {
        (2, Little) => quote!(Le32),
        (2, Big) => quote!(Be32),
        (_, Little) => quote!(Le64),
        (_, Big) => quote!(Be64),
    }
}

/// Whether entries that map nothing point to a table, so that walks do not stop at them.
fn leads_on(scope: &Scope<'_>) -> bool {
    !scope.format.empty_table.0.is_empty()
}

/// The last statements of `fn table`, for a valid address.
fn table(scope: &Scope<'_>) -> TokenStream {
    let link = AddressMap::of(scope, Shape::Table).scatter(&quote!(address));
    let not_empty = leads_on(scope).then(|| {
        quote! {
            if address == layout.empty_table {
                return Err(Refusal::Address(address));
            }
        }
    });
    bind(scope.places.resolve(quote!(#not_empty Ok(layout.table_base | #link))), &[])
}

/// The address bits that are zero in the address of any table that an entry at `level` points to.
fn unaligned(scope: &Scope<'_>) -> TokenStream {
    let mask = |bits: u8| literal::hex(((1_u128 << (bits + scope.format.word.size)) - 1) as u64);
    let tables = scope.table_index_bits();
    let Some((&highest, others)) = tables.split_last() else { return mask(0) };
    let others = (1_i128..).zip(others).filter(|(_, bits)| **bits != highest);
    let arms: Vec<_> = others
        .map(|(level, &bits)| {
            let (level, mask) = (literal::number(level), mask(bits));
            quote!(#level => #mask)
        })
        .collect();
    let mask = mask(highest);
    if arms.is_empty() { mask } else { quote!(match level { #(#arms,)* _ => #mask }) }
}

/// `fn page_sizes`.
fn page_sizes(scope: &Scope<'_>) -> TokenStream {
    let sizes = match crate::runs::slots(scope) {
        0 => quote!(1 << layout.leaf_bits),
        _ => quote!(1 << layout.leaf_bits | codec::run_sizes(&layout.runs, layout.leaf_bits, self.geometry.input_bits)),
    };
    let body = quote! {
        if level >= self.geometry.levels || !layout.holds_leaves {
            return PageSizes(0);
        }
        PageSizes(#sizes)
    };
    let body = bind(scope.places.resolve(body), &[]);
    quote! {
        /// The sizes of leaves at `level`, runs included.
        pub const fn page_sizes(&self, level: Level) -> PageSizes {
            #body
        }
    }
}
