//! Rights as people write them.

use tablewright_archdefs::model::Facts;
use tablewright_archdefs::words::Word;

use crate::failure::{Failure, Result};

/// Reads words such as `r w`, or letters such as `rw`.
///
/// # Errors
///
/// [`Failure`] if there is no such word.
pub(crate) fn rights(text: &str) -> Result<Facts> {
    let mut facts = Facts::empty();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let of = |word: &str| Facts::WORDS.iter().find(|(known, _)| *known == word).map(|(_, facts)| *facts);
        // `rw` is short for `r w`.
        let together = || word.chars().map(|letter| of(letter.encode_utf8(&mut [0; 4]))).collect::<Option<Vec<_>>>();
        facts |= match of(word) {
            Some(facts) => facts,
            None => together().map(|all| all.into_iter().collect()).ok_or_else(|| {
                let words = Facts::WORDS.iter().map(|(word, _)| *word);
                Failure::unknown(format!("there is no right `{word}`"), word, Facts::WHAT, words)
            })?,
        };
    }
    Ok(facts)
}
