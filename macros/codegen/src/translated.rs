//! Generates `translated`, which reads the result of the machine's own instruction for a translation.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{At, Shareability};

use crate::fault::cause;
use crate::locals::{bind, parameter};
use crate::rows::memory_type;
use crate::scope::{Scope, Type};

/// `fn translated` of the trait, where there is such an instruction.
pub(crate) fn method(scope: &Scope<'_>) -> TokenStream {
    let Some(translated) = &scope.format.translated else { return TokenStream::new() };
    let names = translated.registers.iter().map(|register| register.name.value.as_str());
    let scope = &scope.with_locals(names.clone().map(|name| (name, Type::Word)));
    let truth = |truth: &At<Expr>| scope.emit(&truth.value, Type::Bool);
    let optional = |of: &Option<At<Expr>>| of.as_ref().map_or(quote!(false), truth);
    let faulted = truth(&translated.faulted);
    let address = scope.choose(&translated.address, quote!(return None), |value| scope.emit(value, Type::Word));
    let memory = scope.choose(&translated.memory, quote!(MemoryType::Unnamed), |memory| memory_type(*memory));
    let shareability = scope.choose(&translated.shareability, quote!(None), |shareability| match shareability {
        Shareability::Non => quote!(Some(Shareability::Non)),
        Shareability::Inner => quote!(Some(Shareability::Inner)),
        Shareability::Outer => quote!(Some(Shareability::Outer)),
    });
    let cause = scope.choose(&translated.cause, quote!(Cause::Unspecified), |word| cause(*word));
    let level = scope.choose(&translated.level, quote!(None), |value| {
        let value = scope.emit(value, Type::Signed);
        quote!(Level::try_from(#value).ok())
    });
    let (second_stage, guest_walk) = (optional(&translated.second_stage), optional(&translated.guest_walk));
    let body = bind(
        quote! {
            if #faulted {
                return Some(Translated::Fault {
                    cause: #cause,
                    level: #level,
                    second_stage: #second_stage,
                    guest_walk: #guest_walk,
                });
            }
            Some(Translated::To { address: #address, memory: #memory, shareability: #shareability })
        },
        &[],
    );
    let names = names.map(|name| parameter(&body, name));
    quote! {
        fn translated(&self, registers: &[u64]) -> Option<Translated> {
            let &[#(#names),*] = registers else {
                return None;
            };
            #body
        }
    }
}
