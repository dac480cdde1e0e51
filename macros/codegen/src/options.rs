//! Generates constants for what callers may choose besides rights and memory type.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Field, FixClass, Meaning, Row};

use crate::members::{self, Shape};
use crate::scope::{Scope, is};
use crate::{bits, docs, literal, locals, scope, text};

/// A constant for each value of an option that is not its default, and the mask of the bits free for software.
pub(crate) fn options(scope: &Scope<'_>) -> TokenStream {
    let fields = members::fields_that(scope, Shape::Leaf, |meaning| matches!(meaning, Meaning::Option(..)));
    let mut named = Vec::new();
    for (when, field) in &fields {
        let Meaning::Option(rows, default) = &field.meaning else { continue };
        let [(_, map)] = scope.choices(&field.bits)[..] else { continue };
        for row in rows.rows.iter().filter(|row| row.value != *default && !row.decode_only) {
            if let Some(bits) = bits::place(scope, map, row.value ^ default) {
                named.push((
                    &field.name.value,
                    constant_name(&row.meaning),
                    bits,
                    documentation(scope, when, field, row),
                ));
            }
        }
    }
    let movable = fields.iter().filter_map(|(when, field)| chosen_by_method(scope, when, field));
    let movable: Vec<_> = movable.flatten().collect();
    let methods = (!movable.is_empty()).then(|| {
        quote! {
            impl Format {
                #(#movable)*
            }
        }
    });
    let names: Vec<String> = named.iter().map(|(_, name, ..)| name.clone()).collect();
    let constants = named.into_iter().map(|(field, name, bits, docs)| {
        // Two options may have values of the same name.
        let is_alone = names.iter().filter(|other| **other == name).count() == 1;
        let name = if is_alone { name } else { constant_name(&format!("{field}-{name}")) };
        let (name, bits) = (format_ident!("{name}"), literal::hex(bits));
        quote! {
            #(#[doc = #docs])*
            pub const #name: Options = Options::from_bits(#bits);
        }
    });
    let software = literal::hex(software(scope));
    quote! {
        #(#constants)*

        #methods

        /// The bits of every leaf that are free for software, whatever the parameters are.
        pub const SOFTWARE: Options = Options::from_bits(#software);
    }
}

fn documentation(scope: &Scope<'_>, when: &Expr, field: &Field, row: &Row<String>) -> Vec<String> {
    let mut docs = vec![format!(" `{}`: {}.", field.name.value, docs::meaning(field))];
    let conditions = docs::condition(scope, when).into_iter().chain(row.when.as_ref().map(ToString::to_string));
    let conditions = conditions.collect::<Vec<_>>().join("` and `");
    if !conditions.is_empty() {
        docs.extend([String::new(), format!(" Only where `{conditions}`.")]);
    }
    docs.extend(text::cited(field.cite.as_deref()));
    docs
}

/// Methods in place of constants, for an option whose place depends on parameters but not on the level.
fn chosen_by_method(scope: &Scope<'_>, when: &Expr, field: &Field) -> Option<Vec<TokenStream>> {
    let Meaning::Option(rows, default) = &field.meaning else { return None };
    let [(None, map)] = scope.choices(&field.bits)[..] else { return None };
    let inserted = bits::insert(scope, map, &quote!(0));
    if bits::fixed_mask(scope, map).is_some() || locals::mentions(&inserted, "leaf_bits") {
        return None;
    }
    let rows = rows.rows.iter().filter(|row| row.value != *default && !row.decode_only);
    let methods = rows.map(|row| {
        let docs = documentation(scope, when, field, row);
        let name = scope::ident(&row.meaning.replace('-', "_"));
        let bits = bits::insert_constant(scope, map, row.value ^ default);
        let bits = scope.if_else(when, bits, quote!(0));
        let body = locals::bind(quote!(Options::from_bits(#bits)), &[]);
        quote! {
            #(#[doc = #docs])*
            pub const fn #name(&self) -> Options {
                #body
            }
        }
    });
    Some(methods.collect())
}

fn constant_name(words: &str) -> String {
    words.replace('-', "_").to_uppercase()
}

fn software(scope: &Scope<'_>) -> u64 {
    let fields = members::fields_that(scope, Shape::Leaf, |meaning| matches!(meaning, Meaning::Software));
    let fields = fields.into_iter().map(|(when, field)| (when, &field.bits));
    let fixes = scope
        .format
        .fixes
        .iter()
        .filter(|fix| matches!(scope.choices(&fix.is).as_slice(), [(None, FixClass::Software)]));
    let fixes = fixes.map(|fix| (members::has_fix(scope, Shape::Leaf, fix), &fix.bits));
    let always =
        fields.chain(fixes).filter(|(when, _)| is(when, 1)).filter_map(
            |(_, choices)| match scope.choices(choices)[..] {
                [(None, map)] => bits::fixed_mask(scope, map),
                _ => None,
            },
        );
    always.fold(0, |all, bits| all | bits)
}
