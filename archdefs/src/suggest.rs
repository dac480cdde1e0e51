//! "Did you mean ..?"

/// Advice for a word that is not one of `legal`: the closest of them, if one is close, and the list.
pub(crate) fn advice<'a>(word: &str, what: &str, legal: impl Iterator<Item = &'a str> + Clone) -> String {
    let list = legal.clone().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { format!("there are no {what}") } else { format!("{what}: {list}") };
    match closest(word, legal) {
        Some(closest) => format!("did you mean `{closest}`? {list}"),
        None => list,
    }
}

/// The candidate with the fewest edits, if they are few for the word's length.
fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The number of characters to insert, delete or replace to turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replace = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_words_are_suggested_and_far_ones_are_not() {
        assert_eq!(distance("bits", "bist"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(closest("execute_onyl", ["execute_only", "access_dirty"].into_iter()), Some("execute_only"));
        assert_eq!(closest("elephant", ["execute_only", "access_dirty"].into_iter()), None);
        assert_eq!(closest("y", ["r", "w"].into_iter()), Some("r"));
    }
}
