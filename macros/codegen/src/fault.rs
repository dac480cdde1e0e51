//! Generates `Report`, the hardware's report of a fault, and `fault`, which reads it.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::{FaultAccess, FaultCause};

use crate::locals::bind;
use crate::readings;
use crate::scope::{Scope, Type};

/// `struct Report`.
pub(crate) fn report(scope: &Scope<'_>) -> TokenStream {
    let fault = scope.format.fault.as_ref();
    let fields = readings::fields(fault.map_or(&[], |fault| &fault.registers));
    let docs = match fault {
        Some(fault) => readings::docs("The hardware's report of a fault", fault.cite.as_deref()),
        None => vec![" The hardware's report of a fault, of which the format's file does not speak.".into()],
    };
    quote! {
        #(#[doc = #docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Report {
            #fields
        }
    }
}

/// `fn fault`.
pub(crate) fn method(scope: &Scope<'_>) -> TokenStream {
    let Some(fault) = &scope.format.fault else {
        return quote! {
            fn fault(&self, _report: &Report) -> Option<FaultInfo> {
                None
            }
        };
    };
    let scope = &scope.with_registers("report");
    let ours = scope.emit_operand(&fault.when.value, Type::Bool);
    let address = scope.choose(&fault.address, quote!(None), |value| {
        let value = scope.emit(value, Type::Word);
        quote!(Some(#value))
    });
    let access = scope.choose(&fault.access, quote!(Rights::empty()), |access| match access {
        FaultAccess::Read => quote!(Rights::R),
        FaultAccess::Write => quote!(Rights::W),
        FaultAccess::Execute => quote!(Rights::X),
        FaultAccess::None => quote!(Rights::empty()),
    });
    let cause = scope.choose(&fault.cause, quote!(Cause::Unspecified), |word| cause(*word));
    let level = scope.choose(&fault.level, quote!(None), |value| {
        let value = scope.emit(value, Type::Signed);
        quote!(Level::try_from(#value).ok())
    });
    let width = scope.choose(&fault.width, quote!(None), |value| {
        let value = scope.emit(value, Type::Signed);
        quote!(u8::try_from(#value).ok())
    });
    let guest_walk = fault.guest_walk.as_ref().map_or(quote!(false), |walk| scope.emit(&walk.value, Type::Bool));
    let body = bind(
        quote! {
            if !#ours {
                return None;
            }
            Some(FaultInfo {
                address: #address,
                access: #access,
                cause: #cause,
                level: #level,
                width: #width,
                guest_walk: #guest_walk,
            })
        },
        &[],
    );
    quote! {
        fn fault(&self, report: &Report) -> Option<FaultInfo> {
            #body
        }
    }
}

/// A cause of the runtime.
pub(crate) fn cause(cause: FaultCause) -> TokenStream {
    match cause {
        FaultCause::NotMapped => quote!(Cause::NotMapped),
        FaultCause::Permission => quote!(Cause::Permission),
        FaultCause::AccessFlag => quote!(Cause::AccessFlag),
        FaultCause::AddressSize => quote!(Cause::AddressSize),
        FaultCause::Misconfigured => quote!(Cause::Misconfigured),
        FaultCause::External => quote!(Cause::External),
        FaultCause::Unspecified => quote!(Cause::Unspecified),
    }
}
