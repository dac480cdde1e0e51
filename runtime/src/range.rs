//! Closed ranges of addresses: a full 2^64 space needs no special case.

/// The addresses `start..=last`; never empty.
///
/// ```
/// use tablewright::ClosedRange;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let page = ClosedRange::around(0x1234, 12);
/// assert_eq!((page.start(), page.last()), (0x1000, 0x1fff));
/// // The last page of all is one like any other.
/// let last = ClosedRange::from_start_size(0xffff_ffff_ffff_f000, 0x1000).ok_or("it wraps around")?;
/// assert_eq!(last.last(), u64::MAX);
/// assert_eq!(page.intersection(&last), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedRange {
    start: u64,
    last: u64,
}

impl ClosedRange {
    /// Every address.
    pub const FULL: Self = Self { start: 0, last: u64::MAX };

    /// The range from `start` to `last`, both included; `None` if `last < start`.
    #[inline]
    pub const fn new(start: u64, last: u64) -> Option<Self> {
        if start <= last { Some(Self { start, last }) } else { None }
    }

    /// The range of `size` bytes from `start`; `None` if it is empty or wraps around.
    #[inline]
    pub const fn from_start_size(start: u64, size: u64) -> Option<Self> {
        match size.checked_sub(1) {
            None => None,
            Some(rest) => match start.checked_add(rest) {
                None => None,
                Some(last) => Some(Self { start, last }),
            },
        }
    }

    /// The naturally aligned block of `1 << size` bytes around `address`; all addresses, if `size` is 64 or more.
    #[inline]
    pub const fn around(address: u64, size: u8) -> Self {
        let mask = if size < 64 { (1 << size) - 1 } else { u64::MAX };
        Self { start: address & !mask, last: address | mask }
    }

    /// As [`Self::around`], for a `size` that is known to be below 64: only its lowest six bits count.
    #[inline]
    pub(crate) const fn block(address: u64, size: u8) -> Self {
        let mask = (1 << (size & 63)) - 1;
        Self { start: address & !mask, last: address | mask }
    }

    /// The part of the range that comes after `last`, if there is one.
    #[inline]
    pub(crate) const fn after(&self, last: u64) -> Option<Self> {
        if last < self.last { Some(Self { start: last + 1, last: self.last }) } else { None }
    }

    /// The range from `start` to `last`, or only `start` if `last` is below it.
    #[inline]
    pub(crate) const fn clamp(start: u64, last: u64) -> Self {
        Self { start, last: if last < start { start } else { last } }
    }

    /// The first address.
    #[inline]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// The last address.
    #[inline]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The last address minus the first: the size in bytes, less one.
    #[inline]
    pub const fn span(&self) -> u64 {
        self.last - self.start
    }

    /// Whether `address` is in the range.
    #[inline]
    pub const fn contains(&self, address: u64) -> bool {
        self.start <= address && address <= self.last
    }

    /// Whether all of `other` is in the range.
    #[inline]
    pub const fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.last <= self.last
    }

    /// The smallest range that covers both.
    #[inline]
    pub const fn hull(&self, other: &Self) -> Self {
        let start = if self.start < other.start { self.start } else { other.start };
        let last = if self.last > other.last { self.last } else { other.last };
        Self { start, last }
    }

    /// The range `distance` higher, modulo 2^64; one that would wrap around is cut to its start.
    pub(crate) const fn shifted(&self, distance: u64) -> Self {
        Self::clamp(self.start.wrapping_add(distance), self.last.wrapping_add(distance))
    }

    /// What both ranges have in common.
    #[inline]
    pub const fn intersection(&self, other: &Self) -> Option<Self> {
        let start = if self.start > other.start { self.start } else { other.start };
        let last = if self.last < other.last { self.last } else { other.last };
        Self::new(start, last)
    }
}
