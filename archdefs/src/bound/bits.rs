//! Bits of an entry, resolved to masks and shifts.

use super::Malformed;
use super::geometry::low_bits;
use crate::eval::{Env, eval};
use crate::model::BitMap;

/// Where the bits of a value stand in an entry.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Bits {
    pieces: Vec<Piece>,
    mask: u64,
}

/// Adjacent bits of an entry that are adjacent bits of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Lowest bit in the entry.
    pub entry: u8,
    /// Lowest bit in the value.
    pub value: u8,
    /// Number of bits, at least 1.
    pub width: u8,
}

impl Piece {
    const fn value_mask(self) -> u64 {
        low_bits(u64::MAX, self.width) << self.value
    }
}

impl Bits {
    /// Bits of a number: without `<-`, the last segment ends at bit 0 of the value.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if a position cannot be evaluated or lies outside an entry, if a segment's high end is below its
    /// low end, or if entry bits overlap.
    pub fn number(map: &BitMap, env: &Env<'_>) -> Result<Self, Malformed> {
        Self::resolve(map, env, false)
    }

    /// Bits of an address: without `<-`, a segment holds the same bits of the address.
    ///
    /// # Errors
    ///
    /// As for [`Bits::number`].
    pub fn address(map: &BitMap, env: &Env<'_>) -> Result<Self, Malformed> {
        Self::resolve(map, env, true)
    }

    fn resolve(map: &BitMap, env: &Env<'_>, address: bool) -> Result<Self, Malformed> {
        let mut bits = Self::default();
        let mut next = 0;
        for segment in map.segments.iter().rev() {
            let fail = |message: String| Malformed::new(message, segment.span);
            let range = |high, low| -> Result<(u8, u8), Malformed> {
                let (high, low) = (eval(high, env)?, eval(low, env)?);
                if !(0..=64).contains(&low) || !(low - 1..=63).contains(&high) {
                    return Err(fail(format!("{high}:{low} are no bits of an entry")));
                }
                // Both fit: 0 <= low <= 64 and 0 <= high + 1 - low <= 64.
                Ok((low as u8, (high + 1 - low) as u8))
            };
            let (entry, width) = range(&segment.high, &segment.low)?;
            let value = match &segment.from {
                Some((high, low)) => {
                    let (value, from_width) = range(high, low)?;
                    if from_width != width {
                        return Err(fail(format!("{width} bits of an entry cannot hold {from_width} bits of a value")));
                    }
                    value
                }
                None if address => entry,
                None => {
                    next += width;
                    next - width
                }
            };
            if width == 0 {
                continue;
            }
            if value > 64 - width {
                return Err(fail("more than 64 bits".into()));
            }
            let mask = low_bits(u64::MAX, width) << entry;
            if bits.mask & mask != 0 {
                return Err(fail(format!("bit {} twice", (bits.mask & mask).trailing_zeros())));
            }
            bits.mask |= mask;
            bits.pieces.push(Piece { entry, value, width });
        }
        Ok(bits)
    }

    /// The entry bits.
    pub fn mask(&self) -> u64 {
        self.mask
    }

    /// The value bits.
    pub fn value_mask(&self) -> u64 {
        self.pieces.iter().fold(0, |mask, piece| mask | piece.value_mask())
    }

    /// The pieces, from the last segment to the first.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Number of bits.
    pub fn width(&self) -> u8 {
        self.mask.count_ones() as u8
    }

    /// Reads the value out of an entry.
    pub fn extract(&self, raw: u64) -> u64 {
        let part = |piece: &Piece| low_bits(raw >> piece.entry, piece.width) << piece.value;
        self.pieces.iter().fold(0, |value, piece| value | part(piece))
    }

    /// The entry bits that hold `value`; bits that the map has no place for are dropped.
    pub fn insert(&self, value: u64) -> u64 {
        let part = |piece: &Piece| low_bits(value >> piece.value, piece.width) << piece.entry;
        self.pieces.iter().fold(0, |raw, piece| raw | part(piece))
    }

    /// Whether `value` fits.
    pub fn holds(&self, value: u64) -> bool {
        value & !self.value_mask() == 0
    }
}
