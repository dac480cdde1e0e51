//! Rights and states of a leaf: the combinations of rows that can be written, and what each of them grants.

use crate::bound::{BoundMeaning, BoundRow, Shape};
use crate::model::Facts;

/// One row of each field that speaks of rights or states.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rights {
    /// The bits.
    pub(crate) raw: u64,
    granted: Facts,
    denied: Facts,
}

impl Rights {
    fn and(&self, bits: u64, meaning: Facts, speaks: Facts) -> Self {
        Self { raw: self.raw | bits, granted: self.granted | meaning, denied: self.denied | (speaks - meaning) }
    }

    /// The rights and states of a leaf with these rows, which also grants what every leaf does.
    pub(crate) fn shown(&self, implies: Facts) -> Facts {
        (implies | self.granted) - self.denied
    }
}

/// All combinations of rows that can be written.
pub(crate) fn combinations(shape: &Shape) -> Vec<Rights> {
    let mut combinations = vec![Rights::default()];
    for field in &shape.fields {
        if let BoundMeaning::Rights(rows, speaks) = &field.meaning {
            let with =
                |so_far: &Rights, row: &BoundRow<Facts>| so_far.and(field.bits.insert(row.value), row.meaning, *speaks);
            let extended = combinations.iter().flat_map(|so_far| rows.writable().map(move |row| with(so_far, row)));
            combinations = extended.collect();
        }
    }
    combinations
}

/// Of the combinations that grant exactly the rights in `asked`, the first of those whose states differ least from it.
pub(crate) fn best(combinations: &[Rights], implies: Facts, asked: Facts) -> Option<&Rights> {
    let differs = |combination: &&Rights| combination.shown(implies) ^ asked;
    let exact = combinations.iter().filter(|combination| (differs(combination) & Facts::RIGHTS).is_empty());
    exact.min_by_key(|combination| differs(combination).bits().count_ones())
}

/// The rights and states of a leaf with these bits; `None` if some field has no row for its value.
pub(crate) fn shown(shape: &Shape, raw: u64, implies: Facts) -> Option<Facts> {
    let mut rights = Rights::default();
    for field in &shape.fields {
        if let BoundMeaning::Rights(rows, speaks) = &field.meaning {
            rights = rights.and(0, rows.get(field.bits.extract(raw))?.meaning, *speaks);
        }
    }
    Some(rights.shown(implies))
}
