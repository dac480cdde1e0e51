//! Bit maps as masks, extractions and insertions.

use proc_macro2::TokenStream;
use quote::quote;
use tablewright_archdefs::expr::{Expr, Op};
use tablewright_archdefs::model::BitMap;

use crate::literal;
use crate::scope::{Linear, Scope, Type, int, join};

/// A segment with its positions folded: the entry's bits `high:low` are the value's bits from `from` on.
pub(crate) struct Segment {
    /// Highest bit in the entry.
    pub(crate) high: Expr,
    /// Lowest bit in the entry.
    pub(crate) low: Expr,
    /// The value's bit that `low` holds.
    pub(crate) from: Expr,
}

impl Segment {
    /// `high` and `low`, if they are constant.
    fn fixed(&self) -> Option<(u8, u8)> {
        let position = |expr: &Expr| Linear::of(expr)?.constant().and_then(|value| u8::try_from(value).ok());
        Some((position(&self.high)?, position(&self.low)?))
    }

    /// Whether it is certainly empty.
    fn is_empty(&self) -> bool {
        Linear::of(&join(Op::Sub, self.high.clone(), self.low.clone()))
            .and_then(|width| width.constant())
            .is_some_and(|width| width < 0)
    }

    /// How far the value's bits are above the entry's; `None` if that is not constant, which the checker refuses for
    /// addresses.
    pub(crate) fn shift(&self) -> Option<i8> {
        let shift = Linear::of(&join(Op::Sub, self.from.clone(), self.low.clone()))?.constant()?;
        i8::try_from(shift).ok()
    }

    /// The mask of its bits in the entry.
    pub(crate) fn mask(&self, scope: &Scope<'_>) -> TokenStream {
        match self.fixed() {
            Some((high, low)) => literal::hex(ones(high, low)),
            None => {
                let high = scope.emit(&self.high, Type::Byte);
                let low = scope.emit(&self.low, Type::Byte);
                quote!(codec::bits(#high, #low))
            }
        }
    }
}

/// The segments of a bit map that is an address: without `<-`, positions are the same in entry and address.
pub(crate) fn address_segments(scope: &Scope<'_>, map: &BitMap) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    for segment in &map.segments {
        let low = scope.fold(&segment.low);
        let from = match &segment.from {
            Some((_, from)) => scope.fold(from),
            None => low.clone(),
        };
        segments.push(Segment { high: scope.fold(&segment.high), low, from });
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// The segments of any other bit map: without `<-`, the next bits down, so that the last segment ends at bit 0.
pub(crate) fn value_segments(scope: &Scope<'_>, map: &BitMap) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut next = int(0);
    for segment in map.segments.iter().rev() {
        let (high, low) = (scope.fold(&segment.high), scope.fold(&segment.low));
        let from = match &segment.from {
            Some((_, from)) => scope.fold(from),
            None => next.clone(),
        };
        let width = join(Op::Add, join(Op::Sub, high.clone(), low.clone()), int(1));
        next = scope.fold(&join(Op::Add, from.clone(), width));
        segments.push(Segment { high, low, from });
    }
    segments.reverse();
    segments.retain(|segment| !segment.is_empty());
    segments
}

/// The number of bits of a value, if parameters do not change it.
pub(crate) fn width(scope: &Scope<'_>, map: &BitMap) -> Option<u32> {
    value_segments(scope, map)
        .iter()
        .map(|segment| {
            let width = Linear::of(&join(Op::Sub, segment.high.clone(), segment.low.clone()))?.constant()? + 1;
            u32::try_from(width).ok()
        })
        .sum()
}

/// The mask of a bit map in the entry.
pub(crate) fn mask(scope: &Scope<'_>, map: &BitMap) -> TokenStream {
    let segments = value_segments(scope, map);
    let fixed = segments.iter().filter_map(Segment::fixed).map(|(high, low)| ones(high, low)).fold(0, |a, b| a | b);
    let mut parts: Vec<_> = segments.iter().filter(|s| s.fixed().is_none()).map(|s| s.mask(scope)).collect();
    if fixed != 0 || parts.is_empty() {
        parts.insert(0, literal::hex(fixed));
    }
    quote!(#(#parts)|*)
}

/// The mask of a bit map, if parameters do not move it.
pub(crate) fn fixed_mask(scope: &Scope<'_>, map: &BitMap) -> Option<u64> {
    value_segments(scope, map)
        .iter()
        .map(|segment| segment.fixed().map(|(high, low)| ones(high, low)))
        .try_fold(0, |mask, bits| Some(mask | bits?))
}

/// The value that `raw` holds in a bit map.
pub(crate) fn extract(scope: &Scope<'_>, map: &BitMap, raw: &TokenStream) -> TokenStream {
    let segments = value_segments(scope, map);
    let alone = segments.len() == 1;
    let parts = segments.iter().map(|segment| {
        let part = match segment.fixed() {
            Some((high, low)) => extract_constant(raw, high, low),
            None => {
                let high = scope.emit(&segment.high, Type::Byte);
                let low = scope.emit(&segment.low, Type::Byte);
                quote!(codec::extract(#raw, #high, #low))
            }
        };
        match (Linear::of(&segment.from).and_then(|from| from.constant()), alone) {
            (Some(0), true) => part,
            (Some(0), false) => quote!((#part)),
            _ => {
                let from = scope.emit(&segment.from, Type::Byte);
                quote!((#part) << #from)
            }
        }
    });
    quote!(#(#parts)|*)
}

/// Bits `high:low` of `raw`, as a number.
pub(crate) fn extract_constant(raw: &TokenStream, high: u8, low: u8) -> TokenStream {
    let small = literal::hex(ones(high - low.min(high), 0));
    match (high, low) {
        (63, 0) => quote!(#raw),
        (63, _) => {
            let low = literal::number(low.into());
            quote!(#raw >> #low)
        }
        (_, 0) => quote!(#raw & #small),
        _ => {
            let low = literal::number(low.into());
            quote!(#raw >> #low & #small)
        }
    }
}

/// A constant value, put into its bits.
pub(crate) fn insert_constant(scope: &Scope<'_>, map: &BitMap, value: u64) -> TokenStream {
    if value == 0 {
        return quote!(0);
    }
    match place(scope, map, value) {
        Some(bits) => literal::hex(bits),
        None => insert(scope, map, &literal::number(value.into())),
    }
}

/// The bits of a constant value, if parameters do not move them.
pub(crate) fn place(scope: &Scope<'_>, map: &BitMap, value: u64) -> Option<u64> {
    value_segments(scope, map)
        .iter()
        .map(|segment| {
            let (high, low) = segment.fixed()?;
            let from = u32::try_from(Linear::of(&segment.from)?.constant()?).ok()?;
            Some((value.checked_shr(from)? & ones(high - low, 0)) << low)
        })
        .try_fold(0, |bits, part| Some(bits | part?))
}

/// The bits of a value that a bit map does not hold.
pub(crate) fn outside(scope: &Scope<'_>, map: &BitMap) -> TokenStream {
    if let Some(held) = held(scope, map) {
        return literal::hex(!held);
    }
    let segments = value_segments(scope, map);
    let parts = segments.iter().map(|segment| {
        let constant = |expr| Linear::of(expr).and_then(|linear| linear.constant());
        let [high, low, from] = [&segment.high, &segment.low, &segment.from].map(|expr| scope.emit(expr, Type::Byte));
        let down = (constant(&segment.low) != Some(0)).then(|| quote!(>> #low));
        let up = (constant(&segment.from) != Some(0)).then(|| quote!(<< #from));
        quote!(codec::bits(#high, #low) #down #up)
    });
    quote!(!(#(#parts)|*))
}

/// The bits of a value that a bit map holds, if parameters do not move them.
pub(crate) fn held(scope: &Scope<'_>, map: &BitMap) -> Option<u64> {
    value_segments(scope, map)
        .iter()
        .map(|segment| {
            let (high, low) = segment.fixed()?;
            let from = u8::try_from(Linear::of(&segment.from)?.constant()?).ok()?;
            Some(ones(from + (high - low), from))
        })
        .try_fold(0, |held, bits| Some(held | bits?))
}

/// A value computed by generated code, put into its bits. Bits that do not fit are lost.
pub(crate) fn insert(scope: &Scope<'_>, map: &BitMap, value: &TokenStream) -> TokenStream {
    let segments = value_segments(scope, map);
    let parts = segments.iter().map(|segment| {
        let value = match Linear::of(&segment.from).and_then(|from| from.constant()) {
            Some(0) => quote!(#value),
            _ => {
                let from = scope.emit(&segment.from, Type::Byte);
                if value.clone().into_iter().count() > 1 { quote!((#value) >> #from) } else { quote!(#value >> #from) }
            }
        };
        if segment.fixed() == Some((63, 0)) {
            return value;
        }
        let high = scope.emit(&segment.high, Type::Byte);
        let low = scope.emit(&segment.low, Type::Byte);
        quote!(codec::insert(#value, #high, #low))
    });
    quote!(#(#parts)|*)
}

/// Ones in bits `high:low`.
pub(crate) fn ones(high: u8, low: u8) -> u64 {
    if high < low || high > 63 {
        return 0;
    }
    u64::MAX >> (63 - (high - low)) << low
}
