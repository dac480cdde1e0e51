//! Bits that many parts of a file contribute to, each under its condition.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::Expr;

use crate::literal;
use crate::scope::{Scope, is, same};

/// A field of the layout that is the sum of many parts, each under its condition.
pub(crate) struct Sum {
    pub(crate) name: TokenStream,
    /// The constant parts without a condition.
    fixed: u64,
    /// The other parts, grouped by condition.
    parts: Vec<(Expr, Vec<TokenStream>)>,
}

impl Sum {
    pub(crate) fn new(name: TokenStream) -> Self {
        Self { name, fixed: 0, parts: Vec::new() }
    }

    pub(crate) fn add(&mut self, when: &Expr, bits: TokenStream) {
        match literal::value(&bits) {
            Some(0) => {}
            Some(bits) if is(when, 1) => self.fixed |= bits,
            known => match self.parts.iter_mut().find(|(other, _)| same(other, when)) {
                Some((_, parts)) => match (parts.last().and_then(literal::value), known) {
                    (Some(last), Some(bits)) => {
                        parts.pop();
                        parts.push(literal::hex(last | bits));
                    }
                    _ => parts.push(bits),
                },
                None if !is(when, 0) => self.parts.push((when.clone(), vec![bits])),
                None => {}
            },
        }
    }

    /// The field's initial value.
    pub(crate) fn start(&self) -> TokenStream {
        literal::hex(self.fixed)
    }

    /// Statements that add the parts under conditions.
    pub(crate) fn statements(&self, scope: &Scope<'_>) -> TokenStream {
        let name = &self.name;
        let parts = self.parts.iter().map(|(when, parts)| scope.guarded(when, quote!(#(layout.#name |= #parts;)*)));
        quote!(#(#parts)*)
    }
}
