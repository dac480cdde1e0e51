//! Meanings as text, in the notation of a format file.

use crate::model::{Facts, FixClass};
use crate::words::Word;

impl Facts {
    /// The rights, without the accessed and dirty states.
    pub const RIGHTS: Self = Self::from_bits_truncate(0x3f);
}

/// `"r w x"`, `"pr pw accessed"`, `"none"`.
pub fn facts(facts: Facts) -> String {
    let mut left = facts;
    let mut said = Vec::new();
    for (word, meaning) in Facts::WORDS {
        if left.intersects(*meaning) && left.contains(*meaning) {
            left -= *meaning;
            said.push(*word);
        }
    }
    if said.is_empty() { Facts::empty().word().into() } else { said.join(" ") }
}

/// The bits of a mask as a file writes them: `"63, 51:12"`.
pub fn bits(mask: u64) -> String {
    let mut ranges = Vec::new();
    let mut left = mask;
    while left != 0 {
        let high = 63 - left.leading_zeros();
        let width = (left << (63 - high)).leading_ones();
        let low = high + 1 - width;
        ranges.push(if width == 1 { format!("{high}") } else { format!("{high}:{low}") });
        left &= !(u64::MAX >> (64 - width) << low);
    }
    ranges.join(", ")
}

/// The bits of a mask as a sentence names them: `"bit 63"`, `"bits 63, 51:12"`.
pub fn named_bits(mask: u64) -> String {
    let plural = if mask.count_ones() == 1 { "" } else { "s" };
    format!("bit{plural} {}", bits(mask))
}

/// The bits of `raw` in `mask` as a file tests them: `"10, 2:0 == 0b0001"`, or the whole entry if there are many.
pub fn pattern(raw: u64, mask: u64) -> String {
    if mask.count_ones() > 16 {
        return format!("63:0 == {}", hex(raw));
    }
    let of_mask = (0..64).rev().filter(|bit| mask >> bit & 1 == 1);
    let digits: String = of_mask.map(|bit| if raw >> bit & 1 == 1 { '1' } else { '0' }).collect();
    format!("{} == 0b{digits}", bits(mask))
}

/// What bits of this class are, for use in a sentence.
pub const fn fix(class: FixClass) -> &'static str {
    match class {
        FixClass::MustBeZero => "must be zero",
        FixClass::MustBeOne => "must be one",
        FixClass::WriteZero => "written as zero",
        FixClass::WriteOne => "written as one",
        FixClass::Ignored => "ignored",
        FixClass::Software => "free for software",
        FixClass::Hardware => "written by hardware",
    }
}

/// A number with its digits in groups of four, as a file writes it: `"0x1234_5037"`.
pub fn hex(value: u64) -> String {
    let digits = format!("{value:x}");
    let mut text = String::from("0x");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 4 == 0 {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// A set of numbers, ascending, as a file writes it: `"36..=52"`, `"12, 14, 16"`.
pub fn set(values: &[i64]) -> String {
    let ranges = values.chunk_by(|a, b| a.checked_add(1) == Some(*b)).map(|range| match range {
        [first, _, .., last] => format!("{first}..={last}"),
        few => few.iter().map(i64::to_string).collect::<Vec<_>>().join(", "),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// A power of two of bytes as a file writes it: `"4K"`, `"2M"`.
pub fn size(bits: u8) -> String {
    let (unit, name) = match bits {
        0..10 => (0, ""),
        10..20 => (10, "K"),
        20..30 => (20, "M"),
        30..40 => (30, "G"),
        40..50 => (40, "T"),
        50..60 => (50, "P"),
        _ => (60, "E"),
    };
    format!("{}{name}", 1_u64 << (bits.min(63) - unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_written_as_ranges() {
        assert_eq!(bits(0), "");
        assert_eq!(bits(1 << 63 | 0x000f_ffff_ffff_f000 | 1), "63, 51:12, 0");
        assert_eq!(bits(u64::MAX), "63:0");
        assert_eq!(pattern(0b10_0000_0001, 0b11_0000_0111), "9:8, 2:0 == 0b10001");
    }

    #[test]
    fn long_numbers_have_groups_of_digits() {
        assert_eq!(hex(0), "0x0");
        assert_eq!(hex(0xfff), "0xfff");
        assert_eq!(hex(0x1234_5037), "0x1234_5037");
        assert_eq!(hex(u64::MAX), "0xffff_ffff_ffff_ffff");
    }

    #[test]
    fn sets_are_written_as_ranges() {
        assert_eq!(set(&[]), "");
        assert_eq!(set(&[1, 2, 4, 5, 6, 9]), "1, 2, 4..=6, 9");
    }

    #[test]
    fn rights_are_written_together_where_both_are_granted() {
        assert_eq!(facts(Facts::PR | Facts::UR | Facts::PX | Facts::DIRTY), "r px dirty");
        assert_eq!(facts(Facts::empty()), "none");
    }
}
