//! `Layout` and `Common`: the masks and constants of one level's entries, and of all levels', with every condition
//! resolved.
//!
//! The hot path reads nothing else. They are computed once, when a format is made.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::{Choices, Facts, Field, Fix, FixClass, Is, Meaning};

use crate::address::AddressMap;
use crate::kinds;
use crate::locals::{mentions, parameter, varies_by_level};
use crate::members::{self, Shape};
use crate::places::{self, Place, Places};
use crate::scope::{Scope, Type, int, join, name};
use crate::sum::Sum;
use crate::{bits, literal, rows, runs};

/// A part of a layout.
struct Part {
    doc: &'static str,
    name: Ident,
    ty: TokenStream,
    /// Its initial value.
    start: TokenStream,
    /// Statements that complete it.
    more: TokenStream,
}

impl Part {
    fn new(doc: &'static str, name: &str, ty: TokenStream, start: TokenStream, more: TokenStream) -> Self {
        Self { doc, name: format_ident!("{name}"), ty, start, more }
    }

    fn of(doc: &'static str, sum: &Sum, scope: &Scope<'_>) -> Self {
        Self::new(doc, &sum.name.to_string(), quote!(u64), sum.start(), sum.statements(scope))
    }
}

/// All parts of a layout. A part comes after those that its code reads.
fn parts(scope: &Scope<'_>) -> Vec<Part> {
    let none = TokenStream::new;
    let mut parts = vec![
        Part::new("log2 of what one entry spans.", "leaf_bits", quote!(u8), quote!(leaf_bits), none()),
        Part::new(
            "The address bits that an entry leaves as they are.",
            "within",
            quote!(u64),
            quote!(codec::bits(leaf_bits - 1, 0)),
            none(),
        ),
        Part::new(
            "Whether there are leaves.",
            "holds_leaves",
            quote!(bool),
            scope.emit(&kinds::leaves(scope), Type::Bool),
            none(),
        ),
        Part::new("Whether the format allows blocks here.", "holds_blocks", quote!(bool), quote!(block_level), none()),
    ];
    parts.extend(absent(scope));
    parts.extend(addresses(scope));
    let [rights, memory, options] = masks(scope);
    parts.extend([
        Part::of("The bits that every leaf starts from.", &base(scope, Shape::Leaf), scope),
        Part::of("The bits that every table entry starts from.", &base(&scope.above_level_0(), Shape::Table), scope),
    ]);
    parts.push(table(scope));
    parts.extend([
        Part::of("The bits of a leaf that say its rights.", &rights, scope),
        Part::of("The bits of a leaf that say its memory type.", &memory, scope),
        Part::of("The bits of a leaf that options and software may choose.", &options, scope),
    ]);
    parts.extend(run_parts(scope));
    parts
}

/// The parts about entries that map nothing.
fn absent(scope: &Scope<'_>) -> Vec<Part> {
    let none = TokenStream::new;
    let empty_table = (!scope.format.empty_table.0.is_empty()).then(|| {
        let address = scope.choose(&scope.format.empty_table, quote!(u64::MAX), |value| scope.emit(value, Type::Word));
        let doc = "The table that this value leads to; no address where walks stop.";
        Part::new(doc, "empty_table", quote!(u64), address, none())
    });
    let empty = Part::new("The value that stands for nothing.", "empty", quote!(u64), kinds::empty(scope), none());
    let (absent, _) = kinds::absent(scope);
    let doc = "What tells an own entry that is not present from all others.";
    let absent = Part::new(doc, "absent", quote!(Pattern), absent, none());
    [empty].into_iter().chain(empty_table).chain([absent]).collect()
}

/// The parts about addresses.
fn addresses(scope: &Scope<'_>) -> Vec<Part> {
    let none = TokenStream::new;
    let (output, next_table) = (AddressMap::of(scope, Shape::Leaf), AddressMap::of(scope, Shape::Table));
    let carry = (output.len() > 1).then(|| {
        let segments = output.address_masks();
        Part::new(
            "The address bits within which items follow each other by addition.",
            "carry_free",
            quote!(u64),
            quote!(u64::MAX),
            quote!(layout.carry_free = codec::carry_free(&[#(#segments),*], leaf_bits);),
        )
    });
    let scattered = [&output, &next_table].into_iter().filter_map(AddressMap::is_scattered);
    let scattered = scattered.reduce(|one, other| quote!(#one || #other)).map(|scattered| {
        Part::new(
            "Whether addresses have bits in other masks than the first.",
            "scattered",
            quote!(bool),
            quote!(false),
            quote!(layout.scattered = #scattered;),
        )
    });
    let map = |doc, name, map: &AddressMap| Part::new(doc, name, map.field_type(), map.masks(scope), none());
    [
        Some(map("The bits of a leaf that hold its address.", "output", &output)),
        carry,
        Some(map("The bits of a table entry that hold its address.", "next_table", &next_table)),
        scattered,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The pattern of tables.
fn table(scope: &Scope<'_>) -> Part {
    let (_, by_row) = kinds::absent(scope);
    let doc = match by_row {
        true => "What tells an own table from all other own entries.",
        false => "What tells an own table from an own leaf.",
    };
    let written = kinds::table_as_written(scope);
    // If the value that maps nothing is told by its address bits, the test for tables must exclude it.
    let present = by_row.then(|| quote!(layout.table = layout.table.excluding(layout.absent, layout.table_base);));
    Part::new(doc, "table", quote!(Pattern), kinds::table(scope), quote!(#written #present))
}

/// The parts about runs, if the format has any.
fn run_parts(scope: &Scope<'_>) -> Vec<Part> {
    let count = runs::slots(scope);
    if count == 0 {
        return Vec::new();
    }
    let (slots, statements) = (literal::number(count as i128), runs::statements(scope));
    let (exist, single) = ("The runs that exist here.", "What a leaf shows that belongs to no run.");
    // The same statements complete both.
    vec![
        Part::new(exist, "runs", quote!([Run; #slots]), quote!([Run::NONE; #slots]), statements.clone()),
        Part::new(single, "single", quote!(Pattern), quote!(Pattern::ALWAYS), statements),
    ]
}

/// Where each part is kept.
pub(crate) fn places(scope: &Scope<'_>) -> Places {
    let mut places = Places::default();
    for Part { name, start, more, .. } in parts(scope) {
        places.add(&name, &quote!(#start #more), !more.is_empty());
    }
    places
}

/// `struct Layout`, and `struct Common` if anything is kept there, with their constructors.
pub(crate) fn layout(scope: &Scope<'_>, blocks_matter: bool) -> TokenStream {
    let mut parts = parts(scope);
    parts.retain(|part| part.name != "holds_blocks" || blocks_matter);
    let at = |place| parts.iter().filter(|part| scope.places.place(&part.name) == place).collect::<Vec<_>>();
    let (level, common) = (at(Place::Level), common(scope, &at(Place::Common)));
    let constants = at(Place::Constant).into_iter().map(|Part { doc, name, ty, start, .. }| {
        let (doc, name, start) = (format!(" {doc}"), places::constant(name), scope.places.resolve(start.clone()));
        quote! {
            #[doc = #doc]
            const #name: #ty = #start;
        }
    });
    let (fields, value) = (fields(&level), value(scope, "layout", &level));
    let block_level = mentions(&value, "block_level").then(|| {
        let block_level = scope.emit(&kinds::block_level(scope), Type::Bool);
        quote!(let block_level = #block_level;)
    });
    let value = quote!(#block_level #value);
    let config = parameter(&value, "config");
    let shared = scope.places.any(Place::Common).then(|| {
        let common = parameter(&value, "common");
        quote!(#common: &Common,)
    });
    quote! {
        /// What the entries of one level look like, with every condition resolved.
        #[derive(Clone, Copy, Debug)]
        struct Layout {
            #fields
        }

        impl Layout {
            #(#constants)*

            /// What they look like at `level`.
            const fn new(#config: &Config, #shared level: Level) -> Self {
                let leaf_bits = Format::ENTRY_BITS[codec::index(level)];
                #value
            }
        }

        #common
    }
}

/// `struct Common`.
fn common(scope: &Scope<'_>, parts: &[&Part]) -> Option<TokenStream> {
    let (fields, value) = (fields(parts), value(scope, "common", parts));
    (!parts.is_empty()).then(|| {
        quote! {
            /// What the entries of all levels have in common, with every condition resolved.
            #[derive(Clone, Copy, Debug)]
            struct Common {
                #fields
            }

            impl Common {
                /// What they look like with these parameters.
                const fn new(config: &Config) -> Self {
                    #value
                }
            }
        }
    })
}

fn fields(parts: &[&Part]) -> TokenStream {
    let fields = parts.iter().map(|Part { doc, name, ty, .. }| {
        let doc = format!(" {doc}");
        quote! {
            #[doc = #doc]
            #name: #ty,
        }
    });
    fields.collect()
}

/// The body of a constructor of these parts; its statements refer to the unfinished value as `name`.
fn value(scope: &Scope<'_>, name: &str, parts: &[&Part]) -> TokenStream {
    let starts = parts.iter().map(|Part { name, start, .. }| match *name == start.to_string() {
        true => quote!(#name,),
        false => quote!(#name: #start,),
    });
    let start = quote!(Self { #(#starts)* });
    let mut more: Vec<_> = parts.iter().map(|part| &part.more).filter(|more| !more.is_empty()).collect();
    more.dedup_by_key(|more| more.to_string());
    if more.is_empty() {
        return start;
    }
    let (name, more) = (format_ident!("{name}"), scope.places.resolve(quote!(#(#more)*)));
    quote! {
        let mut #name = #start;
        #more
        #name
    }
}

/// Whether it depends on the level how tables are told from other entries written here, or where they hold their
/// address.
pub(crate) fn tables_differ(scope: &Scope<'_>) -> bool {
    let scope = &scope.above_level_0();
    let ((absent, _), empty) = (kinds::absent(scope), kinds::empty(scope));
    let base = base(scope, Shape::Table).statements(scope);
    let masks = AddressMap::of(scope, Shape::Table).masks(scope);
    let (table, written) = (kinds::table(scope), kinds::table_as_written(scope));
    varies_by_level(&quote!(#absent #empty #masks #table #written #base))
}

/// The constant bits of every entry of `shape`.
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

/// The bits of a field that are written without being asked for.
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

/// The bits of a fix under the conditions in which its class is `wanted`.
fn fix_bits(scope: &Scope<'_>, fix: &Fix, wanted: impl Fn(FixClass) -> bool) -> TokenStream {
    scope.choose(&fix.is, quote!(0), |class| match wanted(*class) {
        true => scope.choose(&fix.bits, quote!(0), |map| bits::mask(scope, map)),
        false => quote!(0),
    })
}

/// The bits of a leaf that hold its rights, its memory type, its options.
fn masks(scope: &Scope<'_>) -> [Sum; 3] {
    let [mut rights, mut memory, mut options] = [quote!(rights), quote!(memory), quote!(options)].map(Sum::new);
    for (when, field) in members::fields(scope, Shape::Leaf) {
        let sum = match &field.meaning {
            Meaning::Rights(rows) if rows::stated(rows).intersects(Facts::RIGHTS) => &mut rights,
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
