//! A cache of the format's page entries for the attributes that were asked for first.

use core::sync::atomic::{
    AtomicU8, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::PageTable;
use crate::{Attributes, Format, Hal, Refusal};

/// Pages with the attributes that were asked for first: nearly all faults need the same few.
#[derive(Debug)]
pub(super) struct Pages([Page; 4]);

/// A page without its address. Once it is complete, it stays.
#[derive(Debug)]
struct Page {
    state: AtomicU8,
    attributes: [AtomicU64; 2],
    bits: AtomicU64,
}

impl Page {
    const fn free() -> Self {
        Self { state: AtomicU8::new(FREE), attributes: [const { AtomicU64::new(0) }; 2], bits: AtomicU64::new(0) }
    }
}

const FREE: u8 = 0;
const FILLED: u8 = 1;
const COMPLETE: u8 = 2;

impl Pages {
    /// None yet.
    pub(super) const fn none() -> Self {
        Self([const { Page::free() }; 4])
    }

    /// The page with these attributes, if it is known.
    #[inline]
    fn get(&self, attributes: &Attributes) -> Option<u64> {
        let wanted = words(attributes);
        let known = self.0.iter().take_while(|page| page.state.load(Acquire) == COMPLETE);
        let mut known = known.filter(|page| page.attributes.each_ref().map(|word| word.load(Relaxed)) == wanted);
        known.next().map(|page| page.bits.load(Relaxed))
    }

    /// Notes a page, if there is room.
    fn put(&self, attributes: &Attributes, bits: u64) {
        let take = |page: &&Page| page.state.compare_exchange(FREE, FILLED, Relaxed, Relaxed).is_ok();
        let Some(page) = self.0.iter().find(take) else { return };
        for (word, value) in page.attributes.iter().zip(words(attributes)) {
            word.store(value, Relaxed);
        }
        page.bits.store(bits, Relaxed);
        page.state.store(COMPLETE, Release);
    }
}

/// The attributes as words, to be compared and stored.
#[inline]
fn words(attributes: &Attributes) -> [u64; 2] {
    let Attributes { rights, memory, accessed, dirty, options } = *attributes;
    [u32::from_le_bytes([rights.bits(), memory as u8, accessed.into(), dirty.into()]).into(), options.bits()]
}

impl<F: Format, H: Hal> PageTable<F, H> {
    /// The format's entry for a page with these attributes, without its address.
    #[inline]
    pub(super) fn page(&self, attributes: &Attributes) -> Result<u64, Refusal> {
        match self.pages.get(attributes) {
            Some(bits) => Ok(bits),
            None => self.resolve_page(attributes),
        }
    }

    /// Whether the format has pages with these attributes.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: what it cannot express.
    pub fn accepts(&self, attributes: &Attributes) -> Result<(), Refusal> {
        self.asked(attributes).map(|_| ())
    }

    /// The entries for a page with these attributes that has been read, and for one that has been written, without their
    /// addresses; `None` if the format has no such page.
    pub(crate) fn used_pages(&self, attributes: &Attributes) -> Option<[u64; 2]> {
        let used = |dirty| self.asked(&attributes.used(dirty)).ok();
        let read = used(false)?;
        Some([read, if attributes.dirty { read } else { used(true)? }])
    }

    /// As [`Self::page`].
    // Not inlined: areas have several calls.
    #[inline(never)]
    fn asked(&self, attributes: &Attributes) -> Result<u64, Refusal> {
        self.page(attributes)
    }

    #[cold]
    #[inline(never)]
    fn resolve_page(&self, attributes: &Attributes) -> Result<u64, Refusal> {
        let page = ok!(self.format.prototype(0, F::PAGE_BITS, attributes));
        self.pages.put(attributes, page.bits);
        Ok(page.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Pages;
    use crate::{Attributes, MemoryType, Options, Rights};

    #[test]
    fn pages_that_differ_in_anything_are_told_apart() {
        let pages = Pages::none();
        let first = Attributes::new(Rights::RW, MemoryType::WriteBack);
        let others = [
            Attributes { rights: Rights::R, ..first },
            Attributes { memory: MemoryType::Uncached, ..first },
            Attributes { accessed: false, ..first },
            Attributes { dirty: false, ..first },
            Attributes { options: Options::from_bits(1), ..first },
        ];
        assert_eq!(pages.get(&first), None);
        pages.put(&first, 1);
        for other in others {
            assert_eq!(pages.get(&other), None, "{other:?}");
        }
        assert_eq!(pages.get(&first), Some(1));
    }

    #[test]
    fn there_is_room_for_four() {
        let pages = Pages::none();
        let numbered = |number| Attributes {
            options: Options::from_bits(number),
            ..Attributes::new(Rights::RW, MemoryType::WriteBack)
        };
        for number in 0..5 {
            pages.put(&numbered(number), 10 + number);
        }
        let known = [0, 1, 2, 3, 4].map(|number| pages.get(&numbered(number)));
        assert_eq!(known, [Some(10), Some(11), Some(12), Some(13), None]);
    }
}
