//! `Layout`: what the entries of one level look like, with every condition resolved.
//!
//! The hot path reads nothing else. It is computed once for each level, when a format is made.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::{Choices, Facts, Field, Fix, FixClass, Is, Meaning};

use crate::address::AddressMap;
use crate::kinds;
use crate::locals::mentions;
use crate::members::{self, Shape};
use crate::scope::{Scope, Type, int, join, name};
use crate::sum::Sum;
use crate::{bits, literal, rows, runs};

/// `struct Layout` and its constructor. Whether the format allows blocks is told where others want to know.
pub(crate) fn layout(scope: &Scope<'_>, blocks_matter: bool) -> TokenStream {
    let output = AddressMap::of(scope, Shape::Leaf);
    let next_table = AddressMap::of(scope, Shape::Table);
    let run_statements = runs::statements(scope);
    let run_slots = runs::slots(scope);
    let slots = literal::number(run_slots as i128);
    let output_type = output.field_type();
    let next_type = next_table.field_type();
    let carry = (output.len() > 1).then(|| {
        quote! {
            /// The address bits within which items follow each other by addition.
            carry_free: u64,
        }
    });
    let scattered_field = scattered(&output, &next_table).map(|_| {
        quote! {
            /// Whether addresses have bits in other masks than the first.
            scattered: bool,
        }
    });
    let run_fields = (run_slots > 0).then(|| {
        quote! {
            /// The runs that exist here.
            runs: [Run; #slots],
            /// What a leaf shows that belongs to no run.
            single: Pattern,
        }
    });
    let table_doc = match kinds::absent(scope) {
        (_, true) => quote!(#[doc = " What tells an own table from all other own entries."]),
        (_, false) => quote!(#[doc = " What tells an own table from an own leaf."]),
    };
    let empty_table_field = (!scope.format.empty_table.0.is_empty()).then(|| {
        quote! {
            /// The table that this value leads to; no address where walks stop.
            empty_table: u64,
        }
    });
    let holds_blocks = blocks_matter.then(|| {
        quote! {
            /// Whether the format allows blocks here.
            holds_blocks: bool,
        }
    });
    let constructor = constructor(scope, &output, &next_table, &run_statements, blocks_matter);
    quote! {
        /// What the entries of one level look like, with every condition resolved.
        #[derive(Clone, Copy, Debug)]
        struct Layout {
            /// log2 of what one entry spans.
            leaf_bits: u8,
            /// The address bits that an entry leaves as they are.
            within: u64,
            /// Whether there are leaves.
            holds_leaves: bool,
            #holds_blocks
            /// The value that stands for nothing.
            empty: u64,
            #empty_table_field
            /// What tells an own entry that is not present from all others.
            absent: Pattern,
            #table_doc
            table: Pattern,
            /// The bits of a leaf that hold its address.
            output: #output_type,
            #carry
            /// The bits of a table entry that hold its address.
            next_table: #next_type,
            #scattered_field
            /// The bits that every leaf starts from.
            leaf_base: u64,
            /// The bits that every table entry starts from.
            table_base: u64,
            /// The bits of a leaf that say its rights.
            rights: u64,
            /// The bits of a leaf that say its memory type.
            memory: u64,
            /// The bits of a leaf that options and software may choose.
            options: u64,
            #run_fields
        }

        impl Layout {
            #constructor
        }
    }
}

fn constructor(
    scope: &Scope<'_>,
    output: &AddressMap,
    next_table: &AddressMap,
    runs: &TokenStream,
    blocks_matter: bool,
) -> TokenStream {
    let block_level = scope.emit(&kinds::block_level(scope), Type::Bool);
    let leaves = scope.emit(&kinds::leaves(scope), Type::Bool);
    let empty = scope.choose(&scope.format.empty, quote!(0), |value| scope.emit(value, Type::Word));
    let empty_table = (!scope.format.empty_table.0.is_empty()).then(|| {
        let address = scope.choose(&scope.format.empty_table, quote!(u64::MAX), |value| scope.emit(value, Type::Word));
        quote!(empty_table: #address,)
    });
    let (absent, by_row) = kinds::absent(scope);
    let table = kinds::table(scope);
    let output_masks = output.masks(scope);
    let next_masks = next_table.masks(scope);
    let carry_field = (output.len() > 1).then(|| quote!(carry_free: u64::MAX,));
    let carry = (output.len() > 1).then(|| {
        let segments = output.address_masks();
        quote!(layout.carry_free = codec::carry_free(&[#(#segments),*], leaf_bits);)
    });
    let scattered = scattered(output, next_table);
    let scattered_field = scattered.is_some().then(|| quote!(scattered: false,));
    let scattered = scattered.map(|scattered| quote!(layout.scattered = #scattered;));
    let run_slots = runs::slots(scope);
    let slots = literal::number(run_slots as i128);
    let run_fields = (run_slots > 0).then(|| quote!(runs: [Run::NONE; #slots], single: Pattern::ALWAYS,));
    let [rights, memory, options] = masks(scope);
    let sums = [base(scope, Shape::Leaf), base(&scope.above_level_0(), Shape::Table), rights, memory, options];
    let starts = sums.iter().map(|sum| {
        let (name, start) = (&sum.name, sum.start());
        quote!(#name: #start,)
    });
    let additions: TokenStream = sums.iter().map(|sum| sum.statements(scope)).collect();
    let tables = kinds::table_as_written(scope);
    // A value that stands for nothing may be told by its address bits, and these say nothing of a table.
    let present = by_row.then(|| quote!(layout.table = layout.table.excluding(layout.absent, layout.table_base);));
    let mutable = (!additions.is_empty() || carry.is_some() || scattered.is_some() || !runs.is_empty() || by_row)
        .then(|| quote!(mut));
    let holds_blocks = blocks_matter.then(|| quote!(holds_blocks: block_level,));
    let rest = quote! {
        let empty = #empty;
        let #mutable layout = Self {
            leaf_bits,
            within: codec::bits(leaf_bits - 1, 0),
            holds_leaves: #leaves,
            #holds_blocks
            empty,
            #empty_table
            absent: #absent,
            table: #table,
            output: #output_masks,
            #carry_field
            next_table: #next_masks,
            #scattered_field
            #(#starts)*
            #run_fields
        };
        #carry
        #scattered
        #additions
        #tables
        #present
        #runs
        layout
    };
    let block_level = mentions(&rest, "block_level").then(|| quote!(let block_level = #block_level;));
    quote! {
        const fn new(config: &Config, level: Level) -> Self {
            let leaf_bits = Format::ENTRY_BITS[codec::index(level)];
            #block_level
            #rest
        }
    }
}

/// Whether an address of either kind has bits in other masks than the first, where there are such masks.
fn scattered(output: &AddressMap, next_table: &AddressMap) -> Option<TokenStream> {
    [output, next_table].iter().filter_map(|map| map.is_scattered()).reduce(|one, other| quote!(#one || #other))
}

/// Whether what tells tables from other own entries, or where they hold their address, depends on the level.
pub(crate) fn tables_differ(scope: &Scope<'_>) -> bool {
    let scope = &scope.above_level_0();
    let (absent, _) = kinds::absent(scope);
    let empty = scope.choose(&scope.format.empty, quote!(0), |value| scope.emit(value, Type::Word));
    let base = base(scope, Shape::Table).statements(scope);
    let masks = AddressMap::of(scope, Shape::Table).masks(scope);
    let (table, written) = (kinds::table(scope), kinds::table_as_written(scope));
    let all = quote!(#absent #empty #masks #table #written #base);
    ["level", "leaf_bits", "block_level"].iter().any(|name| mentions(&all, name))
}

/// What every entry of `shape` starts from.
fn base(scope: &Scope<'_>, shape: Shape) -> Sum {
    let (name, kind) = match shape {
        Shape::Leaf => (quote!(leaf_base), Is::Leaf),
        Shape::Table => (quote!(table_base), Is::Table),
    };
    let mut sum = Sum::new(name);
    for (when, value) in kinds::demanded(scope, kind) {
        sum.add(&when, value);
    }
    for (when, field) in members::fields(scope, shape) {
        sum.add(&when, written(scope, shape, field));
    }
    for fix in &scope.format.fixes {
        let when = members::has_fix(scope, shape, fix);
        let ones = |class| matches!(class, FixClass::MustBeOne | FixClass::WriteOne);
        sum.add(&when, fix_bits(scope, fix, ones));
    }
    sum
}

/// The bits of a field that are always written alike.
fn written(scope: &Scope<'_>, shape: Shape, field: &Field) -> TokenStream {
    let place = |value: TokenStream| scope.choose(&field.bits, quote!(0), |map| bits::insert(scope, map, &value));
    let place_constant = |value| scope.choose(&field.bits, quote!(0), |map| bits::insert_constant(scope, map, value));
    match &field.meaning {
        Meaning::Fixed(value) => match constant_value(scope, value) {
            Some(value) => place_constant(value),
            None => place(scope.choose(value, quote!(0), |value| scope.emit(value, Type::Word))),
        },
        Meaning::Option(_, default) => place_constant(*default),
        Meaning::NextLevel(plus) => {
            let next = join(Op::Add, name("level"), int(i128::from(*plus) - 1));
            place(scope.emit(&next, Type::Word))
        }
        Meaning::Rights(rows) if shape == Shape::Table => rows::everything(scope, field, rows),
        _ => quote!(0),
    }
}

fn constant_value(scope: &Scope<'_>, value: &Choices<Expr>) -> Option<u64> {
    match scope.choices(value).as_slice() {
        [(None, value)] => scope.constant(value).and_then(|value| u64::try_from(value).ok()),
        _ => None,
    }
}

/// The bits of a fix where its class is one of the `wanted`, else none.
fn fix_bits(scope: &Scope<'_>, fix: &Fix, wanted: impl Fn(FixClass) -> bool) -> TokenStream {
    scope.choose(&fix.is, quote!(0), |class| match wanted(*class) {
        true => scope.choose(&fix.bits, quote!(0), |map| bits::mask(scope, map)),
        false => quote!(0),
    })
}

/// Which bits of a leaf say its rights, its memory type, its options.
fn masks(scope: &Scope<'_>) -> [Sum; 3] {
    let [mut rights, mut memory, mut options] = [quote!(rights), quote!(memory), quote!(options)].map(Sum::new);
    for (when, field) in members::fields(scope, Shape::Leaf) {
        let sum = match &field.meaning {
            Meaning::Rights(rows) if rows::spoken(rows).intersects(Facts::RIGHTS) => &mut rights,
            Meaning::Memory(_) => &mut memory,
            Meaning::Option(..) | Meaning::Software => &mut options,
            _ => continue,
        };
        sum.add(&when, scope.choose(&field.bits, quote!(0), |map| bits::mask(scope, map)));
    }
    for fix in &scope.format.fixes {
        let when = members::has_fix(scope, Shape::Leaf, fix);
        options.add(&when, fix_bits(scope, fix, |class| class == FixClass::Software));
    }
    [rights, memory, options]
}
