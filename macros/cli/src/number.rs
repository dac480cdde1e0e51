//! Numbers as people write them.

/// Reads a value of an entry or register, or an address: hexadecimal, with or without `0x`, or `0b..`; `_` anywhere.
///
/// # Errors
///
/// A text that says what is wrong with the number.
pub(crate) fn raw(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match (lower.strip_prefix("0x"), lower.strip_prefix("0b")) {
        (Some(hex), _) => (hex, 16),
        // `0b1` could be hexadecimal, too, but is read as binary. Write `0x0b1` for the other.
        (_, Some(binary)) if !binary.is_empty() && binary.chars().all(|c| matches!(c, '0' | '1')) => (binary, 2),
        _ => (lower.as_str(), 16),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err("expected a hexadecimal number, such as 0x1234_5037".into());
    }
    u64::from_str_radix(digits, radix).map_err(|_| "more than 64 bits".into())
}

/// Reads the value of a parameter: decimal, `0x..` or `0b..`, `true` or `false`; of 64 bits, the `i64` that has them.
pub(crate) fn value(text: &str) -> Option<i64> {
    let text: String = text.trim().chars().filter(|c| *c != '_').collect();
    match text.as_str() {
        "true" => Some(1),
        "false" => Some(0),
        _ => match (text.strip_prefix("0x"), text.strip_prefix("0b")) {
            (Some(hex), _) => u64::from_str_radix(hex, 16).ok().map(u64::cast_signed),
            (_, Some(binary)) => u64::from_str_radix(binary, 2).ok().map(u64::cast_signed),
            _ => text.parse().ok(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_hexadecimal() {
        assert_eq!(raw("12345037"), Ok(0x1234_5037));
        assert_eq!(raw("0x1234_5037"), Ok(0x1234_5037));
        assert_eq!(raw("0XFF"), Ok(255));
        assert_eq!(raw("0b101"), Ok(5));
        assert_eq!(raw("0b2"), Ok(0xb2));
        assert_eq!(raw("ffff_ffff_ffff_ffff"), Ok(u64::MAX));
        for wrong in ["", "0x", "-1", "+1", "0x+1", "g", "1 2", "1_0000_0000_0000_0000", "\u{0661}"] {
            assert!(raw(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_are_decimal() {
        assert_eq!(value("52"), Some(52));
        assert_eq!(value(" 0x10 "), Some(16));
        assert_eq!(value("0xffff_ffff_ffff_ffff"), Some(-1));
        assert_eq!(value("true"), Some(1));
        assert_eq!(value("yes"), None);
    }
}
