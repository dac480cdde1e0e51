//! Addresses in entries: one mask and one constant shift for each distance between address bits and their place in an
//! entry.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::Expr;
use tablewright_archdefs::model::Meaning;

use crate::bits::{Segment, address_segments};
use crate::literal;
use crate::members::{self, Shape};
use crate::scope::{Scope, all_of, int};

/// Where entries of a shape hold their address.
pub(crate) struct AddressMap {
    /// The name of the layout's part with the masks.
    place: TokenStream,
    /// How far address bits are above their place in the entry; one for each mask.
    shifts: Vec<i8>,
    /// The segments under each condition. The first whose condition holds applies.
    choices: Vec<(Expr, Vec<Segment>)>,
}

impl AddressMap {
    /// The address of entries of `shape`.
    pub(crate) fn of(scope: &Scope<'_>, shape: Shape) -> Self {
        let place = match shape {
            Shape::Leaf => quote!(output),
            Shape::Table => quote!(next_table),
        };
        let fields = members::fields_that(scope, shape, |meaning| match shape {
            Shape::Leaf => matches!(meaning, Meaning::Output),
            Shape::Table => matches!(meaning, Meaning::Table),
        });
        let mut map = Self { place, shifts: Vec::new(), choices: Vec::new() };
        for (when, field) in fields {
            for (choice, bits) in scope.choices(&field.bits) {
                let segments = address_segments(scope, bits);
                for shift in segments.iter().filter_map(Segment::shift) {
                    if !map.shifts.contains(&shift) {
                        map.shifts.push(shift);
                    }
                }
                map.choices.push((all_of([when.clone(), choice.unwrap_or(int(1))]), segments));
            }
        }
        map.shifts.sort_by_key(|shift| shift.unsigned_abs());
        if map.shifts.is_empty() {
            // If every address space has one level there are no tables, and the mask is empty.
            map.shifts.push(0);
        }
        map
    }

    /// The number of masks.
    pub(crate) fn len(&self) -> usize {
        self.shifts.len()
    }

    /// The type of the masks' field.
    pub(crate) fn field_type(&self) -> TokenStream {
        match self.len() {
            1 => quote!(u64),
            len => {
                let len = literal::number(len as i128);
                quote!([u64; #len])
            }
        }
    }

    /// The value of the masks' field.
    pub(crate) fn masks(&self, scope: &Scope<'_>) -> TokenStream {
        let masks: Vec<_> = self.shifts.iter().map(|shift| self.mask(scope, *shift)).collect();
        match masks.as_slice() {
            [mask] => quote!(#mask),
            masks => quote!([#(#masks),*]),
        }
    }

    fn mask(&self, scope: &Scope<'_>, shift: i8) -> TokenStream {
        let mut code = quote!(0);
        for (when, segments) in self.choices.iter().rev() {
            let parts: Vec<_> = segments.iter().filter(|s| s.shift() == Some(shift)).map(|s| s.mask(scope)).collect();
            let mask = if parts.is_empty() { quote!(0) } else { quote!(#(#parts)|*) };
            code = if mask.to_string() == code.to_string() { mask } else { scope.if_else(when, mask, code) };
        }
        code
    }

    /// The address in `raw`.
    pub(crate) fn gather(&self) -> TokenStream {
        self.parts(gather_part)
    }

    /// As [`Self::gather`], for the hot path: of several masks, all but the first are usually zero.
    pub(crate) fn gather_most(&self) -> TokenStream {
        self.most(gather_part)
    }

    /// Whether other masks than the first have bits; `None` if there are no other masks.
    pub(crate) fn is_scattered(&self) -> Option<TokenStream> {
        let others: Vec<_> = (1..self.len()).map(|index| self.slot(index)).collect();
        (!others.is_empty()).then(|| quote!(#(#others)|* != 0))
    }

    /// The bits of an entry for `address`.
    pub(crate) fn scatter(&self, address: &TokenStream) -> TokenStream {
        self.parts(|place, shift| scatter_part(address, place, shift))
    }

    /// As [`Self::scatter`], for the hot path.
    pub(crate) fn scatter_most(&self, address: &TokenStream) -> TokenStream {
        self.most(|place, shift| scatter_part(address, place, shift))
    }

    /// The address bits that each mask stands for.
    pub(crate) fn address_masks(&self) -> Vec<TokenStream> {
        self.shifts
            .iter()
            .enumerate()
            .map(|(index, shift)| {
                let place = self.slot(index);
                let distance = literal::number(i128::from(shift.unsigned_abs()));
                match shift {
                    0 => place,
                    1.. => quote!(#place << #distance),
                    _ => quote!(#place >> #distance),
                }
            })
            .collect()
    }

    fn parts(&self, part: impl Fn(TokenStream, i8) -> TokenStream) -> TokenStream {
        let parts = self.shifts.iter().enumerate().map(|(index, shift)| part(self.slot(index), *shift));
        quote!(#(#parts)|*)
    }

    /// The code of `part` for all masks, or for the first alone where the others are zero.
    fn most(&self, part: impl Fn(TokenStream, i8) -> TokenStream) -> TokenStream {
        let all = self.parts(&part);
        match self.shifts.as_slice() {
            [first, _, ..] => {
                let first = part(self.slot(0), *first);
                quote!(if layout.scattered { #all } else { #first })
            }
            _ => all,
        }
    }

    fn slot(&self, index: usize) -> TokenStream {
        let place = &self.place;
        if self.len() == 1 {
            return quote!(layout.#place);
        }
        let index = literal::number(index as i128);
        quote!(layout.#place[#index])
    }
}

/// The entry bits in the mask `place` for `address`, whose bits are `shift` bits lower in the entry.
fn scatter_part(address: &TokenStream, place: TokenStream, shift: i8) -> TokenStream {
    match shift {
        0 => quote!(#address & #place),
        1.. => {
            let shift = literal::number(shift.into());
            quote!(#address >> #shift & #place)
        }
        _ => {
            let shift = literal::number(-i128::from(shift));
            quote!(#address << #shift & #place)
        }
    }
}

/// The address bits in the mask `place` of `raw`; in the address they are `shift` bits higher.
fn gather_part(place: TokenStream, shift: i8) -> TokenStream {
    match shift {
        0 => quote!(raw & #place),
        1.. => {
            let shift = literal::number(shift.into());
            quote!((raw & #place) << #shift)
        }
        _ => {
            let shift = literal::number(-i128::from(shift));
            quote!((raw & #place) >> #shift)
        }
    }
}
