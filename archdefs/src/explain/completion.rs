//! Explains the command of a completion.

use super::solve::solve;
use crate::bound::Bound;
use crate::expr::Expr;
use crate::model::Completion;

/// What a completion's command says.
#[derive(Clone, Debug)]
pub struct CompletionReport<'a> {
    /// The row of `[[completion]]` that it matches.
    pub completion: &'a Completion,
    /// With the signal `write`: the address that the device writes to, and the data.
    pub record: Option<(u64, u64)>,
}

impl Bound {
    /// What a command says, if it is one of [`Bound::completions`].
    pub fn explain_completion(&self, words: &[u64]) -> Option<CompletionReport<'_>> {
        let nowhere = self.env().with("address", 0).with("data", 0);
        self.completions().find_map(|completion| {
            let values: Vec<(&Expr, u64)> =
                completion.command.iter().map(|word| &word.value).zip(words.iter().copied()).collect();
            let found = |name| solve(&values, name, &nowhere).unwrap_or(0);
            let (address, data) = (found("address"), found("data"));
            let same = self.completion(completion.signal, address, data).is_ok_and(|command| command == words);
            same.then(|| CompletionReport { completion, record: completion.record.map(|_| (address, data)) })
        })
    }
}
