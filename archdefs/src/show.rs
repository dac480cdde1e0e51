//! Meanings as text, in the notation of a format file.

use crate::model::{Class, Facts, FaultAccess, FaultCause, MemoryType};

impl Facts {
    /// The rights, without the accessed and dirty states.
    pub const RIGHTS: Self = Self::from_bits_truncate(0x3f);
}

/// `"r w x"`, `"pr pw accessed"`, `"none"`.
pub fn facts(facts: Facts) -> String {
    let words = [
        ("r", Facts::PR.union(Facts::UR)),
        ("w", Facts::PW.union(Facts::UW)),
        ("x", Facts::PX.union(Facts::UX)),
        ("pr", Facts::PR),
        ("pw", Facts::PW),
        ("px", Facts::PX),
        ("ur", Facts::UR),
        ("uw", Facts::UW),
        ("ux", Facts::UX),
        ("accessed", Facts::ACCESSED),
        ("dirty", Facts::DIRTY),
    ];
    let mut left = facts;
    let mut said = Vec::new();
    for (word, meaning) in words {
        if left.contains(meaning) {
            left -= meaning;
            said.push(word);
        }
    }
    if said.is_empty() { "none".into() } else { said.join(" ") }
}

/// `"wb"`, `"device-nGnRE"`.
pub const fn memory(memory: MemoryType) -> &'static str {
    match memory {
        MemoryType::Inherit => "inherit",
        MemoryType::WriteBack => "wb",
        MemoryType::WriteThrough => "wt",
        MemoryType::WriteProtected => "wp",
        MemoryType::WriteCombining => "wc",
        MemoryType::NonCacheable => "nc",
        MemoryType::Uncached => "uc",
        MemoryType::DeviceNGnRnE => "device-nGnRnE",
        MemoryType::DeviceNGnRE => "device-nGnRE",
        MemoryType::DeviceNGRE => "device-nGRE",
        MemoryType::DeviceGRE => "device-GRE",
    }
}

/// `"page"`, `"reserved"`.
pub const fn class(class: Class) -> &'static str {
    match class {
        Class::Invalid => "invalid",
        Class::Table => "table",
        Class::Page => "page",
        Class::Block => "block",
        Class::Reserved => "reserved",
    }
}

/// `"read"`, `"none"`.
pub const fn access(access: FaultAccess) -> &'static str {
    match access {
        FaultAccess::Read => "read",
        FaultAccess::Write => "write",
        FaultAccess::Execute => "execute",
        FaultAccess::None => "none",
    }
}

/// `"not-mapped"`, `"permission"`.
pub const fn cause(cause: FaultCause) -> &'static str {
    match cause {
        FaultCause::NotMapped => "not-mapped",
        FaultCause::Permission => "permission",
        FaultCause::AccessFlag => "access-flag",
        FaultCause::AddressSize => "address-size",
        FaultCause::Misconfigured => "misconfigured",
        FaultCause::External => "external",
        FaultCause::Unspecified => "unspecified",
    }
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
    }

    #[test]
    fn rights_are_written_together_where_both_are_granted() {
        assert_eq!(facts(Facts::PR | Facts::UR | Facts::PX | Facts::DIRTY), "r px dirty");
        assert_eq!(facts(Facts::empty()), "none");
    }
}
