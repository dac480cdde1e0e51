//! Kinds of runs.

use super::Pattern;

/// A kind of run that a level has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What marks its items.
    pub mark: Pattern,
    /// log2 of the number of items.
    pub items: u8,
}

impl Run {
    /// No run.
    pub const NONE: Self = Self { mark: Pattern::NEVER, items: 0 };

    /// Whether this is a run.
    #[inline]
    pub const fn exists(&self) -> bool {
        self.items > 0
    }
}

/// The run of `1 << items` items.
pub const fn run_of(runs: &[Run], items: u8) -> Option<Run> {
    let mut index = 0;
    while index < runs.len() {
        if runs[index].exists() && runs[index].items == items {
            return Some(runs[index]);
        }
        index += 1;
    }
    None
}

/// The sizes of runs of leaves of `1 << leaf_bits` bytes that are not larger than all of memory, as bits.
pub const fn run_sizes(runs: &[Run], leaf_bits: u8, input_bits: u8) -> u64 {
    let mut sizes = 0;
    let mut index = 0;
    while index < runs.len() {
        let size = leaf_bits + runs[index].items;
        if runs[index].exists() && size <= input_bits {
            sizes |= 1 << size;
        }
        index += 1;
    }
    sizes
}
