//! Generates invalidation: the machine's own instructions as machine code, so that the assembler need not know them.

mod operation;

use operation::operation;
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Scope as Reach, TlbOp};

use crate::literal;
use crate::locals::{bind, mentions, parameter};
use crate::scope::{Scope, Type, int, is, not, same};

/// One private function for each operation that [`method`] may choose.
pub(crate) fn operations(scope: &Scope<'_>) -> TokenStream {
    let chosen = dispatch(scope, &executed());
    let operations = scope.format.tlb.iter().filter(|op| calls(&chosen, &name(op)));
    operations.map(|op| operation(scope, op)).collect()
}

/// Whether `code` calls a method.
fn calls(code: &TokenStream, method: &Ident) -> bool {
    code.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => calls(&group.stream(), method),
        TokenTree::Ident(ident) => ident == *method,
        _ => false,
    })
}

/// `fn invalidate` of the trait.
pub(crate) fn method(scope: &Scope<'_>) -> TokenStream {
    let means = executed();
    let elsewhere = quote! {
        unsafe fn invalidate(&self, _root: HostPhysAddr, _tag: Tag, _set: &Invalidation) -> bool {
            false
        }
    };
    if !scope.format.tlb.iter().any(means.among) {
        return elsewhere;
    }
    let architecture = &scope.format.architecture;
    let feature = scope.format.execute_feature.as_ref().map(|feature| {
        let feature = &feature.value;
        quote! {
            if !codec::may_execute(#feature) {
                return false;
            }
        }
    });
    let body = bind(dispatch(scope, &means), &[]);
    let set = parameter(&body, "set");
    quote! {
        #[cfg(all(target_arch = #architecture, target_os = "none"))]
        unsafe fn invalidate(&self, root: HostPhysAddr, tag: Tag, #set: &Invalidation) -> bool {
            #feature
            // SAFETY: the caller is at the privilege level that these instructions need.
            unsafe { #body }
        }

        #[cfg(not(all(target_arch = #architecture, target_os = "none")))]
        #elsewhere
    }
}

/// `fn at_entry` of the trait, if a control is set at the next entry.
pub(crate) fn at_entry(scope: &Scope<'_>) -> TokenStream {
    if scope.format.tlb.iter().all(|op| op.at_entry.is_none()) {
        return TokenStream::new();
    }
    let told = Means {
        among: |op| op.at_entry.is_some(),
        one: |scope, op| {
            let control = op.at_entry.as_ref().map(|control| control.register.as_str());
            let value = op.at_entry.as_ref().and_then(|control| control.value.as_ref());
            let value = value.map_or(quote!(0), |value| scope.emit(value, Type::Word));
            quote!(Some(AtEntry { control: #control, value: #value }))
        },
        pages: |_, _| TokenStream::new(),
        none: quote!(None),
    };
    let body = with_tag(dispatch(scope, &told));
    let [tag, set] = ["tag", "set"].map(|name| parameter(&body, name));
    quote! {
        fn at_entry(&self, #tag: Tag, #set: &Invalidation) -> Option<AtEntry> {
            #body
        }
    }
}

/// `fn commands` of the trait, if there is a queue.
pub(crate) fn commands(scope: &Scope<'_>) -> TokenStream {
    if scope.format.tlb.iter().all(|op| op.command.is_empty()) {
        return TokenStream::new();
    }
    let queued = Means {
        among: |op| !op.command.is_empty(),
        one: |scope, op| {
            let submit = submit(scope, op);
            quote!(#submit true)
        },
        pages: |scope, op| {
            let submit = submit(scope, op);
            let leaf_bits = mentions(&submit, "leaf_bits").then(|| quote!(let leaf_bits = granule;));
            quote! {
                #leaf_bits
                let mut ia = range.start();
                loop {
                    #submit
                    match ia.checked_add(1 << granule) {
                        Some(next) if next <= range.last() => ia = next,
                        _ => break,
                    }
                }
                true
            }
        },
        none: quote!(false),
    };
    let body = with_tag(dispatch(scope, &queued));
    let [tag, set] = ["tag", "set"].map(|name| parameter(&body, name));
    quote! {
        fn commands(&self, #tag: Tag, #set: &Invalidation, mut submit: impl FnMut(&[u64])) -> bool {
            #body
        }
    }
}

fn submit(scope: &Scope<'_>, op: &TlbOp) -> TokenStream {
    let words = op.command.iter().map(|word| scope.emit(&word.value, Type::Word));
    quote!(submit(&[#(#words),*]);)
}

/// `body`, with the tag as a number if it uses the tag.
fn with_tag(body: TokenStream) -> TokenStream {
    let tag = mentions(&body, "tag").then(|| quote!(let tag = u64::from(tag.0);));
    bind(quote!(#tag #body), &["leaf_bits"])
}

/// A means to invalidate: the operations that use it, the code that does one of them once, the code that does one for
/// each page of a range, and the code for where there is none.
struct Means {
    among: fn(&TlbOp) -> bool,
    one: fn(&Scope<'_>, &TlbOp) -> TokenStream,
    pages: fn(&Scope<'_>, &TlbOp) -> TokenStream,
    none: TokenStream,
}

/// Instructions, executed at once.
fn executed() -> Means {
    Means {
        among: |op| op.at_entry.is_none() && op.command.is_empty(),
        one: |_, op| {
            let name = name(op);
            quote!(self.#name(root, tag))
        },
        pages: |_, op| {
            let name = name(op);
            quote!(self.#name(root, tag, range.start(), range.last(), granule))
        },
        none: quote!(false),
    }
}

/// The code that chooses an operation for what is to be invalidated.
fn dispatch(scope: &Scope<'_>, means: &Means) -> TokenStream {
    let of_scope = |reach| candidates(scope, &|op| op.scope == reach && (means.among)(op));
    let one = |op: &TlbOp| (means.one)(scope, op);
    let broader = chain(scope, of_scope(Reach::All), means.none.clone(), one);
    let space = chain(scope, of_scope(Reach::Space), broader.clone(), one);
    let pages = of_scope(Reach::Address);
    if pages.is_empty() {
        // Without operations by page, a range is invalidated as a whole space.
        return match broader.to_string() == space.to_string() {
            true => space,
            false => {
                let (broader, space) = (arm(broader), arm(space));
                quote!(match set { Invalidation::All => #broader, _ => #space })
            }
        };
    }
    let leaf_only: Vec<_> = pages.iter().filter(|(_, op)| op.leaf_only).cloned().collect();
    let full: Vec<_> = pages.into_iter().filter(|(_, op)| !op.leaf_only).collect();
    let paged = |op: &TlbOp| {
        let call = (means.pages)(scope, op);
        match op.limit {
            None => call,
            Some(limit) => {
                let limit = literal::number(limit.into());
                quote!(if range.span() >> granule >= #limit { #space } else { #call })
            }
        }
    };
    let every = chain(scope, full, space.clone(), paged);
    let (pattern, range) = if leaf_only.is_empty() {
        (quote!(leaf_only: _), every)
    } else {
        let leaves = chain(scope, leaf_only, every.clone(), paged);
        (quote!(leaf_only), quote!(if *leaf_only { #leaves } else { #every }))
    };
    let page_bits = literal::number(scope.number("page_bits").into());
    let (broader, space) = (arm(broader), arm(space));
    quote! {
        match set {
            Invalidation::All => #broader,
            Invalidation::Space => #space,
            Invalidation::Range { range, #pattern, granule } => {
                let granule = (*granule).clamp(#page_bits, 63);
                #range
            }
        }
    }
}

/// The code of an arm of a match: in braces, if it is more than one expression.
fn arm(code: TokenStream) -> TokenStream {
    let statements =
        code.clone().into_iter().any(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ';'));
    if statements { quote!({ #code }) } else { code }
}

/// `fn invalidation_limit` of the trait.
pub(crate) fn limit(scope: &Scope<'_>) -> TokenStream {
    let limit = |leaf_only, otherwise: TokenStream| {
        let ops = candidates(scope, &|op| op.scope == Reach::Address && op.leaf_only == leaf_only);
        let number = |op: &TlbOp| op.limit.map_or(quote!(u64::MAX), |limit| literal::number(limit.into()));
        // If one of them always exists and all have the same limit, no condition is needed.
        let always = ops.iter().any(|(when, _)| is(when, 1));
        match ops.split_first() {
            Some(((_, first), rest)) if always && rest.iter().all(|(_, op)| op.limit == first.limit) => number(first),
            _ => chain(scope, ops, otherwise, number),
        }
    };
    let every = limit(false, quote!(0));
    let leaves = limit(true, every.clone());
    let body = match every.to_string() == leaves.to_string() {
        true => every,
        false => quote!(if leaf_only { #leaves } else { #every }),
    };
    let body = bind(body, &[]);
    let leaf_only = parameter(&body, "leaf_only");
    quote! {
        fn invalidation_limit(&self, #leaf_only: bool) -> u64 {
            #body
        }
    }
}

fn name(op: &TlbOp) -> Ident {
    format_ident!("invalidate_{}", op.id.value.replace('-', "_"))
}

fn condition(scope: &Scope<'_>, op: &TlbOp) -> Expr {
    op.when.as_ref().map_or(int(1), |when| scope.fold(when))
}

/// The `wanted` operations with their conditions, those that reach every CPU first. One whose condition is the opposite
/// of an earlier one's gets no condition, as it is reached only where that does not hold.
fn candidates<'a>(scope: &Scope<'a>, wanted: &dyn Fn(&TlbOp) -> bool) -> Vec<(Expr, &'a TlbOp)> {
    let wanted = scope.format.tlb.iter().filter(|op| wanted(op));
    let (broadcast, local): (Vec<&TlbOp>, Vec<&TlbOp>) = wanted.partition(|op| op.broadcast);
    let ops = broadcast.into_iter().chain(local).map(|op| (condition(scope, op), op));
    let mut ops: Vec<_> = ops.filter(|(when, _)| !is(when, 0)).collect();
    for index in 1..ops.len() {
        let (earlier, rest) = ops.split_at_mut(index);
        let when = &mut rest[0].0;
        let opposite = |other: &Expr| same(when, &not(other.clone())) || same(other, &not(when.clone()));
        if earlier.iter().any(|(other, _)| opposite(other)) {
            *when = int(1);
        }
    }
    ops
}

/// The code of the first operation whose condition holds.
fn chain(
    scope: &Scope<'_>,
    ops: Vec<(Expr, &TlbOp)>,
    otherwise: TokenStream,
    code: impl Fn(&TlbOp) -> TokenStream,
) -> TokenStream {
    ops.into_iter().rev().fold(otherwise, |otherwise, (when, op)| scope.if_else(&when, code(op), otherwise))
}
