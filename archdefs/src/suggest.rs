//! Suggestions for misspelt words.

/// Advice for a word that is not one of `legal`: the closest of them, if one is close, and the list.
pub fn advice(word: &str, what: &str, legal: &[&str]) -> String {
    let list = legal.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { format!("there are no {what}") } else { format!("{what}: {list}") };
    match closest(word, legal) {
        Some(closest) => format!("did you mean `{closest}`? {list}"),
        None => list,
    }
}

/// The candidate with the smallest edit distance, if that is small for the word's length.
pub fn closest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let length = word.chars().count();
    // Two short words are never many edits apart.
    let limit = if length < 3 { 0 } else { (length + 1) / 3 };
    candidates
        .iter()
        .map(|candidate| (edit_distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The edit distance of two words: the number of characters added, left out, replaced, or swapped with their neighbour.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, a) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if j > 0 && previous == Some(b[j]) && a == b[j - 1] {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
        previous = Some(a);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_words_are_suggested_and_far_ones_are_not() {
        assert_eq!(edit_distance("bits", "bist"), 1);
        assert_eq!(edit_distance("bits", "bit"), 1);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", ""), 3);
        assert_eq!(closest("execute_onyl", &["execute_only", "access_dirty"]), Some("execute_only"));
        assert_eq!(closest("elephant", &["execute_only", "access_dirty"]), None);
        assert_eq!(closest("rw", &["r", "w"]), None);
    }
}
