//! Generates `grant`, which gives a live leaf more rights by one store.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::EditClass;

use crate::locals::{bind, mentions};
use crate::runs;
use crate::scope::{Scope, Type, int, is, join};

/// The condition under which every change of rights needs a break; `None` if it always does.
fn breaks(scope: &Scope<'_>) -> Option<Expr> {
    let breaks = scope.format.live.breaks.iter().filter(|class| class.value == EditClass::Rights);
    let breaks = breaks.map(|class| class.when.as_ref().map_or(int(1), |when| scope.fold(when)));
    let breaks = breaks.fold(int(0), |a, b| join(Op::OrElse, a, b));
    (!is(&breaks, 1)).then_some(breaks)
}

/// `fn grant` and `fn first_writes`.
pub(crate) fn methods(scope: &Scope<'_>) -> Option<TokenStream> {
    let breaks = breaks(scope)?;
    let breaks = (!is(&breaks, 0)).then(|| scope.emit(&breaks, Type::Bool)).map(|breaks| quote!(#breaks ||));
    let body = bind(
        scope.places.resolve(quote! {
            if #breaks self.run_bits(level, raw) != 0 {
                return None;
            }
            let facts = self.leaf_facts(level, raw)?.union(Facts::new(rights, true, dirty));
            Some(raw & !layout.rights | self.rights_bits(level, facts)?)
        }),
        &[],
    );
    Some(quote! {
        fn grant(&self, level: Level, raw: u64, rights: Rights, dirty: bool) -> Option<u64> {
            #body
        }

        #[inline]
        fn first_writes(&self) -> &FirstWrites {
            &self.first_writes
        }
    })
}

/// The field of `Format` behind `fn first_writes`.
pub(crate) fn field(scope: &Scope<'_>) -> Option<TokenStream> {
    breaks(scope).map(|_| quote!(first_writes: FirstWrites,))
}

/// The value of that field until it is computed.
pub(crate) fn unresolved(scope: &Scope<'_>) -> Option<TokenStream> {
    breaks(scope).map(|_| quote!(first_writes: FirstWrites::NONE,))
}

/// The method that computes it.
pub(crate) fn resolve(scope: &Scope<'_>) -> Option<TokenStream> {
    let breaks = breaks(scope)?;
    let unless = (!is(&breaks, 0)).then(|| {
        let breaks = scope.emit(&breaks, Type::Bool);
        quote! {
            if #breaks {
                return FirstWrites::NONE;
            }
        }
    });
    let single = if runs::slots(scope) > 0 { quote!(layout.single) } else { quote!(Pattern::ALWAYS) };
    let states = |protected: TokenStream, clean: TokenStream| {
        quote! {
            [
                self.rights_bits(0, #protected.union(Facts::ACCESSED)),
                self.rights_bits(0, #clean.union(Facts::ACCESSED)),
                self.rights_bits(0, #clean.union(Facts::ACCESSED_DIRTY)),
            ]
        }
    };
    let (executable, other) =
        (states(quote!(Facts::RX), quote!(Facts::RWX)), states(quote!(Facts::R), quote!(Facts::RW)));
    let body = scope.places.resolve(quote! {
        FirstWrites::new(layout.rights, layout.leaf_base, [#single, layout.absent], #executable, #other)
    });
    let pages = mentions(&body, "layout").then(|| quote!(let layout = self.layout(0);));
    let body = bind(quote!(#unless #pages #body), &["layout"]);
    Some(quote! {
        /// What first writes make of pages, as [`Format::grant`](FormatTrait::grant) does.
        const fn resolved_first_writes(&self) -> FirstWrites {
            #body
        }
    })
}
