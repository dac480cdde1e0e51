//! Value rows: generates conversions between a field's values and their meanings.

mod memory;
mod rights;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::{Field, Other, Row, Rows};

use crate::bits;
use crate::scope::{Scope, Type, int, is};

pub(crate) use memory::{inherit_arms, memory_methods, memory_type};
pub(crate) use rights::{choices, everything, implied, rights_methods, stated, stated_code};

/// The name of a method for a field.
pub(crate) fn method(field: &Field, suffix: &str) -> Ident {
    format_ident!("{}_{suffix}", field.name.value)
}

/// The rows that may exist in this build, with their conditions.
fn existing<'r, T>(scope: &Scope<'_>, rows: &'r Rows<T>) -> Vec<(Expr, &'r Row<T>)> {
    let condition = |row: &Row<T>| row.when.as_ref().map_or(int(1), |when| scope.fold(when));
    rows.rows.iter().map(|row| (condition(row), row)).filter(|(when, _)| !is(when, 0)).collect()
}

fn guard(scope: &Scope<'_>, when: &Expr) -> TokenStream {
    if is(when, 1) {
        return TokenStream::new();
    }
    let when = scope.emit(when, Type::Bool);
    quote!(if #when)
}

fn value_width(scope: &Scope<'_>, field: &Field) -> u32 {
    scope.choices(&field.bits).first().and_then(|(_, map)| bits::width(scope, map)).unwrap_or(64)
}

/// What a value without a row decodes to.
fn other(rows: Other, unnamed: TokenStream) -> TokenStream {
    match rows {
        Other::Unnamed => quote!(Some(#unnamed)),
        Other::None | Other::Reserved => quote!(None),
    }
}
