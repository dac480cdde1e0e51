//! Generates `Controls`, the registers that modify rights at the time of an access, and `permits`, which applies them.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::Access;

use crate::bits;
use crate::locals::{bind, mentions, parameter};
use crate::members::{self, Shape};
use crate::readings;
use crate::scope::{Scope, Type, ident};

/// `struct Controls`.
pub(crate) fn controls(scope: &Scope<'_>) -> TokenStream {
    let access = scope.format.access.as_ref();
    let fields = readings::fields(access.map_or(&[], |access| &access.registers));
    let docs = match access {
        Some(access) => readings::docs("What modifies rights at the time of an access", access.cite.as_deref()),
        None => vec![" What modifies rights at the time of an access: nothing does.".into()],
    };
    quote! {
        #(#[doc = #docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Controls {
            #fields
        }
    }
}

/// `fn permits`, if it is more than a test of the rights.
pub(crate) fn method(scope: &Scope<'_>) -> TokenStream {
    let Some(access) = &scope.format.access else { return TokenStream::new() };
    let truths: Vec<_> = truths();
    let inner = with_fields(scope, &access.fields).with_locals(truths.iter().map(|(name, _)| (*name, Type::Bool)));
    let allowed = rules(&inner, access);
    let truths = truths.iter().filter(|(name, _)| mentions(&allowed, name)).map(|(name, value)| {
        let name = ident(name);
        quote!(let #name = #value;)
    });
    let fields = fields(scope, &access.fields, &allowed);
    let body = bind(
        quote! {
            #fields
            access.iter().all(|right| {
                #(#truths)*
                #allowed
            })
        },
        &[],
    );
    let [level, raw, granted, controls] = ["level", "raw", "granted", "controls"].map(|name| parameter(&body, name));
    quote! {
        fn permits(
            &self,
            #level: Level,
            #raw: u64,
            #granted: Rights,
            access: Rights,
            #controls: &Controls,
        ) -> bool {
            #body
        }
    }
}

/// The choices as early returns; the last one is the function's value.
fn rules(scope: &Scope<'_>, access: &Access) -> TokenStream {
    let mut code = TokenStream::new();
    for (when, allowed) in scope.choices(&access.allowed) {
        let allowed = scope.emit(allowed, Type::Bool);
        match when {
            None => return quote!(#code #allowed),
            Some(when) => code.extend(scope.guarded(&when, quote!(return #allowed;))),
        }
    }
    quote!(#code false)
}

/// The truth values that conditions may name about an access that needs `right`, each with its code.
fn truths() -> Vec<(&'static str, TokenStream)> {
    vec![
        ("read", quote!(Rights::R.contains(right))),
        ("write", quote!(Rights::W.contains(right))),
        ("execute", quote!(Rights::X.contains(right))),
        ("user", quote!(Rights::U.contains(right))),
        ("pr", quote!(granted.contains(Rights::PR))),
        ("pw", quote!(granted.contains(Rights::PW))),
        ("px", quote!(granted.contains(Rights::PX))),
        ("ur", quote!(granted.contains(Rights::UR))),
        ("uw", quote!(granted.contains(Rights::UW))),
        ("ux", quote!(granted.contains(Rights::UX))),
        // This shadows the variable `granted`, which the others read, so it comes last.
        ("granted", quote!(granted.contains(right))),
    ]
}

/// This scope with registers in `controls`, and with local variables for the values of these fields of a leaf.
pub(crate) fn with_fields<'a>(scope: &Scope<'a>, fields: &[String]) -> Scope<'a> {
    let field_types = fields.iter().map(|name| (name.as_str(), Type::Word));
    let mut inner = scope.with_registers("controls").with_locals(field_types);
    for field in &scope.format.fields {
        let width = scope.choices(&field.bits).first().and_then(|(_, map)| bits::width(scope, map)).unwrap_or(64);
        inner.know(&field.name.value).range = Some((0, (1 << width) - 1));
    }
    inner
}

/// Statements that bind the values of those fields of the leaf `raw` that `code` uses.
pub(crate) fn fields(scope: &Scope<'_>, fields: &[String], code: &TokenStream) -> TokenStream {
    let leaf = members::fields(scope, Shape::Leaf);
    let used = fields.iter().filter(|name| mentions(code, &ident(name).to_string()));
    let statements = used.map(|name| {
        let mut code = quote!(0);
        for (when, field) in leaf.iter().filter(|(_, field)| field.name.value == *name) {
            let value = scope.choose(&field.bits, quote!(0), |map| bits::extract(scope, map, &quote!(raw)));
            code = scope.if_else(when, value, code);
        }
        let name = ident(name);
        quote!(let #name: u64 = #code;)
    });
    statements.collect()
}
