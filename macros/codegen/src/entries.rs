//! Generates `Page`, `Block` and `Table`: a type for each kind of entry.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Class, Field, Meaning};

use crate::docs;
use crate::kinds;
use crate::members::{self, Shape};
use crate::scope::{Scope, ident, is};
use crate::text;
use crate::{bits, literal};

/// The types of the kinds of entries that exist in this build.
pub(crate) fn entries(scope: &Scope<'_>) -> TokenStream {
    let page = entry(&scope.at_level_0(), Class::Page);
    let blocks = !is(&kinds::block_level(scope), 0);
    let block = blocks.then(|| entry(&scope.above_level_0(), Class::Block));
    let table = entry(&scope.above_level_0(), Class::Table);
    quote! {
        #page
        #block
        #table
    }
}

fn entry(scope: &Scope<'_>, class: Class) -> TokenStream {
    let (name, what) = match class {
        Class::Page => (format_ident!("Page"), " A leaf at level 0."),
        Class::Block => (format_ident!("Block"), " A leaf above level 0."),
        _ => (format_ident!("Table"), " A pointer to a table of the level below."),
    };
    let fields = own_fields(scope, class);
    let docs = docs::bit_table(scope, class);
    let accessors = fields.iter().map(|(when, field)| accessor(scope, when, field));
    let shown = fields.iter().filter_map(|(_, field)| shown(scope, field));
    let constructor = constructor(class);
    let text_name = name.to_string();
    quote! {
        #[doc = #what]
        ///
        #(#[doc = #docs])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct #name(u64);

        impl #name {
            /// An entry from its bits.
            pub const fn from_bits(bits: u64) -> Self {
                Self(bits)
            }

            /// Its bits.
            pub const fn bits(self) -> u64 {
                self.0
            }

            #constructor
            #(#accessors)*
        }

        impl fmt::Debug for #name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(#text_name)
                    .field("bits", &::core::format_args!("{:#x}", self.0))
                    #(#shown)*
                    .finish()
            }
        }
    }
}

fn own_fields<'a>(scope: &Scope<'a>, class: Class) -> Vec<(Expr, &'a Field)> {
    let shape = if class == Class::Table { Shape::Table } else { Shape::Leaf };
    members::fields(scope, shape)
}

fn constructor(class: Class) -> TokenStream {
    match class {
        Class::Page => quote! {
            /// The page that maps to `address`.
            ///
            /// # Errors
            ///
            /// [`Refusal`] if the format cannot say these attributes, or if the address is too wide or not aligned.
            pub const fn new(format: &Format, address: u64, attributes: &Attributes) -> Result<Self, Refusal> {
                match format.leaf(0, address, attributes) {
                    Ok(bits) => Ok(Self(bits)),
                    Err(refusal) => Err(refusal),
                }
            }

            /// What it means.
            pub fn decode(self, format: &Format) -> Entry {
                format.decode(0, self.0)
            }

            /// Where it maps to, if the format wrote it.
            pub fn address(self, format: &Format) -> u64 {
                format.output(0, self.0)
            }
        },
        Class::Block => quote! {
            /// The block at `level` that maps to `address`.
            ///
            /// # Errors
            ///
            /// [`Refusal`] if there are no blocks at this level, if the format cannot say these attributes, or if the
            /// address is too wide or not aligned.
            pub const fn new(
                format: &Format,
                level: Level,
                address: u64,
                attributes: &Attributes,
            ) -> Result<Self, Refusal> {
                match format.leaf(level, address, attributes) {
                    Ok(bits) => Ok(Self(bits)),
                    Err(refusal) => Err(refusal),
                }
            }

            /// What it means at `level`.
            pub fn decode(self, format: &Format, level: Level) -> Entry {
                format.decode(level, self.0)
            }

            /// Where it maps to, if the format wrote it.
            pub fn address(self, format: &Format, level: Level) -> u64 {
                format.output(level, self.0)
            }
        },
        _ => quote! {
            /// The entry at `level` that points to the table at `address`.
            ///
            /// # Errors
            ///
            /// [`Refusal::Address`] if the address is too wide or not aligned.
            pub const fn new(format: &Format, level: Level, address: u64) -> Result<Self, Refusal> {
                match format.table(level, address) {
                    Ok(bits) => Ok(Self(bits)),
                    Err(refusal) => Err(refusal),
                }
            }

            /// What it means at `level`.
            pub fn decode(self, format: &Format, level: Level) -> Entry {
                format.decode(level, self.0)
            }
        },
    }
}

/// The methods that read and replace a field's value, if parameters do not move it.
fn accessor(scope: &Scope<'_>, when: &Expr, field: &Field) -> TokenStream {
    if address(field) || !fixed(scope, field) {
        return TokenStream::new();
    }
    let bits = text::bits(scope, &field.bits);
    let plural = if bits.contains([':', ',']) { "Bits" } else { "Bit" };
    let mut docs = vec![format!(" {plural} {bits}: {}.", docs::meaning(field))];
    if let Some(condition) = docs::condition(scope, when) {
        docs.push(String::new());
        docs.push(format!(" Only where `{condition}`."));
    }
    let Some((_, map)) = scope.choices(&field.bits).into_iter().next() else {
        return TokenStream::new();
    };
    let (name, setter) = (ident(&field.name.value), format_ident!("with_{}", field.name.value));
    let value = bits::extract(scope, map, &quote!(self.0));
    let (mask, inserted) = (bits::mask(scope, map), bits::insert(scope, map, &quote!(value)));
    let setter_doc = format!(" This entry with another `{}`; what does not fit is cut.", field.name.value);
    quote! {
        #(#[doc = #docs])*
        pub const fn #name(self) -> u64 {
            #value
        }

        #[doc = #setter_doc]
        pub const fn #setter(self, value: u64) -> Self {
            Self(self.0 & !#mask | #inserted)
        }
    }
}

fn address(field: &Field) -> bool {
    matches!(field.meaning, Meaning::Output | Meaning::Table)
}

fn fixed(scope: &Scope<'_>, field: &Field) -> bool {
    matches!(scope.choices(&field.bits).as_slice(), [(_, map)] if bits::fixed_mask(scope, map).is_some())
}

/// `.field("name", ..)` with the value and the word for it.
fn shown(scope: &Scope<'_>, field: &Field) -> Option<TokenStream> {
    if address(field) || !fixed(scope, field) {
        return None;
    }
    let (name, getter) = (&field.name.value, ident(&field.name.value));
    let words = docs::words(field);
    let words = words.iter().map(|(value, word)| {
        let value = literal::number((*value).into());
        quote!((#value, #word))
    });
    Some(quote!(.field(#name, &Named(self.#getter(), &[#(#words),*]))))
}
