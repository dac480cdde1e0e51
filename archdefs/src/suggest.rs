//! "Did you mean ..?"

/// Advice for a word that is not one of `legal`: the closest of them, if one is close, and the list.
pub fn advice(word: &str, what: &str, legal: &[&str]) -> String {
    let list = legal.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { format!("there are no {what}") } else { format!("{what}: {list}") };
    match closest(word, legal) {
        Some(closest) => format!("did you mean `{closest}`? {list}"),
        None => list,
    }
}

/// The candidate with the fewest slips, if they are few for the word's length.
pub fn closest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let length = word.chars().count();
    // Any two short words are close.
    let limit = if length < 3 { 0 } else { (length + 1) / 3 };
    candidates
        .iter()
        .map(|candidate| (slips(word, candidate), *candidate))
        .filter(|(slips, _)| *slips <= limit)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// The number of slips that turn one word into the other: a character too many, too few, wrong, or two swapped.
fn slips(a: &str, b: &str) -> usize {
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
        assert_eq!(slips("bits", "bist"), 1);
        assert_eq!(slips("bits", "bit"), 1);
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("abc", ""), 3);
        assert_eq!(closest("execute_onyl", &["execute_only", "access_dirty"]), Some("execute_only"));
        assert_eq!(closest("elephant", &["execute_only", "access_dirty"]), None);
        assert_eq!(closest("rw", &["r", "w"]), None);
    }
}
