//! Invalidation: the machine's own instructions, as words.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Code, Operand, Role, Scope as Reach, TlbOp};

use crate::error::Error;
use crate::literal;
use crate::locals::{bind, mentions, parameter};
use crate::scope::{Scope, Type, all_of, ident, int, is};

/// `fn invalidate`.
pub(crate) fn method(scope: &Scope<'_>) -> Result<TokenStream, Error> {
    let unable = quote! {
        unsafe fn invalidate(&self, _root: HostPhysAddr, _tag: Tag, _set: &Invalidation) -> bool {
            false
        }
    };
    if scope.format.tlb.is_empty() {
        return Ok(unable);
    }
    let architecture = &scope.format.architecture;
    let body = dispatch(scope);
    let feature = scope.format.execute_feature.as_ref().map(|feature| {
        let feature = &feature.value;
        quote! {
            if !codec::may_execute(#feature) {
                return false;
            }
        }
    });
    let body = bind(body, &[]);
    let [root, tag, set] = ["root", "tag", "set"].map(|name| parameter(&body, name));
    Ok(quote! {
        #[cfg(all(target_arch = #architecture, target_os = "none"))]
        unsafe fn invalidate(&self, #root: HostPhysAddr, #tag: Tag, #set: &Invalidation) -> bool {
            #feature
            #body
            true
        }

        #[cfg(not(all(target_arch = #architecture, target_os = "none")))]
        #unable
    })
}

/// The choice of an operation for what is to be invalidated.
fn dispatch(scope: &Scope<'_>) -> TokenStream {
    let whole = candidates(scope, |op| op.scope == Reach::Space)
        .into_iter()
        .chain(candidates(scope, |op| op.scope == Reach::All));
    let whole = first(
        scope,
        whole.collect(),
        |op| quote!({ #op }),
        quote!({
            return false;
        }),
    );
    let pages = candidates(scope, |op| op.scope == Reach::Address);
    if pages.is_empty() {
        // No operation reaches less than a whole space.
        return whole;
    }
    let leaf_only: Vec<_> = pages.iter().filter(|(_, op)| op.leaf_only).cloned().collect();
    let full: Vec<_> = pages.iter().filter(|(_, op)| !op.leaf_only).cloned().collect();
    let of_range = |ops: Vec<(Expr, &TlbOp)>| first_op(scope, ops, |op| each_page(scope, op, &whole), whole.clone());
    let page_wise = if leaf_only.is_empty() {
        of_range(full)
    } else {
        let (leaf, full) = (of_range(leaf_only.into_iter().chain(full.clone()).collect()), of_range(full));
        quote!(if *leaf_only { #leaf } else { #full })
    };
    let leaf_only = if mentions(&page_wise, "leaf_only") { quote!(leaf_only) } else { quote!(leaf_only: _) };
    quote! {
        match set {
            Invalidation::Space => { #whole }
            Invalidation::Range { range, #leaf_only, granule } => { #page_wise }
        }
    }
}

/// The operations that `wanted` picks, those that reach every CPU first, with their conditions.
fn candidates<'a>(scope: &Scope<'a>, wanted: impl Fn(&TlbOp) -> bool) -> Vec<(Expr, &'a TlbOp)> {
    let condition = |op: &TlbOp| op.when.as_ref().map_or(int(1), |when| scope.fold(when));
    let mut ops: Vec<_> = scope.format.tlb.iter().filter(|op| wanted(op)).map(|op| (condition(op), op)).collect();
    ops.retain(|(when, _)| !is(when, 0));
    ops.sort_by_key(|(_, op)| !op.broadcast);
    ops
}

fn first(
    scope: &Scope<'_>,
    ops: Vec<(Expr, &TlbOp)>,
    wrap: impl Fn(TokenStream) -> TokenStream,
    otherwise: TokenStream,
) -> TokenStream {
    first_op(scope, ops, |op| wrap(whole(scope, op)), otherwise)
}

/// `if a { .. } else if b { .. } else { otherwise }` over operations.
fn first_op(
    scope: &Scope<'_>,
    ops: Vec<(Expr, &TlbOp)>,
    code: impl Fn(&TlbOp) -> TokenStream,
    otherwise: TokenStream,
) -> TokenStream {
    let mut chain = otherwise;
    for (when, op) in ops.into_iter().rev() {
        let code = code(op);
        chain = if is(&when, 1) {
            code
        } else {
            let when = scope.emit(&all_of([when]), Type::Bool);
            quote!(if #when { #code } else { #chain })
        };
    }
    chain
}

/// An operation without a page: everything in order.
fn whole(scope: &Scope<'_>, op: &TlbOp) -> TokenStream {
    let (before, code, after) = (fixed(&op.before), operate(scope, op), fixed(&op.after));
    quote!(#before #code #after)
}

/// An operation on each page of a range, or on everything if there are too many.
fn each_page(scope: &Scope<'_>, op: &TlbOp, everything: &TokenStream) -> TokenStream {
    let (before, code, after) = (fixed(&op.before), operate(scope, op), fixed(&op.after));
    let pages = quote! {
        #before
        let mut ia = range.start();
        loop {
            #code
            match ia.checked_add(1 << granule) {
                Some(next) if next <= range.last() => ia = next,
                _ => break,
            }
        }
        #after
    };
    match op.limit {
        None => pages,
        Some(limit) => {
            let limit = literal::number(limit.into());
            quote! {
                if range.span() >> granule >= #limit {
                    #everything
                } else {
                    #pages
                }
            }
        }
    }
}

/// Instructions without operands.
fn fixed(code: &[Code]) -> Option<TokenStream> {
    if code.is_empty() {
        return None;
    }
    let lines = directives(code);
    Some(quote! {
        // SAFETY: barriers and invalidations change no memory; the caller answers for the privilege level.
        unsafe { ::core::arch::asm!(#(#lines,)* options(nostack)) };
    })
}

/// The operation itself, with its operands.
fn operate(scope: &Scope<'_>, op: &TlbOp) -> TokenStream {
    let lines = directives(&op.code);
    let root_register = scope.format.registers.iter().find(|register| register.role == Role::Root);
    let descriptor = (!op.descriptor.is_empty()).then(|| {
        let words: Vec<_> = op.descriptor.iter().map(|word| scope.emit(&word.value, Type::Word)).collect();
        let uses_root = words.iter().any(|word| mentions(word, "root"));
        let uses_tag = words.iter().any(|word| mentions(word, "tag"));
        let root = root_register.filter(|_| uses_root).map(|register| {
            let register = ident(&register.name.value);
            quote! {
                let Ok(registers) = self.registers(root, tag) else {
                    return false;
                };
                let root = registers.#register;
            }
        });
        let tag = uses_tag.then(|| quote!(let tag = u64::from(tag.0);));
        quote! {
            #root
            #tag
            let descriptor = [#(#words),*];
        }
    });
    let values: Vec<_> = op.operands.iter().map(|operand| value(scope, operand)).collect();
    let locals = op.descriptor.is_empty().then(|| {
        let uses = |name| values.iter().any(|value| mentions(value, name));
        let root = uses("root").then(|| quote!(let root = root.as_usize() as u64;));
        let tag = uses("tag").then(|| quote!(let tag = u64::from(tag.0);));
        quote!(#root #tag)
    });
    let operands = op.operands.iter().zip(&values).map(|(operand, value)| {
        let register = &operand.register;
        quote!(in(#register) #value)
    });
    quote! {
        {
            #descriptor
            #locals
            // SAFETY: an invalidation changes no memory; the caller answers for the privilege level.
            unsafe { ::core::arch::asm!(#(#lines,)* #(#operands,)* options(nostack)) };
        }
    }
}

fn value(scope: &Scope<'_>, operand: &Operand) -> TokenStream {
    match &operand.value {
        Some(value) => {
            let code = scope.emit(value, Type::Word);
            // A register takes its type from the operand, which a bare number does not tell.
            match scope.constant(value) {
                Some(_) => quote!(#code as u64),
                None => code,
            }
        }
        None => quote!(&raw const descriptor),
    }
}

/// One assembler line for each instruction's bytes or word.
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
