//! Generates the function of an operation that is executed.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Code, Role, Scope as Reach, TlbOp};

use super::name;
use crate::locals::{bind, mentions, parameter};
use crate::scope::{Scope, Type, ident};
use crate::{literal, text};

/// The function of an operation: all its instructions, those with operands once for each page of a range.
pub(super) fn operation(scope: &Scope<'_>, op: &TlbOp) -> TokenStream {
    let name = name(op);
    let (setup, descriptor) = setup(scope, op);
    let operands: Vec<_> = op
        .operands
        .iter()
        .map(|operand| {
            let (register, value) = (&operand.register, operand_value(scope, operand.value.as_ref()));
            quote!(in(#register) #value)
        })
        .collect();
    let (before, code, after) = (directives(&op.before), directives(&op.code), directives(&op.after));
    let (range, instructions) = if op.scope == Reach::Address {
        let fixed = |lines: Vec<String>| {
            (!lines.is_empty()).then(|| quote!(unsafe { ::core::arch::asm!(#(#lines,)* options(nostack)) };))
        };
        let (before, after) = (fixed(before), fixed(after));
        let body = quote! {
            #before
            let mut ia = start;
            loop {
                #descriptor
                unsafe { ::core::arch::asm!(#(#code,)* #(#operands,)* options(nostack)) };
                match ia.checked_add(1 << granule) {
                    Some(next) if next <= last => ia = next,
                    _ => break,
                }
            }
            #after
        };
        (Some(quote!(start: u64, last: u64, granule: u8)), body)
    } else {
        let lines = before.into_iter().chain(code).chain(after);
        (None, quote!(#descriptor unsafe { ::core::arch::asm!(#(#lines,)* #(#operands,)* options(nostack)) };))
    };
    let body = bind(quote!(#setup #instructions true), &[]);
    let [root, tag] = ["root", "tag"].map(|name| parameter(&body, name));
    let architecture = &scope.format.architecture;
    let doc = format!(" {}.", text::plain(op.doc.as_deref().unwrap_or(&op.id.value)));
    let cite = text::cited(op.cite.as_deref());
    quote! {
        #[doc = #doc]
        #(#[doc = #cite])*
        ///
        /// # Safety
        ///
        /// As for [`FormatTrait::invalidate`].
        #[cfg(all(target_arch = #architecture, target_os = "none"))]
        unsafe fn #name(&self, #root: HostPhysAddr, #tag: Tag, #range) -> bool {
            #body
        }
    }
}

/// Statements that bind what operands use: the root and tag as numbers, and the descriptor, which may hold the address
/// of the page.
fn setup(scope: &Scope<'_>, op: &TlbOp) -> (TokenStream, Option<TokenStream>) {
    let words: Vec<_> = op.descriptor.iter().map(|word| scope.emit(&word.value, Type::Word)).collect();
    let values = op.operands.iter().filter_map(|operand| operand.value.as_ref());
    let values: Vec<_> = values.map(|value| scope.emit(value, Type::Word)).chain(words.iter().cloned()).collect();
    let uses = |name| values.iter().any(|value| mentions(value, name));
    let register = scope.format.registers.iter().find(|register| register.role == Role::Root);
    let root = match register {
        _ if !uses("root") => None,
        // In a descriptor, `root` stands for the value of the root's register.
        Some(register) if !words.is_empty() => {
            let register = ident(&register.name.value);
            Some(quote! {
                let Ok(Registers { #register: root, .. }) = self.registers(root, tag) else {
                    return false;
                };
            })
        }
        _ => Some(quote!(let root = root.as_usize() as u64;)),
    };
    let tag = uses("tag").then(|| quote!(let tag = u64::from(tag.0);));
    let count = literal::number(words.len() as i128);
    let descriptor = (!words.is_empty()).then(|| quote!(let descriptor: [u64; #count] = [#(#words),*];));
    (quote!(#root #tag), descriptor)
}

fn operand_value(scope: &Scope<'_>, value: Option<&Expr>) -> TokenStream {
    match value {
        None => quote!(&raw const descriptor),
        // The type of an operand determines the register's width, so a number needs a suffix.
        Some(value) if scope.constant(value).is_some() => {
            let value = scope.emit(value, Type::Word);
            quote!(#value as u64)
        }
        Some(value) => scope.emit(value, Type::Word),
    }
}

/// Assembler lines: one for each word, and one for neighbouring bytes.
fn directives(code: &[Code]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for unit in code {
        match unit {
            Code::Word(word) => lines.push(format!(".4byte {word:#010x}")),
            Code::Byte(byte) => match lines.last_mut() {
                Some(line) if line.starts_with(".byte") => line.push_str(&format!(", {byte:#04x}")),
                _ => lines.push(format!(".byte {byte:#04x}")),
            },
        }
    }
    lines
}
