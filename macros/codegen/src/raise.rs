//! Generates `raise`, the report of a fault that software meets while it walks tables.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::RaisedRegister;

use crate::access::{fields, with_fields};
use crate::locals::{bind, mentions, parameter};
use crate::registers::{condition, of_one_name, placed};
use crate::scope::{Scope, Type, all_of, ident, is, not};

/// `fn raise` of the trait, if the format's file describes such reports.
pub(crate) fn method(scope: &Scope<'_>) -> TokenStream {
    let Some(raise) = &scope.format.raise else { return TokenStream::new() };
    let known = known();
    let inner = &with_fields(scope, &raise.fields).with_locals(known.iter().map(|(name, ty, _)| (*name, *ty)));
    let when = raise.registers.iter().filter_map(|register| register.when.as_ref());
    let when = inner.fold(&all_of(when.map(|when| inner.fold(when))));
    let other = (!is(&when, 1)).then(|| {
        let other = inner.emit(&not(when), Type::Bool);
        quote!(if #other { return None; })
    });
    let values = raise.registers.iter().map(|register| value(inner, register));
    let names = raise.registers.iter().map(|register| ident(&register.name.value));
    let report = quote! {
        #other
        Some(Report { #(#names: #values),* })
    };
    let fields = fields(scope, &raise.fields, &report);
    let raw = mentions(&fields, "raw").then(|| {
        quote! {
            // Only these causes have a leaf.
            let raw = match fault.cause {
                Stage1Cause::NotMarked | Stage1Cause::Denied => fault.entry,
                _ => 0,
            };
        }
    });
    let known = known.iter().filter(|(name, ..)| mentions(&report, name)).map(|(name, _, value)| {
        let name = ident(name);
        quote!(let #name = #value;)
    });
    let body = quote! {
        #(#known)*
        #report
    };
    // Fields are read at the level of the entry.
    let level = mentions(&fields, "level") && !mentions(&body, "level");
    let level = level.then(|| quote!(let level = fault.level;));
    let body = bind(
        quote! {
            if fault.level >= self.geometry.levels {
                return None;
            }
            #level
            #raw
            #fields
            #body
        },
        &[],
    );
    let controls = parameter(&body, "controls");
    quote! {
        fn raise(&self, fault: &Stage1Fault, #controls: &Controls) -> Option<Report> {
            #body
        }
    }
}

/// The names that expressions may use about the fault, each with its type and code.
fn known() -> Vec<(&'static str, Type, TokenStream)> {
    let number = |name, ty, value| (name, ty, value);
    let truth = |name, value| (name, Type::Bool, value);
    vec![
        number("address", Type::Word, quote!(fault.address)),
        number("level", Type::Byte, quote!(fault.level)),
        number("entry", Type::Word, quote!(fault.entry)),
        truth("read", quote!(fault.access.intersects(Rights::R))),
        truth("write", quote!(fault.access.intersects(Rights::W))),
        truth("execute", quote!(fault.access.intersects(Rights::X))),
        truth("user", quote!(fault.access.intersects(Rights::U))),
        truth("input", quote!(::core::matches!(fault.cause, Stage1Cause::Input))),
        truth("not_mapped", quote!(::core::matches!(fault.cause, Stage1Cause::NotMapped))),
        truth("reserved", quote!(::core::matches!(fault.cause, Stage1Cause::Reserved(_)))),
        truth("not_marked", quote!(::core::matches!(fault.cause, Stage1Cause::NotMarked))),
        truth("denied", quote!(::core::matches!(fault.cause, Stage1Cause::Denied))),
        truth("pr", quote!(fault.granted.contains(Rights::PR))),
        truth("pw", quote!(fault.granted.contains(Rights::PW))),
        truth("px", quote!(fault.granted.contains(Rights::PX))),
        truth("ur", quote!(fault.granted.contains(Rights::UR))),
        truth("uw", quote!(fault.granted.contains(Rights::UW))),
        truth("ux", quote!(fault.granted.contains(Rights::UX))),
    ]
}

/// The value of a register.
fn value(scope: &Scope<'_>, register: &RaisedRegister) -> TokenStream {
    let parts = of_one_name(&register.fields).into_iter().map(|fields| {
        let code = fields.iter().rev().fold(quote!(0), |otherwise, field| {
            scope.if_else(&condition(scope, field), placed(scope, field), otherwise)
        });
        if fields.len() == 1 { code } else { quote!((#code)) }
    });
    quote!(#(#parts)|*)
}
