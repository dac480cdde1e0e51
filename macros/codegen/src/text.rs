//! Parts of a file as text, for documentation and errors.

use tablewright_archdefs::model::{BitMap, Choices};

use crate::scope::Scope;

/// The bits of a field under each condition: ``"51:12"``, ``"49:12, 9:8 if lpa2; 47:12"``.
pub(crate) fn bits(scope: &Scope<'_>, choices: &Choices<BitMap>) -> String {
    let items = scope.choices(choices).into_iter().map(|(when, map)| {
        let bits = bit_map(scope, map);
        match when {
            Some(when) => format!("{bits} if {when}"),
            None => bits,
        }
    });
    items.collect::<Vec<_>>().join("; ")
}

fn bit_map(scope: &Scope<'_>, map: &BitMap) -> String {
    let segments = map.segments.iter().map(|segment| {
        let position = |expr| scope.fold(expr).to_string();
        let (high, low) = (position(&segment.high), position(&segment.low));
        let bits = if high == low { high } else { format!("{high}:{low}") };
        match &segment.from {
            Some((high, low)) => format!("{bits} <- {}:{}", position(high), position(low)),
            None => bits,
        }
    });
    segments.collect::<Vec<_>>().join(", ")
}

/// Ascending numbers, neighbours taken together: `"32, 36..=52"`.
pub(crate) fn numbers(values: &[i64]) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for value in values {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *value => *last = *value,
            _ => ranges.push((*value, *value)),
        }
    }
    let texts = ranges.into_iter().map(|(first, last)| match last - first {
        0 => format!("{first}"),
        1 => format!("{first}, {last}"),
        _ => format!("{first}..={last}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}
