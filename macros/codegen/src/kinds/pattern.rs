//! Tests that compare masked bits with one value.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::model::{Match, Test, TestValue};

use crate::scope::{Scope, Type};
use crate::{bits, literal};

/// `raw & mask == value`, as code, and as numbers where parameters do not change it.
pub(crate) struct Pattern {
    mask: TokenStream,
    pub(super) value: TokenStream,
    fixed_mask: Option<u64>,
    pub(super) fixed: Option<(u64, u64)>,
}

impl Pattern {
    /// The pattern of a test, if it asks for one value.
    pub(crate) fn of_test(scope: &Scope<'_>, test: &Test) -> Option<Self> {
        let ([value], false) = (test.values.as_slice(), test.negated) else {
            return None;
        };
        let mask = bits::mask(scope, &test.bits);
        let fixed_mask = bits::fixed_mask(scope, &test.bits);
        let (value, fixed) = match value {
            TestValue::Range(..) => return None,
            TestValue::Ones => (mask.clone(), fixed_mask),
            TestValue::Value(value) => match scope.constant(value).and_then(|value| u64::try_from(value).ok()) {
                Some(value) => (bits::insert_constant(scope, &test.bits, value), bits::place(scope, &test.bits, value)),
                None => (bits::insert(scope, &test.bits, &scope.emit_operand(value, Type::Word)), None),
            },
        };
        Some(Self { mask, value, fixed_mask, fixed: fixed_mask.zip(fixed) })
    }

    /// The pattern of a conjunction; the tests that ask for more than one value are left out.
    pub(crate) fn of_match(scope: &Scope<'_>, matches: &Match) -> Option<Self> {
        let patterns = matches.0.iter().filter_map(|test| Self::of_test(scope, test));
        patterns.reduce(|a, b| match (a.fixed, b.fixed) {
            (Some((m, v)), Some((n, w))) => Self::fixed(m | n, v | w),
            _ => {
                let (a_mask, b_mask) = (a.mask, b.mask);
                let value = match [&a.value, &b.value].map(|value| value.to_string() == "0") {
                    [_, true] => a.value,
                    [true, _] => b.value,
                    _ => {
                        let (a, b) = (a.value, b.value);
                        quote!(#a | #b)
                    }
                };
                Self { mask: quote!(#a_mask | #b_mask), value, fixed_mask: None, fixed: None }
            }
        })
    }

    pub(super) fn fixed(mask: u64, value: u64) -> Self {
        let (fixed_mask, fixed) = (Some(mask), Some((mask, value)));
        Self { mask: literal::hex(mask), value: literal::hex(value), fixed_mask, fixed }
    }

    /// The constructor call of the runtime's `Pattern`.
    pub(crate) fn construct(&self) -> TokenStream {
        let Self { mask, value, .. } = self;
        quote!(Pattern::new(#mask, #value))
    }

    pub(super) fn test(&self) -> TokenStream {
        let (tested, value) = (self.tested(), &self.value);
        quote!(#tested == #value)
    }

    /// The bits of an entry that it tests.
    pub(super) fn tested(&self) -> TokenStream {
        let mask = &self.mask;
        match self.fixed_mask {
            Some(u64::MAX) => quote!(raw),
            Some(_) => quote!(raw & #mask),
            None => quote!(raw & (#mask)),
        }
    }
}
