//! Values for several fields of rights that together grant what is wanted.

use super::{Facts, Grants};

/// A value of a field of rights, in its bits, and what it states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    bits: u64,
    facts: Facts,
    exists: bool,
}

impl Choice {
    /// `bits` state `facts`.
    pub const fn new(bits: u64, facts: Facts) -> Self {
        Self { bits, facts, exists: true }
    }

    /// The same, only where `exists`.
    pub const fn when(self, exists: bool) -> Self {
        Self { exists, ..self }
    }
}

/// What fields speak of that speak of the same rights, and their bits: of all combinations of their values that grant
/// exactly the rights among `wanted`, the one that shows the most of its states, and of these the first. Each field
/// comes with all that it speaks of; one without values is not there.
pub const fn combine(wanted: Facts, fields: &[(Facts, &[Choice])]) -> Option<(Facts, u64)> {
    let mut spoken = Facts::NONE;
    let mut index = 0;
    while index < fields.len() {
        spoken = spoken.union(fields[index].0);
        index += 1;
    }
    let mut best = None;
    try_all(wanted.intersection(spoken), fields, Grants::new(), 0, &mut best);
    match best {
        Some((_, bits)) => Some((spoken, bits)),
        None => None,
    }
}

/// Tries all values of `fields` beside those chosen so far; `best` is the number of states missed, and the bits.
const fn try_all(
    wanted: Facts,
    fields: &[(Facts, &[Choice])],
    so_far: Grants,
    bits: u64,
    best: &mut Option<(u32, u64)>,
) {
    let Some(((spoken, choices), rest)) = fields.split_first() else {
        let missed = so_far.of_leaf(Facts::NONE).symmetric_difference(wanted);
        let missed_states = missed.bits().count_ones();
        let fewest = match best {
            Some((fewest, _)) => *fewest,
            None => u32::MAX,
        };
        if missed.rights().is_empty() && missed_states < fewest {
            *best = Some((missed_states, bits));
        }
        return;
    };
    if choices.is_empty() {
        try_all(wanted, rest, so_far, bits, best);
    }
    let mut index = 0;
    while index < choices.len() {
        let choice = choices[index];
        if choice.exists {
            let mut grants = so_far;
            grants.field(*spoken, choice.facts);
            try_all(wanted, rest, grants, bits | choice.bits, best);
        }
        index += 1;
    }
}
