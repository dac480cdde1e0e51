//! Rows of rights and states.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Facts, Field, Row, Rows};

use super::{existing, guard, method, other, value_width};
use crate::locals::bind;
use crate::scope::{Scope, Type, is};
use crate::{bits, literal};

/// The rights that every leaf grants.
pub(crate) fn implied(scope: &Scope<'_>) -> TokenStream {
    scope.choose(&scope.format.implies, quote!(Facts::NONE), |facts| fact_value(*facts))
}

/// Every fact that some row of a field states.
pub(crate) fn stated(rows: &Rows<Facts>) -> Facts {
    rows.rows.iter().fold(Facts::empty(), |all, row| all.union(row.meaning))
}

/// The facts that some row of a field states under the parameters, as code.
pub(crate) fn stated_code(scope: &Scope<'_>, rows: &Rows<Facts>) -> TokenStream {
    let rows = existing(scope, rows);
    let always = rows.iter().filter(|(when, _)| is(when, 1)).fold(Facts::empty(), |all, (_, row)| all | row.meaning);
    let mut code = fact_value(always);
    for (when, row) in rows {
        if !always.contains(row.meaning) {
            let (when, facts) = (scope.emit(&when, Type::Bool), fact_value(row.meaning));
            code = quote!(#code.union(if #when { #facts } else { Facts::NONE }));
        }
    }
    code
}

/// The methods of a field of rights: value to facts, and (where `writes`) facts to value.
pub(crate) fn rights_methods(scope: &Scope<'_>, field: &Field, rows: &Rows<Facts>, writes: bool) -> TokenStream {
    let width = value_width(scope, field);
    let existing = existing(scope, rows);
    let mut names = FactNames::default();
    let reads: Vec<_> = existing
        .iter()
        .map(|(when, row)| {
            let (value, guard, facts) = (literal::field(row.value, width), guard(scope, when), names.of(row.meaning));
            quote!(#value #guard => Some(#facts),)
        })
        .collect();
    let other = other(rows.other, quote!(Facts::NONE));
    let read_consts = std::mem::take(&mut names).consts();
    let write = writes.then(|| {
        let arms = write_arms(scope, &existing, width, &mut names);
        let (consts, stated, write) = (names.consts(), stated_code(scope, rows), method(field, "value"));
        let doc =
            format!(" The value of `{}` with exactly these rights, and with these states if it can.", field.name.value);
        let body = bind(quote!(#consts match facts.intersection(#stated) #arms), &[]);
        quote! {
            #[doc = #doc]
            const fn #write(&self, facts: Facts) -> Option<u64> {
                #body
            }
        }
    });
    let read = method(field, "facts");
    let doc = format!(" What a value of `{}` states; `None` if it is illegal.", field.name.value);
    let body = bind(quote!(#read_consts match value { #(#reads)* _ => #other, }), &[]);
    quote! {
        #[doc = #doc]
        const fn #read(&self, value: u64) -> Option<Facts> {
            #body
        }

        #write
    }
}

/// The body of a match from facts to values: exact facts first, then the first row with the same rights.
fn write_arms(scope: &Scope<'_>, rows: &[(Expr, &Row<Facts>)], width: u32, names: &mut FactNames) -> TokenStream {
    let arms = |rows: &[(Expr, Facts, u64)], names: &mut FactNames| {
        let mut taken = Vec::new();
        let mut arms = Vec::new();
        for (when, facts, value) in rows {
            if taken.contains(facts) {
                continue;
            }
            if is(when, 1) {
                taken.push(*facts);
            }
            let (facts, guard, value) = (names.of(*facts), guard(scope, when), literal::field(*value, width));
            arms.push(quote!(#facts #guard => Some(#value),));
        }
        (arms, taken)
    };
    let written = rows.iter().filter(|(_, row)| !row.decode_only);
    let rows: Vec<_> = written.map(|(when, row)| (when.clone(), row.meaning, row.value)).collect();
    let stated = rows.iter().fold(Facts::empty(), |all, (_, facts, _)| all | *facts);
    let (exact, taken) = arms(&rows, names);
    let states = stated.difference(Facts::RIGHTS);
    let combinations = subsets(states);
    let complete = rows.iter().all(|(_, facts, _)| {
        let rights = facts.intersection(Facts::RIGHTS);
        combinations.iter().all(|states| taken.contains(&rights.union(*states)))
    });
    if states.is_empty() || complete {
        return quote!({ #(#exact)* _ => None, });
    }
    let rights_only: Vec<_> =
        rows.iter().map(|(when, facts, value)| (when.clone(), facts.intersection(Facts::RIGHTS), *value)).collect();
    if stated.intersection(Facts::RIGHTS).is_empty() {
        let first = rights_only.first().map_or(quote!(None), |(_, _, value)| {
            let value = literal::field(*value, width);
            quote!(Some(#value))
        });
        return quote!({ #(#exact)* _ => #first, });
    }
    let (similar, _) = arms(&rights_only, names);
    quote!({
        #(#exact)*
        facts => match facts.intersection(Facts::RWX) { #(#similar)* _ => None, },
    })
}

/// The written rows of a field, for `codec::combine`.
pub(crate) fn choices(scope: &Scope<'_>, field: &Field, rows: &Rows<Facts>) -> Vec<TokenStream> {
    let written = existing(scope, rows).into_iter().filter(|(_, row)| !row.decode_only);
    let choice = |(when, row): (Expr, &Row<Facts>)| {
        let bits = scope.choose(&field.bits, quote!(0), |map| bits::insert_constant(scope, map, row.value));
        let facts = fact_value(row.meaning);
        let when = (!is(&when, 1)).then(|| scope.emit(&when, Type::Bool)).map(|when| quote!(.when(#when)));
        quote!(codec::Choice::new(#bits, #facts)#when)
    };
    written.map(choice).collect()
}

fn subsets(states: Facts) -> Vec<Facts> {
    let all = [Facts::empty(), Facts::ACCESSED, Facts::DIRTY, Facts::ACCESSED | Facts::DIRTY];
    all.into_iter().filter(|subset| states.contains(*subset)).collect()
}

/// The bits of a table's field that grant every right it states.
pub(crate) fn everything(scope: &Scope<'_>, field: &Field, rows: &Rows<Facts>) -> TokenStream {
    let all = stated(rows).intersection(Facts::RIGHTS);
    let mut code = quote!(0);
    let granting = existing(scope, rows).into_iter().filter(|(_, row)| !row.decode_only && row.meaning.contains(all));
    for (when, row) in granting.collect::<Vec<_>>().into_iter().rev() {
        let value = scope.choose(&field.bits, quote!(0), |map| bits::insert_constant(scope, map, row.value));
        code = scope.if_else(&when, value, code);
    }
    code
}

/// Facts as an expression.
pub(crate) fn fact_value(facts: Facts) -> TokenStream {
    let parts = parts(facts).into_iter().map(|part| format_ident!("{part}"));
    parts.map(|part| quote!(Facts::#part)).reduce(|a, b| quote!(#a.union(#b))).unwrap_or(quote!(Facts::NONE))
}

/// The named sets that make up `facts`, as few as possible.
fn parts(facts: Facts) -> Vec<&'static str> {
    const NAMED: &[(&str, u8)] = &[
        ("RWX", 0o77),
        ("RW", 0o33),
        ("RX", 0o55),
        ("WX", 0o66),
        ("R", 0o11),
        ("W", 0o22),
        ("X", 0o44),
        ("PR", 0o01),
        ("PW", 0o02),
        ("PX", 0o04),
        ("UR", 0o10),
        ("UW", 0o20),
        ("UX", 0o40),
        ("ACCESSED_DIRTY", 192),
        ("ACCESSED", 64),
        ("DIRTY", 128),
    ];
    let mut rest = facts.bits();
    let mut parts = Vec::new();
    for (name, bits) in NAMED {
        if rest & bits == *bits {
            parts.push(*name);
            rest &= !bits;
        }
    }
    parts
}

/// Names for sets of facts in patterns, where only constants may stand.
#[derive(Default)]
struct FactNames(Vec<Facts>);

impl FactNames {
    fn of(&mut self, facts: Facts) -> TokenStream {
        let parts = parts(facts);
        if parts.len() < 2 {
            return fact_value(facts);
        }
        if !self.0.contains(&facts) {
            self.0.push(facts);
        }
        let name = format_ident!("{}", parts.join("_"));
        quote!(#name)
    }

    fn consts(self) -> TokenStream {
        let consts = self.0.into_iter().map(|facts| {
            let (name, value) = (format_ident!("{}", parts(facts).join("_")), fact_value(facts));
            quote!(const #name: Facts = #value;)
        });
        quote!(#(#consts)*)
    }
}
