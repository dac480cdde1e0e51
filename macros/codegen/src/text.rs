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

/// Text of the file as documentation shows it: `AP[2]` is no link, and `<n>` no tag, but for code between backticks.
pub(crate) fn plain(text: &str) -> String {
    let mut code = false;
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        code ^= char == '`';
        if !code && matches!(char, '[' | ']' | '<' | '>') {
            shown.push('\\');
        }
        shown.push(char);
    }
    shown
}

/// Text of the file as a sentence: with a capital letter and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let text: String = chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect());
    let text = plain(&text);
    if text.ends_with('.') { text } else { format!("{text}.") }
}

/// The manual's section, as a paragraph of its own.
pub(crate) fn cited(cite: Option<&str>) -> impl Iterator<Item = String> {
    cite.into_iter().flat_map(|cite| [String::new(), format!(" {}.", plain(cite))])
}
