//! Generates the hot path: methods that use the masks of a layout and test no parameter.

use proc_macro2::TokenStream;
use quote::quote;

use crate::address::AddressMap;
use crate::kinds;
use crate::layout;
use crate::locals::{bind, mentions, parameter};
use crate::members::Shape;
use crate::runs;
use crate::scope::Scope;

/// The trait's methods on entries that the format wrote itself.
pub(crate) fn methods(scope: &Scope<'_>) -> TokenStream {
    let bound = |body| bind(scope.places.resolve(body), &[]);
    let output = AddressMap::of(scope, Shape::Leaf);
    let table = AddressMap::of(scope, Shape::Table).gather();
    let gather = output.gather();
    let runs = runs::slots(scope) > 0;
    let shared = runs::are_shared(scope);
    let (links, translate) = (links(scope), translate(scope, &output));
    let gather = if shared { quote!((#gather) & !codec::bits(self.leaf_bits(level, raw) - 1, 0)) } else { gather };
    let run_bits = runs.then(|| {
        let body = bound(quote! {
            for run in &layout.runs {
                if run.mark.matches(raw) {
                    return run.items;
                }
            }
            0
        });
        let level = parameter(&body, "level");
        quote! {
            #[inline]
            fn run_bits(&self, #level: Level, raw: u64) -> u8 {
                #body
            }
        }
    });
    let next = match kinds::absent(scope) {
        // Going down a tree, one test is enough.
        (_, true) => quote! {
            if layout.table.matches(raw) {
                Next::Table(#table)
            } else if layout.absent.matches(raw) {
                Next::Absent
            } else {
                Next::Leaf
            }
        },
        (_, false) => quote! {
            if layout.absent.matches(raw) {
                Next::Absent
            } else if layout.table.matches(raw) {
                Next::Table(#table)
            } else {
                Next::Leaf
            }
        },
    };
    let single = if runs::slots(scope) > 0 {
        quote!(single_mask: layout.single.mask, single_value: layout.single.value)
    } else {
        quote!(single_mask: 0, single_value: 0)
    };
    let kinds = quote! {
        Kinds {
            absent_mask: layout.absent.mask,
            absent_value: layout.absent.value,
            table_mask: layout.table.mask,
            table_value: layout.table.value,
            #single,
        }
    };
    let [next, kinds, output] = [next, kinds, gather].map(bound);
    let [next_level, kinds_level, output_level] = [&next, &kinds, &output].map(|body| parameter(body, "level"));
    quote! {
        #[inline]
        fn next(&self, #next_level: Level, raw: u64) -> Next {
            #next
        }

        #[inline]
        fn kinds(&self, #kinds_level: Level) -> Kinds {
            #kinds
        }

        #links

        #[inline]
        fn output(&self, #output_level: Level, raw: u64) -> u64 {
            #output
        }

        #run_bits

        #translate
    }
}

/// `fn links`.
fn links(scope: &Scope<'_>) -> TokenStream {
    let table = AddressMap::of(scope, Shape::Table);
    let address = table.gather_most();
    let is_table = match kinds::absent(scope) {
        (_, true) => quote!(layout.table.matches(raw)),
        (_, false) => quote!(!layout.absent.matches(raw) && layout.table.matches(raw)),
    };
    let test = scope.places.resolve(quote!(if #is_table { Some(#address) } else { None }));
    let body = if layout::tables_differ(scope) {
        let test = bind(test, &[]);
        quote!(|level, raw| { #test })
    } else {
        // Tables of all levels are alike.
        let layout = mentions(&test, "layout").then(|| quote!(let layout = *self.layout(1);));
        let common = mentions(&test, "common").then(|| quote!(let common = self.common;));
        quote!(#layout #common move |_, raw| #test)
    };
    quote! {
        #[inline]
        fn links(&self) -> impl Fn(Level, u64) -> Option<u64> {
            #body
        }
    }
}

/// `fn translate`.
fn translate(scope: &Scope<'_>, output: &AddressMap) -> TokenStream {
    let address = output.gather_most();
    let body = if runs::are_shared(scope) {
        quote! {
            for run in &layout.runs {
                if run.mark.matches(raw) {
                    // All items of a run may hold its start.
                    let within = layout.within | layout.within << run.items;
                    return address & !within | ia & within;
                }
            }
            address | ia & layout.within
        }
    } else {
        // An item of a run holds an address of its own.
        quote!(address | ia & layout.within)
    };
    let body = bind(scope.places.resolve(quote!(let address = #address; #body)), &[]);
    quote! {
        #[inline]
        fn translate(&self, level: Level, raw: u64, ia: u64) -> u64 {
            #body
        }
    }
}

/// `fn strip`.
pub(crate) fn strip(scope: &Scope<'_>) -> TokenStream {
    let output = AddressMap::of(scope, Shape::Leaf);
    let address = output.scatter_most(&quote!(oa));
    let first = if output.len() > 1 {
        quote!(let address = #address; let first = leaf.bits | address;)
    } else {
        quote!(let first = leaf.bits | #address;)
    };
    let step = output.scatter(&quote!(size));
    let shared = scope.format.runs.iter().any(|run| run.shared);
    let run = shared.then(|| {
        let is_shared = if scope.format.runs.iter().all(|run| run.shared) {
            quote!(leaf.size > layout.leaf_bits)
        } else {
            let items = scope.format.runs.iter().filter(|run| run.shared).flat_map(|run| &run.items.value);
            let items = items.map(|items| crate::literal::number(items.ilog2().into()));
            quote!(matches!(leaf.size - layout.leaf_bits, #(#items)|*))
        };
        quote! {
            if #is_shared {
                let run = 1 << (leaf.size - layout.leaf_bits);
                return Strip { first, step: 0, items: if items < run { items } else { run } };
            }
        }
    });
    let items = if output.len() > 1 {
        quote! {
            // What is left until adding would carry out of the segment of the entry that holds these address bits.
            let room = (layout.carry_free - (oa & layout.carry_free)) >> layout.leaf_bits;
            let items = if items as u64 > room { room as usize + 1 } else { items };
        }
    } else {
        TokenStream::new()
    };
    let body = quote! {
        #first
        #run
        let size = 1 << layout.leaf_bits;
        #items
        Strip { first, step: #step, items }
    };
    let body = bind(scope.places.resolve(body), &["layout"]);
    quote! {
        /// The raw entries for a leaf prototype from output address `oa` on, for at most `items` items.
        #[inline]
        pub const fn strip(&self, leaf: Prototype, oa: u64, items: usize) -> Strip {
            let layout = self.layout(leaf.level);
            #body
        }
    }
}
