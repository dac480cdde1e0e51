//! Generates the layout's runs: adjacent entries that form one larger leaf.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Match, Run};

use crate::kinds::Pattern;
use crate::scope::{Scope, all_of, int, is};
use crate::{literal, members};

/// Statements that fill in the runs of a level.
pub(crate) fn statements(scope: &Scope<'_>) -> TokenStream {
    let mut code = Vec::new();
    let mut slot = 0usize;
    for run in &scope.format.runs {
        let when = condition(scope, run);
        if is(&when, 0) {
            continue;
        }
        let mut statements = Vec::new();
        for items in &run.items.value {
            let log = items.ilog2();
            let items = literal::number(log.into());
            let mark = conjunction(scope, &run.mark);
            let index = literal::number(slot as i128);
            let size = mark.to_string().contains("run_bits").then(|| quote!(let run_bits = leaf_bits + #items;));
            let assignment = quote!(layout.runs[#index] = Run { mark: #mark, items: #items };);
            statements.push(match size {
                Some(size) => quote!({ #size #assignment }),
                None => assignment,
            });
            slot += 1;
        }
        let single = conjunction(scope, &run.single);
        statements.push(quote!(layout.single = layout.single.and(#single);));
        code.push(scope.guarded(&when, quote!(#(#statements)*)));
    }
    quote!(#(#code)*)
}

/// The pattern of a run's tests, each of which asks for one value.
fn conjunction(scope: &Scope<'_>, tests: &Match) -> TokenStream {
    Pattern::of_match(scope, tests).map_or(quote!(Pattern::ALWAYS), |pattern| pattern.construct())
}

/// The condition under which a run exists at a level.
fn condition(scope: &Scope<'_>, run: &Run) -> Expr {
    let when = run.when.clone().unwrap_or(int(1));
    scope.fold(&all_of([scope.fold(&when), members::in_levels(scope, &run.level)]))
}

/// The number of runs over all levels, which each layout has room for.
pub(crate) fn slots(scope: &Scope<'_>) -> usize {
    let exist = |run: &&Run| !is(&condition(scope, run), 0);
    scope.format.runs.iter().filter(exist).map(|run| run.items.value.len()).sum()
}

/// Whether items of a run may all hold the same address.
pub(crate) fn are_shared(scope: &Scope<'_>) -> bool {
    slots(scope) > 0 && scope.format.runs.iter().any(|run| run.shared)
}
