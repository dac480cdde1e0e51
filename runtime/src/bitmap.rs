//! One bit for each page of a range: what harvesting fills.

use crate::ClosedRange;

/// A bitmap with one bit for each page of a range of input addresses, in words that the caller owns: page `n` is bit
/// `n % 64` of word `n / 64`.
///
/// ```
/// use tablewright::{ClosedRange, PageBitmap};
///
/// let guest = ClosedRange::from_start_size(0x4000_0000, 70 << 12).unwrap();
/// let mut words = vec![0; PageBitmap::words(guest, 12)];
/// let mut pages = PageBitmap::new(guest, 12, &mut words).unwrap();
/// pages.insert(ClosedRange::around(0x4000_3000, 13));
/// assert!(pages.contains(0x4000_2fff) && !pages.contains(0x4000_4000));
/// assert_eq!(pages.len(), 2);
/// assert_eq!(words, [0b1100, 0]);
/// ```
#[derive(Debug)]
pub struct PageBitmap<'a> {
    range: ClosedRange,
    page_bits: u8,
    words: &'a mut [u64],
}

impl<'a> PageBitmap<'a> {
    /// How many words a bitmap needs for `range` in pages of `1 << page_bits` bytes; `page_bits` is below 64.
    pub const fn words(range: ClosedRange, page_bits: u8) -> usize {
        (range.span() >> page_bits >> 6) as usize + 1
    }

    /// A bitmap for the pages of `1 << page_bits` bytes in `range`. Bits that are set already stay set.
    ///
    /// `None` if there are fewer words than [`PageBitmap::words`], or `range` does not consist of whole pages.
    pub const fn new(range: ClosedRange, page_bits: u8, words: &'a mut [u64]) -> Option<Self> {
        let whole = page_bits < 64
            && ClosedRange::around(range.start(), page_bits).start() == range.start()
            && ClosedRange::around(range.last(), page_bits).last() == range.last();
        if whole && words.len() >= Self::words(range, page_bits) {
            Some(Self { range, page_bits, words })
        } else {
            None
        }
    }

    /// A bitmap for `range`, which consists of whole pages, that forgets what is inserted.
    pub(crate) const fn without_words(range: ClosedRange, page_bits: u8) -> Self {
        Self { range, page_bits, words: &mut [] }
    }

    /// The addresses that the bitmap covers.
    pub const fn range(&self) -> ClosedRange {
        self.range
    }

    /// Inserts the pages that have addresses in `pages`; those outside the bitmap's range are ignored.
    pub fn insert(&mut self, pages: ClosedRange) {
        let Some(pages) = pages.intersection(&self.range) else { return };
        let (first, last) = (self.number(pages.start()), self.number(pages.last()));
        if first == last
            && let Some(word) = self.words.get_mut(first as usize / 64)
        {
            *word |= 1 << (first % 64);
            return;
        }
        self.insert_many(first, last);
    }

    fn insert_many(&mut self, first: u64, last: u64) {
        // Not `skip` and `take`: they would count through all words before.
        let words = first as usize / 64..=last as usize / 64;
        for (word, number) in self.words.get_mut(words).unwrap_or_default().iter_mut().zip(first / 64..) {
            let (from, to) = (first.saturating_sub(number * 64), (last - number * 64).min(63));
            *word |= u64::MAX << from & u64::MAX >> (63 - to);
        }
    }

    /// Inserts the leaves of `1 << size` bytes, no smaller than a page, to which some of up to 32 adjacent entries from
    /// `start` on belong, each for `1 << bits` bytes.
    pub(crate) fn insert_some(&mut self, start: u64, (bits, size): (u8, u8), which: u32) {
        if size == self.page_bits && self.range.contains(start) {
            let number = self.number(start);
            let bits = u128::from(which) << (number % 64);
            let words = self.words.get_mut(number as usize / 64..).unwrap_or_default();
            words.iter_mut().zip([bits as u64, (bits >> 64) as u64]).for_each(|(word, bits)| *word |= bits);
        } else {
            let leaf = |item: u64| ClosedRange::block(start + (item << bits), size);
            (0..32).filter(|item| which >> item & 1 == 1).for_each(|item| self.insert(leaf(item)));
        }
    }

    /// Whether the page around `address` has been inserted.
    pub fn contains(&self, address: u64) -> bool {
        let number = self.number(address.max(self.range.start()));
        self.range.contains(address)
            && self.words.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// How many pages have been inserted.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no page has been inserted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// log2 of the size of its pages.
    pub(crate) const fn page_bits(&self) -> u8 {
        self.page_bits
    }

    fn number(&self, address: u64) -> u64 {
        (address - self.range.start()) >> self.page_bits
    }
}
