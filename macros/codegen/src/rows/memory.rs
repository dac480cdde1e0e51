//! Rows of memory types.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Field, MemoryType, Rows};
use tablewright_archdefs::words::Word;

use super::{existing, guard, method, other, value_width};
use crate::literal;
use crate::locals::bind;
use crate::scope::{Scope, Type, all_of, int, is};

/// The runtime's memory type. Both enumerations have the same names.
pub(crate) fn memory_type(memory: MemoryType) -> TokenStream {
    let name = format_ident!("{memory:?}");
    quote!(MemoryType::#name)
}

/// The two methods of a field of memory types: value to type, and type (or its fallback) to value.
pub(crate) fn memory_methods(scope: &Scope<'_>, field: &Field, rows: &Rows<MemoryType>) -> TokenStream {
    // Bytes of a register are written in hexadecimal.
    let width = if rows.through.is_some() { 64 } else { value_width(scope, field) };
    let existing = existing(scope, rows);
    let reads = existing.iter().map(|(when, row)| {
        let (value, guard, memory) = (literal::field(row.value, width), guard(scope, when), memory_type(row.meaning));
        quote!(#value #guard => Some(#memory),)
    });
    let written = existing.iter().filter(|(_, row)| !row.decode_only);
    let written: Vec<_> =
        written.map(|(when, row)| (when.clone(), row.meaning, literal::field(row.value, width))).collect();
    let (read, write) = (method(field, "type"), method(field, "value"));
    let read_doc = format!(" What a value of `{}` means; `None` if it is illegal.", field.name.value);
    let write_doc = format!(" The value of `{}` for a memory type, or for what stands in for it.", field.name.value);
    let (read_body, write_body) = match &rows.through {
        None => {
            let some = |(when, memory, value)| (when, memory, quote!(Some(#value)));
            let written: Vec<_> = written.into_iter().map(some).collect();
            let (other, writes) = (other(rows.other, quote!(MemoryType::Unnamed)), memory_arms(scope, &written));
            (quote!(match value { #(#reads)* _ => #other, }), quote!(match memory { #(#writes)* _ => None, }))
        }
        Some(register) => {
            let register = scope.emit_operand(&register.value, Type::Word);
            let picks = literal::number(1 << value_width(scope, field));
            let writes = picking_arms(scope, &written, &register, &picks);
            let read = quote! {
                match #register >> (8 * value) & 0xff { #(#reads)* _ => Some(MemoryType::Unnamed), }
            };
            (read, quote!(match memory { #(#writes)* _ => None, }))
        }
    };
    let (read_body, write_body) = (bind(read_body, &[]), bind(write_body, &[]));
    quote! {
        #[doc = #read_doc]
        const fn #read(&self, value: u64) -> Option<MemoryType> {
            #read_body
        }

        #[doc = #write_doc]
        const fn #write(&self, memory: MemoryType) -> Option<u64> {
            #write_body
        }
    }
}

/// The arms from memory types to bits, if no field holds the type: `inherit`, and the types whose fallbacks end there.
pub(crate) fn inherit_arms(scope: &Scope<'_>) -> Vec<TokenStream> {
    memory_arms(scope, &[(int(1), MemoryType::Inherit, quote!(Ok(0)))])
}

/// Arms `type => value`, with each `[memory] fallback` followed to its end.
fn memory_arms(scope: &Scope<'_>, rows: &[(Expr, MemoryType, TokenStream)]) -> Vec<TokenStream> {
    let mut arms: Vec<(Vec<TokenStream>, TokenStream, TokenStream)> = Vec::new();
    for (_, memory) in MemoryType::WORDS {
        let memory = *memory;
        let mut ends = Vec::new();
        follow(scope, rows, memory, int(1), &mut Vec::new(), &mut ends);
        for (when, value) in ends {
            let (pattern, guard) = (memory_type(memory), guard(scope, &when));
            let same = |arm: &&mut (_, TokenStream, TokenStream)| {
                arm.1.to_string() == guard.to_string() && arm.2.to_string() == value.to_string() && guard.is_empty()
            };
            match arms.iter_mut().find(same) {
                Some(arm) => arm.0.push(pattern),
                None => arms.push((vec![pattern], guard, value)),
            }
            if is(&when, 1) {
                break;
            }
        }
    }
    arms.into_iter().map(|(patterns, guard, value)| quote!(#(#patterns)|* #guard => #value,)).collect()
}

/// Arms `type => pick(bytes)`: of the bytes that `[memory] fallback` leads to, the first that the register has.
fn picking_arms(
    scope: &Scope<'_>,
    rows: &[(Expr, MemoryType, TokenStream)],
    register: &TokenStream,
    picks: &TokenStream,
) -> Vec<TokenStream> {
    let mut arms: Vec<(Vec<TokenStream>, TokenStream)> = Vec::new();
    for (_, memory) in MemoryType::WORDS {
        let mut ends = Vec::new();
        follow(scope, rows, *memory, int(1), &mut Vec::new(), &mut ends);
        if ends.is_empty() {
            continue;
        }
        let bytes = ends.into_iter().map(|(when, byte)| scope.if_else(&when, byte, quote!(codec::NO_BYTE)));
        let code = quote!(codec::pick(#register, #picks, &[#(#bytes),*]));
        match arms.iter_mut().find(|arm| arm.1.to_string() == code.to_string()) {
            Some(arm) => arm.0.push(memory_type(*memory)),
            None => arms.push((vec![memory_type(*memory)], code)),
        }
    }
    arms.into_iter().map(|(patterns, code)| quote!(#(#patterns)|* => #code,)).collect()
}

/// The values that may be written for `memory`, in order of preference: those of its rows, then those that its
/// fallbacks lead to.
fn follow(
    scope: &Scope<'_>,
    rows: &[(Expr, MemoryType, TokenStream)],
    memory: MemoryType,
    when: Expr,
    seen: &mut Vec<MemoryType>,
    ends: &mut Vec<(Expr, TokenStream)>,
) {
    if is(&when, 0) || seen.contains(&memory) {
        return;
    }
    seen.push(memory);
    let both = |condition: &Expr| all_of([when.clone(), condition.clone()]);
    for (condition, _, value) in rows.iter().filter(|(_, has, _)| *has == memory) {
        ends.push((both(condition), value.clone()));
    }
    for fallback in scope.format.fallbacks.iter().filter(|fallback| fallback.from == memory) {
        let condition = fallback.when.as_ref().map_or(int(1), |when| scope.fold(when));
        follow(scope, rows, fallback.to, both(&condition), seen, ends);
    }
    seen.pop();
}
