//! Generates `completion`: the command that is complete only when all commands before it are.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Completion, Record, Signal};

use crate::literal;
use crate::locals::{bind, parameter};
use crate::scope::{Scope, Type, int, is};

/// `fn completion` of the trait, if the format has completions.
pub(crate) fn method(scope: &Scope<'_>) -> TokenStream {
    let arms: Vec<TokenStream> = [Signal::Write, Signal::Interrupt, Signal::Consumed]
        .into_iter()
        .filter_map(|signal| arm(scope, signal))
        .collect();
    let otherwise = match arms.len() {
        0 => return TokenStream::new(),
        3 => None,
        _ => Some(quote!(_ => Err(Refusal::Signal),)),
    };
    let body = bind(quote!(match signal { #(#arms)* #otherwise }), &[]);
    let submit = parameter(&body, "submit");
    quote! {
        fn completion(&self, signal: Signal, #submit: impl FnOnce(&[u64])) -> Result<(), Refusal> {
            #body
        }
    }
}

/// The match arm for one signal: the first command with it whose condition holds.
fn arm(scope: &Scope<'_>, signal: Signal) -> Option<TokenStream> {
    let of_signal = scope.format.completions.iter().filter(|completion| completion.signal == signal);
    let commands: Vec<(Expr, &Completion)> = of_signal
        .map(|completion| (completion.when.as_ref().map_or(int(1), |when| scope.fold(when)), completion))
        .filter(|(when, _)| !is(when, 0))
        .collect();
    if commands.is_empty() {
        return None;
    }
    let none = quote!(Err(Refusal::Signal));
    let chosen = commands
        .into_iter()
        .rev()
        .fold(none, |otherwise, (when, completion)| scope.if_else(&when, command(scope, completion), otherwise));
    Some(match signal {
        Signal::Write => quote!(Signal::Write { address, data } => { #chosen }),
        Signal::Interrupt => quote!(Signal::Interrupt => { #chosen }),
        Signal::Consumed => quote!(Signal::Consumed => { #chosen }),
    })
}

/// Submits a command, or refuses what the caller chose.
fn command(scope: &Scope<'_>, completion: &Completion) -> TokenStream {
    let scope = scope.with_locals([("address", Type::Word), ("data", Type::Word)]);
    let words = completion.command.iter().map(|word| scope.emit(&word.value, Type::Word));
    let checks = completion.record.as_ref().map(checks);
    quote! {
        #checks
        submit(&[#(#words),*]);
        Ok(())
    }
}

/// Refuses an address or data that the command has no room for.
fn checks(record: &Record) -> TokenStream {
    let outside = literal::hex(!record.address_mask());
    let none = record.nonzero.then(|| quote!(|| address == 0));
    let narrow = (record.data_bits < 64).then(|| {
        let last = literal::hex(record.last_data());
        quote! {
            if data > #last {
                return Err(Refusal::Data(data));
            }
        }
    });
    quote! {
        let address = address.as_usize() as u64;
        if address & #outside != 0 #none {
            return Err(Refusal::Address(address));
        }
        #narrow
    }
}
