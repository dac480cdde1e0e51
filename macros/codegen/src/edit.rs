//! Generates `edit` and `may_break`: which changes of a live entry need break-before-make.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::EditClass;

use crate::locals::{bind, parameter};
use crate::scope::{Scope, Type, int, is, join};

/// `fn edit` and `fn may_break`.
pub(crate) fn edit(scope: &Scope<'_>) -> TokenStream {
    let breaks = &scope.format.live.breaks;
    let conditions = breaks.iter().map(|class| {
        let when = class.when.as_ref().map_or(int(1), |when| scope.fold(when));
        (when, class.value)
    });
    let breaks: Vec<_> = conditions.filter(|(when, _)| !is(when, 0)).collect();
    if breaks.is_empty() {
        return quote! {
            fn edit(&self, _level: Level, _old: u64, _new: u64) -> Edit {
                Edit::Direct
            }

            fn may_break(&self, _change: &Change) -> bool {
                false
            }
        };
    }
    let leaf = any(scope, &breaks, |class| match class {
        EditClass::Output => Some(quote!(old.address != new.address)),
        EditClass::Size => Some(quote!(old.size != new.size)),
        EditClass::Memory => Some(quote!(old.attributes.memory != new.attributes.memory)),
        EditClass::Rights => Some(quote!(old.attributes.rights != new.attributes.rights)),
        EditClass::Restriction => Some(quote!(!new.attributes.rights.contains(old.attributes.rights))),
        EditClass::Option => Some(quote!(old.attributes.options != new.attributes.options)),
    });
    let table = any(scope, &breaks, |class| match class {
        EditClass::Output => Some(quote!(old.address != new.address)),
        EditClass::Size => Some(quote!(old.level != new.level)),
        EditClass::Rights => Some(quote!(old.limit != new.limit)),
        EditClass::Restriction => Some(quote!(!new.limit.contains(old.limit))),
        EditClass::Memory | EditClass::Option => None,
    });
    let resizes = breaks.iter().filter(|(_, class)| *class == EditClass::Size).map(|(when, _)| when.clone());
    let resize = scope.emit(&resizes.fold(int(0), |a, b| join(Op::OrElse, a, b)), Type::Bool);
    let body = bind(
        quote! {
            let needs_break = match (self.decode(level, old), self.decode(level, new)) {
                (Entry::Leaf(old), Entry::Leaf(new)) => #leaf,
                (Entry::Table(old), Entry::Table(new)) => #table,
                (Entry::Table(_), Entry::Leaf(_)) | (Entry::Leaf(_), Entry::Table(_)) => #resize,
                _ => false,
            };
            if needs_break { Edit::BreakBeforeMake } else { Edit::Direct }
        },
        &[],
    );
    // A change of attributes keeps the address and the size.
    let may_break = any(scope, &breaks, |class| match class {
        EditClass::Memory => Some(quote!(change.memory.is_some())),
        EditClass::Rights | EditClass::Restriction => Some(quote!(change.rights.is_some())),
        EditClass::Option => Some(quote!(change.options.is_some())),
        EditClass::Output | EditClass::Size => None,
    });
    let may_break = bind(may_break, &[]);
    let change = parameter(&may_break, "change");
    quote! {
        fn edit(&self, level: Level, old: u64, new: u64) -> Edit {
            #body
        }

        fn may_break(&self, #change: &Change) -> bool {
            #may_break
        }
    }
}

/// The tests of all classes of edits that need a break, each under its condition.
fn any(
    scope: &Scope<'_>,
    breaks: &[(Expr, EditClass)],
    test: impl Fn(EditClass) -> Option<TokenStream>,
) -> TokenStream {
    let tests = breaks.iter().filter_map(|(when, class)| {
        let test = test(*class)?;
        if is(when, 1) {
            return Some(test);
        }
        let when = scope.emit_conjunct(when);
        Some(quote!(#when && #test))
    });
    tests.reduce(|a, b| quote!(#a || #b)).unwrap_or(quote!(false))
}
