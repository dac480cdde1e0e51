//! The kind of an entry: the whole decision table for `decode`, and two mask tests for the hot path.

mod exclusion;
mod pattern;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::{Is, Kind, Match, Test, TestValue};

pub(crate) use pattern::Pattern;

use exclusion::excludes_leaves;

use crate::bits;
use crate::literal;
use crate::locals::bind;
use crate::members::in_levels;
use crate::scope::{Scope, Type, all_of, int, is, join};

/// `fn kind`: the whole decision table.
pub(crate) fn decision(scope: &Scope<'_>) -> TokenStream {
    let rows: Vec<_> = rows(scope).collect();
    let lets = rows.iter().filter_map(|(when, row)| {
        let matches = row.matches.as_ref()?;
        let ident = row_ident(row);
        let test = scope.choose(matches, quote!(false), |matches| matched(scope, matches));
        let choices = scope.choices(matches).len();
        let test = match when {
            _ if is(when, 1) => test,
            _ => {
                let when = scope.emit_conjunct(when);
                // A single conjunction needs no parentheses, but an `if` beside `&&` does.
                if choices > 1 { quote!(#when && (#test)) } else { quote!(#when && #test) }
            }
        };
        Some(quote!(let #ident = #test;))
    });
    let mut arms = Vec::new();
    let tested = |is| rows.iter().map(|(_, row)| *row).filter(move |row| row.is == is && row.matches.is_some());
    for row in tested(Is::Reserved) {
        let (ident, kind) = (row_ident(row), kind_of(row));
        arms.push(quote!(if #ident { #kind }));
    }
    for is in [Is::Invalid, Is::Table, Is::Leaf] {
        let idents: Vec<_> = tested(is).map(row_ident).collect();
        if let Some(kind) = tested(is).next().map(kind_of) {
            arms.push(quote!(if #(#idents)||* { #kind }));
        }
    }
    let mut otherwise = quote!(Kind::Reserved("no kind"));
    for (when, row) in rows.iter().filter(|(_, row)| row.matches.is_none()) {
        let kind = kind_of(row);
        otherwise = scope.if_else(when, kind, otherwise);
    }
    let body = bind(quote!(#(#lets)* #(#arms else)* { #otherwise }), &[]);
    quote! {
        /// What kind of entry `raw` is at `level`, one of this address space's levels.
        fn kind(&self, level: Level, raw: u64) -> Kind {
            #body
        }
    }
}

/// The rows that may exist, with the conditions under which they do.
fn rows<'a>(scope: &Scope<'a>) -> impl Iterator<Item = (Expr, &'a Kind)> {
    let condition = |row: &Kind| {
        let when = row.when.clone().unwrap_or(int(1));
        scope.fold(&all_of([scope.fold(&when), in_levels(scope, &row.level)]))
    };
    let rows: Vec<_> = scope.format.kinds.iter().map(|row| (condition(row), row)).collect();
    rows.into_iter().filter(|(when, _)| !is(when, 0))
}

fn row_ident(row: &Kind) -> proc_macro2::Ident {
    format_ident!("is_{}", row.id.value.replace('-', "_"))
}

fn kind_of(row: &Kind) -> TokenStream {
    match row.is {
        Is::Invalid => quote!(Kind::Invalid),
        Is::Table => quote!(Kind::Table),
        Is::Leaf => quote!(Kind::Leaf),
        Is::Reserved => {
            let id = &row.id.value;
            quote!(Kind::Reserved(#id))
        }
    }
}

/// Whether `raw` matches.
fn matched(scope: &Scope<'_>, matches: &Match) -> TokenStream {
    let patterns: Vec<_> = matches.0.iter().map(|test| Pattern::of_test(scope, test)).collect();
    let fixed = patterns.iter().flatten().filter_map(|pattern| pattern.fixed);
    let together = fixed.reduce(|(m, v), (n, w)| (m | n, v | w)).map(|(mask, value)| Pattern::fixed(mask, value));
    let rest = matches.0.iter().zip(&patterns).filter_map(|(test, pattern)| match pattern {
        Some(pattern) if pattern.fixed.is_some() => None,
        Some(pattern) => Some(pattern.test()),
        None => Some(compared(scope, test)),
    });
    let tests = together.iter().map(Pattern::test).chain(rest);
    quote!(#(#tests)&&*)
}

/// A test that is not a comparison with one mask and value.
fn compared(scope: &Scope<'_>, test: &Test) -> TokenStream {
    if test.negated {
        let positive = Test { negated: false, ..test.clone() };
        if let Some(pattern) = Pattern::of_test(scope, &positive) {
            let (tested, value) = (pattern.tested(), pattern.value);
            return quote!(#tested != #value);
        }
    }
    let bits = bits::extract(scope, &test.bits, &quote!(raw));
    let alternatives = test.values.iter().map(|value| match value {
        TestValue::Value(value) => {
            let value = scope.emit_operand(value, Type::Word);
            quote!(#bits == #value)
        }
        TestValue::Range(from, to) => {
            let (from, to) = (scope.emit(from, Type::Word), scope.emit(to, Type::Word));
            quote!(codec::within(#bits, #from, #to))
        }
        TestValue::Ones => {
            let mask = bits::mask(scope, &test.bits);
            quote!(raw & #mask == #mask)
        }
    });
    match (test.negated, test.values.len()) {
        (true, _) => quote!(!(#(#alternatives)||*)),
        (false, 1) => quote!(#(#alternatives)||*),
        (false, _) => quote!((#(#alternatives)||*)),
    }
}

/// The value written where nothing is mapped.
pub(crate) fn empty(scope: &Scope<'_>) -> TokenStream {
    scope.choose(&scope.format.empty, quote!(0), |value| scope.emit(value, Type::Word))
}

/// The pattern of entries written here that are not present. It is that of the only invalid row, if there is one such
/// row and it comes down to a pattern; else it is the one value that is written. Also returns whether it is the row's.
pub(crate) fn absent(scope: &Scope<'_>) -> (TokenStream, bool) {
    let empty = empty(scope);
    let written = quote!(Pattern::new(u64::MAX, #empty));
    let rows: Vec<_> = rows(scope).filter(|(_, row)| row.is == Is::Invalid).collect();
    let [(when, Kind { matches: Some(matches), .. })] = rows.as_slice() else {
        return (written, false);
    };
    let whole = |matches: &Match| {
        let only_patterns = matches.0.iter().all(|test| Pattern::of_test(scope, test).is_some());
        Pattern::of_match(scope, matches).filter(|_| only_patterns)
    };
    if !is(when, 1) || scope.choices(matches).iter().any(|(_, matches)| whole(matches).is_none()) {
        return (written, false);
    }
    let row = scope.choose(matches, written.clone(), |matches| match whole(matches) {
        Some(pattern) => pattern.construct(),
        None => written.clone(),
    });
    (row, true)
}

/// The pattern that tells tables from leaves among entries written here: the first test of the table's row that
/// excludes every leaf.
pub(crate) fn table(scope: &Scope<'_>) -> TokenStream {
    let mut code = quote!(Pattern::NEVER);
    for (when, row) in rows(scope).filter(|(_, row)| row.is == Is::Table) {
        let pattern = match &row.matches {
            None => quote!(Pattern::ALWAYS),
            Some(matches) => scope.choose(matches, quote!(Pattern::NEVER), |matches| {
                table_test(scope, matches).map_or(quote!(Pattern::NEVER), |pattern| pattern.construct())
            }),
        };
        // A pattern that applies in any case needs no condition.
        if pattern.to_string() != code.to_string() {
            code = scope.if_else(&when, pattern, code);
        }
    }
    code
}

/// Statements for tables that no single test tells from leaves: these are compared in all tested bits with what is
/// written.
pub(crate) fn table_as_written(scope: &Scope<'_>) -> TokenStream {
    let told = quote!(layout.table.mask);
    rows(scope)
        .filter(|(_, row)| row.is == Is::Table)
        .filter_map(|(when, row)| {
            let mask = scope.choose(row.matches.as_ref()?, told.clone(), |matches| match table_test(scope, matches) {
                Some(_) => told.clone(),
                None => tested_bits(scope, matches),
            });
            let code = quote! {
                let tested = #mask;
                layout.table = Pattern::new(tested, layout.table_base & tested);
            };
            (mask.to_string() != told.to_string()).then(|| scope.guarded(&when, code))
        })
        .collect()
}

fn tested_bits(scope: &Scope<'_>, matches: &Match) -> TokenStream {
    let fixed = matches.0.iter().map(|test| bits::fixed_mask(scope, &test.bits));
    match fixed.reduce(|a, b| Some(a? | b?)).flatten() {
        Some(mask) => literal::hex(mask),
        None => {
            let masks = matches.0.iter().map(|test| bits::mask(scope, &test.bits));
            quote!(#(#masks)|*)
        }
    }
}

fn table_test(scope: &Scope<'_>, matches: &Match) -> Option<Pattern> {
    let mut tests = matches.0.iter().filter(|test| excludes_leaves(scope, test));
    tests.find_map(|test| Pattern::of_test(scope, test))
}

/// The bits that the rows of a kind require in every entry of that kind.
pub(crate) fn demanded(scope: &Scope<'_>, kind: Is) -> Vec<(Expr, TokenStream)> {
    rows(scope)
        .filter(|(_, row)| row.is == kind)
        .filter_map(|(when, row)| {
            let value = scope.choose(row.matches.as_ref()?, quote!(0), |matches| {
                Pattern::of_match(scope, matches).map_or(quote!(0), |pattern| pattern.value)
            });
            (value.to_string() != "0").then_some((when, value))
        })
        .collect()
}

/// The condition under which a level may hold blocks.
pub(crate) fn block_level(scope: &Scope<'_>) -> Expr {
    let items = scope.format.levels.blocks.iter().map(|choice| {
        let when = choice.when.clone().unwrap_or(int(1));
        scope.fold(&all_of([scope.fold(&when), in_levels(scope, &choice.value)]))
    });
    scope.fold(&items.fold(int(0), |a, b| join(Op::OrElse, a, b)))
}

/// The condition under which a level has leaves.
pub(crate) fn leaves(scope: &Scope<'_>) -> Expr {
    let leaves = rows(scope).filter(|(_, row)| row.is == Is::Leaf).map(|(when, _)| when);
    scope.fold(&leaves.fold(int(0), |a, b| join(Op::OrElse, a, b)))
}
