//! The values that every walk begins with.

use crate::{Extension, Geometry};

/// The values that every walk begins with, worked out once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// The bits of an input address.
    pub(super) input: u64,
    /// The bits that tell whether a 64-bit address is an input address, and the values that they have then.
    pub(super) upper: u64,
    pub(super) uppers: [u64; 2],
    /// Whether the index into the root alone, which may be beyond its end, tells input addresses from others with the
    /// same upper bits: so if these are zeros, and the root's frame is no smaller than that of another table at its
    /// level.
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
    /// `others` is log2 of the number of entries of a table at this level that is not the root; `word_bits` is log2 of
    /// the size of an entry in bytes.
    pub(super) const fn of(geometry: &Geometry, others: u8, word_bits: u8) -> Self {
        let (input, top) = (geometry.last_input(), geometry.top());
        let (upper, uppers) = match geometry.extension {
            Extension::Zero => (!input, [0; 2]),
            Extension::One => (!input, [!input; 2]),
            // The highest bit of the input address counts with the upper bits.
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
