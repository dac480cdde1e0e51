//! What walks begin with.

use crate::{Extension, Geometry};

/// What every walk begins with, worked out once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// The bits of an input address.
    pub(super) input: u64,
    /// The bits that tell whether a 64-bit address is one, and what they are then.
    pub(super) upper: u64,
    pub(super) uppers: [u64; 2],
    /// Whether an index into the root, if need be one beyond its end, tells input addresses from others that are the same above
    /// it: where zeros are above, and the frame is no smaller than that of another table at its level.
    pub(super) is_plain: bool,
    /// log2 of what an entry of the root spans.
    pub(super) entry_bits: u8,
    /// Number of entries of the root, less one.
    pub(super) mask: usize,
    /// log2 of the number of entries of the root.
    pub(super) index_bits: u8,
    /// log2 of the bytes that a table below the root takes.
    pub(super) table_bits: u8,
    /// The highest output address.
    pub(super) last_output: u64,
}

impl Start {
    /// `others`: log2 of how many entries a table at the root's level has where it is no root; `word_bits`: of the bytes an entry
    /// takes.
    pub(super) const fn of(geometry: &Geometry, others: u8, word_bits: u8) -> Self {
        let (input, top) = (geometry.last_input(), geometry.top());
        let (upper, uppers) = match geometry.extension {
            Extension::Zero => (!input, [0; 2]),
            Extension::One => (!input, [!input; 2]),
            // With the highest bit of the input address.
            Extension::Sign => (!(input >> 1), [0, !(input >> 1)]),
        };
        let (entry_bits, index_bits) = (geometry.entry_bits(top), geometry.level_index_bits(top));
        let (mask, table_bits) = ((1 << index_bits) - 1, geometry.table_bits);
        let is_plain = matches!(geometry.extension, Extension::Zero)
            && top > 0
            && entry_bits + others <= 64
            && others + word_bits <= geometry.root_bits;
        let last_output = geometry.last_output();
        Self { input, upper, uppers, is_plain, entry_bits, mask, index_bits, table_bits, last_output }
    }
}
